"""A trial: one candidate fitted on all folds but one, and its errors on that one."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from movie_recs.parameters import Candidate


class Trial(NamedTuple):
    """What to fit, and the fold that it does not see."""

    candidate: Candidate
    fold: int


class Outcome(NamedTuple):
    """What came of a trial: errors in stars over all rows of the fold and over its warm rows, or why there are none.

    `error` is empty if all went well; `rmse_warm` is None if the fold has no warm row.
    """

    rmse: float | None
    rmse_warm: float | None
    seconds: float
    error: str = ""


class Engine(Protocol):
    """Whatever can run trials."""

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """Each trial with its outcome, in the order in which they end; none is left out, whatever fails."""


def attempt(measure: Callable[[], Iterable[dict[str, float | None]]], fold: int, expected: int = 1) -> list[Outcome]:
    """The outcomes of trials that are measured together, in their order: `expected` of them, whatever fails.

    Args:
        measure: Gives `rmse` and `rmse_warm` of one trial after the other.
        fold: That of all of them.
        expected: How many there are.
    """
    outcomes: list[Outcome] = []
    started = time.perf_counter()
    try:
        for errors in measure():
            now = time.perf_counter()
            outcomes.append(_outcome(errors["rmse"], errors["rmse_warm"], now - started, fold))
            started = now
    except Exception as error:  # whatever went wrong in these fits, the others go on
        seconds = (time.perf_counter() - started) / (expected - len(outcomes))
        outcomes += [failed(error, fold, seconds)] * (expected - len(outcomes))
    return outcomes


def failed(error: Exception, fold: int, seconds: float = 0.0) -> Outcome:
    """The outcome of a trial that ended with this exception."""
    return Outcome(None, None, seconds, f"fold {fold}: {_reason(error)}")


def _outcome(rmse: float | None, rmse_warm: float | None, seconds: float, fold: int) -> Outcome:
    if rmse is None:
        return Outcome(None, None, seconds, f"fold {fold}: it has no ratings to measure the fit on")
    if not np.isfinite(rmse):
        return Outcome(None, None, seconds, f"fold {fold}: its RMSE is {rmse}")
    return Outcome(float(rmse), None if rmse_warm is None else float(rmse_warm), seconds)


def _reason(error: Exception) -> str:
    """The first line that says something: of an error in the JVM the first only names the call."""
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("An error occurred while calling")]
    return lines[0].removeprefix(": ") if lines else type(error).__name__
