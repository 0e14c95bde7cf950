"""From raw text to typed rows: every row is either clean or set aside with a reason, never dropped.

`parse_*` check a row by itself, `judge_*` against the other rows and files. Both put the reason why a row is bad into
the column `reason` (null for a good row) and keep the row as it was read in `record`. `separate` splits bad from good.
"""

import logging
from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.data.schemas import MAX_STARS, MIN_STARS, NO_GENRES, RAW_HEADERS, STAR_STEP, TIME, RawFile
from movie_recs.errors import UserError
from movie_recs.parameter_types import NEWEST_ID, OLDEST_ID

logger = logging.getLogger(__name__)

MALFORMED = "malformed"  # raw column: the whole line if it has too many or too few fields
TITLE_WITH_YEAR = r"^(.+?)\s*\((\d{4})\)$"
LAST_SECOND = 253_402_300_799  # 9999-12-31, the last date that Spark prints


class Cleaned(NamedTuple):
    """`rows`: the clean table; `set_aside`: (file string, reason string, record string)."""

    rows: DataFrame
    set_aside: DataFrame


def parse_ratings(raw: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating, rated_at, record, reason) of each row of ratings.csv; a missing time is null."""
    header = _read_header(raw, "ratings")
    user, movie = _identifier("userId"), _identifier("movieId")
    stars, time = _number("rating"), _time(TIME)
    in_halves = stars.between(MIN_STARS, MAX_STARS) & (stars % STAR_STEP == 0)
    reason = _first_reason(
        *_field_problems(header, optional=(TIME,)),
        (~in_halves, f"rating is not one of {MIN_STARS}, {MIN_STARS + STAR_STEP} ... {MAX_STARS}"),
    )
    return _rows(raw, header).select(
        user.alias("user_id"),
        movie.alias("movie_id"),
        stars.cast("float").alias("rating"),
        time.alias("rated_at"),
        _record(header).alias("record"),
        reason.alias("reason"),
    )


def parse_movies(raw: DataFrame) -> DataFrame:
    """(movie_id, title, year, genres, record, reason) of each row of movies.csv.

    A year in brackets at the end of the title moves to `year`; without one, `year` is null and the title is unchanged.
    """
    header = _read_header(raw, "movies")
    title = F.trim("title")
    has_year = title.rlike(TITLE_WITH_YEAR)
    genres = F.when(F.trim("genres") == NO_GENRES, F.array().cast("array<string>")).otherwise(
        F.split(F.trim("genres"), r"\|")
    )
    return _rows(raw, header).select(
        _identifier("movieId").alias("movie_id"),
        F.when(has_year, F.regexp_extract(title, TITLE_WITH_YEAR, 1)).otherwise(title).alias("title"),
        F.when(has_year, F.regexp_extract(title, TITLE_WITH_YEAR, 2)).cast("int").alias("year"),
        genres.alias("genres"),
        _record(header).alias("record"),
        _first_reason(*_field_problems(header)).alias("reason"),
    )


def parse_tags(raw: DataFrame) -> DataFrame:
    """(user_id, movie_id, tag, tagged_at, record, reason) of each row of tags.csv; a missing time is null."""
    header = _read_header(raw, "tags")
    return _rows(raw, header).select(
        _identifier("userId").alias("user_id"),
        _identifier("movieId").alias("movie_id"),
        F.trim("tag").alias("tag"),
        _time(TIME).alias("tagged_at"),
        _record(header).alias("record"),
        _first_reason(*_field_problems(header, optional=(TIME,))).alias("reason"),
    )


def parse_links(raw: DataFrame) -> DataFrame:
    """(movie_id, imdb_id, tmdb_id, record, reason) of each row of links.csv; a missing link is null, not an error."""
    header = _read_header(raw, "links")
    return _rows(raw, header).select(
        _identifier("movieId").alias("movie_id"),
        F.trim("imdbId").alias("imdb_id"),
        _identifier("tmdbId").alias("tmdb_id"),
        _record(header).alias("record"),
        _first_reason(*_field_problems(header, optional=("imdbId", "tmdbId"))).alias("reason"),
    )


def judge_ratings(parsed: DataFrame, movies: DataFrame) -> DataFrame:
    """The parsed ratings; an unknown movie, and all but the latest rating of a movie by a user, get a reason too.

    Ratings without a time count as the oldest; among ratings of equal time, or of none, the highest counts.
    """
    latest_first = [F.desc_nulls_last("rated_at"), F.desc("rating"), F.col("record")]
    return _keep_first(
        _known_movies(parsed, movies), ["user_id", "movie_id"], latest_first, "the user rated the movie again later"
    )


def judge_movies(parsed: DataFrame) -> DataFrame:
    """The parsed movies; all but the first row of a movie, by title, get a reason too."""
    return _keep_first(parsed, ["movie_id"], [F.col("title"), F.col("record")], "duplicate movieId")


def judge_links(parsed: DataFrame, movies: DataFrame) -> DataFrame:
    """The parsed links; an unknown movie, and all but the first row of a movie, get a reason too."""
    return _keep_first(_known_movies(parsed, movies), ["movie_id"], [F.col("record")], "duplicate movieId")


def judge_tags(parsed: DataFrame, movies: DataFrame) -> DataFrame:
    """The parsed tags; an unknown movie gets a reason too."""
    return _known_movies(parsed, movies)


def forget_good_records(judged: DataFrame) -> DataFrame:
    """The table with `record` of the bad rows alone: it is half of the space, and nobody reads that of a good row."""
    return judged.withColumn("record", F.when(F.col("reason").isNotNull(), F.col("record")))


def good_rows(judged: DataFrame) -> DataFrame:
    """The clean rows of a parsed or judged table, without `record` and `reason`."""
    return judged.filter(F.col("reason").isNull()).drop("record", "reason")


def separate(judged: DataFrame, file: RawFile, max_bad_rows: float) -> Cleaned:
    """The clean rows of a judged table, and those set aside.

    Args:
        judged: (..., record string, reason string), `reason` null for a clean row.
        file: The file's name, a key of `RAW_HEADERS`.
        max_bad_rows: Largest share of rows that may be set aside, from 0 to 1.

    Raises:
        UserError: More rows are bad than allowed, or all of them, or there are no ratings or no movies.
    """
    counts = {
        row["reason"]: row
        for row in judged.groupBy("reason").agg(F.count("*").alias("rows"), F.min("record").alias("example")).collect()
    }
    total = sum(row["rows"] for row in counts.values())
    bad = {reason: row for reason, row in counts.items() if reason}
    bad_rows = sum(row["rows"] for row in bad.values())
    examples = "; ".join(
        f"{row['rows']:,} because {reason} (as in {row['example']!r})"
        for reason, row in sorted(bad.items(), key=lambda item: -item[1]["rows"])
    )
    if total == 0 and file in ("ratings", "movies"):  # tags and links may be empty
        raise UserError(f"{file}.csv has no rows below its header: replace it with a complete file.")
    if bad_rows:
        if bad_rows / total > max_bad_rows:
            raise UserError(
                f"{file}.csv has {bad_rows:,} bad rows of {total:,}, more than the {max_bad_rows:.2%} allowed by "
                f"data_processing.max_bad_rows; fix them or raise it: {examples}."
            )
        if bad_rows == total:
            raise UserError(f"{file}.csv has no good row among its {total:,}, is it the right file? {examples}.")
        logger.warning("%s.csv: %s of %s rows are set aside: %s", file, f"{bad_rows:,}", f"{total:,}", examples)
    return Cleaned(
        rows=good_rows(judged),
        set_aside=judged.filter(F.col("reason").isNotNull()).select(
            F.lit(f"{file}.csv").alias("file"), "reason", "record"
        ),
    )


def _read_header(raw: DataFrame, file: RawFile) -> tuple[str, ...]:
    """The column names in the first line: those of `RAW_HEADERS`, with or without the time.

    Raises:
        UserError: The first line is not the header.
    """
    header = RAW_HEADERS[file]
    first = raw.first()
    found = None if first is None else (first[MALFORMED] or ",".join(first[name] or "" for name in header))
    if found is None:
        raise UserError(f"{file}.csv is empty: replace it with a complete file.")
    names = tuple(found.removeprefix("\ufeff").split(","))
    if names not in (header, tuple(name for name in header if name != TIME)):
        raise UserError(
            f"{file}.csv begins with {found!r} instead of the header {','.join(header)!r}: "
            f"check that it is MovieLens' {file}.csv."
        )
    return names


def _rows(raw: DataFrame, header: tuple[str, ...]) -> DataFrame:
    """The raw rows without the header of each part; `malformed` is set if fields are missing or surplus."""
    is_header = reduce(lambda a, b: a & b, (F.col(name) == name for name in header[1:]))
    rows = raw.filter(~F.coalesce(is_header, F.lit(False)))
    expected = [name for name in raw.columns if name != MALFORMED]
    if len(header) == len(expected):
        return rows
    # The reader expects a time, so in a file without times it marks every good line as malformed: count fields again.
    schema = ", ".join(f"{name} string" for name in (*header, MALFORMED))
    options = {"escape": '"', "columnNameOfCorruptRecord": MALFORMED}
    is_good = F.col(MALFORMED).isNotNull() & F.from_csv(MALFORMED, schema, options).getField(MALFORMED).isNull()
    return rows.withColumn(MALFORMED, F.when(~is_good, _record(expected)))


def _record(header: Sequence[str]) -> Column:
    fields = F.concat_ws(",", *(F.coalesce(name, F.lit("")) for name in header))
    return F.coalesce(MALFORMED, fields)


def _field_problems(header: tuple[str, ...], optional: tuple[str, ...] = ()) -> list[tuple[Column, str]]:
    """(condition, reason) for each way in which a single field can be wrong."""
    problems = [(F.col(MALFORMED).isNotNull(), f"the row has not {len(header)} fields")]
    for name in header:
        value = F.trim(name)
        if name not in optional:
            problems.append((F.coalesce(value, F.lit("")) == "", f"{name} is missing"))
        if name in ("userId", "movieId"):
            problems.append((_whole_number(name).isNull(), f"{name} is not a whole number"))
            problems.append((_identifier(name).isNull(), f"{name} is not a positive 32-bit integer"))
        elif name == "rating":
            problems.append((_number(name).isNull(), f"{name} is not a number"))
        elif name == TIME:
            problems.append(((value != "") & _time(name).isNull(), f"{name} is not a number of seconds"))
    return problems


def _first_reason(*problems: tuple[Column, str]) -> Column:
    return F.coalesce(*(F.when(condition, reason) for condition, reason in problems))


def _whole_number(name: str) -> Column:
    """The text as an integer, or null. 20 digits are an integer, though not an identifier."""
    text = F.trim(name)
    return F.when(text.rlike(r"^[+-]?\d{1,38}$"), text).try_cast("decimal(38, 0)")


def _identifier(name: str) -> Column:
    value = _whole_number(name)
    return F.when(value.between(OLDEST_ID, NEWEST_ID), value).cast("int")


def _number(name: str) -> Column:
    """The text as a number, or null. A plain cast would also accept NaN, Infinity and 4.0f."""
    text = F.trim(name)
    return F.when(text.rlike(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"), text).try_cast("double")


def _time(name: str) -> Column:
    seconds = F.trim(name).try_cast("bigint")
    return F.timestamp_seconds(F.when(seconds.between(0, LAST_SECOND), seconds))


def _known_movies(parsed: DataFrame, movies: DataFrame) -> DataFrame:
    known = F.broadcast(movies.select("movie_id", F.lit(True).alias("is_known")))
    return _with_reason(
        parsed.join(known, "movie_id", how="left"), F.col("is_known").isNull(), "movieId is not in movies.csv"
    ).select(*parsed.columns)


def _keep_first(parsed: DataFrame, keys: list[str], order: list[Column], reason: str) -> DataFrame:
    """The rows; every good row that is not the first of its key in this order gets the reason."""
    among_good = Window.partitionBy(*keys, F.col("reason").isNull()).orderBy(*order)
    place = parsed.withColumn("place", F.row_number().over(among_good))
    return _with_reason(place, F.col("place") > 1, reason).select(*parsed.columns)


def _with_reason(rows: DataFrame, condition: Column, reason: str) -> DataFrame:
    return rows.withColumn("reason", F.coalesce("reason", F.when(condition, reason)))
