"""Searches the best hyperparameters of the ranking model, in three stages on the same rows.

First implicit ALS and EASE, all ratings of a user with the same weight. Then, for the best of each, the weights of
newer ratings and higher stars in a user's vector. Last the blend of both models. The winner is the best of all.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.als.parameters import ImplicitGrid
from movie_recs.data.blocks import open_blocks
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import is_exact
from movie_recs.ranking.parameters import RankingParameters, RankingTuningParameters, WeightGrid
from movie_recs.ranking.trial import RankingTrialData
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import LOCAL, Choice
from movie_recs.tuning.strategies import Listed, Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

WINNERS = ("implicit_als", "recent_als", "ease", "blend")
ALS_FIELDS, WEIGHT_FIELDS = tuple(ImplicitGrid.model_fields), tuple(WeightGrid.model_fields)


def search(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
) -> pd.DataFrame:
    """One row per candidate of implicit_als, ease, recent_als and blend; columns of `cross_validation.summarise`.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        parameters: The candidates, and how they are searched.
        folds: Number of folds, or the numbers of those that are held out in turn.
        choice: The carrier, and how many trials run at a time.
        log: Finished trials, which are not run again; new ones are added.
    """
    tuning = parameters.tuning
    with _trials(train_ratings, movie_ids, parameters, folds, choice, log) as (run, exact):
        plain = run(_plain(tuning, ranks=[None] if exact else tuning.ease_rank))
        als, ease = (best_candidate(plain, RankingCandidate, model) for model in ("implicit_als", "ease"))
        weighed = run([_weighed(ease, tuning)])
        ease = best_candidate(pd.concat([plain, weighed]), RankingCandidate, "ease")
        # Together, as they share the fits of ALS.
        others = run([_weighed(als.model_copy(update={"model": "recent_als"}), tuning), _blend(als, ease, tuning)])
    return pd.concat([plain, weighed, others], ignore_index=True)


def compare(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    candidates: list[RankingCandidate],
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice = LOCAL,
    log: TrialLog | None = None,
) -> pd.DataFrame:
    """One row per candidate; the other arguments are those of `search`."""
    with _trials(train_ratings, movie_ids, parameters, folds, choice, log) as (run, _):
        return run([Listed(candidates)])


@contextmanager
def _trials(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    choice: Choice,
    log: TrialLog | None,
) -> Iterator[tuple[Callable[[list[Strategy[RankingCandidate]]], pd.DataFrame], bool]]:
    """A function that runs strategies on these ratings, and whether EASE is exact there."""
    tuning, preference, k = parameters.tuning, parameters.preference, parameters.evaluation.k
    context = {
        "seed": tuning.seed,
        "data": [fingerprint(train_ratings), folds],
        "movies": digest([movie_ids.tobytes()]),
        "preference": preference.model_dump(),
        "scale": preference.scale,
        "k": k,
        "most_measured": tuning.most_measured,
    }
    blocks = open_blocks(choice.carrier, train_ratings, movie_ids)
    try:
        data = RankingTrialData(blocks, preference, k, tuning.seed, tuning.most_measured, {})
        runner = TrialRunner(train_ratings.sparkSession, data, *choice)
        run = partial(run_strategies, runner=runner, folds=folds, memory=remember(log, context), halving=tuning.halving)
        yield run, is_exact(len(blocks.user_ids), len(blocks.movie_ids))
    finally:
        blocks.close()


def _plain(tuning: RankingTuningParameters, ranks: Sequence[int | None]) -> list[Strategy[RankingCandidate]]:
    als = [RankingCandidate(model="implicit_als", **each.model_dump()) for each in tuning.grid.candidates()]
    ease = [
        RankingCandidate(model="ease", ease_reg=reg, ease_rank=rank, star_weight=0)
        for reg, rank in product(tuning.ease_reg, ranks)
    ]
    ease_ranges: dict[str, list[float]] = {"ease_reg": tuning.ease_reg}
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
