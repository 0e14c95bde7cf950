"""What a kill leaves: files that are whole, and after Java's death one sentence and the earlier results."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT
from runs.project import KEDRO, environment

from movie_recs.runtime.needs import processes_below

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds processes in /proc")


def test_a_kill_amid_a_save_leaves_the_old_file_or_the_new_one():
    command = [sys.executable, "benchmarks/faults.py", "--saves=20", "--tables=0", "--runs=0", "--full=0"]
    faults = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert "20 kills of saves" in faults.stdout, faults.stderr
    assert ": 0 torn files\n" in faults.stdout
    assert faults.returncode == 0


def test_when_java_is_killed_a_sentence_says_so_and_the_earlier_lists_stay(own_run, tmp_path):
    similar = own_run / "07_model_output/sample/similar_movies.csv"
    before, log = similar.read_bytes(), tmp_path / "log"
    command = [*KEDRO, "run", "--pipelines=recommend", "--params=dataset=sample"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(own_run), stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while not (workers := find(process.pid, "movie_recs.runtime.worker_daemon")):  # Spark is at work
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (java,) = find(process.pid, "org.apache.spark.deploy.SparkSubmit")
    os.kill(java, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    said = [line for line in log.read_text().splitlines() if " INFO " not in line and line]
    assert len(said) == 1, said
    assert said[0].startswith("Error: Java, in which Spark runs, has ended or was killed")
    assert Path(said[0].rpartition(" in ")[2].rstrip(".")).is_relative_to(own_run / "logs")
    assert similar.read_bytes() == before
    assert [pid for pid in workers if is_running(pid)] == []


def find(pid: int, part: str) -> list[int]:
    """The processes below one whose command has this argument."""
    return [below for below in processes_below(pid) if part in command_of(below)]


def command_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:  # it has ended
        return []


def is_running(pid: int, seconds: float = 20) -> bool:
    """Whether a process still runs after so long."""
    deadline = time.monotonic() + seconds
    while any(command_of(pid)):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.1)
    return False
