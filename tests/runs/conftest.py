"""One whole run on the sample, made once for all tests and all workers of pytest-xdist."""

import fcntl
import io
import os
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from runs.project import SAMPLE_PARAMETERS


@pytest.fixture(scope="session")
def sample_run(kedro_run, tmp_path_factory) -> Path:
    """The data folder of the run, with what it printed in `printed.txt`. For reading only: `own_run` is a copy."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    data_dir = folder / "sample_run"
    with (folder / "sample_run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one worker runs it, another that needs it waits
        if not (data_dir / "printed.txt").exists():
            with redirect_stdout(io.StringIO()) as printed:
                kedro_run(data_dir, **SAMPLE_PARAMETERS)
            (data_dir / "printed.txt").write_text(printed.getvalue())
    return data_dir


@pytest.fixture
def own_run(sample_run, tmp_path) -> Path:
    """A copy of the run's data folder, to write to."""
    return shutil.copytree(sample_run, tmp_path / "data")
