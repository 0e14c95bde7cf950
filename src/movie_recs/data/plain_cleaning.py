"""Cleaning without Spark, of the rows that need no judgement: those whose fields are plainly written.

`cleaning` decides what a clean row is. A plain row is one that it would certainly keep, with the values that are found
here: digits without spaces or signs, a rating on the scale, a time in the data's unit. Every other row is left for the
next whole run, which judges it and says why it is bad. A test holds the values equal to those of `cleaning`.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from movie_recs.data.cleaning import IN_A_SECOND, LAST_SECOND
from movie_recs.data.id_numbers import IdTable
from movie_recs.data.interactions import NO_TIME
from movie_recs.data.scale import Scale
from movie_recs.data.sources.profile import OFF_STEP

RATING = r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$"
TIME = r"^[0-9]{1,18}$"
ISO = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?)?$"


class Ratings(NamedTuple):
    """Clean ratings as arrays.

    Args:
        users: (n,) int32 ids.
        movies: (n,) int32 ids.
        ratings: (n,) float32.
        times: (n,) int64 in microseconds; `NO_TIME` for a rating without one.
    """

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    times: np.ndarray

    def take(self, rows: np.ndarray) -> "Ratings":
        """Some of them, by row numbers or by an (n,) bool mask."""
        return Ratings(*(column[rows] for column in self))

    @classmethod
    def join(cls, parts: list["Ratings"]) -> "Ratings":
        """All ratings of all parts."""
        kinds = (np.int32, np.int32, np.float32, np.int64)
        nothing = cls(*(np.zeros(0, kind) for kind in kinds))
        return cls(*map(np.concatenate, zip(nothing, *parts, strict=True)))

    @classmethod
    def of_table(cls, table: pa.Table) -> "Ratings":
        """Those of (user_id, movie_id, rating, rated_at)."""
        times = table["rated_at"]
        micros = pc.fill_null(times.cast(pa.timestamp("us", times.type.tz)).cast(pa.int64()), NO_TIME)
        users, movies, ratings = (table[name].to_numpy() for name in ("user_id", "movie_id", "rating"))
        return cls(users, movies, ratings, micros.to_numpy())

    def to_table(self) -> pa.Table:
        """(user_id, movie_id, rating, rated_at), as Spark reads it."""
        times = pa.array(self.times, pa.int64(), mask=self.times == NO_TIME).cast(pa.timestamp("us", "UTC"))
        names = ("user_id", "movie_id", "rating")
        return pa.table({**dict(zip(names, self, strict=False)), "rated_at": times})


def plain_ratings(
    rows: pa.Table, time_unit: str | None, scale: Scale, users: IdTable, movies: IdTable
) -> tuple[Ratings, np.ndarray]:
    """The ratings of the plain rows, and which rows these are, (n,) bool.

    Args:
        rows: A batch of `PlainTable`.
        time_unit: Of the data's times.
        scale: Of the data's ratings.
        users: The users' ids; an unknown one gets a number.
        movies: The movies' ids; an unknown one gets a number where ids are text.
    """
    values = _numbers(rows["rating"], RATING, float)
    times, has_time = _times(rows["time"], time_unit)
    plain = users.are_plain(rows["user"]) & movies.are_plain(rows["item"]) & has_time & _is_on(scale, values)
    kept = rows.filter(pa.array(plain))
    ids = users.number(kept["user"]), movies.number(kept["item"])
    return Ratings(*ids, values[plain].astype(np.float32), times[plain]), plain


def _is_on(scale: Scale, ratings: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        inside = (ratings >= scale.least) & (ratings <= scale.most)
        if scale.step is None:
            return inside
        steps = (ratings - scale.least) / scale.step
        return inside & (np.abs(steps - np.round(steps)) < OFF_STEP)


def _numbers(texts: pa.ChunkedArray, pattern: str, kind: Any) -> np.ndarray:
    """(n,) of the type: the texts that match, NaN or -1 for others."""
    matches = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    nothing = "nan" if kind is float else "-1"
    written = pc.if_else(matches, texts, pa.scalar(nothing.encode(), pa.binary())).cast(pa.string())
    return written.cast(pa.float64() if kind is float else pa.int64()).to_numpy()


def _times(texts: pa.ChunkedArray, unit: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds, and where they are known to be right: a missing time is `NO_TIME`, and right."""
    missing = pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0).to_numpy(zero_copy_only=False)
    if unit == "iso":
        matches = pc.fill_null(pc.match_substring_regex(texts, ISO), False)
        written = pc.if_else(matches, texts, pa.scalar(b"", pa.binary())).cast(pa.string()).to_pandas()
        found = pd.to_datetime(written, format="ISO8601", errors="coerce")
        micros = found.astype("datetime64[us]").astype("int64").to_numpy()
        good = found.notna().to_numpy()
    else:
        in_a_second, written = IN_A_SECOND[unit or "seconds"], _numbers(texts, TIME, int)
        good = (written >= 0) & (written <= min(LAST_SECOND * in_a_second, 2**63 - 1))
        micros = np.where(good, written, 0)
        micros = micros * (10**6 // in_a_second) if in_a_second <= 10**6 else micros // (in_a_second // 10**6)
    return np.where(good & ~missing, micros, NO_TIME), good | missing
