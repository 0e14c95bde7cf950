"""What the project makes of files of rows, against what the oracle makes of them."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fuzz import oracle
from fuzz.oracle import Row
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.data import cleaning
from movie_recs.data.cleaning import Ids
from movie_recs.data.identifiers import OWN_NUMBERS
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.sources.description import Table
from movie_recs.data.sources.layouts import LAYOUTS, Source
from movie_recs.data.sources.profile import Profile
from movie_recs.data.sources.reading import column_names, read_table, text_rows

SOURCE = Source(LAYOUTS["csv"], "csv")
PROFILE = Profile(True, True, "seconds", HALF_STARS)
TABLES: dict[str, Table] = {"movies": "items", "ratings": "ratings", "tags": "tags", "links": "links"}  # movies first
PARSE = {
    "ratings": cleaning.parse_ratings,
    "movies": cleaning.parse_movies,
    "tags": cleaning.parse_tags,
    "links": cleaning.parse_links,
}
VALUES = {
    "ratings": ("user_id", "movie_id", "rating", "rated_at"),
    "movies": ("movie_id", "title", "year", "genres"),
    "tags": ("user_id", "movie_id", "tag", "tagged_at"),
    "links": ("movie_id", "imdb_id", "tmdb_id"),
}
UNKNOWN, TWICE = "movieId is not in movies.csv", "duplicate movieId"


class Difference(NamedTuple):
    """Rows that the project and the oracle see differently; None: it has no such row."""

    file: str
    found: Row | None
    expected: Row | None


def parsed(spark: SparkSession, folder: Path, file: str) -> DataFrame:
    """The parsed table of a file, as the project reads it."""
    none = spark.createDataFrame([], OWN_NUMBERS)
    rows = text_rows(read_table(spark, str(folder), SOURCE, TABLES[file]), SOURCE, TABLES[file])
    return PARSE[file](rows, column_names(SOURCE, TABLES[file]), PROFILE, Ids(none, none))


def judged(file: str, table: DataFrame, movies: DataFrame | None) -> DataFrame:
    """The parsed table, judged against its own rows and the movies."""
    if file == "movies":
        return cleaning.judge_movies(table, TWICE)
    if file == "links":
        return cleaning.judge_links(table, movies, UNKNOWN, TWICE)
    return (
        cleaning.judge_ratings(table, movies, UNKNOWN)
        if file == "ratings"
        else cleaning.judge_tags(table, movies, UNKNOWN)
    )


def collected(file: str, table: DataFrame) -> list[Row]:
    """The rows of a parsed or judged table as the oracle has them."""
    times = [name for name in VALUES[file] if name.endswith("_at")]
    columns = ["record", "reason", *VALUES[file], *(["nulled"] if "nulled" in table.columns else [])]
    rows = table.withColumns({name: F.unix_timestamp(name) for name in times}).select(*columns).collect()
    found = []
    for row in rows:
        values = tuple(tuple(row[name]) if name == "genres" else row[name] for name in VALUES[file])
        nulled = len(row["nulled"]) if "nulled" in columns and not row["reason"] else 0
        found.append(Row(row["record"], row["reason"], () if row["reason"] else values, nulled))
    return found


def compare(spark: SparkSession, folder: Path, contents: Mapping[str, bytes]) -> tuple[list[Difference], Counter]:
    """The differences, and how many rows of each file are clean or have which reason.

    Args:
        spark: The session.
        folder: For the files.
        contents: Of all four files.
    """
    differences: list[Difference] = []
    counts: Counter = Counter()
    movies, known = None, set[int]()
    for file in TABLES:
        (folder / f"{file}.csv").write_bytes(contents[file])
        table = parsed(spark, folder, file).persist()
        expected = oracle.parse(file, contents[file])
        differences += in_order(file, collected(file, table), expected)
        expected = oracle.judge(file, expected, known)
        verdict = judged(file, table, movies).persist()
        found = collected(file, verdict)
        differences += regardless_of_order(file, found, expected)
        if file == "movies":
            movies, known = cleaning.good_rows(verdict).persist(), {row.values[0] for row in expected if not row.reason}
        counts.update((file, row.reason or "clean") for row in found)
        counts.update((file, "nulled links") for row in found for _ in range(row.nulled))
    spark.catalog.clearCache()
    return differences, counts


def in_order(file: str, found: list[Row], expected: list[Row]) -> list[Difference]:
    """The places at which two lists differ; where one is longer, rows that only one of them has."""
    if len(found) != len(expected):
        return regardless_of_order(file, found, expected)
    return [Difference(file, *pair) for pair in zip(found, expected, strict=True) if pair[0] != pair[1]]


def regardless_of_order(file: str, found: list[Row], expected: list[Row]) -> list[Difference]:
    """The rows that only one of two lists has."""
    one, other = Counter(found), Counter(expected)
    return [
        *(Difference(file, row, None) for row in (one - other).elements()),
        *(Difference(file, None, row) for row in (other - one).elements()),
    ]


def seconds_of_parsing(spark: SparkSession, folder: Path, file: str, line: bytes) -> float:
    """How long a file takes of which this is the only row."""
    header = ",".join(oracle.HEADERS[file]).encode()
    (folder / f"{file}.csv").write_bytes(header + b"\n" + line + b"\n")
    table = parsed(spark, folder, file)
    started = time.perf_counter()
    table.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - started
