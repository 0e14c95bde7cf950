"""An error of the disk, of Java or of Kedro is one sentence, and its trace is in a file that the sentence names."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click import ClickException
from kedro.io import DatasetError
from py4j.protocol import Py4JError, Py4JNetworkError

from movie_recs.errors import UserError
from movie_recs.runtime import failures
from movie_recs.runtime.failures import LOG, LOGS, as_sentence, begin_log, explain

JAVA = """An error occurred while calling o247.save.
: org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed while writing rows to file:/data/x.staged.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.taskFailedWhileWritingRowsError(QueryExecutionErrors.scala:823)
Caused by: {cause}
\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)
\t... 20 more
"""
PYTHON = """Job aborted: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "trial.py", line 3, in fit
    return 1 / 0
ZeroDivisionError: division by zero

\tat org.apache.spark.api.python.BasePythonRunner(PythonRunner.scala:637)
"""


@pytest.fixture(autouse=True)
def own_log(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "environ", {**os.environ})
    monkeypatch.setattr(failures.SparkContext, "_gateway", None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    begin_log(str(tmp_path))


def caused_by(cause: BaseException, message: str = "Failed while saving data to dataset") -> DatasetError:
    """As a dataset and the catalog wrap it."""
    error = DatasetError(message)
    error.__cause__ = cause
    return error


def java(cause: str) -> DatasetError:
    return caused_by(RuntimeError(JAVA.format(cause=cause)))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full ("),
        (caused_by(OSError(errno.EFBIG, "File too large", "/d/x")), "The disk is full ("),
        (java("java.io.IOException: No space left on device"), "The disk is full ("),
        (PermissionError(errno.EACCES, "Permission denied", "/d/x"), "/d/x cannot be opened: correct its permissions"),
        (OSError(errno.EROFS, "Read-only file system", "/d/x"), "/d/x cannot be opened"),
        (java("java.nio.file.AccessDeniedException: /d/x"), "/d/x cannot be opened"),
        (java("java.io.IOException: Mkdirs failed to create file:/d/x (exists=false)"), "/d/x cannot be opened"),
        (java("java.io.FileNotFoundException: /d/x y (Read-only file system)"), "/d/x y cannot be opened"),
        (java("java.lang.OutOfMemoryError: Java heap space"), "Java has run out of memory: raise spark.driver.memory"),
        (MemoryError(), "Python has run out of memory"),
        (java("org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)"), "A Python process of"),
        (Py4JNetworkError("Answer from Java side is empty"), "Java, in which Spark runs, has ended or was killed"),
        (Py4JError("org.apache.spark.sql.functions.col does not exist in the JVM"), "Java, in which Spark runs, has"),
        (
            RuntimeError("[FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER] Error while reading file file:/d/x.pq."),
            "/d/x.pq. is damaged or missing: run `kedro run` again",
        ),
    ],
)
def test_a_known_cause_is_told_with_what_to_do(error, sentence):
    assert explain(error).startswith(sentence)


def test_java_that_has_ended_is_told_apart_from_another_broken_connection(monkeypatch):
    error = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    assert explain(error) == "ConnectionRefusedError: [Errno 111] Connection refused"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    monkeypatch.setattr(failures.SparkContext, "_gateway", type("Gateway", (), {"proc": ended}))
    assert explain(error).startswith("Java, in which Spark runs, has ended or was killed")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (caused_by(ZeroDivisionError("division by zero")), "ZeroDivisionError: division by zero"),
        (java("java.lang.IllegalStateException: no rows"), "java.lang.IllegalStateException: no rows"),
        (caused_by(RuntimeError(PYTHON)), "ZeroDivisionError: division by zero"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError("x" * 5000), "ValueError: " + "x" * 288 + " ..."),
    ],
)
def test_of_any_other_error_the_first_cause_is_told_on_one_line(error, sentence):
    assert explain(error) == sentence


def test_the_trace_is_in_the_file_that_the_sentence_names(tmp_path):
    try:
        raise java("java.lang.IllegalStateException: no rows")
    except DatasetError as error:
        said = as_sentence(error).message
    (file,) = (tmp_path / "logs").iterdir()
    assert said == f"java.lang.IllegalStateException: no rows The full error is in {file}."
    trace = file.read_text()
    assert "\tat java.base/java.io.FileOutputStream.writeBytes(Native Method)" in trace
    assert "Failed while saving data to dataset" in trace


def test_what_a_user_can_correct_needs_no_file(tmp_path):
    assert as_sentence(caused_by(UserError("no ratings"))).message == "no ratings"
    assert as_sentence(caused_by(ClickException("no data set"))).message == "no data set"
    assert not (tmp_path / "logs").exists()


def test_where_the_data_folder_takes_no_file_it_is_in_the_temporary_one(tmp_path):
    (tmp_path / "logs").write_text("no folder can be made here")
    said = as_sentence(ValueError("wrong")).message
    (file,) = (tmp_path / "temporary").iterdir()
    assert said.endswith(f"The full error is in {file}.")
    begin_log("s3a://bucket/data")
    assert Path(os.environ[LOG]).parent == tmp_path / "temporary"


def test_the_newest_files_are_kept(tmp_path):
    (tmp_path / "logs").mkdir()
    for number in range(30):
        (tmp_path / "logs" / f"movie_recs-2020-01-01T00.00.{number}-7.log").touch()
    as_sentence(ValueError("wrong"))
    kept = {file.name for file in (tmp_path / "logs").iterdir()}
    assert len(kept) == LOGS
    assert Path(os.environ[LOG]).name in kept
