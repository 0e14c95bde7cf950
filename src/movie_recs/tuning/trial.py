"""A trial: one candidate fitted on all folds but one, and what it is worth on that one."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from movie_recs.tuning.candidate import Candidate

Measures = dict[str, float | None]


class Trial(NamedTuple):
    """What to fit, and the fold that it does not see."""

    candidate: Candidate
    fold: int


class Outcome(NamedTuple):
    """What came of a trial: its measures, or why there are none.

    `error` is empty if all went well; a measure other than the first may be None, as one over warm rows where the fold
    has none.
    """

    measures: Measures
    seconds: float
    error: str = ""


class Runner(Protocol):
    """What runs trials."""

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, in the order in which they end; none is left out, whatever fails."""


def attempt(measure: Callable[[], Iterable[Measures]], trials: list[Trial]) -> list[Outcome]:
    """The outcomes of trials that are measured together, whatever fails.

    Args:
        measure: Gives the measures of one trial after the other, in their order.
        trials: All of one fold.
    """
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    try:
        for trial, measures in zip(trials, measure(), strict=False):
            now = time.perf_counter()
            outcomes.append(_outcome(trial, measures, now - started))
            started = now
    except Exception as error:  # whatever went wrong in these fits, the others go on
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
    """The first line that says something: of an error in the JVM the first only names the call."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("An error occurred while calling")]
    return lines[0].removeprefix(": ") if lines else type(error).__name__
