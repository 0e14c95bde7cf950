"""A model is data: every score is an intercept plus two biases plus one dot product.

    score(u, i) = mu + b_u + b_i + p_u . q_i

So there is one way to score pairs (`scoring`), one to find the best of all (`top_n`), and one to make a user's vector
from her ratings and to explain a score by them (`users`), whatever the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import pyarrow as pa

from movie_recs.data.interactions import Interactions, rows_of

if TYPE_CHECKING:  # arrays and rules need no Spark
    from pyspark.sql import DataFrame, SparkSession

MOST_VALUES = 2**31 - 1  # that 32-bit offsets can tell apart
FACTORS = "id int, bias float, features array<float>"


class Arrays(NamedTuple):
    """A table of factors in memory, by ascending id, with one more row at the end for unknown ids.

    Args:
        ids: (m,) int32.
        bias: (m + 1,).
        features: (m + 1, rank).
    """

    ids: np.ndarray
    bias: np.ndarray
    features: np.ndarray

    def rows_of(self, ids: np.ndarray) -> np.ndarray:
        """The row of each id in `bias` and `features`; the last for an unknown one."""
        return rows_of(ids, self.ids)


class Vectors(NamedTuple):
    """The users of a block in a model: `bias` (u,) and `features` (u, rank)."""

    bias: np.ndarray
    features: np.ndarray


class Contributions(NamedTuple):
    """How much each rating of a user adds to her scores.

    Args:
        movies: (n,), the rated movies' rows.
        terms: (scores, n).
        rest: (scores,), what no rating adds to the dot product and the user's bias.
    """

    movies: np.ndarray
    terms: np.ndarray
    rest: np.ndarray | float = 0.0


class Folder(Protocol):
    """Folds in the users of one block after the other."""

    def __call__(self, ratings: Interactions) -> Vectors:
        """The vectors of the users of these ratings, as `Rule.user_vectors`."""


class Explainer(Protocol):
    """Explains the scores of one user after the other."""

    def __call__(self, ratings: Interactions, asked: np.ndarray) -> Contributions:
        """The terms that add up, with the rest, to p_u . q_i + b_u for one user and some movies.

        Args:
            ratings: All ratings of one user, as in `Rule.user_vectors`.
            asked: (scores,), rows of the movies' side: the movies whose scores are explained.
        """


class Rule(Protocol):
    """How a user's vector follows from her ratings, the movies' side being fixed."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of features of each part of a vector, in their order; they add up to its length."""

    def folder(self, items: Arrays, intercept: float) -> Folder:
        """Folds users in; what all users share is computed once, here.

        Args:
            items: The movies' side.
            intercept: The intercept of the model.
        """

    def user_vectors(self, ratings: Interactions, items: Arrays, intercept: float) -> Vectors:
        """The vectors of the users of these ratings; zeros for a user without a rating that counts.

        That is `folder(items, intercept)(ratings)`, for one block.

        Args:
            ratings: All ratings of some users, with `items.ids` as `movie_ids`; those of unknown movies are ignored.
            items: The movies' side.
            intercept: The intercept of the model.
        """

    def explainer(self, items: Arrays, intercept: float) -> Explainer:
        """Explains users' scores; what all users share is computed once, here.

        Args:
            items: The movies' side.
            intercept: The intercept of the model.
        """


class ItemSide(NamedTuple):
    """What a model knows without its users: the movies' side, the intercept, and how users' vectors follow."""

    items: Arrays
    intercept: float
    rule: Rule

    def of_movies(self, ids: np.ndarray) -> ItemSide:
        """The side of these movies (m,), ascending; an unknown one has the means of the known ones."""
        rows = np.append(self.items.rows_of(ids), len(self.items.ids))
        return self._replace(items=Arrays(ids, self.items.bias[rows], self.items.features[rows]))


class FactorModel(NamedTuple):
    """A fitted model.

    Args:
        intercept: mu, in the unit of the score (stars for the objective `rating`).
        users: (id int, bias float, features array<float>), one row per known user.
        items: The same for movies; `features` of both have the same length.
        rule: How a user's vector follows from her ratings; None for a model that cannot fold users in.
    """

    intercept: float
    users: DataFrame
    items: DataFrame
    rule: Rule | None = None

    @property
    def item_side(self) -> ItemSide:
        """The movies' side, collected.

        Raises:
            ValueError: The model has no rule.
        """
        if self.rule is None:
            raise ValueError("The model has no rule: it cannot make users' vectors from ratings.")
        return ItemSide(arrays(self.items), self.intercept, self.rule)


def factor_table(spark: SparkSession, ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> DataFrame:
    """One side of a model from arrays: (id int, bias float, features array<float>).

    Args:
        spark: The session that creates the table.
        ids: (m,).
        bias: (m,).
        features: (m, rank).
    """
    return spark.createDataFrame(factor_rows(ids, bias, features), FACTORS)


def factor_rows(ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> pa.Table:
    """The rows of `factor_table` in memory; arguments as there."""
    columns = [pa.array(ids, pa.int32()), pa.array(bias, pa.float32()), feature_lists(features)]
    return pa.table(columns, ["id", "bias", "features"])


def feature_lists(features: np.ndarray, most_values: int = MOST_VALUES) -> pa.ChunkedArray:
    """The rows (m, rank) as lists of float32, in chunks of at most so many values."""
    rank, values = features.shape[1], features.astype(np.float32, copy=False)
    rows = max(most_values // max(rank, 1), 1)
    chunks = [
        pa.ListArray.from_arrays(pa.array(np.arange(len(part) + 1, dtype=np.int32) * rank), pa.array(part.ravel()))
        for part in (values[first : first + rows] for first in range(0, max(len(values), 1), rows))
    ]
    return pa.chunked_array(chunks)


def feature_matrix(features: pa.ListArray) -> np.ndarray:
    """(rows, rank) float32 from lists of one length."""
    flat = features.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return flat.reshape(len(features), -1) if len(features) else np.zeros((0, 0), np.float32)


def with_zeros(ids: np.ndarray, bias: np.ndarray, features: np.ndarray) -> Arrays:
    """The arrays of these rows, (m, ...) by ascending id, with zeros for unknown ids."""
    return Arrays(ids, np.append(bias, 0), np.vstack([features, np.zeros((1, features.shape[1]), features.dtype)]))


def arrays(factors: DataFrame) -> Arrays:
    """The table in float64, with the means of its rows for unknown ids; it must fit in the driver's memory."""
    return read_arrays(factors.select("id", "bias", "features").toArrow())


def read_arrays(table: pa.Table, dtype: type[np.floating] = np.float64) -> Arrays:
    """The rows (id, bias, features) of `factor_table` in memory, as `arrays` returns them.

    Args:
        table: The rows, in any order.
        dtype: Of the features: float32, as they are saved, takes half the memory.
    """
    order = np.argsort(table["id"].to_numpy())
    bias = table["bias"].to_numpy().astype(float)[order]
    features = feature_matrix(table["features"].combine_chunks())[order].astype(dtype, copy=False)
    mean = features.mean(axis=0, keepdims=True, dtype=float).astype(dtype) if len(order) else np.zeros((1, 0))
    return Arrays(
        table["id"].to_numpy()[order],
        np.append(bias, bias.mean() if len(order) else 0.0),
        np.vstack([features, mean]) if len(order) else mean,
    )


def has_vectors(rule: Rule | None) -> bool:
    """Whether a model of this rule has vectors of movies, by which they are similar; one of biases alone has none."""
    return rule is None or sum(rule.sizes) > 0
