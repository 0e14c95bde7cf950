"""Raw tables to clean ones, rows set aside, and the split."""

from collections.abc import Callable
from functools import partial, reduce
from typing import Any, NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data import cleaning, identifiers
from movie_recs.data.cleaning import Cleaned, Ids
from movie_recs.data.parameters import DataProcessingParameters, SplitParameters
from movie_recs.data.sources.description import Table
from movie_recs.data.sources.layouts import OWN, Source
from movie_recs.data.sources.profile import Profile, profile_ratings
from movie_recs.data.sources.reading import column_names, file_name, text_rows
from movie_recs.data.spark_tables import no_rows
from movie_recs.data.splitting import Split, split_as_given, split_by_hash, split_by_time, split_by_user
from movie_recs.errors import UserError

LINKS = ("imdb_id", "tmdb_id")
ITEM_DETAILS = ("title", "year", "genres", "imdb", "tmdb")  # what may be missing of an item in one's own data


class CleanedMovies(NamedTuple):
    """Movies with their links, and the rows of the movies' and the links' table that were set aside."""

    movies: DataFrame
    movies_set_aside: DataFrame
    links_set_aside: DataFrame


def profile_source(raw_ratings: DataFrame, source: Source, parameters: DataProcessingParameters) -> dict[str, Any]:
    """The kinds of ids, the unit of times and the scale of the ratings: result of `Profile.to_json`."""
    return profile_ratings(text_rows(raw_ratings, source, "ratings"), source, parameters.max_bad_rows).to_json()


def number_ids(
    raw_ratings: DataFrame, raw_movies: DataFrame, raw_tags: DataFrame, source: Source, source_profile: dict[str, Any]
) -> Ids:
    """(id int, original) of all users and of all movies, as `data.identifiers` describes them."""
    profile = Profile.of(source_profile)
    ratings = text_rows(raw_ratings, source, "ratings")
    tags, items = text_rows(raw_tags, source, "tags"), text_rows(raw_movies, source, "items")
    none = no_rows(ratings.sparkSession, identifiers.OWN_NUMBERS)
    sides = (("user", profile.user_numbers, tags), ("item", profile.item_numbers, items))
    return Ids(
        *(
            none if are_numbers else identifiers.number_ids(ratings.select(role).union(others.select(role)))
            for role, are_numbers, others in sides
        )
    )


def parse_movies(
    raw_movies: DataFrame, source: Source, source_profile: dict[str, Any], user_ids: DataFrame, movie_ids: DataFrame
) -> DataFrame:
    """(movie_id, title, year, genres, imdb_id, tmdb_id, nulled, record, reason), one row per row of the table.

    `record` is null where reason is null and `nulled` empty.
    """
    reading = _Reading(source, source_profile, user_ids, movie_ids)
    optional = ITEM_DETAILS if source.layout == OWN else ()
    parsed = cleaning.parse_movies(*reading.of(raw_movies, "items"), optional)
    return cleaning.forget_good_records(cleaning.judge_movies(parsed, reading.duplicate("items")))


def parse_ratings(
    raw_ratings: DataFrame,
    parsed_movies: DataFrame,
    source: Source,
    source_profile: dict[str, Any],
    user_ids: DataFrame,
    movie_ids: DataFrame,
) -> DataFrame:
    """(user_id, movie_id, rating, rated_at, record of bad rows, reason), one row per row of the table."""
    reading = _Reading(source, source_profile, user_ids, movie_ids)
    parsed = cleaning.parse_ratings(*reading.of(raw_ratings, "ratings"))
    known = reading.known(parsed_movies)
    return cleaning.forget_good_records(
        cleaning.judge_ratings(parsed, known, reading.unknown("ratings"), source.are_events)
    )


def parse_tags(
    raw_tags: DataFrame,
    parsed_movies: DataFrame,
    source: Source,
    source_profile: dict[str, Any],
    user_ids: DataFrame,
    movie_ids: DataFrame,
) -> DataFrame:
    """(user_id, movie_id, tag, tagged_at, record of bad rows, reason), one row per row of the table."""
    reading = _Reading(source, source_profile, user_ids, movie_ids)
    parsed = cleaning.parse_tags(*reading.of(raw_tags, "tags"))
    return cleaning.forget_good_records(
        cleaning.judge_tags(parsed, reading.known(parsed_movies), reading.unknown("tags"))
    )


def parse_links(
    raw_links: DataFrame,
    parsed_movies: DataFrame,
    source: Source,
    source_profile: dict[str, Any],
    user_ids: DataFrame,
    movie_ids: DataFrame,
) -> DataFrame:
    """(movie_id, imdb_id, tmdb_id, nulled, record, reason), one row per row of the table; as in `parse_movies`."""
    reading = _Reading(source, source_profile, user_ids, movie_ids)
    parsed = cleaning.parse_links(*reading.of(raw_links, "links"))
    known, unknown, duplicate = reading.known(parsed_movies), reading.unknown("links"), reading.duplicate("links")
    return cleaning.forget_good_records(cleaning.judge_links(parsed, known, unknown, duplicate))


def clean_movies(
    parsed_movies: DataFrame,
    parsed_links: DataFrame,
    parsed_ratings: DataFrame,
    movie_ids: DataFrame,
    source: Source,
    parameters: DataProcessingParameters,
) -> CleanedMovies:
    """(movie_id, title, year, genres, imdb_id, tmdb_id), one row per movie; missing links are null.

    In one's own data every rated movie is one, with its id as its title where nothing else is known of it.
    """
    movies = cleaning.separate(
        parsed_movies, file_name(source, "items"), parameters.max_bad_rows, may_be_empty=source.layout == OWN
    )
    links = cleaning.separate(parsed_links, file_name(source, "links"), parameters.max_bad_rows, may_be_empty=True)
    linked = links.rows.select("movie_id", *(F.col(name).alias(f"linked_{name}") for name in LINKS))
    rows = movies.rows.join(linked, "movie_id", how="left").select(
        "movie_id", "title", "year", "genres", *(F.coalesce(f"linked_{name}", name).alias(name) for name in LINKS)
    )
    if source.layout == OWN:
        rows = rows.unionByName(_only_rated(rows, cleaning.good_rows(parsed_ratings), movie_ids))
    return CleanedMovies(rows, movies.set_aside, links.set_aside)


def clean_ratings(parsed_ratings: DataFrame, source: Source, parameters: DataProcessingParameters) -> Cleaned:
    """(user_id, movie_id, rating, rated_at), one row per user and movie."""
    cleaned = cleaning.separate(parsed_ratings, file_name(source, "ratings"), parameters.max_bad_rows)
    return cleaned._replace(rows=cleaning.add_up(cleaned.rows)) if source.are_events else cleaned


def clean_tags(parsed_tags: DataFrame, source: Source, parameters: DataProcessingParameters) -> Cleaned:
    """(user_id, movie_id, tag, tagged_at)."""
    return cleaning.separate(parsed_tags, file_name(source, "tags"), parameters.max_bad_rows, may_be_empty=True)


def gather_set_aside(*set_aside: DataFrame) -> DataFrame:
    """(file, reason, record) of every row that was set aside, of all files."""
    return reduce(DataFrame.unionByName, set_aside).select("file", "reason", "record")


def split_ratings(
    ratings: DataFrame,
    raw_test: DataFrame,
    source: Source,
    source_profile: dict[str, Any],
    user_ids: DataFrame,
    movie_ids: DataFrame,
    parameters: SplitParameters,
) -> Split:
    """Train ratings with their folds, test ratings, and the ratings by which new users are folded in.

    `raw_test` is the test set that came with the data, if any.

    Raises:
        UserError: Train or test is empty, or a rating has no time and the split is by time.
    """
    if parameters.strategy == "given":
        reading = _Reading(source, source_profile, user_ids, movie_ids)
        parsed = cleaning.parse_ratings(*reading.of(raw_test, "ratings"))
        pairs = cleaning.good_rows(parsed).select("user_id", "movie_id").distinct()
        split = split_as_given(ratings, pairs, parameters.folds, parameters.seed)
    else:
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
    raw_files: dict[str, Any],
    ratings: DataFrame,
    movies: DataFrame,
    set_aside: DataFrame,
    parsed_movies: DataFrame,
    parsed_links: DataFrame,
    source: Source,
    source_profile: dict[str, Any],
) -> dict[str, Any]:
    """Origin, size and scale of the data, as every report shows them; the scale of events is None."""
    nulled = cleaning.count_nulled(
        (file_name(source, "items"), parsed_movies), (file_name(source, "links"), parsed_links)
    )
    (counts,) = ratings.agg(F.count_distinct("user_id").alias("users"), F.count("*").alias("ratings")).collect()
    by_reason = set_aside.groupBy("file", "reason").count().orderBy("file", "reason").collect()
    return {
        "name": raw_files["name"],
        "synthetic": raw_files["synthetic"],
        "users": counts["users"],
        "movies": movies.count(),
        "ratings": counts["ratings"],
        "scale": source_profile["scale"],
        "set_aside": sum(row["count"] for row in by_reason),
        "set_aside_by_reason": [
            {"file": row["file"], "reason": row["reason"], "rows": row["count"]} for row in by_reason
        ],
        "nulled": sum(row["rows"] for row in nulled),
        "nulled_by_reason": nulled,
        "sha256": raw_files["sha256"],
    }


class _Reading:
    """What parsing a table needs, whichever it is."""

    def __init__(self, source: Source, source_profile: dict[str, Any], user_ids: DataFrame, movie_ids: DataFrame):
        self._source, self._profile = source, Profile.of(source_profile)
        self._ids = Ids(user_ids, movie_ids)

    def of(self, raw: DataFrame, name: Table) -> tuple[DataFrame, dict[str, str], Profile, Ids]:
        """The first arguments of the functions that parse."""
        rows = text_rows(raw, self._source, name)
        return rows, column_names(self._source, name), self._profile, self._ids

    def known(self, parsed_movies: DataFrame) -> DataFrame | None:
        """The movies to which a row must belong; None in one's own data."""
        return None if self._source.layout == OWN else cleaning.good_rows(parsed_movies)

    def unknown(self, name: Table) -> str:
        """The reason of a row whose movie is not known."""
        return f"{column_names(self._source, name).get('item')} is not in {file_name(self._source, 'items')}"

    def duplicate(self, name: Table) -> str:
        """The reason of a second row of a movie."""
        return f"duplicate {column_names(self._source, name).get('item')}"


def _only_rated(movies: DataFrame, ratings: DataFrame, movie_ids: DataFrame) -> DataFrame:
    """Rows like those of `movies` for the rated movies that have none."""
    rated = ratings.select("movie_id").distinct().join(movies, "movie_id", how="left_anti")
    return identifiers.with_originals(rated, movie_ids, "movie_id", "title").select(
        "movie_id",
        F.col("title").cast("string"),
        F.lit(None).cast("int").alias("year"),
        F.array().cast("array<string>").alias("genres"),
        F.lit(None).cast("string").alias("imdb_id"),
        F.lit(None).cast("int").alias("tmdb_id"),
    )
