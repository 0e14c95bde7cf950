"""New ratings beside known ones: of several ratings of a movie by a user the latest counts, as in `cleaning`."""

from typing import NamedTuple

import numpy as np

from movie_recs.data.plain_cleaning import Ratings


class Merged(NamedTuple):
    """The clean ratings with the new ones.

    Args:
        ratings: All of them: the known ones in their places, then those of new pairs of user and movie.
        is_new: (n,) bool, which of them are new or changed.
        vanished: How many known ratings the whole table that was read no longer has; they stay.
    """

    ratings: Ratings
    is_new: np.ndarray
    vanished: int


class Merger:
    """Takes rows batch after batch, and keeps those that change what is known.

    Args:
        known: The clean ratings, each pair of user and movie once.
        is_whole: Whether the rows are a whole table, in which known ratings should be again; else they are new ones.
    """

    def __init__(self, known: Ratings, is_whole: bool):
        self._known, self._is_whole = known, is_whole
        keys = _keys(known)
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        self._is_seen = np.full(len(keys), not is_whole)
        self._parts: list[Ratings] = []

    def add(self, ratings: Ratings) -> None:
        """More rows."""
        rows, is_known = self._find(ratings)
        is_same = is_known.copy()
        for own, other in ((ratings.ratings, self._known.ratings), (ratings.times, self._known.times)):
            is_same[is_known] &= own[is_known] == other[rows[is_known]]
        self._is_seen[rows[is_same]] = True
        self._parts.append(ratings.take(~is_same))

    def merge(self) -> Merged:
        """What is known after all rows."""
        found = _latest(Ratings.join(self._parts))
        rows, is_known = self._find(found)
        own = self._known.take(rows[is_known])
        is_later = np.ones(len(rows), bool)
        is_later[is_known] = _is_later(found.take(is_known), own) | ~self._is_seen[rows[is_known]]
        changed, added = found.take(is_later & is_known), found.take(is_later & ~is_known)
        places, count = rows[is_later & is_known], len(self._known.users)
        columns = []
        for known, new, more in zip(self._known, changed, added, strict=True):
            column = np.concatenate([known, more])
            column[places] = new
            columns.append(column)
        is_new = np.arange(count + len(added.users)) >= count
        is_new[places] = True
        vanished = int((~self._is_seen).sum()) - int((~self._is_seen[places]).sum())
        return Merged(Ratings(*columns), is_new, vanished)

    def _find(self, ratings: Ratings) -> tuple[np.ndarray, np.ndarray]:
        """The row of each pair among the known ratings, and which pairs are known."""
        keys = _keys(ratings)
        places = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        if not len(self._keys):
            return places, np.zeros(len(keys), bool)
        return self._order[places], self._keys[places] == keys


def _keys(ratings: Ratings) -> np.ndarray:
    return ratings.users.astype(np.int64) << 32 | ratings.movies


def _latest(ratings: Ratings) -> Ratings:
    """The latest rating of each pair; of the same time, the highest."""
    keys = _keys(ratings)
    order = np.lexsort((-ratings.ratings, ~ratings.times, keys))  # ~ turns integers around without overflow
    first = np.append(True, np.diff(keys[order]) != 0)[: len(order)]
    return ratings.take(np.sort(order[first]))


def _is_later(ratings: Ratings, others: Ratings) -> np.ndarray:
    is_higher = (ratings.times == others.times) & (ratings.ratings > others.ratings)
    return (ratings.times > others.times) | is_higher
