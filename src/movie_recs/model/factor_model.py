"""A model is data: every score is an intercept plus two biases plus one dot product.

    score(u, i) = mu + b_u + b_i + p_u . q_i

So there is one way to score pairs and one way to find the best of all (retrieval.py), whatever the model.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from movie_recs.data.schemas import MAX_STARS, MIN_STARS
from movie_recs.parameters import RatingWeights

FACTORS = "id int, bias float, features array<float>"


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


class Folding(NamedTuple):
    """How a user's vector follows from her ratings in a ranking model (`preferences` has the formulas).

    Args:
        als_size: Number of features of implicit ALS's part, which comes first.
        ease_size: Number of features of EASE's part.
        preferred: Which ratings count: `all`, `liked` or `above_mean`.
        weights: How much each of them counts.
        als_weight: What ALS's part is multiplied by.
        reg_param: Of ALS.
        alpha: Of ALS.
    """

    als_size: int
    ease_size: int
    preferred: str
    weights: RatingWeights
    als_weight: float = 1.0
    reg_param: float = 0.0
    alpha: float = 0.0


class FactorModel(NamedTuple):
    """A fitted model.

    Args:
        intercept: mu, in the unit of the score (stars for the objective `rating`).
        users: (id int, bias float, features array<float>), a row a known user.
        items: the same for movies; `features` of both have the same length.
        ridges: The parts of a user's vector in their order; their sizes add up to that length.
        folding: Of a ranking model, in the place of ridges.
    """

    intercept: float
    users: DataFrame
    items: DataFrame
    ridges: tuple[Ridge, ...] = ()
    folding: Folding | None = None


def factor_table(spark: SparkSession, ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> DataFrame:
    """One side of a model from arrays: (id int, bias float, features array<float>).

    Args:
        spark: Where the table is to be.
        ids: (m,).
        bias: (m,).
        features: (m, rank).
    """
    columns = [pa.array(ids, pa.int32()), pa.array(bias, pa.float32()), feature_lists(features)]
    return spark.createDataFrame(pa.table(columns, ["id", "bias", "features"]), FACTORS)


def feature_lists(features: np.ndarray) -> pa.ListArray:
    """The rows (m, rank) as lists of float32."""
    edges = np.arange(len(features) + 1, dtype=np.int32) * features.shape[1]
    return pa.ListArray.from_arrays(pa.array(edges), pa.array(features.astype(np.float32).ravel()))


def add_newcomers(model: FactorModel, users: DataFrame) -> FactorModel:
    """The model with a vector of zeros for each user (user_id int) that it does not know: movies go by their biases."""
    rank = len(model.items.select("features").first()[0])
    new = users.select(F.col("user_id").alias("id")).join(model.users, "id", how="left_anti").distinct()
    zero = F.lit(0.0).cast("float")
    newcomers = new.select("id", zero.alias("bias"), F.array_repeat(zero, rank).alias("features"))
    return model._replace(users=model.users.unionByName(newcomers))


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


def with_zeros(ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> Arrays:
    """Of these rows (m, ...), by ascending id; an unknown id has zeros instead of averages."""
    return Arrays(ids, np.append(bias, 0), np.vstack([features, np.zeros((1, features.shape[1]), features.dtype)]))


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
