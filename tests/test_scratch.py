"""The temporary folder of a process: private, gone with it, and if it was killed, gone with the next."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from movie_recs import scratch

pytest.importorskip("fcntl")
BEGIN = """
import sys, time
from movie_recs.scratch import scratch_folder
print(scratch_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def begin(tmp_path):
    """Starts a process that has a folder: (the process, the folder)."""
    processes = []

    def start() -> tuple[subprocess.Popen, Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_it_is_for_its_user_alone_and_gone_when_the_process_ends(begin):
    process, folder = begin()
    assert folder.stat().st_mode & 0o777 == 0o700
    process.communicate()
    assert not folder.exists()


def test_the_next_process_removes_what_a_killed_one_has_left_and_nothing_else(begin, tmp_path, monkeypatch):
    in_use, others = begin()[1], tmp_path / "movie_recs-of-another-program"
    others.mkdir()
    process, left = begin()
    process.send_signal(signal.SIGKILL)
    process.wait()
    for folder in (in_use, left):
        os.utime(folder / scratch.LOCK, (0, 0))  # not just made
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = scratch.scratch_folder.__wrapped__()
    assert not left.exists()
    assert all(folder.is_dir() for folder in (in_use, others, own))
