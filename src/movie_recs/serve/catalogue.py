"""The movies of a data set, as they are shown, searched and filtered."""

from typing import Any

import pyarrow as pa

from movie_recs.data.exact_finder import imdb_number
from movie_recs.data.id_numbers import Id, IdNumbers
from movie_recs.data.movie_filters import MovieFacts
from movie_recs.data.movie_finder import MovieFinder
from movie_recs.data.series import number_series
from movie_recs.data.titles import display_title, search_key
from movie_recs.errors import UserError
from movie_recs.serve.histories import Histories

ARTICLES = ("the ", "a ", "an ")


class Catalogue:
    """All movies, by ascending number.

    Args:
        movies: (movie_id, title, year, genres, imdb_id, ...).
        ids: Their ids as the data have them.
        histories: All ratings.
    """

    def __init__(self, movies: pa.Table, ids: IdNumbers, histories: Histories):
        movies = movies.sort_by("movie_id").combine_chunks()
        self._ids = ids
        self.numbers = movies["movie_id"].to_numpy()
        self.facts = MovieFacts.read(movies, histories.counts(self.numbers))
        self._years, self._genres = movies["year"].to_pylist(), movies["genres"].to_pylist()
        self.titles = [display_title(title) for title in movies["title"].to_pylist()]
        self.series = number_series(self.titles)
        originals = [ids.original(number) for number in self.numbers.tolist()]
        self._finder = MovieFinder(self.numbers.tolist(), originals, self.titles, self._years, guess=False)
        keys = zip(self._finder.keys, self._years, strict=True)
        self._keys = [f" {key} {year or ''} " for key, year in keys]
        self._rows = {number: row for row, number in enumerate(self.numbers.tolist())}
        self._imdb: dict[int, list[int]] = {}
        for number, imdb in zip(self.numbers.tolist(), movies["imdb_id"].to_pylist(), strict=True):
            known = None if imdb is None else imdb_number(imdb)
            if known is not None:
                self._imdb.setdefault(known, []).append(number)

    def title(self, number: int) -> str | None:
        """A movie's title; None for an unknown one."""
        row = self._rows.get(number)
        return None if row is None else self.titles[row]

    def describe(self, number: int) -> dict[str, Any]:
        """movie_id as the data have it, title, year and genres; None for what is not known of a movie."""
        row, movie_id = self._rows.get(number), self._ids.original(number)
        if row is None:
            return {"movie_id": movie_id, "title": None, "year": None, "genres": None}
        about = {"title": self.titles[row], "year": self._years[row], "genres": self._genres[row]}
        return {"movie_id": movie_id, **about}

    def ratings(self, number: int) -> int:
        """How many ratings a known movie has."""
        return int(self.facts.rated[self._rows[number]])

    def find(self, movie: Id) -> int:
        """The number of a movie by its id or title; errors as in `MovieFinder.find`."""
        return self._finder.find(movie)

    def find_id(self, movie: str) -> int | None:
        """The number of a movie by its id alone; None if no movie has it."""
        return self._finder.numbers.get(movie.strip())

    def find_imdb(self, imdb: str) -> int:
        """The number of a movie by its IMDb id, `tt0111161` or its digits.

        Raises:
            UserError: It is no movie's, or that of several.
        """
        number = imdb_number(imdb)
        found = [] if number is None else self._imdb.get(number, [])
        if len(found) != 1:
            which = f"is that of {len(found)} movies" if found else "is no movie's in the data"
            raise UserError(f"the IMDb id {imdb!r} {which}: give the movie's id or title.")
        return found[0]

    def search(self, query: str, most: int) -> list[int]:
        """The movies whose title has all words of the query, or their beginnings, best first.

        First a movie of that id, then titles that begin with the query, then others; the most rated first.
        """
        own, wanted = self.find_id(query), search_key(query)
        words = [f" {word}" for word in wanted.split()]
        hits = [row for row, key in enumerate(self._keys) if words and all(word in key for word in words)]
        starts = tuple(f" {article}{wanted}" for article in ("", *ARTICLES))
        hits.sort(key=lambda row: (not self._keys[row].startswith(starts), -self.facts.rated[row], row))
        found = [int(self.numbers[row]) for row in hits[:most]]
        return list(dict.fromkeys([*([] if own is None else [own]), *found]))[:most]
