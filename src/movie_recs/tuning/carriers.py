"""Runs trials on either carrier: in tasks or threads that hold all ratings, or in this process on blocks in Spark.

Trials that share a fit are a path through a fold. A pool of threads runs the paths and yields their outcomes as they
end. With local blocks a path is a Spark job of one task on one thread, whose outcome does not depend on what else runs.
It gets the data of its fold from a file where tasks are on this machine, else in its closure, and a Python worker
keeps the folds that it used last, as many as memory allows. With blocks in Spark the path runs in this process, and its
passes over the blocks are the jobs. With local blocks it may do so as well: one path after another, where two copies of
the data would be too much; or several in threads, where the data are so small that starting tasks takes longer.
"""

import gc
import hashlib
import pickle
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial
from itertools import groupby
from pathlib import Path
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import SparkSession, is_remote

from movie_recs.data.blocks import tasks_at_a_time
from movie_recs.scratch import scratch_folder
from movie_recs.threads import cores
from movie_recs.tuning.candidate import Kind
from movie_recs.tuning.memory import IN_THIS_PROCESS, IN_THREADS, MOST_THREADS
from movie_recs.tuning.trial import Measures, Outcome, Trial, attempt, failed

MEMORY_FOR_FOLDS = 0.5  # of what trials leave free
POLL = 0.05  # seconds between attempts to interrupt jobs that have not begun yet
JOBS_PER_TASK = 2  # so that one is planned while another runs
Result = TypeVar("Result")


class Fold(Protocol[Kind]):
    """A held-out fold to measure on, and the others to fit on; threads may measure at the same time."""

    def measure(self, candidates: list[Kind]) -> Iterator[Measures]:
        """The measures of candidates that share a fit, given by ascending number of iterations."""

    def share(self, data: Any) -> None:
        """Takes results of `fit_shared` from data that differ from the fold's own in these alone."""


class TrialData(Protocol[Kind]):
    """What all trials need, on either carrier."""

    def missing_parts(self, trials: list[Trial[Kind]]) -> list[Any]:
        """What has to be fitted by `fit_shared` before these trials run."""

    def fit_shared(self, part: Any) -> Any:
        """A fit that several trials share."""

    def with_shared(self, parts: dict[Any, Any]) -> "TrialData[Kind]":
        """The data with these results of `fit_shared` as well."""

    def only(self, fold: int | None) -> "TrialData[Kind]":
        """The data without the results of `fit_shared` for other folds, or without any."""

    def open(self, fold: int) -> Fold[Kind]:
        """The fold, ready for its trials."""


class TrialRunner(Generic[Kind]):
    """Runs trials.

    Args:
        spark: The session.
        data: What all trials need.
        carrier: The carrier of the data's blocks, `local` or `spark`.
        at_a_time: Most tasks at a time, each of which holds the data; None for one on each core; `IN_THIS_PROCESS` for
            trials in this process, one after another; `IN_THREADS` for trials in its threads.
    """

    def __init__(self, spark: SparkSession, data: TrialData[Kind], carrier: str, at_a_time: int | None = None):
        here = (IN_THIS_PROCESS, IN_THREADS)
        self._spark, self._data, self._is_local = spark, data, carrier == "local" and at_a_time not in here
        is_here = not is_remote() and (spark.conf.get("spark.master", "") or "").startswith("local")
        self._folder = tempfile.TemporaryDirectory(prefix="trials-", dir=scratch_folder()) if is_here else None
        self._handles: dict[int | None, PickledData | DriverData] = {}
        # A pass over blocks in Spark keeps all cores busy by itself.
        tasks = tasks_at_a_time(spark) if self._is_local else 1
        self._threads = JOBS_PER_TASK * tasks if self._is_local else 1
        self._kept: int | None = max(int(MEMORY_FOR_FOLDS * (at_a_time or 0) / tasks), 1)
        if at_a_time == IN_THREADS:
            self._threads, self._kept = min(cores(), MOST_THREADS), None
        elif at_a_time and at_a_time < tasks:
            self._threads = at_a_time

    def run(self, trials: list[Trial[Kind]]) -> Generator[tuple[Trial[Kind], Outcome], None, None]:
        """Each trial with its outcome, failed ones included, as soon as its path has ended.

        A path whose task dies, for lack of memory for example, is run again alone.
        """
        self._fit_shared(trials)
        paths, died = _paths(trials), []
        for place, outcomes in self._each(_run_path, [(self._handle(path[0].fold), path) for path in paths]):
            if isinstance(outcomes, Exception):
                died.append(paths[place])
            else:
                yield from zip(paths[place], outcomes, strict=True)
        for path in died:
            ((_, outcomes),) = self._each(_run_path, [(self._handle(path[0].fold), path)])
            if isinstance(outcomes, Exception):
                outcomes = [failed(outcomes, trial.fold) for trial in path]
            yield from zip(path, outcomes, strict=True)

    def _handle(self, fold: int | None) -> "PickledData | DriverData":
        """The data for a task of this fold, or of none, which fits what is shared."""
        key = fold if self._is_local else None  # this process has the data of all folds
        if key not in self._handles:
            folder = None if self._folder is None else Path(self._folder.name)
            self._handles[key] = (
                PickledData(self._data.only(fold), folder, self._kept or 1)
                if self._is_local
                else DriverData(self._data, self._kept)
            )
        return self._handles[key]

    def _fit_shared(self, trials: list[Trial[Kind]]) -> None:
        missing = self._data.missing_parts(trials)
        if not missing:
            return
        fitted = {}
        if len(missing) < cores():  # in this process, whose threads have all cores; a task has one
            fitted = {part: self._data.fit_shared(part) for part in missing}
        else:
            for place, result in self._each(_fit_shared, [(self._handle(None), part) for part in missing]):
                if isinstance(result, Exception):
                    raise result
                fitted[missing[place]] = result
        self._data = self._data.with_shared(fitted)
        for key, handle in list(self._handles.items()):
            if isinstance(handle, DriverData):
                handle.share(self._data)
            else:
                del self._handles[key]

    def _each(
        self, function: Callable[[Any], Result], arguments: list[Any]
    ) -> Iterator[tuple[int, Result | Exception]]:
        """The place of each argument with the function's result or exception, in the order of completion."""
        tag = f"trials-{uuid4()}"
        pool = ThreadPoolExecutor(self._threads, "trial")
        work = partial(self._in_a_task, function) if self._is_local else function

        def run(argument: Any) -> Result:
            self._spark.addTag(tag)  # a thread's jobs have its tags
            return work(argument)

        waiting: dict[Future[Result], int] = {
            pool.submit(run, argument): place for place, argument in enumerate(arguments)
        }
        try:
            while waiting:
                for done in wait(waiting, return_when=FIRST_COMPLETED).done:
                    place, error = waiting.pop(done), done.exception()
                    if error is not None and not isinstance(error, Exception):
                        raise error
                    yield place, error or done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in waiting):  # a job that has not begun cannot be interrupted
                if not self._spark.interruptTag(tag):
                    self._spark.interruptAll()  # without Connect only the thread that has set a tag can interrupt by it
                wait(waiting, POLL)

    def _in_a_task(self, function: Callable[[Any], Result], argument: Any) -> Result:
        job = self._spark.range(1, numPartitions=1).mapInArrow(
            partial(_run_batches, function, argument), "result binary"
        )
        return pickle.loads(job.toArrow()["result"][0].as_py())  # noqa: S301 - made by this run's task


class PickledData:
    """Data for tasks: pickled once here, and unpickled once in each worker, which caches by their hash.

    Args:
        data: What the tasks need.
        folder: Where this process and all workers find the pickled data; None to send it with each task.
        kept: Most folds that a worker keeps, those that it used last.
    """

    def __init__(self, data: TrialData, folder: Path | None = None, kept: int = 1):
        self._pickled = pickle.dumps(data, protocol=5)
        self._key = hashlib.sha256(self._pickled).hexdigest()
        self._path, self._kept = None if folder is None else folder / self._key, kept
        if self._path is not None:
            self._path.write_bytes(self._pickled)
            self._pickled = b""

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PickledData) and other._key == self._key

    def load(self) -> TrialData:
        """The data; their pickled form is freed.

        Raises:
            ValueError: The file is not what this process wrote.
        """
        pickled, self._pickled = self._path.read_bytes() if self._path else self._pickled, b""
        if self._path and hashlib.sha256(pickled).hexdigest() != self._key:
            raise ValueError(f"{self._path} has been changed by something else.")
        return pickle.loads(pickled)  # noqa: S301 - made by this run's driver

    def open(self, fold: int) -> Fold:
        """The fold, kept in the worker for the next trials of the same one."""
        key, opened = _folds.pop(fold, ("", None))
        if opened is None or key != self._key:
            while len(_folds) >= self._kept:
                del _folds[next(iter(_folds))]  # the one that was used first
            opened = _load_in_worker(self).open(fold)
        _folds[fold] = self._key, opened
        return opened

    def fit_shared(self, part: Any) -> Any:
        """See `TrialData`."""
        return _load_in_worker(self).fit_shared(part)


class DriverData:
    """Data that stay in the driver, which runs the trials itself.

    Args:
        data: What the trials need.
        kept: Most folds that are kept, those that were opened last; None for all.
    """

    def __init__(self, data: TrialData, kept: int | None = 1):
        self._data, self._kept = data, kept
        self._folds: dict[int, Fold] = {}
        self._lock = Lock()

    def open(self, fold: int) -> Fold:
        """The fold."""
        with self._lock:
            if fold not in self._folds:
                while self._kept is not None and len(self._folds) >= self._kept:
                    del self._folds[next(iter(self._folds))]
                self._folds[fold] = self._data.open(fold)
            return self._folds[fold]

    def share(self, data: TrialData) -> None:
        """Continues with data that differ in results of `fit_shared` alone."""
        self._data = data
        for fold in self._folds.values():
            fold.share(data)

    def fit_shared(self, part: Any) -> Any:
        """See `TrialData`."""
        return self._data.fit_shared(part)


def _paths(trials: Iterable[Trial[Kind]]) -> list[list[Trial[Kind]]]:
    """Trials grouped by fit, by ascending iterations in each; groups of one fold and baseline are adjacent."""
    ordered = sorted(trials, key=lambda trial: (trial.path, trial.candidate.iterations))
    return [list(same) for _, same in groupby(ordered, lambda trial: trial.path)]


_folds: dict[int, tuple[str, Fold]] = {}  # of a worker: the key of its data, and the fold, that used last at the end

# These run in a task with local blocks, in this process with blocks in Spark.


def _run_batches(
    function: Callable[[Any], Any], argument: Any, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    _keep_modules()
    for _ in batches:  # one row; Spark does not reuse a worker that has not read its input
        pass
    yield pa.RecordBatch.from_pydict({"result": [pickle.dumps(function(argument), protocol=5)]})


def _run_path(argument: tuple[PickledData | DriverData, list[Trial]]) -> list[Outcome]:
    data, path = argument
    candidates = [trial.candidate for trial in path]
    return attempt(lambda: data.open(path[0].fold).measure(candidates), path)


def _fit_shared(argument: tuple[PickledData | DriverData, Any]) -> Any:
    data, part = argument
    return data.fit_shared(part)


@lru_cache(maxsize=1)
def _load_in_worker(data: PickledData) -> TrialData:
    return data.load()


@lru_cache
def _keep_modules() -> None:
    """Exempts the worker's modules from the garbage collection that PySpark runs after every task, for 40 ms."""
    gc.freeze()
