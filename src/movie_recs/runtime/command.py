"""`movie-recs run`: Kedro's run command for a package that is installed without its project."""

import os
from collections.abc import Sequence
from typing import cast

import click
from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

PACKAGE = __name__.partition(".")[0]


def main(arguments: Sequence[str], program: str) -> None:
    """Runs pipelines; reads `conf` in the working folder unless `--conf-source` names another folder or an archive."""
    os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")  # as .telemetry says in the project
    configure_project(PACKAGE)
    project, _, name = program.rpartition(" ")
    run = cast(click.Command, find_run_command(PACKAGE))
    commands = click.Group(commands={name: run})  # the file of --config has a section by the command's name
    commands(args=[name, *arguments], prog_name=project)
