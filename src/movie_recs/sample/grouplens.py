"""The sample in the layouts of GroupLens' releases: ml-100k, ml-1m, ml-10m and, as CSV, ml-20m.

Ids are the sample's own. Where a release has whole stars, half a star is rounded up; where it is in ISO-8859-1, so are
its titles.
"""

import math
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from movie_recs.data.schemas import NO_GENRES, RAW_HEADERS
from movie_recs.sample.twin import Movie, Sample, draw, name_and_year, read_rows, write_rows

LATIN_1 = "iso-8859-1"
ML_100K_GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
OCCUPATIONS = ("baker", "beekeeper", "dentist", "librarian", "locksmith", "mapmaker", "other")
AGES = (1, 18, 25, 35, 45, 50, 56)  # the lowest age of each group of ml-1m


def write_ml_100k(sample: Sample, folder: Path) -> None:
    """u.data in random order, u.item, u.genre, u.user, and the splits that mku.sh makes, sorted by user and movie."""
    ratings = sorted(sample.ratings, key=lambda its: draw("order", its.user_id, its.movie_id))
    rows = [(its.user_id, its.movie_id, whole_stars(its.stars), its.timestamp) for its in ratings]
    write_rows(folder / "u.data", "\t", rows)
    for split, (train, test) in _splits(rows, "u").items():
        write_rows(folder / f"{split}.base", "\t", sorted(train))
        write_rows(folder / f"{split}.test", "\t", sorted(test))

    items = []
    for movie in sample.movies:
        title, (_, year) = latin_1(movie.title), name_and_year(movie.title)
        genres = [genre.replace("Children", "Children's") for genre in movie.genres] or ["unknown"]
        url = f"http://us.imdb.com/M/title-exact?{quote(title, safe='(),', encoding=LATIN_1)}"
        flags = [int(genre in genres) for genre in ML_100K_GENRES]
        items.append((movie.movie_id, title, f"01-Jan-{year}" if year else "", "", url, *flags))
    write_rows(folder / "u.item", "|", items, LATIN_1)
    numbered = [(genre, number) for number, genre in enumerate(ML_100K_GENRES)]
    write_rows(folder / "u.genre", "|", [*numbered, ()])  # it ends with an empty line
    people = ((user, age, sex, OCCUPATIONS[job], code) for user, age, sex, job, code in _people(sample))
    write_rows(folder / "u.user", "|", people)


def write_ml_1m(sample: Sample, folder: Path) -> None:
    """ratings.dat with whole stars, movies.dat and users.dat, in ISO-8859-1."""
    ratings = ((its.user_id, its.movie_id, whole_stars(its.stars), its.timestamp) for its in sample.ratings)
    write_rows(folder / "ratings.dat", "::", ratings)
    movies = (
        (movie.movie_id, latin_1(movie.title), _genres(movie).replace("Children", "Children's"))
        for movie in sample.movies
    )
    write_rows(folder / "movies.dat", "::", movies, LATIN_1)
    people = _people(sample)
    users = ((user, sex, max(a for a in AGES if a <= age), job, code) for user, age, sex, job, code in people)
    write_rows(folder / "users.dat", "::", users)


def write_ml_10m(sample: Sample, folder: Path) -> None:
    """ratings.dat with half stars, movies.dat, tags.dat, and the splits that its split_ratings.sh is meant to make.

    The script itself, where the ratings are not a multiple of 5, writes up to four rows of r1.train .. r4.train twice
    and leaves out as many.
    """
    rows = [(its.user_id, its.movie_id, f"{its.stars:g}", its.timestamp) for its in sample.ratings]
    write_rows(folder / "ratings.dat", "::", rows)
    for split, (train, test) in _splits(rows, "r").items():
        write_rows(folder / f"{split}.train", "::", train)
        write_rows(folder / f"{split}.test", "::", test)
    write_rows(folder / "movies.dat", "::", ((movie.movie_id, movie.title, _genres(movie)) for movie in sample.movies))
    write_rows(folder / "tags.dat", "::", read_rows(sample.folder, "tags"))


def write_ml_20m(sample: Sample, folder: Path) -> None:
    """The four CSV files as they are."""
    for file in RAW_HEADERS:
        shutil.copyfile(sample.folder / f"{file}.csv", folder / f"{file}.csv")


def latin_1(title: str) -> str:
    """The title with each letter that ISO-8859-1 lacks replaced by the one it is built on: Gdansk for Gdańsk."""
    letters = (c if ord(c) < 256 else unicodedata.normalize("NFKD", c)[0] for c in title)
    return "".join(letters).encode(LATIN_1, "replace").decode(LATIN_1)


def whole_stars(stars: float) -> int:
    """1 .. 5: half a star is rounded up."""
    return math.ceil(stars)


def _splits(rows: Sequence[tuple], letter: str) -> dict[str, tuple[list[tuple], list[tuple]]]:
    """Train and test rows by name: fifths of the file as tests 1 .. 5, each user's rows 1-10 and 11-20 as a and b."""
    size = len(rows) // 5
    ends = [0, *(size * part for part in range(1, 5)), len(rows)]
    splits = {
        f"{letter}{part}": ([*rows[: ends[part - 1]], *rows[ends[part] :]], list(rows[ends[part - 1] : ends[part]]))
        for part in range(1, 6)
    }
    seen: Counter[int] = Counter()
    numbered = []
    for row in rows:
        seen[row[0]] += 1
        numbered.append((seen[row[0]], row))
    for name, first in ((f"{letter}a", 1), (f"{letter}b", 11)):
        tested = range(first, first + 10)
        train, test = ([row for n, row in numbered if (n in tested) == wanted] for wanted in (False, True))
        splits[name] = train, test
    return splits


def _people(sample: Sample) -> Iterator[tuple[int, int, str, int, str]]:
    """User id, and invented age, sex, number of the occupation and postal code."""
    for user in sorted({its.user_id for its in sample.ratings}):
        age, sex, job, code = (draw(what, user) for what in ("age", "sex", "job", "code"))
        yield user, 7 + age % 67, "FM"[sex % 2], job % len(OCCUPATIONS), f"{code % 100_000:05d}"


def _genres(movie: Movie) -> str:
    return "|".join(movie.genres) or NO_GENRES
