"""Which hyperparameters of the ranking model are best, found in three stages on the same rows.

First implicit ALS and EASE, each user's ratings counting alike. Then, on the best of each, how much newer ratings and
higher stars count in a user's vector. Last both models together. The winner is whichever ranks best of all.
"""

from functools import partial

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.data.splitting import split_by_time
from movie_recs.parameters import ImplicitGrid, RankingParameters, RankingTuningParameters, WeightGrid
from movie_recs.ranking.fit import RankingEngine
from movie_recs.ranking.trial import collect_ranking_data
from movie_recs.tuning.candidate import RankingCandidate
from movie_recs.tuning.compiled_trials import KernelEngine
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import DataSize, decide, estimate_ranking_memory, measure_data
from movie_recs.tuning.strategies import Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial_log import TrialLog, digest, remember

WINNERS = ("implicit_als", "recent_als", "ease", "blend")
ALS_FIELDS, WEIGHT_FIELDS = tuple(ImplicitGrid.model_fields), tuple(WeightGrid.model_fields)
HELD_OUT, REST = 0, 1


def search(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    log: TrialLog | None = None,
) -> pd.DataFrame:
    """A row a candidate of implicit_als, ease, recent_als and blend, as `cross_validation.summarise` has it.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        parameters: What to try, and how.
        folds: How many there are, or which are held out.
        log: Trials that are in it are not run again, and those that end are added to it.
    """
    tuning = parameters.tuning
    size = measure_data(train_ratings)
    name = choose_ranking_engine(train_ratings, len(movie_ids), tuning, size)
    context = {
        "engine": name,
        "seed": tuning.seed,
        "data": [*size, folds],
        "movies": digest([movie_ids.tobytes()]),
        "preference": parameters.preference.model_dump(),
        "k": parameters.evaluation.k,
        "ease_rank": tuning.ease_rank,
    }
    with _open_engine(name, train_ratings, movie_ids, parameters) as engine:
        run = partial(run_strategies, engine=engine, folds=folds, memory=remember(log, context), halving=tuning.halving)
        plain = run(_plain(tuning))
        als, ease = (best_candidate(plain, RankingCandidate, model) for model in ("implicit_als", "ease"))
        weighed = run([_weighed(ease, tuning)])
        ease = best_candidate(pd.concat([plain, weighed]), RankingCandidate, "ease")
        # Both at once, for they share the fits of ALS.
        others = run([_weighed(als.model_copy(update={"model": "recent_als"}), tuning), _blend(als, ease, tuning)])
    return pd.concat([plain, weighed, others], ignore_index=True)


def choose_ranking_engine(
    ratings: DataFrame, movies: int, tuning: RankingTuningParameters, size: DataSize | None = None
) -> str:
    """`kernel` or `spark`; how `auto` is decided is logged."""
    if tuning.engine != "auto":
        return tuning.engine
    size = size or measure_data(ratings)
    needed = estimate_ranking_memory(size, movies, max(tuning.grid.rank), tuning.ease_rank)
    return decide(tuning, size, needed, ratings.sparkSession)


def hold_out_last(train_ratings: DataFrame, test_fraction: float, seed: int) -> DataFrame:
    """The ratings with another `fold`: 0 for the last of each user's ratings, 1 for those before.

    Where the test is the future, a choice is made by what is the future of the train ratings. What random folds hold
    out lies between ratings that a fit has seen, which says nothing of how soon old ratings are of no use.

    Args:
        train_ratings: (..., rated_at timestamp, fold int).
        test_fraction: Of each user's ratings, as of the test.
        seed: Of the split, which uses none of it here.
    """
    split = split_by_time(train_ratings.drop("fold"), test_fraction, 2, seed)
    columns = train_ratings.columns
    return (
        split.test.selectExpr("*", f"{HELD_OUT} as fold")
        .select(columns)
        .unionByName(split.train.drop("fold").selectExpr("*", f"{REST} as fold").select(columns))
    )


def _open_engine(
    name: str, train_ratings: DataFrame, movie_ids: np.ndarray, parameters: RankingParameters
) -> KernelEngine | RankingEngine:
    if name == "kernel":
        tuning = parameters.tuning
        data = collect_ranking_data(
            train_ratings, movie_ids, parameters.preference, tuning.ease_rank, parameters.evaluation.k, tuning.seed
        )
        return KernelEngine(train_ratings.sparkSession.sparkContext, data)
    return RankingEngine(train_ratings, movie_ids, parameters)


def _plain(tuning: RankingTuningParameters) -> list[Strategy]:
    als = [RankingCandidate(model="implicit_als", **each.model_dump()) for each in tuning.grid.candidates()]
    ease = [RankingCandidate(model="ease", ease_reg=reg, star_weight=0) for reg in tuning.ease_reg]
    return [
        choose_strategy(als, {name: getattr(tuning.grid, name) for name in ALS_FIELDS}, tuning),
        choose_strategy(ease, {"ease_reg": tuning.ease_reg}, tuning),
    ]


def _weighed(base: RankingCandidate, tuning: RankingTuningParameters) -> Strategy:
    grid = tuning.weight_grid
    listed = [base.model_copy(update=each.model_dump()) for each in grid.candidates()]
    return choose_strategy(listed, {name: getattr(grid, name) for name in WEIGHT_FIELDS}, tuning)


def _blend(als: RankingCandidate, ease: RankingCandidate, tuning: RankingTuningParameters) -> Strategy:
    both = {**als.als.model_dump(), **ease.model_dump(exclude={"model", *ALS_FIELDS, "als_weight"})}
    listed = [RankingCandidate(model="blend", **both, als_weight=each) for each in tuning.als_weight]
    return choose_strategy(listed, {"als_weight": tuning.als_weight}, tuning)
