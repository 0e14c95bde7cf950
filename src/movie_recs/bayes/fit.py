"""The fit of the Bayesian factorisation: users and movies in turns, each side's posterior given the other's.

    r_ui ~ N(mu + b_i + b_u + w_u . f_i + p_u . q_i, 1 / tau_u)
    (b_u, w_u, p_u) ~ N(B^T g_u, P^-1),    (b_i, q_i) ~ N(C^T (1, f_i), Q^-1),    tau_u ~ Gamma(SHAPE, rate)

f_i are the movie's features, g_u what follows from which movies she rated (`rule`). It is Bayesian probabilistic matrix
factorisation (Salakhutdinov & Mnih 2008) with side information (Adams, Dahl & Murray 2010) and a noise of each user's
own. Its posterior is approximated by independent normal distributions of users and movies (variational Bayes; Lim & Teh
2007), not by samples: as good on MovieLens, and the means of the two sides are the model, in so many factors.
P, B, Q, C and the rate are set to their most likely or mean values after each turn.

A turn is one pass over the blocks, which returns sums by movie; the movies and the priors follow in this process.
"""

import math
from collections.abc import Iterable, Iterator
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from movie_recs.bayes import kernels
from movie_recs.bayes.parameters import BayesParameters
from movie_recs.bayes.prior import STRENGTH, Moments, first_prior, learn_prior
from movie_recs.bayes.rule import Matrix, PosteriorRule, Posteriors, with_ones
from movie_recs.bayes.turn import SHAPE, State, Sums, add_sums, prepare, turn
from movie_recs.data.block_types import Blocks, add_up
from movie_recs.data.interactions import Seen

# Variances before any data, as shares of the ratings' variance; those of factors are in the product of both sides.
USER_BIAS, TASTE, MOVIE_BIAS, FACTORS, NOISE = 0.3, 0.03, 0.1, 0.1, 0.7
MOVIE_STRENGTH = STRENGTH / 3


class BayesFit(NamedTuple):
    """A fit.

    Args:
        intercept: mu.
        bias: (m,), the movies' biases.
        features: (m, k + rank), their features, then their factors.
        rule: How a user's vector follows from her ratings.
    """

    intercept: float
    bias: np.ndarray
    features: np.ndarray
    rule: PosteriorRule


def fit_bayes(
    seen: Blocks[Seen], features: np.ndarray, parameters: BayesParameters, iterations: Iterable[int], seed: int
) -> Iterator[BayesFit]:
    """The fit after each of these numbers of turns.

    Args:
        seen: Ratings.
        features: (m, k), the movies' features.
        parameters: The rank.
        iterations: Ascending.
        seed: Seed of the initial factors.

    Raises:
        ArithmeticError: A covariance is singular.
    """
    totals = _Totals(*(sum(each) for each in zip(*seen.collect(_count), strict=True)))
    rated = add_up(seen.collect(lambda block: block.movie_counts))
    known, centre = with_ones(features), math.log(totals.ratings / totals.users)
    users = seen.map(partial(prepare, known, centre))
    fixed = _Fixed(
        totals.users,
        rated,
        add_up(users.collect(lambda block: block.regressors.T @ block.regressors)),
        known[rated > 0].T @ known[rated > 0],
        _Variances.of(totals.variance, features.shape[1], parameters.rank),
    )
    state = _first_state(totals, known, fixed.variances, len(seen.user_ids), seed)
    done = 0
    for number in iterations:
        for _ in range(done, number):
            turns = users.collect(partial(turn, state))
            sums = reduce(add_sums, (each.sums for each in turns))
            state = _next_state(fixed, state, sums)._replace(taus=np.concatenate([each.taus for each in turns]))
        done = number
        yield _finish(state, rated, centre)


def solve_users(fit: BayesFit, seen: Seen) -> Posteriors:
    """The posteriors of a block's users, the same as by the rule; zeros for a user without ratings."""
    targets = seen.ratings - fit.intercept - fit.bias[seen.movies]
    return fit.rule.posteriors(seen.user_starts, seen.movies, targets, with_ones(fit.features))


class _Totals(NamedTuple):
    """Number of ratings, of users with a rating, the sum of the stars, and of their squares."""

    ratings: int
    users: int
    stars: float
    squares: float

    @property
    def variance(self) -> float:
        return max(self.squares / self.ratings - (self.stars / self.ratings) ** 2, 1e-6)


def _count(seen: Seen) -> _Totals:
    return _Totals(len(seen.ratings), int(seen.rated_users.sum()), seen.ratings.sum(), (seen.ratings**2).sum())


class _Variances(NamedTuple):
    """The variances of users' and of movies' vectors before any data, and the noise's."""

    users: np.ndarray
    movies: np.ndarray
    noise: float

    @classmethod
    def of(cls, variance: float, features: int, rank: int) -> "_Variances":
        factor = math.sqrt(FACTORS / rank)
        users = variance * np.array([USER_BIAS, *[TASTE] * features, *[factor] * rank])
        return cls(users, np.array([MOVIE_BIAS * variance, *[factor] * rank]), NOISE * variance)


class _Fixed(NamedTuple):
    """What no turn changes.

    Args:
        users: Number of users with a rating.
        rated: (m,), number of ratings by movie.
        user_gram: G^T G of the users with a rating.
        movie_gram: The same of (1, features) of the movies with one.
        variances: Before any data.
    """

    users: int
    rated: np.ndarray
    user_gram: np.ndarray
    movie_gram: np.ndarray
    variances: _Variances


def _first_state(totals: _Totals, known: np.ndarray, variances: _Variances, users: int, seed: int) -> State:
    (movies, columns), rank = known.shape, len(variances.movies) - 1
    means = np.zeros((movies, 1 + rank))
    draws = np.random.default_rng([seed % 2**64, rank]).standard_normal((movies, rank))
    means[:, 1:] = np.sqrt(variances.movies[1:]) * draws
    return State(
        totals.stars / totals.ratings,
        known,
        means,
        np.zeros((movies, (1 + rank) * (2 + rank) // 2)),
        first_prior(variances.users, columns + 1),
        first_prior(variances.movies, columns),
        SHAPE * variances.noise,
        np.full(users, 1 / variances.noise),
    )


def _next_state(fixed: _Fixed, state: State, sums: Sums) -> State:
    """The movies given the users, then both priors and the noise given all; the users' tau stays as it is."""
    users, is_rated = Moments(fixed.users, sums.cross, sums.second), fixed.rated > 0
    user_prior = learn_prior(users, fixed.user_gram, fixed.variances.users, STRENGTH)
    means, covariances = np.empty_like(state.means), np.empty_like(state.covariances)
    pulls = state.movies.pulls(state.known)
    kernels.update_movies(sums.moments, sums.products, state.movies.precision, pulls, means, covariances)
    if not (np.isfinite(means).all() and np.isfinite(user_prior.precision).all()):
        raise ArithmeticError("a covariance of the Bayesian factorisation is singular: lower the rank")
    own = means[is_rated]
    second = own.T @ own + _square(covariances[is_rated].sum(axis=0))
    movies = Moments(len(own), state.known[is_rated].T @ own, second)
    movie_prior = learn_prior(movies, fixed.movie_gram, fixed.variances.movies, MOVIE_STRENGTH)
    rate = SHAPE * fixed.users / sums.tau
    return state._replace(means=means, covariances=covariances, users=user_prior, movies=movie_prior, rate=rate)


def _finish(state: State, rated: np.ndarray, centre: float) -> BayesFit:
    known, means = state.known, state.means
    spread = _square(rated @ state.covariances / rated.sum())
    precision, weights, covariance = (_nested(each) for each in (state.users.precision, state.users.weights, spread))
    rule = PosteriorRule(
        features=known.shape[1] - 1,
        rank=means.shape[1] - 1,
        precision=precision,
        weights=weights,
        spread=covariance,
        centre=centre,
        shape=SHAPE,
        rate=float(state.rate),
    )
    return BayesFit(float(state.intercept), means[:, 0], np.hstack([known[:, 1:], means[:, 1:]]), rule)


def _square(lower: np.ndarray) -> np.ndarray:
    """The symmetric matrix of a lower triangle, given row after row."""
    size = math.isqrt(2 * len(lower))
    matrix = np.zeros((size, size))
    matrix[np.tril_indices(size)] = lower
    return matrix + np.tril(matrix, -1).T


def _nested(matrix: np.ndarray) -> Matrix:
    return tuple(tuple(row) for row in matrix.tolist())
