"""Scores of pairs of user and movie, as arrays: the formula of `factor_model`."""

import numpy as np

from movie_recs.data.scale import Scale
from movie_recs.model.factor_model import Arrays, Vectors


def take_vectors(side: Arrays, rows: np.ndarray) -> Vectors:
    """The bias and features of these rows in float64."""
    return Vectors(side.bias[rows].astype(float), side.features[rows].astype(float))


def score_pairs(
    intercept: float, users: Vectors, items: Vectors, width: int | None = None, with_bias: bool = True
) -> np.ndarray:
    """(n,) float64: the score of each pair.

    Args:
        intercept: mu.
        users: The user of each pair: bias (n,) and features (n, rank).
        items: The movie of each pair, in the same way.
        width: How many of the leading features count; None for all.
        with_bias: Whether the biases count.
    """
    product = np.einsum("ij,ij->i", users.features[:, :width], items.features[:, :width])
    return intercept + (users.bias + items.bias if with_bias else 0.0) + product


def to_scale(scores: np.ndarray, scale: Scale) -> np.ndarray:
    """The scores clipped to the scale, as `scoring.to_stars` does; NaN stays."""
    return np.clip(scores, scale.least, scale.most)
