"""Searches the best hyperparameters of the ranking model, in stages on the same rows.

First implicit ALS and EASE, all ratings of a user with the same weight. Then, for the best of each, the weights of
newer ratings and higher stars in a user's vector. Then the blend of both models. Then, where the test is each user's
future, what she rates next is added to the best of those with EASE. Last, unless every rated movie is a hit whatever
its stars, the weight of the predicted stars beside the best so far. The winner is the best of all with few
recommendations below the user's own mean.
"""

import logging
import math
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from scipy.sparse import csr_array

from movie_recs.als.parameters import ImplicitGrid
from movie_recs.data.blocks import open_blocks
from movie_recs.model.factor_model import ItemSide
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import is_exact
from movie_recs.ranking.parameters import RankingParameters, RankingTuningParameters, WeightGrid
from movie_recs.ranking.trial import RankingTrialData
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate, is_finished
from movie_recs.tuning.memory import LOCAL, Choice
from movie_recs.tuning.strategies import Listed, Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial import Outcome, Trial
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

WITHOUT_STARS = ("implicit_als", "recent_als", "ease", "blend")
SEQUENTIAL, WITH_STARS = "sequential", "with_stars"
WINNERS = (*WITHOUT_STARS, SEQUENTIAL, WITH_STARS)
WITH_EASE = ("ease", "blend")
WITH_WEIGHTS = ("recent_als", *WITH_EASE, SEQUENTIAL)  # whose users' vectors follow from their ratings by a rule
BELOW = "mean_below_mean"  # the column of `cross_validation.summarise`
STEP = 1.25  # between weights of predicted stars that are raised
Run = Callable[[list[Strategy[RankingCandidate]]], pd.DataFrame]
ALS_FIELDS, WEIGHT_FIELDS = tuple(ImplicitGrid.model_fields), tuple(WeightGrid.model_fields)

logger = logging.getLogger(__name__)


class FoldStars(NamedTuple):
    """The rating models of the folds, which are fitted only if a trial has to be run.

    Args:
        fit: By held-out fold, the movies' side of the rating model of the ratings outside it.
        made_of: What they depend on, apart from the ratings and the folds; the log of trials knows them by it.
    """

    fit: Callable[[], dict[int, ItemSide]]
    made_of: list[Any]


def search(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
    features: csr_array | None = None,
    stars: FoldStars | None = None,
    by_time: bool = False,
) -> pd.DataFrame:
    """One row per candidate of each of `WINNERS`; columns of `cross_validation.summarise`.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        parameters: The candidates, and how they are searched.
        folds: Number of folds, or the numbers of those that are held out in turn.
        choice: The carrier, and how many trials run at a time.
        log: Finished trials, which are not run again; new ones are added.
        features: Rows of known features, see `ease.side_rows`.
        stars: The rating models of the folds; None for events.
        by_time: Whether the held-out ratings are later than the user's others, all of which have a time.
    """
    tuning = parameters.tuning
    with _trials(train_ratings, movie_ids, parameters, folds, choice, log, features, stars) as (run, exact):
        plain = run(_plain(tuning, ranks=[None] if exact else tuning.ease_rank))
        als, ease = (best_candidate(plain, RankingCandidate, model) for model in ("implicit_als", "ease"))
        weighed = run([_weighed(ease, tuning)])
        ease = best_candidate(pd.concat([plain, weighed]), RankingCandidate, "ease")
        # Together, as they share the fits of ALS.
        others = run([_weighed(als.model_copy(update={"model": "recent_als"}), tuning), _blend(als, ease, tuning)])
        found = pd.concat([plain, weighed, others], ignore_index=True)
        if by_time:
            best = best_candidate(found, RankingCandidate, *WITH_EASE)
            found = pd.concat([found, run([_sequential(best, tuning)])], ignore_index=True)
        if stars is None or tuning.relevance == "all":
            return found
        best = best_candidate(found, RankingCandidate, *WITH_WEIGHTS)
        return pd.concat([found, _within_limit(_weigh_stars(best, tuning, run), tuning)], ignore_index=True)


def compare(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    candidates: list[RankingCandidate],
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
    features: csr_array | None = None,
    stars: FoldStars | None = None,
) -> pd.DataFrame:
    """One row per candidate; the other arguments are those of `search`."""
    with _trials(train_ratings, movie_ids, parameters, folds, choice, log, features, stars) as (run, _):
        return run([Listed(candidates)])


@contextmanager
def _trials(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice,
    log: TrialLog | None,
    features: csr_array | None,
    stars: FoldStars | None,
) -> Iterator[tuple[Run, bool]]:
    """A function that runs strategies on these ratings, and whether EASE is exact there."""
    tuning, preference, k = parameters.tuning, parameters.preference, parameters.evaluation.k
    measured = math.ceil(tuning.most_measured / (folds if isinstance(folds, int) else len(folds)))
    context = {
        "seed": tuning.seed,
        "data": [fingerprint(train_ratings), folds],
        "movies": digest([movie_ids.tobytes()]),
        "preference": preference.model_dump(),
        "scale": preference.scale,
        "k": k,
        "most_measured": measured,
        "relevance": tuning.relevance,
        "features": digest([] if features is None else [features.toarray().tobytes()]),
        "stars": None if stars is None else stars.made_of,
    }
    blocks = open_blocks(choice.carrier, train_ratings, movie_ids)

    def make_runner() -> TrialRunner:
        sides = {} if stars is None else {fold: side.of_movies(movie_ids) for fold, side in stars.fit().items()}
        data = RankingTrialData(blocks, preference, tuning.relevance, k, tuning.seed, measured, {}, features, sides)
        return TrialRunner(train_ratings.sparkSession, data, *choice)

    try:
        runner = _LateRunner(make_runner)
        run = partial(run_strategies, runner=runner, folds=folds, memory=remember(log, context), halving=tuning.halving)
        yield run, is_exact(len(blocks.user_ids), len(blocks.movie_ids))
    finally:
        blocks.close()


class _LateRunner:
    """A runner that is made when the first trials are run: none is, where all are known from an earlier run."""

    def __init__(self, make: Callable[[], TrialRunner]):
        self._make = make

    @cached_property
    def _runner(self) -> TrialRunner:
        return self._make()

    def run(
        self, trials: list[Trial[RankingCandidate]]
    ) -> Generator[tuple[Trial[RankingCandidate], Outcome], None, None]:
        """As `TrialRunner.run`."""
        return self._runner.run(trials)


def _plain(tuning: RankingTuningParameters, ranks: Sequence[int | None]) -> list[Strategy[RankingCandidate]]:
    als = [RankingCandidate(model="implicit_als", **each.model_dump()) for each in tuning.grid.candidates()]
    ease = [
        RankingCandidate(model="ease", ease_reg=reg, ease_rank=rank, ease_diagonal=diagonal, star_weight=0)
        for reg, rank, diagonal in product(tuning.ease_reg, ranks, tuning.ease_diagonal)
    ]
    ease_ranges: dict[str, list[float]] = {"ease_reg": tuning.ease_reg, "ease_diagonal": tuning.ease_diagonal}
    if None not in ranks:
        ease_ranges["ease_rank"] = [rank for rank in ranks if rank is not None]
    return [
        choose_strategy(als, {name: getattr(tuning.grid, name) for name in ALS_FIELDS}, tuning),
        choose_strategy(ease, ease_ranges, tuning),
    ]


def _weighed(base: RankingCandidate, tuning: RankingTuningParameters) -> Strategy[RankingCandidate]:
    grid = tuning.weight_grid
    listed = [base.model_copy(update=each.model_dump()) for each in grid.candidates()]
    return choose_strategy(listed, {name: getattr(grid, name) for name in WEIGHT_FIELDS}, tuning)


def _blend(
    als: RankingCandidate, ease: RankingCandidate, tuning: RankingTuningParameters
) -> Strategy[RankingCandidate]:
    both = {**als.model_dump(include=set(ALS_FIELDS)), **ease.model_dump(exclude={"model", *ALS_FIELDS, "als_weight"})}
    listed = [RankingCandidate(model="blend", **both, als_weight=each) for each in tuning.als_weight]
    return choose_strategy(listed, {"als_weight": tuning.als_weight}, tuning)


def _sequential(base: RankingCandidate, tuning: RankingTuningParameters) -> Strategy[RankingCandidate]:
    listed = [
        base.model_copy(update={"model": SEQUENTIAL, "sequential_reg": reg, "sequential_weight": weight})
        for reg, weight in product(tuning.sequential_reg, tuning.sequential_weight)
    ]
    ranges = {"sequential_reg": tuning.sequential_reg, "sequential_weight": tuning.sequential_weight}
    return choose_strategy(listed, ranges, tuning)


def _weigh_stars(best: RankingCandidate, tuning: RankingTuningParameters, run: Run) -> pd.DataFrame:
    """The results of the listed weights of predicted stars.

    A sequential part adds to the score what does not look at stars. So beside one the highest weight is raised until
    few enough recommendations are below the user's mean.
    """
    results, weight = run([_with_stars(best, tuning)]), max(tuning.stars_weight)
    most = RankingCandidate.BOUNDS["stars_weight"][1]
    while best.sequential_weight is not None and not _is_within(results, tuning).any() and weight < most:
        weight = min(STEP * weight, most)
        higher = tuning.model_copy(update={"stars_weight": [weight], "beyond_edges": False})
        results = pd.concat([results, run([_with_stars(best, higher)])], ignore_index=True)
    return results


def _with_stars(best: RankingCandidate, tuning: RankingTuningParameters) -> Strategy[RankingCandidate]:
    listed = [best.model_copy(update={"model": WITH_STARS, "stars_weight": each}) for each in tuning.stars_weight]
    return choose_strategy(listed, {"stars_weight": tuning.stars_weight}, tuning)


def _within_limit(results: pd.DataFrame, tuning: RankingTuningParameters) -> pd.DataFrame:
    """The results, of which those with more recommendations below the user's mean than allowed cannot win.

    Where that is true of all of them, none is left out, and the log says so.
    """
    is_within = _is_within(results, tuning)
    if not is_within.any():
        logger.warning(
            "No weight of predicted stars has at most %g of lists below the user's mean", tuning.most_below_mean
        )
        return results
    reason = f"more than {tuning.most_below_mean:.0%} of its recommendations are below the user's mean"
    return results.assign(error=results["error"].mask(is_finished(results) & ~is_within, reason))


def _is_within(results: pd.DataFrame, tuning: RankingTuningParameters) -> pd.Series:
    """Which candidates finished with few enough recommendations below the user's mean."""
    return is_finished(results) & ~(results[BELOW] > tuning.most_below_mean)


def choose_winner(results: pd.DataFrame, tuning: RankingTuningParameters) -> RankingCandidate:
    """The best candidate with at most `most_below_mean` of its recommendations below the user's mean, if there is one.

    Args:
        results: Results of `search`.
        tuning: The limit, which holds unless all ratings are relevant.
    """
    finished = results[is_finished(results)]
    within = finished[finished[BELOW] <= tuning.most_below_mean] if BELOW in finished else finished.iloc[:0]
    if tuning.relevance == "all" or within.empty:
        within = finished
    return best_candidate(within if len(within) else results, RankingCandidate, *WINNERS)
