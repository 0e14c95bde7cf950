"""Trials as they are run: the same outcomes however they are spread, one failure not the end of the others.

Most trials here fit nothing: what one does is its candidate's rank, and what came of it tells where and on what data.
"""

import os
import sys
import time
from pathlib import Path

import pytest
from pyspark import cloudpickle

from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.trial import Trial

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import tests

FINE, RAISES, DIES, SLEEPS, RAISES_LATE = 1, 2, 3, 4, 5
LONG = 120  # seconds, far more than any test may take


def trial(rank=FINE, fold=0, reg_param=0.1, max_iter=1) -> Trial:
    return Trial(RatingCandidate(model="als", rank=rank, reg_param=reg_param, max_iter=max_iter), fold)


class Script:
    """A fold: what becomes of a trial is what its rank says."""

    def __init__(self, fold: int, part: float):
        self.fold, self.part = fold, part

    def measure(self, candidates):
        for candidate in candidates:
            if candidate.rank == DIES:
                os._exit(1)  # as the machine ends a process when memory is short
            if candidate.rank == RAISES or (candidate.rank == RAISES_LATE and candidate.max_iter > 1):
                raise ArithmeticError("singular")
            if candidate.rank == SLEEPS:
                time.sleep(LONG)
            rmse = self.fold + candidate.reg_param + candidate.max_iter / 100 + self.part
            yield {"rmse": rmse, "rmse_warm": float(os.getpid())}


class Scripted:
    """Data of scripted trials. What happens to them, in whatever process, is a line of `log`."""

    def __init__(self, log: Path, folds: list[int] = (), parts: dict[int, float] | None = None):
        self.log, self.folds, self.parts = log, list(folds), parts or {}

    def note(self, *words) -> None:
        with self.log.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def noted(self, what: str) -> list[list[str]]:
        """What follows this word in each line that begins with it."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == what]

    def missing_folds(self, trials):
        return [fold for fold in self.folds if fold not in self.parts]

    def fit_shared(self, fold):
        self.note("fitted", fold)
        if fold == -1:
            raise ArithmeticError("nothing to share")
        return 10.0 * (fold + 1)

    def with_shared(self, parts):
        return Scripted(self.log, self.folds, {**self.parts, **parts})

    def open(self, fold):
        self.note("opened", fold, os.getpid())
        return Script(fold, self.parts.get(fold, 0.0))

    def __reduce__(self):
        """By value, as a worker cannot import tests."""
        self.note("pickled")
        return cloudpickle.loads, (cloudpickle.dumps(lambda: (Scripted, self.log, self.folds, self.parts)),)


class Loaded:
    """What the bytes of `Scripted` become."""


@pytest.fixture
def data(tmp_path) -> Scripted:
    return Scripted(tmp_path / "log")
