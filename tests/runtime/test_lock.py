"""One run at a time on a data set's results."""

import subprocess
import sys

import pytest

from movie_recs.errors import UserError
from movie_recs.runtime.lock import RunLock

HOLD = """
import sys, time
from movie_recs.runtime.lock import RunLock
lock = RunLock()
lock.take(sys.argv[1], "ml")
print("taken", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_run(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "taken\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_and_told_which_one_runs(other_run, tmp_path):
    with pytest.raises(
        UserError, match=rf"results of ml in .* \(process {other_run.pid}, since 20..-..-.. ..:..:.. UTC\)"
    ):
        RunLock().take(str(tmp_path), "ml")


def test_another_data_set_and_another_folder_are_free(other_run, tmp_path):
    RunLock().take(str(tmp_path), "sample")
    RunLock().take(str(tmp_path / "other"), "ml")


def test_a_killed_run_leaves_no_lock(other_run, tmp_path):
    other_run.kill()
    other_run.wait()
    RunLock().take(str(tmp_path), "ml")


def test_a_lock_is_free_after_the_run_and_may_be_taken_again(tmp_path):
    one, other = RunLock(), RunLock()
    one.take(str(tmp_path), "ml")
    one.take(str(tmp_path), "ml")
    one.free()
    other.take(str(tmp_path), "ml")
    with pytest.raises(UserError):
        one.take(str(tmp_path), "ml")
    other.free()


@pytest.mark.parametrize("folder", ["s3a://bucket/data", "/proc/nowhere"])
def test_where_no_lock_can_be_none_is_needed(folder):
    RunLock().take(folder, "ml")
