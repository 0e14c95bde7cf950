"""A turn's pass over a block: its users' posteriors given the movies', and what movies and priors need of them."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from movie_recs.bayes import kernels
from movie_recs.bayes.prior import Prior
from movie_recs.bayes.rule import regressors
from movie_recs.data.block_types import add_up
from movie_recs.data.interactions import Seen
from movie_recs.threads import in_threads

SHAPE = 48.0  # of tau's prior: about twice as many ratings at the mean noise, added to each user's own
PARTS = 4  # of a block, each a thread at most; a constant, so that all machines sum in the same order


class State(NamedTuple):
    """What a turn starts from.

    Args:
        intercept: mu.
        known: (m, 1 + k), the movies' (1, features).
        means: (m, 1 + rank), of the movies' posteriors.
        covariances: Of the same, as lower triangles.
        users: The users' prior.
        movies: The movies' prior.
        rate: Of the prior of tau.
        taus: (all users,), the mean of each user's tau.
    """

    intercept: float
    known: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    users: Prior
    movies: Prior
    rate: float
    taus: np.ndarray

    @property
    def vectors(self) -> np.ndarray:
        """(m, 1 + k + rank), the movies' x."""
        return np.hstack([self.known, self.means[:, 1:]])


class UserBlock(NamedTuple):
    """A block's ratings, its users' regressors g, (u, g), and the Gram matrices of what is known of their movies."""

    seen: Seen
    regressors: np.ndarray
    grams: np.ndarray


class Sums(NamedTuple):
    """What a turn needs of the users, added up over them.

    Args:
        moments: By movie; see `kernels.update_users`.
        products: By movie; see there.
        second: Of the users' posteriors; see there.
        cross: G^T Z.
        tau: The sum of tau over users with a rating.
    """

    moments: np.ndarray
    products: np.ndarray
    second: np.ndarray
    cross: np.ndarray
    tau: float


class Turn(NamedTuple):
    """A block's part of a turn: its sums, and the new tau of each of its users, (u,)."""

    sums: Sums
    taus: np.ndarray


def prepare(known: np.ndarray, centre: float, seen: Seen) -> UserBlock:
    """What no turn changes.

    Args:
        known: (m, 1 + k), the movies' (1, features).
        centre: See `PosteriorRule`.
        seen: The block's ratings.
    """
    own = regressors(seen.user_starts, seen.movies, known, centre)
    return UserBlock(seen, own, kernels.sum_grams(seen.user_starts, seen.movies, known))


def turn(state: State, users: UserBlock) -> Turn:
    """The block's part of a turn, on all cores, the same whatever their number."""
    seen, first = users.seen, users.seen.first_user
    taus = state.taus[first : first + len(seen.user_ids)].copy()
    solved = np.zeros((len(taus), len(state.users.precision)))
    targets, pulls, vectors = seen.ratings - state.intercept, state.users.pulls(users.regressors), state.vectors

    def solve_some(part: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        own = slice(*part)
        sums = np.zeros_like(state.covariances), np.zeros_like(state.means), np.zeros_like(state.users.precision)
        ratings = seen.user_starts[part[0] : part[1] + 1], seen.movies, targets, users.grams[own]
        prior = state.users.precision, pulls[own], taus[own], SHAPE, state.rate
        kernels.update_users(*ratings, vectors, state.means, state.covariances, *prior, solved[own], *sums)
        return sums

    edges = np.searchsorted(seen.user_starts, np.linspace(0, seen.user_starts[-1], PARTS + 1)[1:-1])
    parts = in_threads(solve_some, pairwise([0, *edges.tolist(), len(taus)]))
    moments, products, second = (add_up(each) for each in zip(*parts, strict=True))
    sums = Sums(moments, products, second, users.regressors.T @ solved, float(taus[seen.rated_users].sum()))
    return Turn(sums, taus)


def add_sums(one: Sums, other: Sums) -> Sums:
    """The sums of both."""
    return Sums(
        one.moments + other.moments,
        one.products + other.products,
        one.second + other.second,
        one.cross + other.cross,
        one.tau + other.tau,
    )
