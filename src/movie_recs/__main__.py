"""`python -m movie_recs`: the commands of the project that are not Kedro's."""

import argparse
import sys

from movie_recs.errors import UserError
from movie_recs.serve import command


def main() -> None:
    """Runs the command that is asked for; a user's error is one sentence."""
    parser = argparse.ArgumentParser(prog="python -m movie_recs")
    commands = parser.add_subparsers(required=True, metavar="command")
    serve = commands.add_parser("serve", help="serve the newest models: lists for anyone's ratings, by a web API")
    command.add_arguments(serve)
    serve.set_defaults(run=command.serve)
    options = parser.parse_args()
    try:
        options.run(options)
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
