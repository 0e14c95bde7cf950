"""Filters: which movies may be recommended."""

import logging

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.parameters import FilterParameters
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)


def filter_movies(movies: DataFrame, ratings: DataFrame, filters: FilterParameters) -> DataFrame | None:
    """(movie_id int) of the movies that pass, or None if nothing is filtered.

    A movie passes if it has one of `genres` and none of `without_genres`, a known year from `first_year` to `last_year`
    where these are given, at least `min_ratings` ratings, and an id that is not in `without_movie_ids`. A warning is
    logged if no movie passes.

    Args:
        movies: (movie_id int, year int or null, genres array<string>, ...).
        ratings: (movie_id int, ...).
        filters: The conditions; the defaults filter nothing.
    """
    if filters == FilterParameters():
        return None
    filters = _with_known_genres(filters, movies)
    left = movies.filter(_passes(filters)).select("movie_id")
    if filters.min_ratings:
        counts = ratings.groupBy("movie_id").agg(F.count("*").alias("ratings"))
        enough = counts.filter(F.col("ratings") >= filters.min_ratings)
        left = left.join(enough, "movie_id", how="left_semi")
    if left.isEmpty():
        logger.warning("No movie passes recommend.filters %s.", filters.model_dump(exclude_defaults=True))
    return left


def _with_known_genres(filters: FilterParameters, movies: DataFrame) -> FilterParameters:
    """The filters with the genres as the movies have them.

    Raises:
        UserError: No movie has one of them.
    """
    given = [*filters.genres, *filters.without_genres]
    if not given:
        return filters
    there = [row["genre"] for row in movies.select(F.explode("genres").alias("genre")).distinct().collect()]
    known = {genre.casefold(): genre for genre in sorted(there)}
    if unknown := [genre for genre in given if genre.casefold() not in known]:
        raise UserError(
            f"recommend.filters: there is no genre {' and no '.join(map(repr, unknown))}; the genres are "
            f"{', '.join(sorted(there)) or 'not known in this data set'}."
        )
    return filters.model_copy(
        update={
            name: [known[genre.casefold()] for genre in getattr(filters, name)] for name in ("genres", "without_genres")
        }
    )


def _passes(filters: FilterParameters) -> Column:
    passes = F.lit(True)
    if filters.genres:
        passes &= F.arrays_overlap("genres", F.lit(filters.genres))
    if filters.without_genres:
        passes &= ~F.arrays_overlap("genres", F.lit(filters.without_genres))
    if filters.first_year is not None:
        passes &= F.coalesce(F.col("year") >= filters.first_year, F.lit(False))
    if filters.last_year is not None:
        passes &= F.coalesce(F.col("year") <= filters.last_year, F.lit(False))
    if filters.without_movie_ids:
        passes &= ~F.col("movie_id").isin(filters.without_movie_ids)
    return passes
