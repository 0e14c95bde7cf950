"""Which hyperparameters of the ranking model are best, found in three stages on the same rows.

First implicit ALS and EASE, each user's ratings counting alike. Then, on the best of each, how much newer ratings and
higher stars count in a user's vector. Last both models together. The winner is whichever ranks best of all.
"""

from functools import partial

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.als.parameters import ImplicitGrid
from movie_recs.data.blocks import open_blocks
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.parameters import RankingParameters, RankingTuningParameters, WeightGrid
from movie_recs.ranking.trial import RankingTrialData
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.strategies import Strategy, choose_strategy, run_strategies
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

WINNERS = ("implicit_als", "recent_als", "ease", "blend")
ALS_FIELDS, WEIGHT_FIELDS = tuple(ImplicitGrid.model_fields), tuple(WeightGrid.model_fields)


def search(
    train_ratings: DataFrame,
    movie_ids: np.ndarray,
    parameters: RankingParameters,
    folds: int | list[int],
    carrier: str = "local",
    log: TrialLog | None = None,
) -> pd.DataFrame:
    """A row a candidate of implicit_als, ease, recent_als and blend, as `cross_validation.summarise` has it.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        parameters: The candidates, and how they are searched.
        folds: Number of folds, or which of them are held out in turn.
        carrier: `local` or `spark`.
        log: Trials that are in it are not run again, and those that end are added to it.
    """
    tuning, preference, k = parameters.tuning, parameters.preference, parameters.evaluation.k
    context = {
        "seed": tuning.seed,
        "data": [fingerprint(train_ratings), folds],
        "movies": digest([movie_ids.tobytes()]),
        "preference": preference.model_dump(),
        "k": k,
        "ease_rank": tuning.ease_rank,
    }
    blocks = open_blocks(carrier, train_ratings, movie_ids)
    try:
        data = RankingTrialData(blocks, preference, tuning.ease_rank, k, tuning.seed)
        runner = TrialRunner(train_ratings.sparkSession, data, carrier)
        run = partial(run_strategies, runner=runner, folds=folds, memory=remember(log, context), halving=tuning.halving)
        plain = run(_plain(tuning))
        als, ease = (best_candidate(plain, RankingCandidate, model) for model in ("implicit_als", "ease"))
        weighed = run([_weighed(ease, tuning)])
        ease = best_candidate(pd.concat([plain, weighed]), RankingCandidate, "ease")
        # Both at once, for they share the fits of ALS.
        others = run([_weighed(als.model_copy(update={"model": "recent_als"}), tuning), _blend(als, ease, tuning)])
    finally:
        blocks.close()
    return pd.concat([plain, weighed, others], ignore_index=True)


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
