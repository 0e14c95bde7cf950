"""From rows of text to typed rows: every row is either clean or set aside with a reason, never dropped.

`parse_*` check a row by itself, `judge_*` against the other rows and files. Both put the reason why a row is bad into
the column `reason` (null for a good row) and keep the row as it was read in `record`. `separate` splits bad from good.
"""

import logging
from collections.abc import Collection, Mapping
from functools import reduce
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.data.id_numbers import UNREADABLE
from movie_recs.data.identifiers import to_numbers
from movie_recs.data.schemas import NO_GENRES
from movie_recs.data.sources.profile import Profile, is_on, number
from movie_recs.data.sources.reading import LIST_SEPARATOR
from movie_recs.errors import UserError
from movie_recs.parameter_types import NEWEST_ID, OLDEST_ID

logger = logging.getLogger(__name__)

YEAR_AT_END = r"\((\d{4})\)\z"  # Java's $ also matches before a separator of lines at the end
IMDB_ID = r"\A(?:tt)?(\d{1,10})\z"  # IMDb's own export has tt0114709
TMDB_ID = r"\A(\d{1,10})(?:\.0*)?\z"  # tools write 862.0 beside gaps
WHOLE_TIME = r"\A(\d{1,19})(?:\.0*)?\z"  # tools write 1420070400.0 beside gaps
IN_A_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
LAST_SECOND = 253_402_300_799  # 9999-12-31, the last date that Spark prints
WHITESPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())  # all of Unicode's


class Cleaned(NamedTuple):
    """`rows`: the clean table; `set_aside`: (file string, reason string, record string)."""

    rows: DataFrame
    set_aside: DataFrame


class Ids(NamedTuple):
    """(id int, original) of users and of movies, as `data.identifiers` describes them."""

    users: DataFrame
    movies: DataFrame


def parse_ratings(rows: DataFrame, names: Mapping[str, str], profile: Profile, ids: Ids) -> DataFrame:
    """(user_id, movie_id, rating, rated_at, record, reason) of each rating or event; a missing time is null.

    Args:
        rows: (user, item, rating, time, record, reason), all text, as `reading.text_rows` gives them.
        names: The column of each role that the source has, for the reasons.
        profile: Kinds of ids, unit of times, and scale. The `rating` of an event is its quantity, or 1.
        ids: Numbers of the ids.
    """
    quantity = number(F.col("rating")) if "rating" in names else F.lit(1.0)
    if profile.scale is None:
        problem = ~(quantity > 0), f"{names.get('rating')} is not above 0"
    else:
        problem = ~is_on(profile.scale, quantity), f"{names['rating']} is not {_values(profile)}"
    reason = _first_reason(*_field_problems(names, profile, optional=("time",)), problem)
    return _numbered(rows, profile, ids).select(
        "user_id",
        "movie_id",
        quantity.cast("float").alias("rating"),
        _time(profile.time_unit).alias("rated_at"),
        "record",
        reason.alias("reason"),
    )


def parse_movies(
    rows: DataFrame, names: Mapping[str, str], profile: Profile, ids: Ids, optional: Collection[str] = ()
) -> DataFrame:
    """(movie_id, title, year, genres, imdb_id, tmdb_id, nulled, record, reason) of each row of the movies' table.

    A year in brackets at the end of the title moves to `year`; without one, `year` is null and the title is unchanged.
    A source with years in a column of their own keeps its titles. Without a title, it is the id. Genres are unique, in
    the order of the row. `nulled` is as in `parse_links`.

    Args:
        rows: (item, title, year, genres, imdb, tmdb, record, reason), all text.
        names: As in `parse_ratings`.
        profile: As in `parse_ratings`.
        ids: As in `parse_ratings`.
        optional: Roles that may be missing in a row.
    """
    title = F.coalesce(F.nullif(_stripped(F.col("title")), F.lit("")), F.trim("item"))
    rest = F.rtrim(F.regexp_replace(title, YEAR_AT_END, ""), F.lit(WHITESPACE))
    has_year = title.rlike(YEAR_AT_END) & (rest != "") if "year" not in names else F.lit(False)
    year = F.when(has_year, F.regexp_extract(title, YEAR_AT_END, 1)).otherwise(
        F.nullif(F.regexp_extract(F.coalesce("year", F.lit("")), r"(?<!\d)(\d{4})(?!\d)", 1), F.lit(""))
    )
    listed = F.transform(F.split(F.coalesce("genres", F.lit("")), f"[{LIST_SEPARATOR}]"), _stripped)
    genres = F.array_distinct(F.filter(listed, lambda genre: ~genre.isin(NO_GENRES, "")))
    return _numbered(rows, profile, ids).select(
        "movie_id",
        F.when(has_year, rest).otherwise(title).alias("title"),
        year.cast("int").alias("year"),
        genres.alias("genres"),
        *_links(names),
        "record",
        _first_reason(*_field_problems(names, profile, optional)).alias("reason"),
    )


def parse_tags(rows: DataFrame, names: Mapping[str, str], profile: Profile, ids: Ids) -> DataFrame:
    """(user_id, movie_id, tag, tagged_at, record, reason) of each row of the tags' table; a missing time is null.

    Args:
        rows: (user, item, tag, time, record, reason), all text.
        names: As in `parse_ratings`.
        profile: As in `parse_ratings`.
        ids: As in `parse_ratings`.
    """
    return _numbered(rows, profile, ids).select(
        "user_id",
        "movie_id",
        _stripped(F.col("tag")).alias("tag"),
        _time(profile.time_unit).alias("tagged_at"),
        "record",
        _first_reason(*_field_problems(names, profile, optional=("time",))).alias("reason"),
    )


def parse_links(rows: DataFrame, names: Mapping[str, str], profile: Profile, ids: Ids) -> DataFrame:
    """(movie_id, imdb_id, tmdb_id, nulled, record, reason) of each row of the links' table; a missing link is no error.

    Links are numbers or null. `nulled` (array<string>) has the reason of each that became null.

    Args:
        rows: (item, imdb, tmdb, record, reason), all text.
        names: As in `parse_ratings`.
        profile: As in `parse_ratings`.
        ids: As in `parse_ratings`.
    """
    return _numbered(rows, profile, ids).select(
        "movie_id",
        *_links(names),
        "record",
        _first_reason(*_field_problems(names, profile, optional=("imdb", "tmdb"))).alias("reason"),
    )


def judge_ratings(parsed: DataFrame, movies: DataFrame | None, unknown: str, is_event: bool = False) -> DataFrame:
    """The parsed ratings; an unknown movie, and all but the latest rating of a movie by a user, get a reason too.

    Ratings without a time count as the oldest; among ratings of equal time, or of none, the highest counts. Events may
    repeat.

    Args:
        parsed: Result of `parse_ratings`.
        movies: (movie_id int, ...), the known movies; None if any will do.
        unknown: The reason of a movie that is not among them.
        is_event: Whether a row is an event, which may repeat.
    """
    known = _known_movies(parsed, movies, unknown)
    if is_event:
        return known
    latest_first = [F.desc_nulls_last("rated_at"), F.desc("rating"), F.col("record")]
    return _keep_first(known, ["user_id", "movie_id"], latest_first, "the user rated the movie again later")


def judge_movies(parsed: DataFrame, duplicate: str) -> DataFrame:
    """The parsed movies; all but the first row of a movie, by title, get the reason `duplicate` too."""
    return _keep_first(parsed, ["movie_id"], [F.col("title"), F.col("record")], duplicate)


def judge_links(parsed: DataFrame, movies: DataFrame | None, unknown: str, duplicate: str) -> DataFrame:
    """The parsed links; an unknown movie, and all but the first row of a movie, get a reason too."""
    known = _known_movies(parsed, movies, unknown)
    return _keep_first(known, ["movie_id"], [F.col("record")], duplicate)


def judge_tags(parsed: DataFrame, movies: DataFrame | None, unknown: str) -> DataFrame:
    """The parsed tags; an unknown movie gets a reason too."""
    return _known_movies(parsed, movies, unknown)


def add_up(events: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating, rated_at) of each pair: the strength of its events, and when the last one was.

        rating = 1 + ln(max(sum of the quantities, 1))    (after Hu, Koren & Volinsky 2008, eq. 6)

    Args:
        events: (user_id, movie_id, rating: a quantity, or 1, rated_at), one row per event.
    """
    strength = 1 + F.ln(F.greatest(F.sum("rating"), F.lit(1.0)))
    return events.groupBy("user_id", "movie_id").agg(
        strength.cast("float").alias("rating"), F.max("rated_at").alias("rated_at")
    )


def forget_good_records(judged: DataFrame) -> DataFrame:
    """The table with `record` of the bad rows alone: it is half of the space, and nobody reads that of a good row."""
    kept = F.col("reason").isNotNull()
    if "nulled" in judged.columns:
        kept |= F.size("nulled") > 0
    return judged.withColumn("record", F.when(kept, F.col("record")))


def good_rows(judged: DataFrame) -> DataFrame:
    """The clean rows of a parsed or judged table, without `nulled`, `record` and `reason`."""
    return judged.filter(F.col("reason").isNull()).drop("nulled", "record", "reason")


def count_nulled(*judged: tuple[str, DataFrame]) -> list[dict[str, Any]]:
    """{file, reason, rows} of the links of clean rows that became null, which are logged too.

    Args:
        judged: The name of a file, and its judged movies or links.
    """
    fields = [
        table.filter(F.col("reason").isNull()).select(
            F.lit(file).alias("file"), F.explode("nulled").alias("reason"), "record"
        )
        for file, table in judged
    ]
    counted = reduce(DataFrame.unionByName, fields).groupBy("file", "reason")
    found = counted.agg(F.count("*").alias("rows"), F.min("record").alias("example")).orderBy("file", "reason")
    rows = found.collect()
    for row in rows:
        what = f"{row['reason']} (as in {row['example']!r})"
        logger.warning("%s: %s rows are kept without a link: %s", row["file"], f"{row['rows']:,}", what)
    return [{"file": row["file"], "reason": row["reason"], "rows": row["rows"]} for row in rows]


def separate(judged: DataFrame, file: str, max_bad_rows: float, may_be_empty: bool = False) -> Cleaned:
    """The clean rows of a judged table, and those set aside.

    Args:
        judged: (..., record string, reason string), `reason` null for a clean row.
        file: The file's name.
        max_bad_rows: Largest share of rows that may be set aside, from 0 to 1.
        may_be_empty: Whether a file without rows will do.

    Raises:
        UserError: More rows are bad than allowed, or all of them, or there are none.
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
    if total == 0 and not may_be_empty:
        raise UserError(f"{file} has no rows below its header: replace it with a complete file.")
    if bad_rows:
        if bad_rows / total > max_bad_rows:
            raise UserError(
                f"{file} has {bad_rows:,} bad rows of {total:,}, more than the {max_bad_rows:.2%} allowed by "
                f"data_processing.max_bad_rows; fix them or raise it: {examples}."
            )
        if bad_rows == total:
            raise UserError(f"{file} has no good row among its {total:,}, is it the right file? {examples}.")
        logger.warning("%s: %s of %s rows are set aside: %s", file, f"{bad_rows:,}", f"{total:,}", examples)
    return Cleaned(
        rows=good_rows(judged),
        set_aside=judged.filter(F.col("reason").isNotNull()).select(F.lit(file).alias("file"), "reason", "record"),
    )


def _field_problems(
    names: Mapping[str, str], profile: Profile, optional: Collection[str] = ()
) -> list[tuple[Column, str]]:
    """(condition, reason) for each way in which a single field can be wrong."""
    problems = []
    are_numbers = {"user": profile.user_numbers, "item": profile.item_numbers}
    for role, name in names.items():
        value = F.trim(role) if role in ("user", "item", "rating", "time") else _stripped(F.col(role))
        if role not in optional:
            problems.append((F.coalesce(value, F.lit("")) == "", f"{name} is missing"))
        if are_numbers.get(role):
            problems.append((_whole_number(role).isNull(), f"{name} is not a whole number"))
            problems.append((_identifier(role).isNull(), f"{name} is not a positive 32-bit integer"))
        elif role == "rating":
            problems.append((number(F.col(role)).isNull(), f"{name} is not a number"))
        elif role == "time":
            what = "a date and time" if profile.time_unit == "iso" else f"a number of {profile.time_unit or 'seconds'}"
            problems.append(((value != "") & _time(profile.time_unit).isNull(), f"{name} is not {what}"))
        elif role not in ("imdb", "tmdb"):
            problems.append((F.contains(role, F.lit(UNREADABLE)), f"{name} is not in the file's encoding"))
    return problems


def _first_reason(*problems: tuple[Column, str]) -> Column:
    return F.coalesce("reason", *(F.when(condition, reason) for condition, reason in problems))


def _values(profile: Profile) -> str:
    least, most, step, _ = profile.scale or (0, 0, None, 0)
    return f"from {least} to {most}" if step is None else f"one of {least}, {least + step} ... {most}"


def _numbered(rows: DataFrame, profile: Profile, ids: Ids) -> DataFrame:
    """The rows with `user_id` and `movie_id`, as far as they have users and movies."""
    for role, column, are_numbers, table in (
        ("user", "user_id", profile.user_numbers, ids.users),
        ("item", "movie_id", profile.item_numbers, ids.movies),
    ):
        if role not in rows.columns:
            continue
        value = _identifier(role) if are_numbers else F.trim(role)
        rows = rows.withColumn(column, value)
        if not are_numbers:
            rows = to_numbers(rows, table, column)
    return rows


def _links(names: Mapping[str, str]) -> tuple[Column, Column, Column]:
    """The links as numbers or null, and why those that are neither missing nor numbers became null."""
    imdb, tmdb = _stripped(F.col("imdb")), _stripped(F.col("tmdb"))
    imdb_id = F.nullif(F.regexp_extract(imdb, IMDB_ID, 1), F.lit(""))
    number_of_tmdb = F.nullif(F.regexp_extract(tmdb, TMDB_ID, 1), F.lit("")).cast("bigint")
    tmdb_id = F.when(number_of_tmdb.between(OLDEST_ID, NEWEST_ID), number_of_tmdb).cast("int")
    nulled = F.array_compact(
        F.array(
            F.when((imdb != "") & imdb_id.isNull(), f"{names.get('imdb')} is not a number of IMDb"),
            F.when((tmdb != "") & tmdb_id.isNull(), f"{names.get('tmdb')} is not a positive 32-bit integer"),
        )
    )
    return imdb_id.alias("imdb_id"), tmdb_id.alias("tmdb_id"), nulled.alias("nulled")


def _stripped(text: Column) -> Column:
    """The text without whitespace of any kind around it; unlike a pattern, in linear time."""
    return F.trim(text, F.lit(WHITESPACE))


def _whole_number(name: str) -> Column:
    """The text as an integer, or null. 20 digits are an integer, though not an identifier."""
    text = F.trim(name)
    return F.when(text.rlike(r"\A[+-]?\d{1,38}\z"), text).try_cast("decimal(38, 0)")


def _identifier(name: str) -> Column:
    value = _whole_number(name)
    return F.when(value.between(OLDEST_ID, NEWEST_ID), value).cast("int")


def _time(unit: str | None) -> Column:
    if unit == "iso":
        return F.col("time").try_cast("timestamp")
    digits = F.regexp_extract(F.trim("time"), WHOLE_TIME, 1)  # a plain cast would also accept NUL and tabs around them
    value = F.nullif(digits, F.lit("")).try_cast("bigint")
    if unit in (None, "seconds"):
        return F.timestamp_seconds(F.when(value.between(0, LAST_SECOND), value))
    in_a_second = IN_A_SECOND[unit]
    known = F.when(value.between(0, min(LAST_SECOND * in_a_second, 2**63 - 1)), value)
    rest = known % in_a_second
    whole = ((known - rest) / in_a_second).cast("bigint")  # exact; a product of the whole number would overflow
    return F.timestamp_micros(whole * 10**6 + F.floor(rest * 10**6 / in_a_second))


def _known_movies(parsed: DataFrame, movies: DataFrame | None, unknown: str) -> DataFrame:
    """The rows; one whose movie is not among the known ones, if there are such, gets the reason."""
    if movies is None:
        return parsed
    known = F.broadcast(movies.select("movie_id", F.lit(True).alias("is_known")))
    return _with_reason(parsed.join(known, "movie_id", how="left"), F.col("is_known").isNull(), unknown).select(
        *parsed.columns
    )


def _keep_first(parsed: DataFrame, keys: list[str], order: list[Column], reason: str) -> DataFrame:
    """The rows; every good row that is not the first of its key in this order gets the reason."""
    among_good = Window.partitionBy(*keys, F.col("reason").isNull()).orderBy(*order)
    place = parsed.withColumn("place", F.row_number().over(among_good))
    return _with_reason(place, F.col("place") > 1, reason).select(*parsed.columns)


def _with_reason(rows: DataFrame, condition: Column, reason: str) -> DataFrame:
    return rows.withColumn("reason", F.coalesce("reason", F.when(condition, reason)))
