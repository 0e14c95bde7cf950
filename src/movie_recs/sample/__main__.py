"""A synthetic data set in MovieLens' four-file format, of any size, with a known truth.

Every rating is drawn from planted structure that a recommender can recover:

    rating(u, i) = intercept + b_u + b_i + w_u . f_i + noise, rounded to half stars and clipped to 0.5 .. 5.0

where `f_i` are the movie's genres and `rank` hidden features. Which movies a user rates follows a long-tailed
popularity tilted by the same tastes. Each user has her own random stream, so any subset of users, in any order, on
any machine, gives the same rows. Only `Generator.random` is used, whose stream NumPy keeps stable.

    python -m movie_recs.sample          # remakes data/01_raw/sample
    python -m movie_recs.sample --format ml-1m  # the same ratings as ratings.dat, into data/01_raw/sample-ml-1m
    python -m movie_recs.sample --spark --folder /tmp/big --users 200000 --movies 85000 --ratings-per-user 160
"""

import argparse
import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from movie_recs.data.schemas import NO_GENRES, RAW_HEADERS
from movie_recs.runtime.java import find_java
from movie_recs.sample.formats import FORMATS, write_format
from movie_recs.sample.words import GENRES, TAGS, draw_genres, draw_titles, pick

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import SparkSession

HEADERS = {f"{file}.csv": header for file, header in RAW_HEADERS.items()}
ALWAYS_RATED = (463, 471)  # the movies in the examples
MIN_RATINGS, MAX_RATINGS = 20, 20_000  # GroupLens keeps only users with at least 20

# In stars: the intercept, and standard deviations that together spread ratings about as widely as MovieLens'.
PLANTED = {"intercept": 2.93, "user_bias": 0.4, "movie_bias": 0.45, "genre_taste": 0.2, "hidden_taste": 0.65}
CHOICE_TILT = 1.1  # a movie one standard deviation more to her taste is exp(1.1) times as likely to be picked
ACTIVITY_SPREAD = 1.4  # standard deviation of the log of a user's ratings beyond the first 20

FIRST_RATING, LAST_SESSION = np.array(["1996-03-29", "2018-09-16"], "datetime64[s]").astype(np.int64).tolist()
MONTH = 30 * 86_400


README = """\
This is NOT MovieLens data. It is a synthetic data set in the four-file format of GroupLens' MovieLens
(ratings.csv, movies.csv, tags.csv, links.csv), for trying and testing the project without a download.
Users, titles, ratings, tags and links are all invented. Where one resembles something real, that is chance;
the IMDb and TMDb identifiers lead to unrelated pages.

`python -m movie_recs.sample` made it from a seed and remakes it to the byte. Each rating is the sum of a
planted intercept, user bias, movie bias, genre taste, hidden low-rank taste and noise, rounded to half stars.
synthetic.json holds what was planted, and the RMSE of a model that knows everything but the noise.

Licence: Apache-2.0, as the project.
"""


@dataclass(frozen=True)
class SampleSpec:
    """What to generate; the same spec gives the same files.

    Attributes:
        users: Users, with ids 1 .. users.
        movies: Movies in the catalogue; their ids have gaps.
        ratings_per_user: Mean number of ratings per user. No user rates more than a third of the released movies,
            which lowers the mean of a small catalogue.
        rank: Number of hidden features of a movie.
        noise: Standard deviation, in stars, of the part that no model can predict.
        seed: Seed of all random numbers.
    """

    users: int = 610
    movies: int = 600
    ratings_per_user: float = 38.0
    rank: int = 3
    noise: float = 0.75
    seed: int = 1996

    def __post_init__(self) -> None:
        allowed = {
            "users": (1, 2**31 - 1),
            "movies": (300, 1_000_000),  # with fewer, a user of 1996 may not find 20 to rate
            "ratings_per_user": (MIN_RATINGS, 2_000),
            "rank": (1, 100),
            "noise": (0.01, 5),
            "seed": (0, 2**63 - 1),
        }
        for name, (lowest, highest) in allowed.items():
            if not lowest <= getattr(self, name) <= highest:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be from {lowest} to {highest}.")


class Movies(NamedTuple):
    """The catalogue, one row per movie in order of `movie_id`, with its planted truth."""

    movie_id: np.ndarray
    title: list[str]
    genres: list[str]
    imdb_id: np.ndarray
    tmdb_id: np.ndarray  # 0 where unknown
    released: np.ndarray  # 1 January of its year, in seconds since 1970
    release_dates: np.ndarray  # the same, sorted
    popularity: np.ndarray  # cumulative share of all picks
    bias: np.ndarray
    features: np.ndarray  # (movies, genres + rank)


class Ratings(NamedTuple):
    """Rows of ratings.csv in order, and `truth`: the planted mean before noise, rounding and clipping."""

    user_id: np.ndarray
    movie_id: np.ndarray
    rating: np.ndarray
    timestamp: np.ndarray
    truth: np.ndarray


def make_movies(spec: SampleSpec) -> Movies:
    """The catalogue of `spec`: each movie as in its files, and its planted truth."""
    rng, n = _stream(spec, 0), spec.movies
    joined = np.sort(rng.random(n))  # when it was added to the catalogue, as a fraction of 1995 .. 2018
    movie_id = np.arange(1, n + 1) + np.floor(min(200_000, 300 * n) * joined**3).astype(np.int64)
    movie_id = np.union1d(movie_id, ALWAYS_RATED)[:n]
    year = np.floor(1995.5 + 23 * joined - 8 * _exponentials(rng, n) ** 1.5).clip(1915, 2018).astype(int)
    leading_share = np.cumsum([share for share, _, _ in GENRES.values()])
    leading = np.searchsorted(leading_share, rng.random(n) * leading_share[-1], side="right")
    noir = leading == list(GENRES).index("Film-Noir")
    year[noir] = 1941 + year[noir] % 18
    released = (year - 1970).astype("datetime64[Y]").astype("datetime64[s]").astype(np.int64)
    has_genre = draw_genres(rng, leading)

    # Zipf-Mandelbrot: rank k has a share proportional to 1 / (k + 5). Better movies are more popular; the last
    # hundredth is never rated.
    quality = _normals(rng, n)
    place = np.argsort(np.argsort(-(0.5 * quality + _normals(rng, n))))
    for movie, its_place in zip(np.searchsorted(movie_id, ALWAYS_RATED), (n // 10, n // 30), strict=True):
        place[place == its_place], place[movie] = place[movie], its_place
    popularity = np.cumsum(np.where(place < n - max(3, n // 100), 1 / (place + 5.0), 0))

    hidden = _normals(rng, n * spec.rank).reshape(n, spec.rank) / np.sqrt(spec.rank)
    return Movies(
        movie_id=movie_id,
        title=draw_titles(rng, year, leading),
        genres=["|".join(np.array(list(GENRES))[row]) or NO_GENRES for row in has_genre],
        imdb_id=_scattered_ids(rng, n, 4_000_000),
        tmdb_id=np.where(rng.random(n) < 0.01, 0, _scattered_ids(rng, n, 400_000)),
        released=released,
        release_dates=np.sort(released),
        popularity=popularity / popularity[-1],
        bias=PLANTED["movie_bias"] * quality,
        features=np.hstack([has_genre / np.sqrt(has_genre.sum(1, keepdims=True).clip(1)), hidden]),
    )


def rate(spec: SampleSpec, movies: Movies, user_id: int) -> Ratings:
    """All ratings of one user, which depend only on `spec` and `user_id`."""
    rng = _stream(spec, 1, user_id)
    activity, bias = _normals(rng, 2)
    strength = np.repeat([PLANTED["genre_taste"], PLANTED["hidden_taste"]], [len(GENRES), spec.rank])
    taste = strength * _normals(rng, len(strength))

    # Most users come once, some come back after weeks or years.
    sessions = MONTH * _exponentials(rng, 1 + int(_exponentials(rng, 1)[0])) ** 2
    sessions[0] = FIRST_RATING + rng.random() * (LAST_SESSION - FIRST_RATING)
    sessions = np.minimum(np.cumsum(sessions), LAST_SESSION).astype(np.int64)

    times_the_mean = np.exp(ACTIVITY_SPREAD * activity - ACTIVITY_SPREAD**2 / 2)  # has mean 1
    count = int(MIN_RATINGS + (spec.ratings_per_user - MIN_RATINGS) * times_the_mean + rng.random())
    movie = _choose(rng, movies, taste, count, before=sessions[-1])
    n = len(movie)
    truth = PLANTED["intercept"] + PLANTED["user_bias"] * bias + movies.bias[movie]
    truth += _dot(movies.features[movie], taste)
    rating = np.clip(np.round(2 * (truth + spec.noise * _normals(rng, n))) / 2, 0.5, 5.0)

    # Each movie is rated in one of the sessions since its release, some seconds after the previous one.
    first = np.searchsorted(sessions, movies.released[movie])
    session = first + (rng.random(n) * (len(sessions) - first)).astype(int)
    by_time = np.argsort(session, kind="stable")
    timestamp = sessions[session]
    timestamp[by_time] += np.cumsum(15 * _exponentials(rng, n)).astype(np.int64)

    order = np.argsort(movie)
    columns = (np.full(n, user_id), movies.movie_id[movie], rating, timestamp, truth)
    return Ratings(*(column[order] for column in columns))


def tag(spec: SampleSpec, movies: Movies, user_id: int) -> list[tuple[int, int, str, int]]:
    """The rows of tags.csv of one user: one user in ten tags some of her rated movies, a minute later."""
    rng = _stream(spec, 2, user_id)
    if rng.random() > 0.1:
        return []
    ratings, rows = rate(spec, movies, user_id), []
    for movie_id, timestamp in zip(ratings.movie_id.tolist(), ratings.timestamp.tolist(), strict=True):
        genres = movies.genres[np.searchsorted(movies.movie_id, movie_id)]
        words = TAGS if genres == NO_GENRES else TAGS + 4 * tuple(genres.lower().split("|"))
        tags = {pick(words, draw) for draw in rng.random(3) if rng.random() < 0.15}
        rows += [(user_id, movie_id, text, timestamp + 60) for text in sorted(tags, key=str.lower)]
    return rows


def noise_floor_rmse(spec: SampleSpec, movies: Movies, users: int) -> float:
    """The RMSE, over all ratings of the first `users` users, of a model that knows the planted truth."""
    ratings = [rate(spec, movies, user_id) for user_id in range(1, users + 1)]
    truth, rating = (np.concatenate([getattr(its, name) for its in ratings]) for name in ("truth", "rating"))
    return float(np.sqrt(np.mean((expected_rating(truth, spec.noise) - rating) ** 2)))


def expected_rating(truth: np.ndarray, noise: float) -> np.ndarray:
    """The mean after rounding and clipping: 0.5 + sum of P(truth + noise > t) / 2, t = .75, 1.25 .. 4.75."""
    grid = np.arange(-3, 9, 0.01)
    cdf, thresholds = NormalDist(0, noise).cdf, np.arange(0.75, 5, 0.5).tolist()
    on_grid = [0.5 + sum(cdf(mean - t) for t in thresholds) / 2 for mean in grid.tolist()]
    return np.interp(truth, grid, on_grid)


def write_sample(spec: SampleSpec, folder: Path) -> None:
    """Writes the data set into `folder`, in one process, with NumPy only."""
    movies, users = make_movies(spec), range(1, spec.users + 1)
    _write_catalogue(spec, movies, folder)
    ratings = (rate(spec, movies, user_id)[:4] for user_id in users)
    rows = (row for its in ratings for row in zip(*(column.tolist() for column in its), strict=True))
    _write_csv(folder / "ratings.csv", rows)
    _write_csv(folder / "tags.csv", (row for user_id in users for row in tag(spec, movies, user_id)))


def write_sample_with_spark(spark: "SparkSession", spec: SampleSpec, folder: Path) -> None:
    """Writes the same rows in parallel; ratings.csv and tags.csv are then directories of part files (LF).

    Args:
        spark: The session; its workers need this package, and `folder` under the same path.
        spec: What to generate.
        folder: Target folder; a data set that is in it is replaced.
    """
    import pandas as pd

    movies = make_movies(spec)
    _write_catalogue(spec, movies, folder)

    def rate_users(batches: Iterable["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
        for batch in batches:
            columns = zip(*(rate(spec, movies, user_id)[:4] for user_id in batch["id"].tolist()), strict=True)
            yield pd.DataFrame(dict(zip(HEADERS["ratings.csv"], map(np.concatenate, columns), strict=True)))

    def tag_users(batches: Iterable["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
        for batch in batches:
            rows = [row for user_id in batch["id"].tolist() for row in tag(spec, movies, user_id)]
            yield pd.DataFrame(rows, columns=list(HEADERS["tags.csv"]))

    # At most about half a million ratings per part, to bound a worker's memory.
    parts = min(spec.users, max(8, int(spec.users * spec.ratings_per_user / 500_000)))
    users = spark.range(1, spec.users + 1, numPartitions=parts)
    outputs = (("ratings", "rating double", rate_users), ("tags", "tag string", tag_users))
    for name, column, make_rows in outputs:
        rows = users.mapInPandas(make_rows, f"userId int, movieId int, {column}, timestamp long")
        target = (folder / f"{name}.csv").resolve().as_uri()
        rows.write.csv(target, mode="overwrite", header=True, escape='"')


def _choose(rng: np.random.Generator, movies: Movies, taste: np.ndarray, count: int, before: int) -> np.ndarray:
    """Catalogue rows of up to `count` different movies released before a time, in the order picked.

    Movies are drawn by popularity and accepted by taste; repeats are ignored. This is sampling without replacement,
    weighted by popularity * exp(tilt * taste), at a cost that does not grow with the catalogue.
    """
    count = min(count, MAX_RATINGS, int(np.searchsorted(movies.release_dates, before)) // 3)
    spread = np.hypot(PLANTED["genre_taste"], PLANTED["hidden_taste"])
    chosen = np.empty(0, int)
    while len(chosen) < count:
        drawn = np.searchsorted(movies.popularity, rng.random(16 * count), side="right")
        drawn = drawn[movies.released[drawn] < before]
        liking = np.minimum(_dot(movies.features[drawn], taste) / spread, 2)
        accepted = drawn[rng.random(len(drawn)) < np.exp(CHOICE_TILT * (liking - 2))]
        chosen = np.concatenate([chosen, accepted])
        chosen = chosen[np.sort(np.unique(chosen, return_index=True)[1])]
    return chosen[:count]


def _stream(spec: SampleSpec, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(spec.seed, spawn_key=key)))


def _normals(rng: np.random.Generator, n: int) -> np.ndarray:
    """Box & Muller 1958: NumPy's own normals may change between its versions."""
    return np.sqrt(2 * _exponentials(rng, n)) * np.cos(2 * np.pi * rng.random(n))


def _exponentials(rng: np.random.Generator, n: int) -> np.ndarray:
    return -np.log1p(-rng.random(n))


def _dot(features: np.ndarray, taste: np.ndarray) -> np.ndarray:
    return np.einsum("ij,j->i", features, taste)  # `@` would sum in an order that depends on the BLAS


def _scattered_ids(rng: np.random.Generator, n: int, highest: int) -> np.ndarray:
    stride = max(1, highest // n)
    return 1 + np.argsort(rng.random(n)) * stride + (rng.random(n) * stride).astype(int)


def _write_catalogue(spec: SampleSpec, movies: Movies, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    movie_ids = movies.movie_id.tolist()
    _write_csv(folder / "movies.csv", zip(movie_ids, movies.title, movies.genres, strict=True))
    imdb_ids, tmdb_ids = (f"{id_:07d}" for id_ in movies.imdb_id), (id_ or "" for id_ in movies.tmdb_id)
    _write_csv(folder / "links.csv", zip(movie_ids, imdb_ids, tmdb_ids, strict=True))
    floor_users = min(spec.users, 1_000)
    about = {
        "synthetic": True,
        "generator": "movie_recs.sample",
        **asdict(spec),
        "planted": {**PLANTED, "choice_tilt": CHOICE_TILT},
        "noise_floor_rmse": round(noise_floor_rmse(spec, movies, floor_users), 4),
        "noise_floor_users": floor_users,
    }
    (folder / "synthetic.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8", newline="\n")
    (folder / "README.txt").write_text(README, encoding="utf-8", newline="\n")


def _write_csv(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)  # writes as GroupLens does: CRLF, quotes where needed, inner ones doubled
        writer.writerow(HEADERS[path.name])
        writer.writerows(rows)


def main(arguments: list[str] | None = None) -> None:
    """The command line: `python -m movie_recs.sample --help`."""
    parser = argparse.ArgumentParser(prog="movie_recs.sample", description="Writes synthetic MovieLens files.")
    parser.add_argument("--folder", type=Path, help="default: data/01_raw/sample, or sample-FORMAT beside it")
    parser.add_argument("--format", choices=["csv", *FORMATS], default="csv", help="default: %(default)s")
    parser.add_argument("--spark", action="store_true", help="write ratings and tags in parallel part files, csv only")
    for name, default in asdict(SampleSpec()).items():
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(default), default=default, help="default: %(default)s")
    options = vars(parser.parse_args(arguments))
    folder, layout, with_spark = (options.pop(name) for name in ("folder", "format", "spark"))
    folder = folder or Path("data/01_raw/sample" if layout == "csv" else f"data/01_raw/sample-{layout}")
    if with_spark and layout != "csv":
        parser.error(f"--spark writes csv only, not {layout}")
    try:
        spec = SampleSpec(**options)
    except ValueError as error:
        parser.error(str(error))
    if with_spark:
        from pyspark.sql import SparkSession

        os.environ["JAVA_HOME"] = str(find_java().home)
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the workers need this environment's packages
        write_sample_with_spark(SparkSession.builder.getOrCreate(), spec, folder)
    elif layout == "csv":
        write_sample(spec, folder)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            write_sample(spec, Path(scratch))
            write_format(layout, Path(scratch), folder)


if __name__ == "__main__":
    main()
