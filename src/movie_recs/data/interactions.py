"""Ratings as arrays: the input of every formula of the engine."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

NO_FOLD = -1  # no fold is held out
NO_TIME = -(2**63)  # the time of a rating without one, which counts as the oldest


class Interactions(NamedTuple):
    """The ratings of whole users, by user, then by movie.

    Args:
        users: (n,) int32, rows of `user_ids`.
        movies: (n,) int32, rows of `movie_ids`; `len(movie_ids)` for a movie that is not among them.
        ratings: (n,) float32 in stars.
        folds: (n,) int16.
        times: (n,) int64 in microseconds; `NO_TIME` for a rating without one.
        user_ids: (u,) int32, ascending.
        movie_ids: (m,) int32, ascending: the whole catalogue, the same for every block.
        first_user: Number of users in the blocks before this one.
    """

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    folds: np.ndarray
    times: np.ndarray
    user_ids: np.ndarray
    movie_ids: np.ndarray
    first_user: int = 0


class Seen(NamedTuple):
    """The ratings that a fit may use, by user and by movie.

    Args:
        users: (n,) int32, by user, then by movie.
        movies: (n,) int32.
        ratings: (n,) float64 in stars.
        user_starts: (users + 1,), where each user's ratings begin.
        by_movie: (n,) int32, the rows by movie, then by user.
        movie_starts: (movies + 1,), where each movie's ratings begin in `by_movie`.
        user_ids: As in `Interactions`.
        movie_ids: As in `Interactions`.
        first_user: As in `Interactions`.
    """

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    user_starts: np.ndarray
    by_movie: np.ndarray
    movie_starts: np.ndarray
    user_ids: np.ndarray
    movie_ids: np.ndarray
    first_user: int

    @property
    def movie_counts(self) -> np.ndarray:
        """(movies,) float64: number of ratings of each."""
        return np.diff(self.movie_starts).astype(float)

    @property
    def rated_users(self) -> np.ndarray:
        """(users,) bool: True where the user has a rating."""
        return np.diff(self.user_starts) > 0


def read_interactions(table: pa.Table, movie_ids: np.ndarray, first_user: int = 0) -> Interactions:
    """The ratings of whole users as arrays, in an order that does not depend on that of the rows.

    Args:
        table: The columns of `spark_interactions.interaction_columns`, in any order of rows.
        movie_ids: (m,) ascending.
        first_user: Number of users in the blocks before this one.
    """
    user_column, movie_column, ratings, folds, times = (
        table[name].to_numpy() for name in ("user_id", "movie_id", "rating", "fold", "time")
    )
    user_ids, users = np.unique(user_column, return_inverse=True)
    users, movies = users.astype(np.int32), rows_of(movie_column, movie_ids).astype(np.int32)
    by_movie = group_rows(movies, len(movie_ids) + 1)[1]
    order = by_movie[group_rows(users[by_movie], len(user_ids))[1]]
    return Interactions(
        users[order], movies[order], ratings[order], folds[order], times[order], user_ids, movie_ids, first_user
    )


def rows_of(ids: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(n,): the position of each id in `known`, which is ascending; `len(known)` for an unknown id."""
    rows = np.searchsorted(known, ids)
    return np.where(np.append(known, -1)[rows] == ids, rows, len(known))


def starts_of(users: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,): where the ratings of each of `count` users start among these rows of users, (n,) ascending."""
    return np.searchsorted(users, np.arange(count + 1, dtype=np.int32))


def outside(fold: int, interactions: Interactions) -> Interactions:
    """The ratings of all other folds."""
    return take(interactions, interactions.folds != fold)


def compact(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` rows occur, (count,) bool, and the place of each of these rows, (n,) int32, among them."""
    occurs = np.zeros(count, bool)
    occurs[rows] = True
    return occurs, (np.cumsum(occurs, dtype=np.int32) - np.int32(1))[rows]


def select_seen(interactions: Interactions, held_out: int = NO_FOLD) -> Seen:
    """The ratings outside the held-out fold, or all of them."""
    rows = np.flatnonzero(interactions.folds != held_out)
    users, movies = interactions.users[rows], interactions.movies[rows]
    user_starts = starts_of(users, len(interactions.user_ids))
    movie_starts, by_movie = group_rows(movies, len(interactions.movie_ids))
    return Seen(
        users,
        movies,
        interactions.ratings[rows].astype(float),
        user_starts,
        by_movie.astype(np.int32),
        movie_starts,
        interactions.user_ids,
        interactions.movie_ids,
        interactions.first_user,
    )


def take(interactions: Interactions, rows: np.ndarray) -> Interactions:
    """Some rows of the interactions; users without any of them stay in `user_ids`.

    Args:
        interactions: The ratings.
        rows: (k,) row numbers, ascending, or an (n,) bool mask.
    """
    return interactions._replace(
        users=interactions.users[rows],
        movies=interactions.movies[rows],
        ratings=interactions.ratings[rows],
        folds=interactions.folds[rows],
        times=interactions.times[rows],
    )


def take_users(interactions: Interactions, rows: np.ndarray) -> Interactions:
    """The ratings of some users, the only ones in `user_ids`; `first_user` no longer means anything.

    Args:
        interactions: The ratings.
        rows: (k,) rows of `user_ids`, ascending.
    """
    places = np.full(len(interactions.user_ids), -1, np.int32)
    places[rows] = np.arange(len(rows), dtype=np.int32)
    own = take(interactions, places[interactions.users] >= 0)
    return own._replace(users=places[own.users], user_ids=interactions.user_ids[rows])


def users_apart(interactions: Interactions) -> Iterator[Interactions]:
    """Each user's ratings by themselves, in the order of `user_ids`; views, nothing is copied."""
    starts = starts_of(interactions.users, len(interactions.user_ids))
    zeros = np.zeros(np.diff(starts).max(initial=0), np.int32)
    for place, (first, last) in enumerate(pairwise(starts.tolist())):
        yield interactions._replace(
            users=zeros[: last - first],
            movies=interactions.movies[first:last],
            ratings=interactions.ratings[first:last],
            folds=interactions.folds[first:last],
            times=interactions.times[first:last],
            user_ids=interactions.user_ids[place : place + 1],
        )


def is_in_sample(ids: np.ndarray, share: float, seed: int) -> np.ndarray:
    """(n,) bool: True for about this share of the ids; which ones depends on nothing but the id and the seed.

    An id is hashed by SplitMix64 (Steele, Lea & Flood 2014).
    """
    with np.errstate(over="ignore"):
        bits = (ids.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits ^= bits >> np.uint64(31)
    return bits >> np.uint64(11) < share * 2.0**53


# It calls no function of als/kernels.py: Numba's cache would not notice their changes from another file.
@njit(cache=True, nogil=True, error_model="numpy")
def group_rows(keys: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each group starts, (groups + 1,), and the rows by ascending key, (n,) int64, a stable sort.

    Args:
        keys: (n,) integers from 0 to groups - 1.
        groups: Number of groups.
    """
    starts = np.zeros(groups + 1, np.int64)
    for key in keys:
        starts[key + 1] += 1
    for group in range(groups):
        starts[group + 1] += starts[group]
    place = starts[:-1].copy()
    rows = np.empty(len(keys), np.int64)
    for row in range(len(keys)):
        key = keys[row]
        rows[place[key]] = row
        place[key] += 1
    return starts, rows
