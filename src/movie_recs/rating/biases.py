"""The baseline of the rating models: damped biases, and each user's taste for known movie features.

    r_ui ~ mu + b_u + b_i + w_u . f_i

    min  sum over rated (u, i) of (r_ui - mu - b_u - b_i - w_u . f_i)^2
         + user_damping  sum_u b_u^2               + taste_reg sum_u |w_u|^2
         + movie_damping sum_i (b_i - w . f_i)^2   + prior_reg |w|^2

mu is the mean train rating, f_i a movie's features (`features`), w the taste that all users share, which is part
of the movies' biases, and w_u the difference of a user's own taste from it (its mean over the users is kept at 0, which
moves the minimum by about prior_reg / (taste_reg users) of w). Without features it is the damped user-item baseline of
Funk 2006 and Koren, Bell & Volinsky 2009; movie biases that are shrunk towards a regression on features are Agarwal &
Chen's (2009, regression-based latent factor models). It is solved in turns: all users given the movies, block by block,
which gives sums by movie; then all movies given the users, in this process.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from movie_recs.als import kernels
from movie_recs.als.ridge import Ridge, Systems, sum_systems, with_ones
from movie_recs.data.block_types import Blocks, add_up
from movie_recs.data.interactions import Seen
from movie_recs.rating.parameters import BaselineParameters

TOLERANCE = 0.005  # stars: largest root mean square change of the movie biases, over ratings, in the last turn
MOST_TURNS = 20


class MovieSide(NamedTuple):
    """The movies' side of a fit, from which each user's bias and weights follow by a ridge regression.

    Args:
        parameters: Hyperparameters of the fit.
        intercept: mu.
        bias: (m,).
        features: (m, k).
        ratings: (m,), number of ratings in the fit.
    """

    parameters: BaselineParameters
    intercept: float
    bias: np.ndarray
    features: np.ndarray
    ratings: np.ndarray

    @property
    def ridge(self) -> Ridge:
        """The ridge regression that a user's bias and weights solve."""
        return Ridge(self.features.shape[1], self.parameters.taste_reg or 0.0, self.parameters.user_damping)


class UserSystems(NamedTuple):
    """The ratings of a block that a fit sees, and its users' normal equations for a column of ones and the features."""

    seen: Seen
    systems: Systems


class SolvedUsers(NamedTuple):
    """The solved users of a block, given the movies' side.

    Args:
        seen: Their ratings.
        weights: (u, 1 + k), the bias first.
    """

    seen: Seen
    weights: np.ndarray


class Baseline(NamedTuple):
    """A fit: the movies' side, and the users' side by block."""

    side: MovieSide
    users: Blocks[SolvedUsers]


class RatingCounts(NamedTuple):
    """Number of ratings by movie, (m,), and the sum of all stars, of the ratings that a fit sees."""

    by_movie: np.ndarray
    stars: float


def count_ratings(seen: Blocks[Seen]) -> RatingCounts:
    """The counts of all blocks."""
    counts = seen.collect(lambda block: RatingCounts(block.movie_counts, block.ratings.sum()))
    return RatingCounts(add_up(each.by_movie for each in counts), sum(each.stars for each in counts))


def prepare_users(seen: Blocks[Seen], features: np.ndarray) -> Blocks[UserSystems]:
    """The users' normal equations for the movies' features (m, k), the same for all hyperparameters."""
    return seen.map(partial(_sum_systems, with_ones(features)))


def fit_biases(
    users: Blocks[UserSystems], counts: RatingCounts, features: np.ndarray, parameters: BaselineParameters
) -> Baseline:
    """The baseline with these hyperparameters.

    Args:
        users: Result of `prepare_users`.
        counts: Counts of the same ratings.
        features: (m, k), the same as for `prepare_users`.
        parameters: Hyperparameters.
    """
    intercept = counts.stars / counts.by_movie.sum()
    side = MovieSide(parameters, intercept, np.zeros(len(counts.by_movie)), features, counts.by_movie)
    damped = users.map(partial(_damp, side.ridge))
    for _ in range(MOST_TURNS):
        sums = damped.collect(partial(_sum_by_movie, side))
        mean_weights = add_up(each.weights for each in sums) / sum(each.users for each in sums)
        residuals = add_up(each.by_movie for each in sums) + side.ratings * (side.features @ mean_weights)
        bias = _movie_biases(side, residuals)
        change = np.sqrt(side.ratings @ (bias - side.bias) ** 2 / side.ratings.sum())
        side = side._replace(bias=bias)
        if change <= TOLERANCE:
            break
    return Baseline(side, damped.map(partial(_solve, side)))


def score_pairs(side: MovieSide, solved: SolvedUsers, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
    """(n,): the scores in stars of pairs of a user of the block and a movie, given by their rows."""
    products = kernels.predict(users, movies, solved.weights, with_ones(side.features))
    return side.intercept + side.bias[movies] + products


def _sum_systems(features: np.ndarray, seen: Seen) -> UserSystems:
    return UserSystems(seen, sum_systems(seen.user_starts, seen.users, seen.movies, features))


def _damp(ridge: Ridge, users: UserSystems) -> UserSystems:
    return users._replace(systems=users.systems.damped(ridge))


def _solve(side: MovieSide, users: UserSystems) -> SolvedUsers:
    return SolvedUsers(users.seen, _solve_systems(side, users)[0])


def _solve_systems(side: MovieSide, users: UserSystems) -> tuple[np.ndarray, np.ndarray]:
    """The users' weights, (u, 1 + k), and the residual of each rating, (n,)."""
    return users.systems.solve(users.seen.ratings - side.intercept - side.bias[users.seen.movies])


class _Sums(NamedTuple):
    """Sums over the users of a block that have a rating.

    Args:
        by_movie: (m,), the ratings without mu and the users' part, summed by movie.
        weights: (k,), the sum of the users' weights.
        users: Number of these users.
    """

    by_movie: np.ndarray
    weights: np.ndarray
    users: int


def _sum_by_movie(side: MovieSide, users: UserSystems) -> _Sums:
    seen, (weights, residuals) = users.seen, _solve_systems(side, users)
    by_movie = np.bincount(seen.movies, residuals + side.bias[seen.movies], len(side.bias)).astype(float)
    rated = seen.rated_users
    return _Sums(by_movie, weights[rated, 1:].sum(axis=0), int(rated.sum()))


def _movie_biases(side: MovieSide, residuals: np.ndarray) -> np.ndarray:
    """b_i = (sum of its residuals + movie_damping w . f_i) / (number of ratings + movie_damping).

    With b_i eliminated, w is the ridge regression of the movies' mean residuals on their features, weighted by
    ratings * movie_damping / (ratings + movie_damping).

    Args:
        side: The movies' side.
        residuals: (m,), sums over a movie's ratings, without mu and the users' part.
    """
    damping, features, ratings = side.parameters.movie_damping, side.features, side.ratings
    shrink = damping / (ratings + damping)
    if not features.shape[1]:
        return residuals / (ratings + damping)
    gram = (features.T * (ratings * shrink)) @ features + (side.parameters.prior_reg or 0.0) * np.eye(features.shape[1])
    prior = features @ np.linalg.solve(gram, features.T @ (residuals * shrink))
    return (residuals + damping * prior) / (ratings + damping)
