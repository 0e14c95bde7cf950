"""A model is data: every score is an intercept plus two biases plus one dot product.

    score(u, i) = mu + b_u + b_i + p_u . q_i

So there is one way to score pairs, one top-N and one search for similar movies, whatever the model.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.stat import Summarizer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.schemas import MAX_STARS, MIN_STARS

BLOCK_SCORES = 8_000_000  # scores held at a time by a task: 64 MB of float64


class FactorModel(NamedTuple):
    """A fitted model.

    Args:
        intercept: mu, in the unit of the score (stars for the objective `rating`).
        users: (id int, bias float, features array<float>), a row a known user.
        items: the same for movies; `features` of both have the same length.
    """

    intercept: float
    users: DataFrame
    items: DataFrame


def score(model: FactorModel, pairs: DataFrame) -> DataFrame:
    """The pairs with their scores, none dropped.

    An unknown user or movie has the average bias and features of the known ones: the score of an unknown movie is what
    this user gives on average, that of an unknown user what this movie gets, and of both the average score.

    Args:
        model: The model.
        pairs: (user_id int, movie_id int, ...).

    Returns:
        All columns of `pairs` and (score double, user_known boolean, movie_known boolean).
    """
    users = F.broadcast(_prefixed(model.users, "user"))
    movies = F.broadcast(_prefixed(model.items, "movie"))
    known = pairs.join(users, "user_id", how="left").join(movies, "movie_id", how="left")
    with_averages = known.crossJoin(F.broadcast(_average(model.users, "user"))).crossJoin(
        F.broadcast(_average(model.items, "movie"))
    )
    value = {
        (side, part): F.coalesce(f"{side}_{part}", f"average_{side}_{part}")
        for side in ("user", "movie")
        for part in ("bias", "features")
    }
    return with_averages.select(
        *pairs.columns,
        (
            F.lit(model.intercept)
            + value["user", "bias"]
            + value["movie", "bias"]
            + _dot(value["user", "features"], value["movie", "features"])
        ).alias("score"),
        F.col("user_features").isNotNull().alias("user_known"),
        F.col("movie_features").isNotNull().alias("movie_known"),
    )


def to_stars(score: Column | str) -> Column:
    """A score as stars can be: within 0.5 and 5.0. For display and errors only, never for ordering."""
    return F.least(F.greatest(score, F.lit(MIN_STARS)), F.lit(MAX_STARS))


def top_n(model: FactorModel, users: DataFrame, seen: DataFrame, n: int) -> DataFrame:
    """The n movies with the highest scores for each user, without those that the user has seen.

    Exact: blocks of users are scored against all movies by matrix multiplication; a task holds at most `BLOCK_SCORES`
    scores. Users that the model does not know are left out.

    Args:
        model: The model.
        users: (user_id int).
        seen: (user_id int, movie_id int), what not to recommend.
        n: Length of the lists; shorter where less is left.

    Returns:
        (user_id int, rank int from 1, movie_id int, score double); ties by movie_id.
    """
    history = (
        seen.join(users, "user_id", how="left_semi").groupBy("user_id").agg(F.collect_set("movie_id").alias("seen"))
    )
    queries = (
        model.users.join(users, F.col("id") == F.col("user_id"), how="left_semi")
        .join(history, F.col("id") == F.col("user_id"), how="left")
        .select("id", "bias", "features", F.coalesce("seen", F.array().cast("array<int>")).alias("seen"))
    )
    intercept = model.intercept

    def scores(queries: pd.DataFrame, items: "_Items") -> np.ndarray:
        biases = intercept + queries["bias"].to_numpy(float)[:, None] + items.bias
        values = biases + _matrix(queries["features"]) @ items.features.T
        for row, seen in zip(values, queries["seen"], strict=True):
            row[np.isin(items.ids, seen)] = -np.inf
        return values

    ranked = _best_items(queries, model.items, scores, n)
    return ranked.select(F.col("id").alias("user_id"), "rank", "movie_id", F.col("value").alias("score"))


def similar_items(model: FactorModel, movies: DataFrame, n: int) -> DataFrame:
    """The n movies nearest to each movie by L2 distance of their features, without the movie itself.

    Args:
        model: The model.
        movies: (movie_id int); those that the model does not know are left out.
        n: Length of the lists.

    Returns:
        (movie_id int, rank int from 1, similar_movie_id int, distance double); ties by similar_movie_id.
    """
    queries = model.items.join(movies, F.col("id") == F.col("movie_id"), how="left_semi").select("id", "features")

    def closeness(queries: pd.DataFrame, items: "_Items") -> np.ndarray:
        vectors = _matrix(queries["features"])
        squares = (vectors**2).sum(axis=1)[:, None] + (items.features**2).sum(axis=1) - 2 * vectors @ items.features.T
        values = -np.sqrt(np.maximum(squares, 0.0))
        values[items.ids == queries["id"].to_numpy()[:, None]] = -np.inf
        return values

    ranked = _best_items(queries, model.items, closeness, n)
    return ranked.select(
        F.col("id").alias("movie_id"),
        "rank",
        F.col("movie_id").alias("similar_movie_id"),
        (-F.col("value")).alias("distance"),
    )


class _Items(NamedTuple):
    """The catalogue as arrays, by ascending id: ids (m,), bias (m,), features (m, rank)."""

    ids: np.ndarray
    bias: np.ndarray
    features: np.ndarray


def _best_items(
    queries: DataFrame, items: DataFrame, values: Callable[[pd.DataFrame, _Items], np.ndarray], n: int
) -> DataFrame:
    """(id, rank, movie_id, value): the n highest finite values of each query over all items, ties by movie_id."""
    frame = items.orderBy("id").toPandas()
    catalogue = _Items(frame["id"].to_numpy(np.int32), frame["bias"].to_numpy(float), _matrix(frame["features"]))
    shared = queries.sparkSession.sparkContext.broadcast(catalogue)
    rows_at_a_time = max(1, BLOCK_SCORES // max(1, len(frame)))

    def rank_blocks(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            for start in range(0, len(batch), rows_at_a_time):
                block = batch.iloc[start : start + rows_at_a_time]
                yield _ranked(block["id"].to_numpy(), values(block, shared.value), shared.value.ids, n)

    return queries.mapInPandas(rank_blocks, "id int, rank int, movie_id int, value double")


def _ranked(query_ids: np.ndarray, values: np.ndarray, item_ids: np.ndarray, n: int) -> pd.DataFrame:
    """The n highest finite values of each row, by value descending, then by item id (`item_ids` ascend)."""
    n = min(n, values.shape[1])
    frames = []
    for query_id, row in zip(query_ids, values, strict=True):
        # All that reach the n-th highest value, so that a tie at the end is broken by id and not by chance.
        candidates = np.flatnonzero(row >= np.partition(row, -n)[-n]) if n else np.array([], int)
        candidates = candidates[np.isfinite(row[candidates])]
        best = candidates[np.argsort(-row[candidates], kind="stable")][:n]
        frames.append(
            pd.DataFrame(
                {"id": query_id, "rank": np.arange(1, len(best) + 1), "movie_id": item_ids[best], "value": row[best]}
            )
        )
    return pd.concat(frames)


def _matrix(features: pd.Series) -> np.ndarray:
    return np.array(features.to_list(), dtype=float).reshape(len(features), -1)


def _prefixed(factors: DataFrame, side: str) -> DataFrame:
    return factors.select(
        F.col("id").alias(f"{side}_id"),
        F.col("bias").alias(f"{side}_bias"),
        F.col("features").alias(f"{side}_features"),
    )


def _average(factors: DataFrame, side: str) -> DataFrame:
    """One row: the mean bias and the mean features over all ids."""
    return factors.agg(
        F.avg("bias").alias(f"average_{side}_bias"),
        vector_to_array(Summarizer.mean(array_to_vector("features"))).alias(f"average_{side}_features"),
    )


def _dot(left: Column, right: Column) -> Column:
    products = F.zip_with(left, right, lambda a, b: a.cast("double") * b.cast("double"))
    return F.aggregate(products, F.lit(0.0), lambda total, product: total + product)
