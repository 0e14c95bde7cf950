"""Movies by what files of ratings hold: an id, IMDb's, or a title and a year. Nothing is guessed."""

from functools import cached_property
from typing import NamedTuple

import pandas as pd

from movie_recs.data.titles import display_title, names_of, search_key

LONGEST_IMDB = 12  # digits of an IMDb id


class Found(NamedTuple):
    """A movie's number, or None and the reason."""

    movie_id: int | None
    reason: str = ""


class ExactFinder:
    """Finds movies; a title counts with its year alone, and in the forms of `names_of`.

    Args:
        movies: (movie_id, original: the id as the data has it, title, year, and imdb_id where it is known).
    """

    def __init__(self, movies: pd.DataFrame):
        self._movies = movies

    @cached_property
    def _by_id(self) -> dict[str, int]:
        return dict(zip(self._movies["original"].astype(str), self._movies["movie_id"].tolist(), strict=True))

    @cached_property
    def by_imdb(self) -> dict[int, list[int]]:
        """The movies of each IMDb id."""
        found: dict[int, list[int]] = {}
        for movie_id, imdb in zip(self._movies["movie_id"].tolist(), self._imdb_ids, strict=True):
            if imdb is not None:
                found.setdefault(imdb, []).append(movie_id)
        return found

    @cached_property
    def _imdb_ids(self) -> list[int | None]:
        if "imdb_id" not in self._movies:
            return [None] * len(self._movies)
        return [imdb_number(str(imdb)) for imdb in self._movies["imdb_id"]]

    @cached_property
    def _by_title(self) -> dict[str, list[tuple[int, bool]]]:
        """By title and year, the movies and whether they have an IMDb id."""
        found: dict[str, list[tuple[int, bool]]] = {}
        columns = (self._movies[name].tolist() for name in ("movie_id", "title", "year"))
        for movie_id, title, year, imdb in zip(*columns, self._imdb_ids, strict=True):
            if not pd.isna(year):
                keys = {f"{search_key(name)} {int(year)}" for name in names_of(display_title(title))}
                for key in keys:
                    found.setdefault(key, []).append((movie_id, imdb is not None))
        return found

    def by_id(self, original: str) -> Found:
        """The movie of this id."""
        movie_id = self._by_id.get(original)
        return Found(movie_id, "" if movie_id is not None else "no movie here has this id")

    def find(self, imdb: str, title: str, year: str) -> Found:
        """The movie of this IMDb id, or else of this title and year; a movie of another IMDb id is another movie."""
        number = imdb_number(imdb)
        same = [] if number is None else self.by_imdb.get(number, [])
        if same:
            return Found(same[0]) if len(same) == 1 else Found(None, f"{len(same)} movies have this IMDb id")
        named = self._by_title.get(f"{search_key(title)} {year.strip()}", []) if title else []
        hits = [movie_id for movie_id, has_imdb in named if number is None or not has_imdb]
        if len(hits) == 1:
            return Found(hits[0])
        return Found(None, f"{len(hits)} movies have this title and year" if hits else "not among the movies here")


def imdb_number(text: str) -> int | None:
    """The number of an IMDb id, `tt0111161` or its digits; None if it is none."""
    digits = text.strip().lower().removeprefix("tt")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) <= LONGEST_IMDB else None
