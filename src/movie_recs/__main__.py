"""`movie-recs`, or `python -m movie_recs`: what an installed package can do without a clone."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from movie_recs.errors import UserError

COMMANDS = {  # name: its module, which is imported only if it is asked for, and what it does
    "run": ("movie_recs.runtime.command", "run pipelines, with the options of kedro run"),
    "serve": ("movie_recs.serve.command", "serve the newest models: lists for anyone's ratings, by a web API"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command that is asked for; a user's error is one sentence.

    Args:
        arguments: The command and its options; None for those of the process.
    """
    parser = argparse.ArgumentParser(
        prog="movie-recs",
        epilog="\n".join(f"{name:6} {what}" for name, (_, what) in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="of the command; --help lists them")
    given = parser.parse_args(arguments)
    command = import_module(COMMANDS[given.command][0])
    try:
        command.main(given.options, program=f"{parser.prog} {given.command}")
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
