"""The synthetic sample in other layouts: those of GroupLens' older releases, and foreign ones.

A format rewrites the sample's four CSV files, its CSV twin: the same users, items and times, in the same order unless
said. GroupLens' formats keep the sample's ids; `original_user` and `original_item` give those of the foreign ones.
The readers of those layouts can be tested on it, without licensed data.
"""

import shutil
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from movie_recs.sample.grouplens import write_ml_1m, write_ml_10m, write_ml_20m, write_ml_100k
from movie_recs.sample.twin import Sample, draw, name_and_year, read_sample, write_csv, write_rows

WIDE = 2**40  # ids above it do not fit into 32 bits

README = """\
This is NOT MovieLens data, nor any other real data: it is a synthetic data set, for trying and testing the project.
Users, titles, ratings, tags and links are all invented. Where one resembles something real, that is chance.

`python -m movie_recs.sample --format {name}` made it from a seed. synthetic.json holds what was planted.

Licence: Apache-2.0, as the project.
"""


def write_format(name: str, csv_folder: Path, folder: Path) -> None:
    """Writes the sample in `csv_folder` into `folder`, in the format `name`, a key of `FORMATS`."""
    folder.mkdir(parents=True, exist_ok=True)
    FORMATS[name](read_sample(csv_folder), folder)
    shutil.copyfile(csv_folder / "synthetic.json", folder / "synthetic.json")
    (folder / "README.txt").write_text(README.format(name=name), encoding="utf-8", newline="\n")


def original_user(name: str, user_id: int) -> int | str:
    """The id that the format `name` gives to the sample's user `user_id`."""
    return _original(name, "user", user_id)


def original_item(name: str, movie_id: int) -> int | str:
    """The id that the format `name` gives to the sample's movie `movie_id`."""
    return _original(name, "item", movie_id)


def write_uuid(sample: Sample, folder: Path) -> None:
    """scores.csv and books.csv: UUIDs as ids, half stars, ISO-8601 times in UTC, shelves separated by |."""
    scores = (
        (original_user("uuid", its.user_id), original_item("uuid", its.movie_id), its.stars, _iso_8601(its.timestamp))
        for its in sample.ratings
    )
    write_csv(folder / "scores.csv", ("reader", "isbn", "score", "at"), scores)
    books = (
        (original_item("uuid", movie.movie_id), *name_and_year(movie.title), "|".join(movie.genres))
        for movie in sample.movies
    )
    write_csv(folder / "books.csv", ("isbn", "name", "published", "shelves"), books)


def write_ten_stars(sample: Sample, folder: Path) -> None:
    """ratings.csv and items.csv, separated by semicolons: 1 .. 10 stars with a decimal comma, times in milliseconds."""
    ratings = (
        (its.user_id, its.movie_id, f"{2 * its.stars:.1f}".replace(".", ","), 1000 * its.timestamp)
        for its in sample.ratings
    )
    write_csv(folder / "ratings.csv", ("user", "item", "stars", "when"), ratings, ";")
    items = ((movie.movie_id, *name_and_year(movie.title)) for movie in sample.movies)
    write_csv(folder / "items.csv", ("item", "title", "year"), items, ";")


def write_clicks(sample: Sample, folder: Path) -> None:
    """clicks.csv: each rating as one to three clicks ten minutes apart, without stars or items."""
    clicks = (
        (its.user_id, its.movie_id, _iso_8601(its.timestamp + 600 * click))
        for its in sample.ratings
        for click in range(max(1, draw("clicks", its.user_id, its.movie_id) % 8 - 4))
    )
    write_csv(folder / "clicks.csv", ("visitor", "page", "at"), clicks)


def write_parquet(sample: Sample, folder: Path) -> None:
    """ratings.parquet and items.parquet, typed: times as timestamps in UTC, genres as lists."""
    import pyarrow as pa
    from pyarrow import parquet

    columns = zip(*sample.ratings, strict=True)
    types = {"user": pa.int64(), "item": pa.int64(), "rating": pa.float64(), "time": pa.timestamp("s", "UTC")}
    arrays = [pa.array(column, its) for column, its in zip(columns, types.values(), strict=True)]
    arrays[-1] = arrays[-1].cast(pa.timestamp("us", "UTC"))  # Parquet has no seconds
    parquet.write_table(pa.table(arrays, list(types)), folder / "ratings.parquet")
    item, title, genres = zip(*sample.movies, strict=True)
    items = {"item": pa.array(item, pa.int64()), "title": title, "genres": pa.array(genres, pa.list_(pa.string()))}
    parquet.write_table(pa.table(items), folder / "items.parquet")


def write_wide_ids(sample: Sample, folder: Path) -> None:
    """ratings.dat without a header and without items: half stars, and ids that need 64 bits."""
    ratings = (
        (original_user("wide-ids", its.user_id), original_item("wide-ids", its.movie_id), its.stars, its.timestamp)
        for its in sample.ratings
    )
    write_rows(folder / "ratings.dat", "::", ratings)


FORMATS: Mapping[str, Callable[[Sample, Path], None]] = MappingProxyType(
    {
        "ml-100k": write_ml_100k,
        "ml-1m": write_ml_1m,
        "ml-10m": write_ml_10m,
        "ml-20m": write_ml_20m,
        "uuid": write_uuid,
        "ten-stars": write_ten_stars,
        "clicks": write_clicks,
        "parquet": write_parquet,
        "wide-ids": write_wide_ids,
    }
)


def _original(name: str, kind: str, number: int) -> int | str:
    if name == "uuid":
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:movie_recs:sample:{kind}:{number}"))
    if name == "wide-ids":
        return (WIDE if kind == "user" else 2 * WIDE) + number
    return number


def _iso_8601(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
