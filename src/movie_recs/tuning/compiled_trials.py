"""Trials where a fold's ratings fit in one task's memory: each is one Spark task that runs compiled loops.

The data are broadcast once. A Python worker keeps the fold that it had last, with what was fitted on it, so that the
next trial of the same finds them; trials that share a fit are one path through a fold. Every path is one thread's work
on the same arrays, so that its outcome does not depend on how many run beside it.
"""

import gc
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from itertools import groupby
from typing import Any, Protocol
from uuid import uuid4

from pyspark import AccumulatorParam, Broadcast, SparkContext

from movie_recs.tuning.candidate import Candidate
from movie_recs.tuning.trial import Measures, Outcome, Trial, attempt, failed

POLL = 0.05  # seconds between looks at what has ended


class Fold(Protocol):
    """The ratings of all folds but one to fit on, and those of that one to measure by."""

    def measure(self, candidates: list[Candidate]) -> Iterator[Measures]:
        """What each of these candidates is worth; they share a fit, and come in ascending order of iterations."""


class TrialData(Protocol):
    """What every task has."""

    def lacking(self, trials: list[Trial]) -> list[int]:
        """Folds for which something is to be prepared before these trials run."""

    def prepare(self, fold: int) -> Any:
        """In a task: what all trials of a fold share."""

    def prepared(self, parts: dict[int, Any]) -> "TrialData":
        """The data with what `prepare` has made."""

    def open(self, fold: int) -> Fold:
        """In a task: the fold as its trials need it."""


class KernelEngine:
    """Runs trials as Spark tasks.

    Args:
        context: Where.
        data: What they need.
    """

    def __init__(self, context: SparkContext, data: TrialData):
        self._context, self._data = context, data
        self._shared: Broadcast | None = None

    def __enter__(self) -> "KernelEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._share(None)

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, as soon as the task that ran it has ended."""
        self._prepare(trials)
        paths = _paths(trials)
        waiting = set(range(len(paths)))
        try:
            for place, outcomes in self._run_job(paths, sorted(waiting)):
                waiting.remove(place)
                yield from zip(paths[place], outcomes, strict=True)
        except Exception as error:  # a worker has died, and Spark's retries with it
            if "cancelled" in str(error):
                raise
            for place in sorted(waiting):
                yield from self._run_alone(paths, place)

    def _run_alone(self, paths: list[list[Trial]], place: int) -> list[tuple[Trial, Outcome]]:
        """One path in a job of its own, so that what kills its worker harms no other."""
        try:
            ((_, outcomes),) = self._run_job(paths, [place])
        except Exception as error:
            outcomes = [failed(error, trial.fold) for trial in paths[place]]
        return list(zip(paths[place], outcomes, strict=True))

    def _run_job(self, paths: list[list[Trial]], places: list[int]) -> Iterator[tuple[int, list[Outcome]]]:
        """The place and the outcomes of each path as it ends: tasks report through an accumulator."""
        shared, ended = self._shared, self._context.accumulator([], _Gather())
        group = f"trials-{uuid4()}"

        def run(numbered: tuple[int, list[Trial]]) -> None:
            place, path = numbered
            ended.add([(place, _run_path(shared, path))])

        def run_all() -> None:
            self._context.setJobGroup(group, "cross-validation", interruptOnCancel=True)
            numbered = [(place, paths[place]) for place in places]
            self._context.parallelize(numbered, len(places)).foreach(run)

        given = 0
        with ThreadPoolExecutor(1) as pool:
            job: Future = pool.submit(run_all)
            try:
                while True:
                    is_over = bool(wait([job], POLL).done)
                    new = ended.value[given:]
                    given += len(new)
                    yield from new
                    if is_over:
                        break
            finally:
                while not job.done():  # again and again: what has not begun yet cannot be cancelled
                    self._context.cancelJobGroup(group)
                    wait([job], POLL)
        job.result()  # raises what Spark has raised

    def _prepare(self, trials: list[Trial]) -> None:
        """Broadcasts the data, with what trials of these folds share."""
        if self._shared is None:
            self._share(self._data)
        if missing := self._data.lacking(trials):
            shared = self._shared
            parts = self._context.parallelize(missing, len(missing)).map(
                lambda fold: (fold, shared.value.prepare(fold))
            )
            self._data = self._data.prepared(dict(parts.collect()))
            self._share(self._data)

    def _share(self, data: TrialData | None) -> None:
        if self._shared is not None:
            self._shared.destroy()
        self._shared = None if data is None else self._context.broadcast(data)


class _Gather(AccumulatorParam):
    """Lists, joined on the driver as tasks end; Spark counts a task that ran twice once."""

    def zero(self, value: list) -> list:  # noqa: ARG002 - PySpark gives one
        return []

    def addInPlace(self, value1: list, value2: list) -> list:  # noqa: N802 - PySpark's name
        value1.extend(value2)
        return value1


def _paths(trials: Iterable[Trial]) -> list[list[Trial]]:
    """Trials that share a fit, by ascending `max_iter`; those of a fold and of a baseline one after the other."""

    def path(trial: Trial) -> tuple:
        return trial.fold, trial.candidate.fit_key

    ordered = sorted(trials, key=lambda trial: (path(trial), trial.candidate.max_iter or 0))
    return [list(same) for _, same in groupby(ordered, path)]


def _run_path(shared: Broadcast, path: list[Trial]) -> list[Outcome]:
    """In a task."""
    _keep_modules()
    candidates = [trial.candidate for trial in path]
    return attempt(lambda: _open_fold(shared, path[0].fold).measure(candidates), path)


@lru_cache
def _keep_modules() -> None:
    """Takes what the worker has imported out of the garbage collection that PySpark does after every task: 40 ms."""
    gc.freeze()


@lru_cache(maxsize=1)
def _open_fold(shared: Broadcast, fold: int) -> Fold:
    """Built once for a run of trials of the same fold: PySpark has one `Broadcast` for all tasks of a worker."""
    return shared.value.open(fold)
