"""Which candidates to try next: every combination of a grid, or a budget of draws from the ranges that it spans."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol

import numpy as np
import pandas as pd

from movie_recs.tuning.candidate import Kind
from movie_recs.tuning.cross_validation import Memory, cross_validate
from movie_recs.tuning.parameters import SearchParameters
from movie_recs.tuning.trial import Outcome, Runner

logger = logging.getLogger(__name__)

STD_ERRORS = 0.5  # of a mean: what a step has to gain at least
AT_A_TIME = 8  # candidates that tpe draws between updates, constant so that the choice does not depend on the cores


class Strategy(Protocol[Kind]):
    """Proposes the candidates of one model."""

    def ask(self) -> list[Kind]:
        """The next candidates, each of them once; empty at the end."""

    def tell(self, results: pd.DataFrame) -> pd.DataFrame:
        """Takes the results of the last candidates, as `cross_validation.summarise` returns them.

        Returns:
            The same, with a reason in `error` for a candidate that cannot win though it was measured.
        """

    @property
    def rival(self) -> Kind | None:
        """An earlier candidate that the next ones have to beat on the first fold to go on; None if there is none."""


class Listed(Generic[Kind]):
    """Proposes the listed candidates, all at once, and goes on beyond the ends of the lists while that gains something.

    The first base is the simplest of the listed candidates that lose less than the least gain on the best of them.
    Where one of its hyperparameters is the highest or lowest of the values tried, the next one is twice or half of
    it, each alone. Where the lowest of a regularisation is as good as the highest, it may be that both leave
    nothing of what they regularise: half of the lowest is tried too. The best of those that gain enough is the next
    base, and if several do, all of them together are tried too. When none does, each hyperparameter of the base, alone,
    takes the values beside its own that other candidates had; the search ends when none of these gains either. A step
    has to gain `Measure.least_gain`, or half a standard error where that is more, after the price of its rank
    (`Candidate.price`); one that does not cannot win.

    Args:
        candidates: The list.
        bounds: How far it may go with each hyperparameter; empty to stay within the list.
    """

    def __init__(self, candidates: list[Kind], bounds: dict[str, tuple[float, float]] | None = None):
        self._next, self._bounds = list(dict.fromkeys(candidates)), bounds or {}
        self._asked: list[Kind] = []
        self._tried: list[Kind] = []
        self.rival: Kind | None = None
        self._rivals_loss = math.inf

    def ask(self) -> list[Kind]:
        """The list, then each step beyond it."""
        self._asked, self._next = self._next, []
        self._tried += self._asked
        return self._asked

    def tell(self, results: pd.DataFrame) -> pd.DataFrame:
        """Takes the mean losses; a candidate that failed, or did not go on, is not compared."""
        measure = self._asked[0].MEASURE
        losses = [measure.loss(float(value)) for value in results[measure.mean].astype(float)]
        priced = {
            candidate: loss + candidate.price
            for candidate, loss in zip(self._asked, losses, strict=True)
            if not math.isnan(loss)
        }
        errors = results["std_error"].astype(float).dropna()
        least_gain = max(measure.least_gain, STD_ERRORS * errors.min() if len(errors) else 0.0)
        gaining = {candidate: loss for candidate, loss in priced.items() if loss < self._rivals_loss - least_gain}
        if self._bounds and gaining:
            self._go_on(gaining, least_gain)
        elif self._bounds and self.rival is not None:
            self._next = self._untried(self._beside(self.rival))
        too_little = np.array([candidate in priced and candidate not in gaining for candidate in self._asked])
        return results.assign(error=results["error"].mask(too_little, "gains too little on the best before it"))

    def _go_on(self, gaining: dict[Kind, float], least_gain: float) -> None:
        best = min(gaining, key=lambda candidate: gaining[candidate])
        following: list[Kind] = []
        as_good: list[Kind] = []
        if self.rival is None:
            as_good = [candidate for candidate, loss in gaining.items() if loss <= gaining[best] + least_gain]
            best = min(as_good, key=lambda candidate: candidate.complexity)
        else:
            before, steps = self.rival.model_dump().items(), [candidate.model_dump().items() for candidate in gaining]
            following.append(self.rival.model_copy(update=dict(set().union(*steps) - before)))
        following += self._beyond(best, as_good)
        self._next = self._untried(following)
        self.rival, self._rivals_loss = best, gaining[best]

    def _untried(self, candidates: list[Kind]) -> list[Kind]:
        return [candidate for candidate in dict.fromkeys(candidates) if candidate not in self._tried]

    def _values(self, name: str) -> list[Any]:
        """The values of a hyperparameter among the candidates tried, ascending."""
        values = {getattr(candidate, name) for candidate in self._tried}
        return sorted(value for value in values if value is not None)

    def _beside(self, base: Kind) -> list[Kind]:
        """The base with one hyperparameter at the value tried that is next to its own, below or above."""
        candidates = []
        for name in self._bounds:
            tried, value = self._values(name), getattr(base, name)
            if value is not None:
                place = tried.index(value)
                beside = tried[max(place - 1, 0) : place] + tried[place + 1 : place + 2]
                candidates += [base.model_copy(update={name: each}) for each in beside]
        return candidates

    def _beyond(self, base: Kind, as_good: list[Kind]) -> list[Kind]:
        """The base with one hyperparameter beyond the values tried, for each at their end, or as good at their end."""
        candidates = []
        for name, (lowest, highest) in self._bounds.items():
            value, tried = getattr(base, name), self._values(name)
            if not value:  # without it, or 0, which is no multiple of anything
                continue
            steps, least = [], tried[0]
            if value == tried[-1]:
                steps.append((value, min(2 * value, max(highest, value))))
            is_flat = not base.SIMPLER[name] and base.model_copy(update={name: least}) in as_good
            if value == least or (is_flat and least):
                half = least // 2 if isinstance(least, int) else least / 2
                steps.append((least, max(half, min(lowest, least))))
            for end, step in steps:
                if step == end:
                    logger.warning("%s: the best %s, %g, is at the bound of the search", base.model, name, end)
                else:
                    logger.info("%s: the best %s, %g, is the last of its list; next %g", base.model, name, end, step)
                    candidates.append(base.model_copy(update={name: step}))
        return candidates


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

    @property
    def rival(self) -> None:
        """None: the sampler learns from candidates that are measured on all folds."""
        return None

    def tell(self, results: pd.DataFrame) -> pd.DataFrame:
        """Gives the mean losses to the sampler; a candidate that failed is a failed trial."""
        measure = self._asked[0][1].MEASURE
        losses = [None if pd.isna(value) else measure.loss(float(value)) for value in results[measure.mean]]
        new = dict.fromkeys(candidate for _, candidate in self._asked if candidate not in self._results)
        self._results.update(zip(new, losses, strict=True))
        self._tell_study()
        return results

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
    first = listed[0]
    if tuning.search == "grid":
        bounds = {name: bound for name, bound in first.BOUNDS.items() if name in ranges}
        return Listed(listed, bounds if tuning.beyond_edges else None)
    fixed = first.model_dump(exclude=set(ranges))
    return Drawn(lambda values: type(first)(**fixed, **values), ranges, tuning.search, tuning.budget, tuning.seed)


def run_strategies(
    strategies: Sequence[Strategy[Kind]], folds: int | list[int], runner: Runner[Kind], memory: Memory, halving: bool
) -> pd.DataFrame:
    """The results of all candidates of the strategies, cross-validated together until none proposes more.

    The other arguments are those of `cross_validate`.
    """
    tables: list[list[pd.DataFrame]] = [[] for _ in strategies]
    earlier: dict[Kind, list[Outcome]] = {}
    while any(asked := [strategy.ask() for strategy in strategies]):
        together = [candidate for candidates in asked for candidate in candidates]
        rivals = {
            candidate: strategy.rival
            for strategy, candidates in zip(strategies, asked, strict=True)
            for candidate in candidates
            if strategy.rival is not None
        }
        results = cross_validate(together, folds, runner, memory, halving and not rivals, rivals, earlier)
        for strategy, candidates, table in zip(strategies, asked, tables, strict=True):
            own, results = results.iloc[: len(candidates)], results.iloc[len(candidates) :]
            if candidates:
                table.append(strategy.tell(own))
    return pd.concat([part for table in tables for part in table], ignore_index=True)
