"""Every user's list by each ranking model: what the leaderboard is measured on, by Spark or in memory.

Both give the same lists. Where the ratings fit in memory, one process takes less than Spark's jobs around it.
"""

from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.schemas import TABLES
from movie_recs.model.exact_search import DOT, best_items, prepare_items, prepare_queries
from movie_recs.model.factor_model import Arrays, FactorModel, add_newcomers, arrays, with_zeros
from movie_recs.model.top_n import BLOCK, list_columns, top_n
from movie_recs.parameters import RankingParameters
from movie_recs.ranking.fit import (
    BASELINES,
    RankingParts,
    baseline_scores,
    compose,
    compose_sides,
    fit_baseline,
    random_vectors,
)
from movie_recs.ranking.preferences import collect_rows
from movie_recs.tuning.candidate import RankingCandidate

BY_STARS = "rating_by_stars"


class Contest(NamedTuple):
    """What is to be ranked.

    Args:
        parts: A fit of the preferences in the train ratings.
        candidates: The best of each ranking model.
        rating_model: Of the train ratings; its list is `BY_STARS`.
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        users: (user_id int), who gets lists; one without train ratings is a newcomer, for whom every model has the list
            that it has for everybody.
    """

    parts: RankingParts
    candidates: dict[str, RankingCandidate]
    rating_model: FactorModel
    train_ratings: DataFrame
    users: DataFrame


def list_by_spark(contest: Contest, parameters: RankingParameters) -> DataFrame:
    """(model string, user_id int, rank int from 1, movie_id int, score double): the first k without train ratings."""
    parts, train, evaluation = contest.parts, contest.train_ratings, parameters.evaluation
    seed = parameters.tuning.seed
    models = {
        **{name: fit_baseline(name, train, parts.ids, seed, evaluation.damping) for name in BASELINES},
        BY_STARS: contest.rating_model,
        **{
            name: compose(parts, candidate, parameters.preference, train, "spark")
            for name, candidate in contest.candidates.items()
        },
    }
    users, seen = contest.users.cache(), train.select("user_id", "movie_id")  # read for each model
    lists = [
        top_n(add_newcomers(model, users), users, seen, evaluation.k).select(F.lit(name).alias("model"), "*")
        for name, model in models.items()
    ]
    return reduce(DataFrame.union, lists)


def list_in_memory(contest: Contest, parameters: RankingParameters) -> DataFrame:
    """The same, made in the driver's memory."""
    spark, k = contest.train_ratings.sparkSession, parameters.evaluation.k
    rated = collect_rows(contest.train_ratings)
    user_ids = np.sort(contest.users.toArrow()["user_id"].to_numpy())
    seen, rated_ids = rated["movie_id"].to_numpy(), rated["user_id"].to_numpy()
    edges = np.searchsorted(rated_ids, np.append(user_ids, np.iinfo(np.int64).max))
    tables = []
    for name, intercept, users, items in _models(contest, parameters, rated):
        rows = users.rows_of(user_ids)
        is_known = (rows < len(users.ids))[:, None]
        vectors = np.where(is_known, users.features[rows], 0).astype(np.float32)
        bias = intercept + np.where(is_known[:, 0], users.bias[rows], 0)
        catalogue = prepare_items(items.ids, items.bias[:-1], items.features[:-1].astype(np.float32), DOT)
        queries = prepare_queries(bias, vectors, seen, np.diff(edges), catalogue)
        n = min(k, len(catalogue.ids))
        for block, lists in best_items(queries, catalogue, n, BLOCK) if n else ():
            columns = list_columns(user_ids[block], lists, catalogue)
            tables.append(pd.DataFrame({"model": name, **columns}))
    schema = TABLES["ranking.lists"]
    return spark.createDataFrame(pd.concat(tables), schema) if tables else spark.createDataFrame([], schema)


def _models(
    contest: Contest, parameters: RankingParameters, rated: pa.Table
) -> Iterator[tuple[str, float, Arrays, Arrays]]:
    """Name, intercept, users and movies of each model."""
    parts, train = contest.parts, contest.train_ratings
    user_ids, seed = np.unique(rated["user_id"].to_numpy()), parameters.tuning.seed
    sides = (user_ids, seed), (parts.ids, ~seed)
    yield "random", 0.0, *(with_zeros(ids, np.zeros(len(ids)), random_vectors(ids, each)) for ids, each in sides)
    nobody, nothing = Arrays(np.zeros(0, np.int32), np.zeros(1), np.zeros((1, 0))), np.zeros((len(parts.ids), 0))
    for name in BASELINES[1:]:
        scores = baseline_scores(name, train, parts.ids, parameters.evaluation.damping)
        yield name, 0.0, nobody, with_zeros(parts.ids, scores.astype(np.float32), nothing)
    model = contest.rating_model
    yield BY_STARS, model.intercept, arrays(model.users), arrays(model.items)
    for name, candidate in contest.candidates.items():
        users, items, _ = compose_sides(parts, candidate, parameters.preference, rated)
        yield name, 0.0, users, items
