"""Every user's ratings, found at once: the table of ratings grouped by user, 16 bytes a rating."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.data.interactions import NO_TIME, group_rows, rows_of
from movie_recs.serve.spill import spilled

ROWS_AT_A_TIME = 2**20
LARGEST_IN_TABLE = 2**24  # an id, of a table of 64 MB at most


class Histories(NamedTuple):
    """The ratings of all users.

    Args:
        user_ids: (u,) int32, ascending.
        starts: (u + 1,), where each user's ratings start.
        movies: (n,) int32, movie ids.
        ratings: (n,) float32.
        times: (n,) int64, microseconds.
    """

    user_ids: np.ndarray
    starts: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    times: np.ndarray

    def of(self, user_id: int) -> pa.Table:
        """The ratings of a user, as `interactions.read_interactions` reads them; without rows for an unknown one."""
        place = int(np.searchsorted(self.user_ids, user_id))
        if place == len(self.user_ids) or self.user_ids[place] != user_id:
            return rating_rows(user_id, *(np.zeros(0, kind) for kind in (np.int32, np.float32, np.int64)))
        own = slice(self.starts[place], self.starts[place + 1])
        return rating_rows(user_id, self.movies[own], self.ratings[own], self.times[own])

    def counts(self, movie_ids: np.ndarray) -> np.ndarray:
        """(m,) int64: number of ratings of each movie, these ids being ascending."""
        counts, row_of = np.zeros(len(movie_ids) + 1, np.int64), _rows(movie_ids)
        for start in range(0, len(self.movies), ROWS_AT_A_TIME):
            counts += np.bincount(row_of(self.movies[start : start + ROWS_AT_A_TIME]), minlength=len(counts))
        return counts[:-1]

    def sums(self, movie_ids: np.ndarray) -> np.ndarray:
        """(m,) float64: the sum of the ratings of each movie, these ids being ascending."""
        sums, row_of = np.zeros(len(movie_ids) + 1), _rows(movie_ids)
        for start in range(0, len(self.movies), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            sums += np.bincount(row_of(self.movies[rows]), self.ratings[rows], len(sums))
        return sums[:-1]


def rating_rows(user_id: int, movies: np.ndarray, ratings: np.ndarray, times: np.ndarray) -> pa.Table:
    """One user's ratings as the table (user_id, movie_id, rating, fold, time)."""
    users, folds = np.full(len(movies), user_id, np.int32), np.zeros(len(movies), np.int16)
    columns = {"user_id": users, "movie_id": movies, "rating": ratings, "fold": folds, "time": times}
    return pa.table(columns)


def read_histories(files: Sequence[Path]) -> Histories:
    """The histories in the Parquet files (user_id, movie_id, rating, rated_at), which may be in any order.

    The files are read twice, a batch at a time: to count each user's ratings, and to put them in their places.
    """
    parts = [np.unique(batch["user_id"].to_numpy(), return_counts=True) for batch in _batches(files, ["user_id"])]
    found = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.zeros(0, np.int32)] * 2
    user_ids, owners = np.unique(found[0], return_inverse=True)
    counts = np.bincount(owners, found[1], len(user_ids)).astype(np.int64)
    starts = np.append(0, np.cumsum(counts))
    total, free, row_of = int(starts[-1]), starts[:-1].copy(), _rows(user_ids)
    movies, ratings, times = spilled((total,), np.int32), spilled((total,), np.float32), spilled((total,), np.int64)
    for batch in _batches(files, ["user_id", "movie_id", "rating", "rated_at"]):
        users = row_of(batch["user_id"].to_numpy())
        first, order = group_rows(users, len(user_ids))
        grouped = users[order]
        places = free[grouped] + np.arange(len(order)) - first[grouped]
        free += np.diff(first)
        movies[places] = batch["movie_id"].to_numpy()[order]
        ratings[places] = batch["rating"].to_numpy()[order]
        times[places] = _microseconds(batch["rated_at"])[order]
    return Histories(user_ids.astype(np.int32), starts, movies, ratings, times)


def _batches(files: Sequence[Path], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for file in files:
        with pq.ParquetFile(file, coerce_int96_timestamp_unit="us") as table:
            yield from table.iter_batches(ROWS_AT_A_TIME, columns=columns)


def _rows(ids: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """`interactions.rows_of` for many ids: by a table, seventy times as fast, unless its size would be absurd."""
    if not len(ids) or ids[-1] > LARGEST_IN_TABLE:
        return partial(rows_of, known=ids)
    table = np.full(int(ids[-1]) + 2, len(ids), np.int32)
    table[ids] = np.arange(len(ids), dtype=np.int32)
    return lambda wanted: table[np.minimum(wanted, len(table) - 1)]


def _microseconds(times: pa.Array) -> np.ndarray:
    whole = times.cast(pa.timestamp("us", times.type.tz)).cast(pa.int64())
    return whole.fill_null(NO_TIME).to_numpy()
