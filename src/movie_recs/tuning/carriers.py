"""What runs trials on each carrier: a task of Spark that has all ratings, or this process on blocks in Spark.

Trials that share a fit are one path through a fold. Paths run from a pool of threads, and report as they end. With
local blocks a path is a small Spark job of one task, on one thread, whose outcome does not depend on what runs beside
it; the data travel in its closure, and a Python worker keeps the fold that it had last. With blocks in Spark the path
runs here, and its passes over the blocks are the jobs.
"""

import gc
import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pyarrow as pa
from pyspark.sql import SparkSession

from movie_recs.data.blocks import tasks_at_a_time
from movie_recs.tuning.candidate import Candidate
from movie_recs.tuning.trial import Measures, Outcome, Trial, attempt, failed

POLL = 0.05  # seconds between attempts to interrupt jobs that have not begun yet
JOBS_PER_TASK = 2  # so that one is planned while another runs
Result = TypeVar("Result")


class Fold(Protocol):
    """The ratings of all folds but one to fit on, and those of that one to measure by."""

    def measure(self, candidates: list[Candidate]) -> Iterator[Measures]:
        """The measures of these candidates; they share a fit, and come in ascending order of iterations."""


class TrialData(Protocol):
    """What every trial needs, whatever runs it."""

    def missing_folds(self, trials: list[Trial]) -> list[int]:
        """Folds for which something is to be fitted before these trials run."""

    def fit_shared(self, fold: int) -> Any:
        """What all trials of a fold share."""

    def with_shared(self, parts: dict[int, Any]) -> "TrialData":
        """The data with what `fit_shared` has made."""

    def open(self, fold: int) -> Fold:
        """The fold as its trials need it."""


class TrialRunner:
    """Runs trials.

    Args:
        spark: The session.
        data: What they need.
        carrier: `local` or `spark`, as of the data's blocks.
    """

    def __init__(self, spark: SparkSession, data: TrialData, carrier: str):
        self._spark, self._data, self._is_local = spark, data, carrier == "local"
        # A pass over blocks in Spark keeps all cores busy by itself.
        self._threads = JOBS_PER_TASK * tasks_at_a_time(spark) if self._is_local else 1

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, as soon as its path has ended; none is left out, whatever fails.

        A path whose task dies, as one that takes too much memory does, is tried again alone.
        """
        self._fit_shared(trials)
        shared = self._share()
        paths, died = _paths(trials), []
        for place, outcomes in self._each(partial(_run_path, shared), paths):
            if isinstance(outcomes, Exception):
                died.append(paths[place])
            else:
                yield from zip(paths[place], outcomes, strict=True)
        for path in died:
            ((_, outcomes),) = self._each(partial(_run_path, shared), [path])
            if isinstance(outcomes, Exception):
                outcomes = [failed(outcomes, trial.fold) for trial in path]
            yield from zip(path, outcomes, strict=True)

    def _share(self) -> "Travelling | Staying":
        return Travelling(self._data) if self._is_local else Staying(self._data)

    def _fit_shared(self, trials: list[Trial]) -> None:
        if folds := self._data.missing_folds(trials):
            parts = {}
            for place, part in self._each(partial(_fit_shared, self._share()), folds):
                if isinstance(part, Exception):
                    raise part
                parts[folds[place]] = part
            self._data = self._data.with_shared(parts)

    def _each(
        self, function: Callable[[Any], Result], arguments: list[Any]
    ) -> Iterator[tuple[int, Result | Exception]]:
        """The place of each argument with the function's result, or with what it raised, as they end."""
        tag = f"trials-{uuid4()}"
        pool = ThreadPoolExecutor(self._threads, "trial", self._spark.addTag, (tag,))
        run = partial(self._in_a_task, function) if self._is_local else function
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
                # Without Connect only the thread that has set a tag can interrupt its jobs.
                self._spark.interruptTag(tag) or self._spark.interruptAll()
                wait(waiting, POLL)

    def _in_a_task(self, function: Callable[[Any], Result], argument: Any) -> Result:
        job = self._spark.range(1, numPartitions=1).mapInArrow(
            partial(_run_batches, function, argument), "result binary"
        )
        return pickle.loads(job.toArrow()["result"][0].as_py())  # noqa: S301 - made by this run's task


class Travelling:
    """Data for many jobs: pickled once here, and unpickled once in each worker."""

    def __init__(self, data: TrialData):
        self._pickled = pickle.dumps(data, protocol=5)
        self._key = hashlib.sha256(self._pickled).hexdigest()

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Travelling) and other._key == self._key

    def load(self) -> TrialData:
        """The data; what they were pickled to is let go."""
        data, self._pickled = pickle.loads(self._pickled), b""  # noqa: S301 - made by this run's driver
        return data


class Staying:
    """Data in this process."""

    def __init__(self, data: TrialData):
        self._data = data

    def load(self) -> TrialData:
        """The data."""
        return self._data


def _paths(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Trials that share a fit, by ascending `max_iter`; those of a fold and of a baseline one after the other."""

    def path(trial: Trial) -> tuple:
        return trial.fold, trial.candidate.fit_key

    ordered = sorted(trials, key=lambda trial: (path(trial), trial.candidate.max_iter or 0))
    return [list(same) for _, same in groupby(ordered, path)]


# What runs in a task with local blocks, and here with those in Spark.


def _run_batches(
    function: Callable[[Any], Any], argument: Any, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    _keep_modules()
    for _ in batches:  # there is one row; a worker whose input is left unread is not used again
        pass
    yield pa.RecordBatch.from_pydict({"result": [pickle.dumps(function(argument), protocol=5)]})


def _run_path(data: Travelling | Staying, path: list[Trial]) -> list[Outcome]:
    candidates = [trial.candidate for trial in path]
    return attempt(lambda: _open(data, path[0].fold).measure(candidates), path)


def _fit_shared(data: Travelling | Staying, fold: int) -> Any:
    return _load(data).fit_shared(fold)


@lru_cache(maxsize=1)
def _open(data: Travelling | Staying, fold: int) -> Fold:
    """Built once for a run of trials of the same fold."""
    return _load(data).open(fold)


@lru_cache(maxsize=1)
def _load(data: Travelling | Staying) -> TrialData:
    return data.load()


@lru_cache
def _keep_modules() -> None:
    """Takes what the worker has imported out of the garbage collection that PySpark does after every task: 40 ms."""
    gc.freeze()
