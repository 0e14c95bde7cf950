"""A model is data: every score is an intercept plus two biases plus one dot product.

    score(u, i) = mu + b_u + b_i + p_u . q_i

So there is one way to score pairs, one top-N and one search for similar movies, whatever the model.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from movie_recs.schemas import MAX_STARS, MIN_STARS

BLOCK_SCORES = 8_000_000  # scores held at a time by a task: 64 MB of float64


class Ridge(NamedTuple):
    """How one part of a user's vector follows from her ratings, the movies' side being fixed.

    It minimises, over what the parts before it leave of her ratings, the squared error plus

        bias_damping b_u^2 + reg_param |p_u|^2        (both times her number of ratings if `per_rating`)

    Args:
        size: Number of features of this part; 0 for a bias alone.
        reg_param: Pull of the features to 0.
        bias_damping: Pull of the user's bias to 0; None if this part has no bias.
        per_rating: Whether the pull grows with her number of ratings, as in ALS-WR.
    """

    size: int
    reg_param: float
    bias_damping: float | None = None
    per_rating: bool = False


class FactorModel(NamedTuple):
    """A fitted model.

    Args:
        intercept: mu, in the unit of the score (stars for the objective `rating`).
        users: (id int, bias float, features array<float>), a row a known user.
        items: the same for movies; `features` of both have the same length.
        ridges: The parts of a user's vector in their order; their sizes add up to that length.
    """

    intercept: float
    users: DataFrame
    items: DataFrame
    ridges: tuple[Ridge, ...] = ()


def factor_table(spark: SparkSession, ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> DataFrame:
    """One side of a model from arrays: (id int, bias float, features array<float>).

    Args:
        spark: Where the table is to be.
        ids: (m,).
        bias: (m,).
        features: (m, rank).
    """
    rows = {"id": ids, "bias": bias.astype(np.float32), "features": list(features.astype(np.float32))}
    return spark.createDataFrame(pd.DataFrame(rows), "id int, bias float, features array<float>")


def score(model: FactorModel, pairs: DataFrame, column: str = "score") -> DataFrame:
    """The pairs with their scores, none dropped.

    An unknown user or movie has the average bias and features of the known ones: the score of an unknown movie is what
    this user gives on average, that of an unknown user what this movie gets, and of both the average score.

    Args:
        model: The model; its tables must fit in the memory of the driver and of each worker.
        pairs: (user_id int, movie_id int, ...).
        column: Name of the new column.

    Returns:
        All columns of `pairs` and the scores, a double.
    """
    return score_parts(model, pairs, {column: None})


def score_parts(model: FactorModel, pairs: DataFrame, columns: Mapping[str, int | None]) -> DataFrame:
    """The pairs with a column of scores for each of some first parts of the model; arguments as of `score`.

    Args:
        model: The model.
        pairs: The pairs.
        columns: For each new column how many of the parts (`model.ridges`) count: with none the score is the intercept,
            with None it is the whole model's.
    """
    intercept, sizes = model.intercept, [ridge.size for ridge in model.ridges]
    shared = pairs.sparkSession.sparkContext.broadcast((arrays(model.users), arrays(model.items)))

    def add_scores(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        users, items = shared.value
        for batch in batches:
            user_rows = users.rows_of(batch["user_id"].to_numpy())
            item_rows = items.rows_of(batch["movie_id"].to_numpy())
            bias = users.bias[user_rows] + items.bias[item_rows]
            left, right = users.features[user_rows], items.features[item_rows]
            scores = []
            for parts in columns.values():
                size = None if parts is None else sum(sizes[:parts])
                product = np.einsum("ij,ij->i", left[:, :size], right[:, :size])
                scores.append(pa.array(intercept + (0.0 if parts == 0 else bias) + product))
            yield pa.RecordBatch.from_arrays([*batch.columns, *scores], [*batch.schema.names, *columns])

    schema = StructType(pairs.schema.fields.copy())
    for column in columns:
        schema = schema.add(column, "double")
    return pairs.mapInArrow(add_scores, schema)


def to_stars(score: Column | str) -> Column:
    """A score as stars can be: within 0.5 and 5.0. For display and errors only, never for ordering."""
    stars = F.least(F.greatest(score, F.lit(MIN_STARS)), F.lit(MAX_STARS))
    return F.when(F.isnan(score), F.lit(float("nan"))).otherwise(stars)  # to Spark NaN is the greatest number


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

    def scores(queries: pd.DataFrame, items: "Arrays") -> np.ndarray:
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

    def closeness(queries: pd.DataFrame, items: "Arrays") -> np.ndarray:
        vectors = _matrix(queries["features"])
        # Not by |a|^2 + |b|^2 - 2ab, whose rounding tells equal movies apart.
        values = -np.array([np.sqrt(((items.features - vector) ** 2).sum(axis=1)) for vector in vectors])
        values[items.ids == queries["id"].to_numpy()[:, None]] = -np.inf
        return values

    ranked = _best_items(queries, model.items, closeness, n)
    return ranked.select(
        F.col("id").alias("movie_id"),
        "rank",
        F.col("movie_id").alias("similar_movie_id"),
        (-F.col("value")).alias("distance"),
    )


class Arrays(NamedTuple):
    """A table of factors in memory, by ascending id, and a last row with the averages for any unknown id.

    ids (m,) int32; bias (m + 1,) and features (m + 1, rank) float64.
    """

    ids: np.ndarray
    bias: np.ndarray
    features: np.ndarray

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """The row of each id in `bias` and `features`; the last for an unknown one."""
        rows = np.searchsorted(self.ids, ids)
        return np.where(np.append(self.ids, -1)[rows] == ids, rows, len(self.ids))


def arrays(factors: DataFrame) -> Arrays:
    """The table collected: it must fit in the memory of the driver."""
    table = factors.select("id", "bias", "features").toArrow()
    order = np.argsort(table["id"].to_numpy())
    bias = table["bias"].to_numpy().astype(float)[order]
    flat = table["features"].combine_chunks().flatten().to_numpy().astype(float)
    features = flat.reshape(len(order), -1)[order] if len(order) else np.zeros((0, 0))
    return Arrays(
        table["id"].to_numpy()[order],
        np.append(bias, bias.mean() if len(order) else 0.0),
        np.vstack([features, features.mean(axis=0, keepdims=True)]) if len(order) else np.zeros((1, 0)),
    )


def _best_items(
    queries: DataFrame, items: DataFrame, values: Callable[[pd.DataFrame, Arrays], np.ndarray], n: int
) -> DataFrame:
    """(id, rank, movie_id, value): the n highest finite values of each query over all items, ties by movie_id."""
    with_average = arrays(items)
    catalogue = Arrays(with_average.ids, with_average.bias[:-1], with_average.features[:-1])
    shared = queries.sparkSession.sparkContext.broadcast(catalogue)
    rows_at_a_time = max(1, BLOCK_SCORES // max(1, len(catalogue.ids)))

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
