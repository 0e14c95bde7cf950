"""Vectors of movies that a model does not know: a ridge regression of the known movies' vectors on known features.

    V = argmin sum over known movies i of |q_i - (1, x_i) V|^2 + `PULL` |V without its first row|^2

So a new movie of a genre and a year has the mean vector of such movies, and the mean of all without them. A movie's
bias is one more entry of its vector.
"""

import numpy as np

from movie_recs.model.factor_model import Arrays

PULL = 10.0  # movies: a feature that fewer movies have counts less than half


def predict_items(items: Arrays, ids: np.ndarray, features: np.ndarray) -> Arrays:
    """Bias and features of the movies that the model does not have, by ascending id, with those of no movie at the end.

    Args:
        items: The model's movies.
        ids: (m,) int32 ascending: all movies, those of the model among them.
        features: (m, k) known features.
    """
    rows = items.rows_of(ids)
    is_known = rows < len(items.ids)
    inputs = np.hstack([np.ones((len(ids), 1)), features])
    known, rows = inputs[is_known], rows[is_known]
    pulls = np.append(0.0, np.full(features.shape[1], PULL))
    system = known.T @ known + np.diag(pulls)
    own = known.T.astype(items.features.dtype)  # so that the vectors, which are many, are not copied as float64
    bias, vectors = (
        np.append(inputs[~is_known] @ np.linalg.solve(system, right), np.zeros((1, *right.shape[1:])), axis=0)
        for right in (known.T @ items.bias[rows], (own @ items.features[rows]).astype(float))
    )
    return Arrays(ids[~is_known], bias, vectors)
