"""`movie-recs run`: Kedro's run command for a package that is installed without its project."""

import os
from collections.abc import Sequence

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

PACKAGE = __name__.partition(".")[0]


def main(arguments: Sequence[str], program: str) -> None:
    """Runs pipelines; reads `conf` in the working folder unless `--conf-source` names another folder or an archive."""
    os.environ.setdefault("KEDRO_DISABLE_TELEMETRY", "1")  # as .telemetry says in the project
    configure_project(PACKAGE)
    find_run_command(PACKAGE)(args=list(arguments), prog_name=program)
