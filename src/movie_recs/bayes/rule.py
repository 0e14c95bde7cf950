"""A user's vector from her ratings: the mean of her posterior, the movies' side and the priors being fixed.

With x_j = (1, features, factors) of rated movie j, y_j her rating minus the intercept and the movie's bias, g the mean
over her ratings of (1, features) with log n - centre at the end, T the covariance of a movie's (bias, factors) in the
mean over all ratings, and t_b its column for the bias,

    S = (P + tau sum_j (x_j x_j^T + T))^-1,    z = S (P B^T g + tau sum_j (x_j y_j - t_b))

1 / tau is the variance of her own noise: the mean of its posterior given z, and z are found in turns until they settle.
That is the user's step of variational Bayes for matrix factorisation (Lim & Teh 2007), which T distinguishes from a
ridge regression: factors of movies with few ratings are not taken for exact.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from movie_recs.bayes import kernels
from movie_recs.data.interactions import Interactions, starts_of, take
from movie_recs.model.factor_model import Arrays, Contributions, Explainer, Folder, Vectors

TOLERANCE = 1e-4  # relative change of tau at which a user is settled

Matrix = tuple[tuple[float, ...], ...]


class Posteriors(NamedTuple):
    """Some users' posteriors: `means`, (u, 1 + features + rank), and `taus`, (u,), 1 / variance of their noise."""

    means: np.ndarray
    taus: np.ndarray


class _Matrices(NamedTuple):
    """The matrices of a rule as arrays: T, P and B P."""

    spread: np.ndarray
    precision: np.ndarray
    effects: np.ndarray


class PosteriorRule(NamedTuple):
    """A `Rule` by which a user's vector is the mean of her posterior.

    Args:
        features: Number of features that are known exactly.
        rank: Number of factors.
        precision: P, of the users' prior, (1 + features + rank) squared.
        weights: B, of the same, (2 + features, 1 + features + rank).
        spread: T, (1 + rank) squared.
        centre: Mean of log n, about which g has it.
        shape: Of the Gamma prior of tau.
        rate: Of the same.
    """

    features: int
    rank: int
    precision: Matrix
    weights: Matrix
    spread: Matrix
    centre: float
    shape: float
    rate: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """See `Rule`: one part."""
        return (self.features + self.rank,)

    def posteriors(
        self, starts: np.ndarray, movies: np.ndarray, targets: np.ndarray, vectors: np.ndarray
    ) -> Posteriors:
        """The posteriors of users whose ratings begin at `starts`, (u + 1,).

        Args:
            starts: (u + 1,).
            movies: (n,), rows of `vectors`.
            targets: (n,) float64, y.
            vectors: (m, 1 + features + rank) float64, x.
        """
        return self._settle(self._matrices(), starts, movies, targets, vectors)

    def folder(self, items: Arrays, intercept: float) -> Folder:
        """See `Rule`."""
        return partial(self._vectors, self._matrices(), items, intercept, with_ones(items.features))

    def user_vectors(self, ratings: Interactions, items: Arrays, intercept: float) -> Vectors:
        """See `Rule`."""
        return self.folder(items, intercept)(ratings)

    def explainer(self, items: Arrays, intercept: float) -> Explainer:
        """See `Rule`."""
        return partial(self._contributions, self._matrices(), items, intercept, with_ones(items.features))

    def _vectors(
        self, matrices: "_Matrices", items: Arrays, intercept: float, vectors: np.ndarray, ratings: Interactions
    ) -> Vectors:
        known, targets = _known(ratings, items, intercept)
        starts = starts_of(known.users, len(known.user_ids))
        means = self._settle(matrices, starts, known.movies, targets, vectors).means
        return Vectors(means[:, 0], means[:, 1:])

    def _matrices(self) -> "_Matrices":
        precision = np.array(self.precision)
        return _Matrices(np.array(self.spread), precision, np.array(self.weights) @ precision)

    def _settle(
        self,
        matrices: "_Matrices",
        starts: np.ndarray,
        movies: np.ndarray,
        targets: np.ndarray,
        vectors: np.ndarray,
    ) -> Posteriors:
        own = regressors(starts, movies, vectors[:, : 1 + self.features], self.centre)
        means, taus = np.zeros((len(starts) - 1, len(matrices.precision))), np.zeros(len(starts) - 1)
        prior = matrices.spread, matrices.precision, own, matrices.effects, self.shape, self.rate
        kernels.settle_users(starts, movies, targets, vectors, *prior, TOLERANCE, means, taus)
        return Posteriors(means, taus)

    def _contributions(
        self,
        matrices: "_Matrices",
        items: Arrays,
        intercept: float,
        vectors: np.ndarray,
        ratings: Interactions,
        asked: np.ndarray,
    ) -> Contributions:
        """See `Explainer`.

        With n ratings, g_j = (1, features of movie j, log n - centre) and x_i of the movie to explain, exactly

            b_u + p_u . q_i = sum over j of x_i^T S (P B^T g_j / n + tau (x_j y_j - t_b))
        """
        known, targets = _known(ratings, items, intercept)
        number = len(targets)
        if not number:
            return Contributions(known.movies, np.zeros((len(asked), 0)))
        tau = self._settle(matrices, np.array([0, number]), known.movies, targets, vectors).taus[0]
        (spread, precision, effects), own = matrices, vectors[known.movies]
        is_factor, factors = np.s_[1 + self.features :], np.s_[1:]
        system, terms = precision + tau * own.T @ own, tau * own * targets[:, None]
        system[is_factor, is_factor] += tau * number * spread[factors, factors]
        terms[:, is_factor] -= tau * spread[factors, 0]
        each = np.column_stack([own[:, : 1 + self.features], np.full(number, np.log(number) - self.centre)])
        terms += each @ effects / number
        return Contributions(known.movies, vectors[asked] @ np.linalg.solve(system, terms.T))


def with_ones(features: np.ndarray) -> np.ndarray:
    """(m, 1 + k) float64: a column of ones first, whose weight is the user's bias."""
    return np.hstack([np.ones((len(features), 1)), features.astype(float)])


def regressors(starts: np.ndarray, movies: np.ndarray, known: np.ndarray, centre: float) -> np.ndarray:
    """(u, c + 1): g of each user; zeros without ratings.

    Args:
        starts: (u + 1,), where each user's ratings begin.
        movies: (n,), rows of `known`.
        known: (m, c), the movies' (1, features).
        centre: See `PosteriorRule`.
    """
    counts = np.diff(starts)
    means = kernels.sum_rows(starts, movies, known) / np.maximum(counts, 1)[:, None]
    logs = np.where(counts > 0, np.log(np.maximum(counts, 1)) - centre, 0.0)
    return np.column_stack([means, logs])


def _known(ratings: Interactions, items: Arrays, intercept: float) -> tuple[Interactions, np.ndarray]:
    """Her ratings of known movies, and y of each."""
    known = take(ratings, ratings.movies < len(items.ids))
    return known, known.ratings.astype(float) - intercept - items.bias[known.movies]
