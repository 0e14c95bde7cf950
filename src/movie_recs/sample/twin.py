"""The sample's four CSV files read back, and what the writers of other layouts share."""

import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from movie_recs.data.schemas import NO_GENRES


class Rating(NamedTuple):
    """A row of ratings.csv."""

    user_id: int
    movie_id: int
    stars: float  # 0.5 .. 5.0 in halves
    timestamp: int  # seconds since 1970, UTC


class Movie(NamedTuple):
    """A row of movies.csv."""

    movie_id: int
    title: str  # with the year, if it has one
    genres: tuple[str, ...]


class Sample(NamedTuple):
    """The CSV twin: its folder, and the tables that the formats rewrite, in the order of their files."""

    folder: Path
    ratings: list[Rating]
    movies: list[Movie]


def read_sample(folder: Path) -> Sample:
    """The sample that `movie_recs.sample` wrote into `folder` as CSV, in one process."""
    ratings = [
        Rating(int(user), int(movie), float(stars), int(at)) for user, movie, stars, at in read_rows(folder, "ratings")
    ]
    movies = [
        Movie(int(movie), title, () if genres == NO_GENRES else tuple(genres.split("|")))
        for movie, title, genres in read_rows(folder, "movies")
    ]
    return Sample(folder, ratings, movies)


def read_rows(folder: Path, table: str) -> Iterator[list[str]]:
    """The rows of `<table>.csv` as text, without the header."""
    with (folder / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows


def name_and_year(title: str) -> tuple[str, str]:
    """The title without its year, and the year, which is empty if the title has none."""
    match = re.fullmatch(r"(.*) \((\d{4})\)", title)
    return (match[1], match[2]) if match else (title, "")


def draw(*key: object) -> int:
    """A number from 0 to 2^64 - 1 that depends on the key alone."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big")


def write_rows(path: Path, separator: str, rows: Iterable[Iterable[object]], encoding: str = "utf-8") -> None:
    """Writes lines without a header and without quotes, as GroupLens' older releases do."""
    lines = (separator.join(map(str, row)) + "\n" for row in rows)
    path.write_bytes("".join(lines).encode(encoding))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[tuple[object, ...]], separator: str = ",") -> None:
    """Writes a CSV file with a header, quotes where needed and LF."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
