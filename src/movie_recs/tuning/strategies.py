"""Which candidates to try next: every combination of a grid, or a budget of draws from the ranges that it spans."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol

import pandas as pd

from movie_recs.tuning.candidate import Kind
from movie_recs.tuning.cross_validation import Memory, cross_validate
from movie_recs.tuning.parameters import SearchParameters
from movie_recs.tuning.trial import Runner

AT_A_TIME = 8  # candidates that tpe draws between updates, constant so that the choice does not depend on the cores


class Strategy(Protocol[Kind]):
    """Proposes the candidates of one model."""

    def ask(self) -> list[Kind]:
        """The next candidates, each of them once; empty at the end."""

    def tell(self, results: pd.DataFrame) -> None:
        """Takes the results of the last candidates, as `cross_validation.summarise` returns them."""


class Listed(Generic[Kind]):
    """Proposes the listed candidates, all at once."""

    def __init__(self, candidates: list[Kind]):
        self._left = list(dict.fromkeys(candidates))

    def ask(self) -> list[Kind]:
        """All of them, then none."""
        asked, self._left = self._left, []
        return asked

    def tell(self, results: pd.DataFrame) -> None:
        """Does nothing: the list is fixed."""


class Drawn(Generic[Kind]):
    """Proposes a budget of draws by one of Optuna's samplers: integers uniformly, other numbers on a logarithmic scale.

    Args:
        make: Makes a candidate from hyperparameters.
        ranges: Values of each hyperparameter, of which the lowest and the highest are the range.
        search: `random` or `tpe` (Bergstra, Bardenet, Bengio & Kegl 2011).
        budget: Number of draws.
        seed: Seed of the sampler.
    """

    def __init__(
        self,
        make: Callable[[dict[str, Any]], Kind],
        ranges: dict[str, list[float]],
        search: str,
        budget: int,
        seed: int,
    ):
        import optuna  # takes a second, which a grid search saves

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed %= 2**32
        sampler = (
            optuna.samplers.RandomSampler(seed)
            if search == "random"
            else optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        )
        self._study = optuna.create_study(sampler=sampler)
        self._distributions = {
            name: optuna.distributions.IntDistribution(int(min(values)), int(max(values)))
            if all(isinstance(value, int) for value in values)
            else optuna.distributions.FloatDistribution(min(values), max(values), log=min(values) > 0)
            for name, values in ranges.items()
        }
        self._make, self._left = make, budget
        self._at_a_time = budget if search == "random" else AT_A_TIME
        self._asked: list[tuple[Any, Kind]] = []
        self._results: dict[Kind, float | None] = {}

    def ask(self) -> list[Kind]:
        """The next draws; a repeated one counts for the budget but is not proposed again."""
        while self._left:
            number = min(self._at_a_time, self._left)
            self._left -= number
            drawn = [self._study.ask({**self._distributions}) for _ in range(number)]
            self._asked = [(trial, self._make(self._rounded(trial.params))) for trial in drawn]
            new = dict.fromkeys(candidate for _, candidate in self._asked if candidate not in self._results)
            if new:
                return list(new)
            self._tell_study()
        return []

    def tell(self, results: pd.DataFrame) -> None:
        """Gives the mean losses to the sampler; a candidate that failed is a failed trial."""
        measure = self._asked[0][1].MEASURE
        losses = [None if pd.isna(value) else measure.loss(float(value)) for value in results[measure.mean]]
        new = dict.fromkeys(candidate for _, candidate in self._asked if candidate not in self._results)
        self._results.update(zip(new, losses, strict=True))
        self._tell_study()

    def _rounded(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values to three significant digits, which are easy to read and to copy, kept within the range."""
        return {
            name: value if isinstance(value, int) else min(max(float(f"{value:.3g}"), limits.low), limits.high)
            for name, limits in self._distributions.items()
            for value in [values[name]]
        }

    def _tell_study(self) -> None:
        from optuna.trial import TrialState

        for trial, candidate in self._asked:
            value = self._results[candidate]
            self._study.tell(trial, value, state=TrialState.FAIL if value is None else TrialState.COMPLETE)


def choose_strategy(listed: list[Kind], ranges: dict[str, list[float]], tuning: SearchParameters) -> Strategy[Kind]:
    """A strategy of the listed candidates, or of draws that differ from them in the hyperparameters of `ranges`."""
    if tuning.search == "grid":
        return Listed(listed)
    first = listed[0]
    fixed = first.model_dump(exclude=set(ranges))
    return Drawn(lambda values: type(first)(**fixed, **values), ranges, tuning.search, tuning.budget, tuning.seed)


def run_strategies(
    strategies: Sequence[Strategy[Kind]], folds: int | list[int], runner: Runner[Kind], memory: Memory, halving: bool
) -> pd.DataFrame:
    """The results of all candidates of the strategies, cross-validated together until none proposes more.

    The other arguments are those of `cross_validate`.
    """
    tables: list[list[pd.DataFrame]] = [[] for _ in strategies]
    while any(asked := [strategy.ask() for strategy in strategies]):
        together = [candidate for candidates in asked for candidate in candidates]
        results = cross_validate(together, folds, runner, memory, halving)
        for strategy, candidates, table in zip(strategies, asked, tables, strict=True):
            own, results = results.iloc[: len(candidates)], results.iloc[len(candidates) :]
            if candidates:
                strategy.tell(own)
                table.append(own)
    return pd.concat([part for table in tables for part in table], ignore_index=True)
