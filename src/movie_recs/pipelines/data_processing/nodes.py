"""Raw CSV rows to clean tables, rows set aside, and the split."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data import cleaning
from movie_recs.data.cleaning import Cleaned
from movie_recs.data.parameters import DataProcessingParameters, SplitParameters
from movie_recs.data.splitting import Split, split_by_hash, split_by_time, split_by_user
from movie_recs.errors import UserError


class CleanedMovies(NamedTuple):
    """Movies with their links, and the rows of movies.csv and of links.csv that were set aside."""

    movies: DataFrame
    movies_set_aside: DataFrame
    links_set_aside: DataFrame


def parse_movies(raw_movies: DataFrame) -> DataFrame:
    """(movie_id, title, year, genres, record of bad rows, reason), one row per line of movies.csv."""
    return cleaning.forget_good_records(cleaning.judge_movies(cleaning.parse_movies(raw_movies)))


def parse_ratings(raw_ratings: DataFrame, parsed_movies: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating, rated_at, record of bad rows, reason), one row per line of ratings.csv."""
    return cleaning.forget_good_records(
        cleaning.judge_ratings(cleaning.parse_ratings(raw_ratings), cleaning.good_rows(parsed_movies))
    )


def parse_tags(raw_tags: DataFrame, parsed_movies: DataFrame) -> DataFrame:
    """(user_id, movie_id, tag, tagged_at, record of bad rows, reason), one row per line of tags.csv."""
    return cleaning.forget_good_records(
        cleaning.judge_tags(cleaning.parse_tags(raw_tags), cleaning.good_rows(parsed_movies))
    )


def parse_links(raw_links: DataFrame, parsed_movies: DataFrame) -> DataFrame:
    """(movie_id, imdb_id, tmdb_id, record of bad rows, reason), one row per line of links.csv."""
    return cleaning.forget_good_records(
        cleaning.judge_links(cleaning.parse_links(raw_links), cleaning.good_rows(parsed_movies))
    )


def clean_movies(
    parsed_movies: DataFrame, parsed_links: DataFrame, parameters: DataProcessingParameters
) -> CleanedMovies:
    """(movie_id, title, year, genres, imdb_id, tmdb_id), one row per movie; missing links are null."""
    movies = cleaning.separate(parsed_movies, "movies", parameters.max_bad_rows)
    links = cleaning.separate(parsed_links, "links", parameters.max_bad_rows)
    return CleanedMovies(
        movies.rows.join(links.rows, "movie_id", how="left").select(
            "movie_id", "title", "year", "genres", "imdb_id", "tmdb_id"
        ),
        movies.set_aside,
        links.set_aside,
    )


def clean_ratings(parsed_ratings: DataFrame, parameters: DataProcessingParameters) -> Cleaned:
    """(user_id, movie_id, rating, rated_at), one row per user and movie."""
    return cleaning.separate(parsed_ratings, "ratings", parameters.max_bad_rows)


def clean_tags(parsed_tags: DataFrame, parameters: DataProcessingParameters) -> Cleaned:
    """(user_id, movie_id, tag, tagged_at)."""
    return cleaning.separate(parsed_tags, "tags", parameters.max_bad_rows)


def gather_set_aside(*set_aside: DataFrame) -> DataFrame:
    """(file, reason, record) of every row that was set aside, of all files."""
    return reduce(DataFrame.unionByName, set_aside).select("file", "reason", "record")


def split_ratings(ratings: DataFrame, parameters: SplitParameters) -> Split:
    """Train ratings with their folds, test ratings, and the ratings by which new users are folded in.

    Raises:
        UserError: Train or test is empty, or a rating has no time and the split is by time.
    """
    strategies: dict[str, Callable[..., Split]] = {
        "random": split_by_hash,
        "temporal": split_by_time,
        "new_users": partial(split_by_user, fold_in_fraction=parameters.fold_in_fraction),
    }
    split_by = strategies[parameters.strategy]
    split = split_by(ratings, parameters.test_fraction, parameters.folds, parameters.seed)
    if parameters.strategy != "temporal":  # cheap: stops at the first row; a split by time has been checked
        for name in ("train", "test"):
            if getattr(split, name).isEmpty():
                raise UserError(
                    f"The split leaves no rating in the {name} set: choose another split.test_fraction "
                    f"(it is {parameters.test_fraction}) or split.seed, or use more ratings."
                )
    return split


def describe_data(
    raw_files: dict[str, Any], ratings: DataFrame, movies: DataFrame, set_aside: DataFrame
) -> dict[str, Any]:
    """Origin and size of the data, as every report shows them."""
    (counts,) = ratings.agg(F.count_distinct("user_id").alias("users"), F.count("*").alias("ratings")).collect()
    by_reason = set_aside.groupBy("file", "reason").count().orderBy("file", "reason").collect()
    return {
        "name": raw_files["name"],
        "synthetic": raw_files["synthetic"],
        "users": counts["users"],
        "movies": movies.count(),
        "ratings": counts["ratings"],
        "set_aside": sum(row["count"] for row in by_reason),
        "set_aside_by_reason": [
            {"file": row["file"], "reason": row["reason"], "rows": row["count"]} for row in by_reason
        ],
        "sha256": raw_files["sha256"],
    }
