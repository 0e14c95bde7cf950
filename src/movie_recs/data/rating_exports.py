"""Files of one person's ratings: GroupLens' own, and what IMDb and Letterboxd export."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from movie_recs.data.scale import Scale

LAST_SECOND = 9_223_372_036  # in 2262, the last time of pandas


class Layout(NamedTuple):
    """What the columns of a file are called.

    Args:
        whose: Who writes such files.
        rating: The rating.
        time: When it was given, seconds since 1970 or a date; a file may lack it.
        movie_id: The movie's id as the data has it; None if it has none.
        imdb: IMDb's id; None likewise.
        title: The title; None likewise.
        year: The year; None likewise.
        least: The lowest rating of the file's own scale; 0 if it has the scale of the data.
        most: The highest.
    """

    whose: str
    rating: str
    time: str
    movie_id: str | None = None
    imdb: str | None = None
    title: str | None = None
    year: str | None = None
    least: float = 0.0
    most: float | None = None

    @property
    def needed(self) -> list[str]:
        """The columns by which such a file is recognised."""
        named = (self.movie_id, self.imdb) if self.imdb else (self.movie_id, self.title, self.year)
        return [*filter(None, named), self.rating]

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        return [*filter(None, (self.movie_id, self.imdb, self.title, self.year)), self.rating, self.time]


GROUPLENS = Layout("GroupLens", "rating", "timestamp", movie_id="movieId")
IMDB = Layout("IMDb", "Your Rating", "Date Rated", imdb="Const", title="Title", year="Year", least=1, most=10)
LETTERBOXD = Layout("Letterboxd", "Rating", "Date", title="Name", year="Year", least=0.5, most=5)
LAYOUTS = (GROUPLENS, IMDB, LETTERBOXD)


def recognise(columns: Iterable[str]) -> Layout | None:
    """The layout of a file with these columns; None if it is none of them."""
    there = set(columns)
    return next((layout for layout in LAYOUTS if there.issuperset(layout.needed)), None)


def ratings_of(table: pd.DataFrame, layout: Layout, scale: Scale | None) -> pd.Series:
    """The ratings on the scale of the data, at a step of it; NaN for what is not on its own scale.

    Args:
        table: The columns of a file, all text.
        layout: Its layout.
        scale: The scale of the data; None for events, of which a rating is one.
    """
    given = pd.to_numeric(table[layout.rating], errors="coerce")
    if layout.most is None:
        return given.where(given.between(*((0.0, np.inf) if scale is None else (scale.least, scale.most))))
    if scale is None:
        return given.between(layout.least, layout.most).map({True: 1.0, False: np.nan})
    zero = min(scale.least, 0.0)
    own = (zero + given.where(given.between(layout.least, layout.most)) / layout.most * (scale.most - zero)).clip(
        lower=scale.least
    )
    if not scale.step:
        return own
    return (scale.least + np.floor((own - scale.least) / scale.step + 0.5) * scale.step).clip(upper=scale.most)


def seconds_of(table: pd.DataFrame, layout: Layout) -> pd.Series:
    """When each rating was given, in seconds; the order of the rows without such a column, NaN for what is no time."""
    if layout.time not in table:
        return pd.Series(np.arange(len(table), dtype=float), table.index)
    if layout is GROUPLENS:
        seconds = pd.to_numeric(table[layout.time], errors="coerce").fillna(0)
        return seconds.where(seconds.between(0, LAST_SECOND))
    days = pd.to_datetime(table[layout.time], format="%Y-%m-%d", errors="coerce")
    return ((days - pd.Timestamp(0)) / pd.Timedelta(seconds=1)).clip(lower=0).fillna(0)
