"""One list for several people: their scores made comparable, and joined by the mean or by the least pleased."""

import numpy as np

from movie_recs.model.factor_model import Arrays, Vectors
from movie_recs.model.pairs import score_pairs, take_vectors

METHODS = ("mean", "least_misery")


def member_scores(intercept: float, members: Vectors, items: Arrays) -> np.ndarray:
    """(p, m) float64: each person's score of each movie.

    Args:
        intercept: mu.
        members: Their biases (p,) and features (p, rank).
        items: The movies' side of the model; the row of zeros at its end has no score.
    """
    movies = len(items.ids)
    sides = take_vectors(items, np.arange(movies))
    return np.array(
        [
            score_pairs(intercept, Vectors(np.full(movies, bias), np.broadcast_to(own, sides.features.shape)), sides)
            for bias, own in zip(members.bias, members.features, strict=True)
        ]
    ).reshape(len(members.bias), movies)


def group_scores(scores: np.ndarray) -> dict[str, np.ndarray]:
    """(m,) float64 for each of `METHODS`: what a group of p people thinks of m movies (Masthoff 2011).

        z_ui = (s_ui - mean of s_u) / sd of s_u
        mean: the mean of z_ui over the people; least misery: the lowest of them

    Scores are standardised over these movies, as those of people with many ratings may differ more than others'.

    Args:
        scores: (p, m), p at least 1; finite.
    """
    if not scores.shape[1]:
        return dict.fromkeys(METHODS, np.zeros(0))
    spread = scores.std(axis=1, keepdims=True)
    centred = scores - scores.mean(axis=1, keepdims=True)
    standardised = np.divide(centred, spread, out=np.zeros(scores.shape), where=spread > 0)
    return {"mean": standardised.mean(axis=0), "least_misery": standardised.min(axis=0)}
