"""A trial: one candidate fitted on all folds but one, and measured on that one."""

import time
from collections.abc import Callable, Generator, Iterable
from typing import Generic, NamedTuple, Protocol

import numpy as np

from movie_recs.tuning.candidate import Kind

Measures = dict[str, float | None]


class Trial(NamedTuple, Generic[Kind]):
    """A candidate, and the fold that is held out."""

    candidate: Kind
    fold: int

    @property
    def path(self) -> tuple:
        """Equal for trials that share a fit."""
        return self.fold, self.candidate.fit_key


class Outcome(NamedTuple):
    """The measures of a trial, or the reason why there are none.

    `error` is empty if the trial succeeded. Measures other than the deciding one may be None, as one over warm rows
    is in a fold without any.
    """

    measures: Measures
    seconds: float
    error: str = ""


class Runner(Protocol[Kind]):
    """Runs trials."""

    def run(self, trials: list[Trial[Kind]]) -> Generator[tuple[Trial[Kind], Outcome], None, None]:
        """Each trial with its outcome, failed ones included, in the order of completion."""


def attempt(measure: Callable[[], Iterable[Measures]], trials: list[Trial]) -> list[Outcome]:
    """The outcomes of trials that are measured together; those after a failure fail with it.

    Args:
        measure: Yields the measures of one trial after the other, in their order.
        trials: Trials of one fold.
    """
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    try:
        for trial, measures in zip(trials, measure(), strict=False):
            now = time.perf_counter()
            outcomes.append(_outcome(trial, measures, now - started))
            started = now
    except Exception as error:  # no failure of a fit stops the others
        left = trials[len(outcomes) :]
        seconds = (time.perf_counter() - started) / len(left)
        outcomes += [failed(error, trial.fold, seconds) for trial in left]
    return outcomes


def failed(error: Exception, fold: int, seconds: float = 0.0) -> Outcome:
    """The outcome of a trial that ended with this exception."""
    return Outcome({}, seconds, f"fold {fold}: {_reason(error)}")


def _outcome(trial: Trial, measures: Measures, seconds: float) -> Outcome:
    name = trial.candidate.MEASURE.name
    value = measures[name]
    if value is None:
        return Outcome({}, seconds, f"fold {trial.fold}: no held-out ratings")
    if not np.isfinite(value):
        return Outcome({}, seconds, f"fold {trial.fold}: its {name.upper()} is {value}")
    return Outcome({key: None if each is None else float(each) for key, each in measures.items()}, seconds)


def _reason(error: Exception) -> str:
    """The first informative line of the message; the first line of an error in the JVM only names the call."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("An error occurred while calling")]
    return lines[0].removeprefix(": ") if lines else type(error).__name__
