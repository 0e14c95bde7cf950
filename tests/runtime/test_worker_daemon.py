"""Workers have this package loaded; one whose socket Spark has closed ends without a word."""

import sys

import pyarrow as pa
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers load for themselves")
def test_a_worker_has_loaded_what_it_needs_before_it_gets_a_function(spark):
    def is_loaded(batches):
        import sys  # not the test's: the function comes without this module

        for _ in batches:
            yield pa.RecordBatch.from_pylist([{"loaded": "movie_recs.model.search" in sys.modules}])

    assert spark.range(1).mapInArrow(is_loaded, "loaded boolean").first().loaded
