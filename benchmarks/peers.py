"""Implicit ALS by Spark ML, by the packages `implicit` and `cmfrec`, and by our loops, and EASE, on the same rows.

    python benchmarks/peers.py data/05_model_input/ml-32m                        # of an earlier run
    python benchmarks/peers.py ... --peers-python /elsewhere/bin/python          # one that has `implicit` and `cmfrec`

Every way is a process of its own, which reads the same matrix, fits with the same hyperparameters on all cores, and
writes factors; the lists of a sample of users are then made and measured by one function. Prints CPU seconds of the fit
(that of Spark ML without the start of Java), and NDCG@10 with its standard error.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RANK, REG_PARAM, ALPHA, ITERATIONS, SEED = 50, 0.1, 4.0, 10, 42
EASE_REG, EASE_RANK = 300.0, 200
K, MEASURED = 10, 10_000
PEERS = ("implicit", "cmfrec")
WAYS = ("spark", *PEERS, "compiled", "ease")


def main() -> int:
    """Prints a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ratings", type=Path, help="folder of train_ratings and test_ratings")
    parser.add_argument("--peers-python", default=sys.executable, help="has numpy, scipy, implicit and cmfrec")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        fit(arguments.way, arguments.ratings)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        prepare(arguments.ratings, Path(folder))
        for way in WAYS:
            python = arguments.peers_python if way in PEERS else sys.executable
            command = [python, __file__, folder, "--way", way]
            if subprocess.run(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, check=False).returncode:
                print(f"{way:10} failed or is not installed")
                continue
            cpu, wall = np.load(f"{folder}/{way}_seconds.npy")
            ndcg, error = measure(Path(folder), way)
            print(f"{way:10} {cpu:8.1f} CPU s {wall:8.1f} s   NDCG@{K} {ndcg:.4f} ± {error:.4f}", flush=True)
    return 0


def prepare(ratings: Path, folder: Path) -> None:
    """Writes who rated what as arrays: user and movie rows of the train and of the test ratings."""
    import pyarrow.parquet as pq

    tables = {
        name: pq.read_table(ratings / f"{name}_ratings", columns=["user_id", "movie_id"]) for name in ("train", "test")
    }
    ids = {key: np.unique(tables["train"][key].to_numpy()) for key in ("user_id", "movie_id")}
    for name, table in tables.items():
        known = [np.isin(table[key].to_numpy(), ids[key]) for key in ids]
        users, movies = (np.searchsorted(ids[key], table[key].to_numpy()[known[0] & known[1]]) for key in ids)
        order = np.lexsort((movies, users))
        np.save(folder / f"{name}.npy", np.stack([users[order], movies[order]]).astype(np.int32))


def fit(way: str, folder: Path) -> None:
    """Fits and writes the factors of users and movies, and the seconds that this took."""
    users, movies = np.load(folder / "train.npy")
    by = {"spark": by_spark, "implicit": by_implicit, "cmfrec": by_cmfrec, "compiled": by_loops, "ease": by_ease}
    factors, seconds = by[way](users, movies)
    np.savez(folder / f"{way}.npz", users=factors[0], items=factors[1])
    np.save(folder / f"{way}_seconds.npy", seconds)


class Timer:
    """CPU and wall seconds of a block, of this process and of `pids`."""

    def __init__(self, *pids: int):
        self._pids, self.seconds = pids, (0.0, 0.0)

    def _now(self) -> tuple[float, float]:
        cpu = time.process_time()
        for pid in self._pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cpu, time.perf_counter()

    def __enter__(self) -> "Timer":
        self._began = self._now()
        return self

    def __exit__(self, *_: object) -> None:
        cpu, wall = self._now()
        self.seconds = cpu - self._began[0], wall - self._began[1]


def by_spark(users: np.ndarray, movies: np.ndarray) -> tuple:
    """Spark ML's ALS, both Java compilers, on local[*]."""
    import pyarrow as pa
    from pyspark.ml.recommendation import ALS
    from pyspark.sql import SparkSession

    from movie_recs.runtime.java import find_java

    os.environ["JAVA_HOME"] = str(find_java().home)
    options: dict[str, bool | float | int | str | None] = {
        "spark.driver.memory": "10g",
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": "-Xss16m",
    }
    spark = SparkSession.builder.master("local[*]").config(map=options).getOrCreate()
    ratings = spark.createDataFrame(
        pa.table({"user": users, "movie": movies, "rating": np.ones(len(users), np.float32)})
    )
    ratings = ratings.repartition(8, "user").cache()
    ratings.count()
    als = ALS(
        userCol="user", itemCol="movie", ratingCol="rating", implicitPrefs=True, seed=SEED,
        rank=RANK, regParam=REG_PARAM, alpha=ALPHA, maxIter=ITERATIONS,
    )  # fmt: skip
    gateway = spark.sparkContext._gateway
    with Timer(gateway.proc.pid if gateway else os.getpid()) as timer:
        model = als.fit(ratings)
        sides = [side.toPandas().sort_values("id") for side in (model.userFactors, model.itemFactors)]
    return [np.stack(side["features"].to_list()).astype(np.float32) for side in sides], timer.seconds


def by_implicit(users: np.ndarray, movies: np.ndarray) -> tuple:
    """The package `implicit`, whose confidence is 1 + alpha too, but whose lambda does not grow with the ratings."""
    from implicit.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((np.ones(len(users), np.float32), (users, movies)))
    strength = same_strength(users, movies)
    model = AlternatingLeastSquares(
        factors=RANK, regularization=strength, alpha=1 + ALPHA, iterations=ITERATIONS, random_state=SEED
    )
    with Timer() as timer:
        model.fit(matrix, show_progress=False)
    return (model.user_factors, model.item_factors), timer.seconds


def by_cmfrec(users: np.ndarray, movies: np.ndarray) -> tuple:
    """The package `cmfrec`, by conjugate gradients, with confidence 1 + alpha and a lambda as of `implicit`."""
    from cmfrec import CMF_implicit
    from scipy.sparse import coo_matrix

    matrix = coo_matrix((np.ones(len(users), np.float32), (users, movies)))
    strength = same_strength(users, movies)
    model = CMF_implicit(k=RANK, lambda_=strength, alpha=ALPHA, niter=ITERATIONS, random_state=SEED)
    with Timer() as timer:
        model.fit(matrix)
    return (model.A_, model.B_), timer.seconds


def same_strength(users: np.ndarray, movies: np.ndarray) -> float:
    """A lambda for all rows, about as strong as Spark's at the mean number of ratings."""
    return REG_PARAM * len(users) * 2 / (users.max() + movies.max() + 2)


def seen_by(users: np.ndarray, movies: np.ndarray):
    """The ratings as blocks in this process."""
    from movie_recs.data.blocks import LocalBlocks
    from movie_recs.data.interactions import Interactions, select_seen

    user_ids, movie_ids = (np.arange(side.max() + 1, dtype=np.int32) for side in (users, movies))
    ones, no_folds, no_times = (np.ones(len(users), kind) for kind in (np.float32, np.int16, np.int64))
    block = Interactions(users, movies, ones, no_folds, no_times, user_ids, movie_ids)
    return LocalBlocks(select_seen(block), block.user_ids, block.movie_ids)


def by_loops(users: np.ndarray, movies: np.ndarray) -> tuple:
    """`als.compiled`, of the same objective as Spark ML's."""
    from movie_recs.als.compiled import Targets, fit_factors
    from movie_recs.als.parameters import AlsParameters

    targets = seen_by(users, movies).map(lambda seen: Targets(seen, seen.ratings.astype(np.float32)))
    parameters = AlsParameters(rank=RANK, reg_param=REG_PARAM, max_iter=ITERATIONS)
    with Timer() as timer:
        (factors,) = fit_factors(targets, parameters, [ITERATIONS], SEED, ALPHA)
    return (factors.users.collect(lambda block: block)[0], factors.items), timer.seconds


def by_ease(users: np.ndarray, movies: np.ndarray) -> tuple:
    """EASE with its largest singular vectors, all ratings of a user alike."""
    from scipy.sparse import csr_array

    from movie_recs.als.compiled import Targets
    from movie_recs.ranking.ease import decompose, ease_features, self_influence

    seen = seen_by(users, movies)
    with Timer() as timer:
        alike = seen.map(lambda block: Targets(block, np.ones(len(block.users), np.float32)))
        items = ease_features(decompose(alike, EASE_RANK, SEED), EASE_REG)
        rows = csr_array((self_influence(items)[movies], movies, seen.block.user_starts))
        vectors = (rows @ items).astype(np.float32)
    return (vectors, items), timer.seconds


def measure(folder: Path, way: str) -> tuple[float, float]:
    """NDCG@K over a sample of the users with a test rating, and its standard error."""
    from movie_recs.data.interactions import is_in_sample
    from movie_recs.model.exact_search import DOT, prepare_items
    from movie_recs.model.search import search
    from movie_recs.ranking.metrics import binary_gains, ndcg_of_lists

    factors = np.load(folder / f"{way}.npz")
    train, test = np.load(folder / "train.npy"), np.load(folder / "test.npy")
    users, movies = len(factors["users"]), len(factors["items"])
    asked = np.unique(test[0])
    asked = asked[is_in_sample(asked, MEASURED / len(asked), SEED)]
    starts = np.searchsorted(train[0], np.arange(users + 1))
    counts = np.diff(starts)[asked]
    seen = np.concatenate([train[1][starts[user] : starts[user + 1]] for user in asked])
    items = prepare_items(np.arange(movies, dtype=np.int32), np.zeros(movies), factors["items"], DOT)
    found = list(search(asked, np.zeros(len(asked)), factors["users"][asked], seen, counts, items, K))
    columns = {key: np.concatenate([part[key] for part in found]) for key in ("id", "rank", "item_id")}
    hits = np.zeros((users, K), bool)
    relevant = test[0].astype(np.int64) * movies + test[1]
    hits[columns["id"], columns["rank"] - 1] = np.isin(
        columns["id"].astype(np.int64) * movies + columns["item_id"], relevant
    )
    values = ndcg_of_lists(hits[asked], binary_gains(np.bincount(test[0], minlength=users)[asked], K))
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


if __name__ == "__main__":
    sys.exit(main())
