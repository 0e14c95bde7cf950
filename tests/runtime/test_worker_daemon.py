"""A worker whose socket Spark has closed ends without a word; other errors are PySpark's to show."""

import pytest

from movie_recs.runtime import worker_daemon


def failing_with(error: Exception):
    def run_worker(sock, authenticated):
        raise error

    return run_worker


def test_a_worker_that_cannot_answer_ends(monkeypatch):
    monkeypatch.setattr(worker_daemon, "run_worker", failing_with(BrokenPipeError()))
    assert worker_daemon.worker(None, True) == 1


def test_any_other_error_is_passed_on(monkeypatch):
    monkeypatch.setattr(worker_daemon, "run_worker", failing_with(ImportError("no numba")))
    with pytest.raises(ImportError, match="no numba"):
        worker_daemon.worker(None, True)


def test_what_the_worker_returns_is_its_exit_code(monkeypatch):
    monkeypatch.setattr(worker_daemon, "run_worker", lambda sock, authenticated: 0)
    assert worker_daemon.worker(None, True) == 0


def test_spark_starts_its_workers_by_it(spark):
    assert spark.sparkContext.getConf().get("spark.python.daemon.module") == worker_daemon.__name__
