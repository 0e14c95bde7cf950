"""Filters: which movies may be recommended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from movie_recs.data.parameters import FilterParameters
from movie_recs.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

logger = logging.getLogger(__name__)


class MovieFacts(NamedTuple):
    """What filters look at.

    Args:
        ids: (m,) int32.
        years: (m,) float64, NaN where the year is not known.
        rated: (m,), number of ratings.
        genres: For each genre, the rows of its movies.
    """

    ids: np.ndarray
    years: np.ndarray
    rated: np.ndarray
    genres: dict[str, np.ndarray]

    @classmethod
    def read(cls, movies: pa.Table, rated: np.ndarray) -> MovieFacts:
        """The facts of (movie_id, year, genres, ...); `rated` is the number of ratings of each row."""
        lists = movies["genres"].combine_chunks()
        counts = lists.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        names, rows = np.array(lists.flatten().to_pylist(), object), np.repeat(np.arange(len(movies)), counts)
        genres = {name: rows[names == name] for name in sorted(set(names))}
        years = movies["year"].cast(pa.float64()).to_numpy()
        return cls(movies["movie_id"].to_numpy(), years, rated, genres)


def filter_movies(movies: DataFrame, ratings: DataFrame, filters: FilterParameters) -> np.ndarray | None:
    """The ids of the movies that pass, or None if nothing is filtered. A warning is logged if no movie passes.

    Args:
        movies: (movie_id int, year int or null, genres array<string>, ...).
        ratings: (movie_id int, ...).
        filters: The conditions; the defaults filter nothing.
    """
    if filters == FilterParameters():
        return None
    table = movies.select("movie_id", "year", "genres").toArrow()
    rated = np.zeros(len(table), np.int64)
    if filters.min_ratings:
        counts = ratings.groupBy("movie_id").count().toArrow()
        number = dict(zip(counts["movie_id"].to_pylist(), counts["count"].to_pylist(), strict=True))
        rated = np.array([number.get(movie_id, 0) for movie_id in table["movie_id"].to_pylist()], np.int64)
    facts = MovieFacts.read(table, rated)
    try:
        passing = facts.ids[passes(facts, filters)]
    except UserError as error:
        raise UserError(f"recommend.{error}") from error
    if not len(passing):
        logger.warning("No movie passes recommend.filters %s.", filters.model_dump(exclude_defaults=True))
    return passing


def passes(movies: MovieFacts, filters: FilterParameters) -> np.ndarray:
    """(m,) bool: which movies pass.

    A movie passes if it has one of `genres` and none of `without_genres`, a known year from `first_year` to `last_year`
    where these are given, at least `min_ratings` ratings, and an id that is not in `without_movie_ids`.

    Raises:
        UserError: No movie has one of the genres.
    """
    passing = movies.rated >= filters.min_ratings
    if filters.genres:
        passing &= _have_one_of(filters.genres, movies)
    if filters.without_genres:
        passing &= ~_have_one_of(filters.without_genres, movies)
    if filters.first_year is not None:
        passing &= movies.years >= filters.first_year  # False for NaN
    if filters.last_year is not None:
        passing &= movies.years <= filters.last_year
    if filters.without_movie_ids:
        passing &= ~np.isin(movies.ids, [each for each in filters.without_movie_ids if isinstance(each, int)])
    return passing


def _have_one_of(names: list[str], movies: MovieFacts) -> np.ndarray:
    """(m,) bool: the movies with one of these genres, whatever their case."""
    known = {genre.casefold(): genre for genre in movies.genres}
    if unknown := [name for name in names if name.casefold() not in known]:
        raise UserError(
            f"filters: there is no genre {' and no '.join(map(repr, unknown))}; the genres are "
            f"{', '.join(movies.genres) or 'not known in this data set'}."
        )
    found = np.zeros(len(movies.ids), bool)
    for name in names:
        found[movies.genres[known[name.casefold()]]] = True
    return found
