"""Users' vectors and reasons for their scores, from their ratings by the model's `Rule`; nothing is fitted."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.interactions import Interactions, read_interactions, users_apart
from movie_recs.data.spark_interactions import interaction_columns
from movie_recs.model.factor_model import FACTORS, Arrays, FactorModel, Rule, factor_rows
from movie_recs.model.reasons import Reason, Reasons

# Rows of a task, which starts in a tenth of a second and does these in some seconds. Without a number of partitions,
# Spark would put them all into one, as they are small.
RATINGS_FOLDED, SCORES_EXPLAINED = 50_000, 10_000
REASONS = "user_id int, movie_id int, because_movie_ids array<int>, because_shares array<double>"


def fold_in(model: FactorModel, ratings: DataFrame) -> DataFrame:
    """The users' side of a model for the users of these ratings, whether the model knows them or not.

    Args:
        model: The model; its movies, intercept and rule are used, its users are not.
        ratings: (user_id int, movie_id int, rating float in stars, perhaps rated_at timestamp), all ratings of these
            users, each pair once. Ratings of movies that the model does not know are ignored.

    Returns:
        (id int, bias float, features array<float>), one row per user: `model._replace(users=...)` scores and recommends
        for them. Zeros for a user without a rating that counts.

    Raises:
        ValueError: The model has no rule.
    """
    items, intercept, rule = model.item_side
    by_user = interaction_columns(ratings).repartition(_parts(ratings, RATINGS_FOLDED), "user_id")
    return by_user.mapInArrow(partial(_fold_in_batches, rule, items, intercept), FACTORS)


def add_users(model: FactorModel, ratings: DataFrame) -> FactorModel:
    """The model with the users of these ratings as well, none of whom it knows; arguments as in `fold_in`."""
    return model._replace(users=model.users.unionByName(fold_in(model, ratings)))


def add_newcomers(model: FactorModel, users: DataFrame) -> FactorModel:
    """The model with zeros for unknown users (user_id int), so that movies are ranked by bias alone."""
    (movie,) = model.items.select("features").head(1)
    rank = len(movie["features"])
    new = users.select(F.col("user_id").alias("id")).join(model.users, "id", how="left_anti").distinct()
    zero = F.lit(0.0).cast("float")
    newcomers = new.select("id", zero.alias("bias"), F.array_repeat(zero, rank).alias("features"))
    return model._replace(users=model.users.unionByName(newcomers))


def user_rows(rule: Rule, items: Arrays, intercept: float, ratings: Interactions) -> pa.Table:
    """(id, bias, features) of the users of a block; arguments as in `Rule.user_vectors`."""
    return factor_rows(ratings.user_ids, *rule.user_vectors(ratings, items, intercept))


def explain(
    model: FactorModel, recommendations: DataFrame, ratings: DataFrame, reasons: int, for_people: bool = False
) -> DataFrame:
    """The user's own ratings that add most to each recommendation's score, exactly (`Reasons`).

    Args:
        model: The model whose scores are explained.
        recommendations: (user_id int, movie_id int).
        ratings: (user_id int, movie_id int, rating float in stars, perhaps rated_at timestamp), all ratings of these
            users.
        reasons: The largest number of ratings to list; only those with a positive term are listed.
        for_people: See `Reasons`.

    Returns:
        (user_id int, movie_id int, because_movie_ids array<int>, because_shares array<double>), the strongest reason
        first, each with its share of the score (`Reason`).

    Raises:
        ValueError: The model has no rule.
    """
    items, intercept, rule = model.item_side
    strongest = _ReasonRows(Reasons(rule, items, intercept, reasons, for_people), items.ids)
    rated = interaction_columns(ratings.join(recommendations.select("user_id"), "user_id", how="left_semi"))
    parts = _parts(recommendations, SCORES_EXPLAINED)
    part = F.pmod(F.xxhash64("user_id"), F.lit(parts))  # a call of Python for each user would cost milliseconds
    by_part, rated_by_part = (
        rows.withColumn("part", part).repartition(parts, "part").groupBy("part")
        for rows in (recommendations.select("user_id", "movie_id"), rated)
    )
    return by_part.cogroup(rated_by_part).applyInArrow(lambda asked, rated: strongest(asked, rated), REASONS)


def _parts(rows: DataFrame, at_a_time: int) -> int:
    return max(math.ceil(rows.count() / at_a_time), 1)


def _fold_in_batches(
    rule: Rule, items: Arrays, intercept: float, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Runs in a task; its partition holds whole users."""
    parts = [batch for batch in batches if batch.num_rows]
    if parts:
        block = read_interactions(pa.Table.from_batches(parts), items.ids)
        yield from user_rows(rule, items, intercept, block).to_batches()


class _ReasonRows:
    """Finds the reasons in a task, for the recommendations of some users."""

    def __init__(self, reasons: Reasons, movie_ids: np.ndarray):
        self._reasons, self._movie_ids = reasons, movie_ids

    def __call__(self, asked: pa.Table, rated: pa.Table) -> pa.Table:
        """Rows of `REASONS` of these users, by their recommendations and all their ratings."""
        asked = asked.sort_by("user_id")
        movies = asked["movie_id"].to_numpy()
        because: list[list[Reason]] = [[] for _ in range(len(asked))]
        user_ids, starts = np.unique(asked["user_id"].to_numpy(), return_index=True)
        rows = dict(zip(user_ids.tolist(), pairwise([*starts.tolist(), len(asked)]), strict=True))
        for own in users_apart(read_interactions(rated, self._movie_ids)):
            first, last = rows.get(own.user_ids.item(), (0, 0))
            if first < last:
                because[first:last] = self._reasons(own, movies[first:last])
        ids = pa.array([[each.movie for each in reasons] for reasons in because], pa.list_(pa.int32()))
        shares = pa.array([[each.share for each in reasons] for reasons in because], pa.list_(pa.float64()))
        pairs = {name: asked[name] for name in ("user_id", "movie_id")}
        return pa.table({**pairs, "because_movie_ids": ids, "because_shares": shares})
