"""Top-N lists for all users: `top_n` against Spark's own `ALSModel.recommendForAllUsers` on the same factors.

    python benchmarks/top_n.py [--users 100000 --movies 50000 --rank 50 --n 10 --rounds 3]

The factors are random numbers. Each way in turn in one session, that of conf/base/spark.yml but with both of Java's
compilers, from the same Parquet files to Spark's `noop` sink. Memory is what the driver, the JVM and Python's workers
hold together, sampled while a way runs. As the JVM does not give back what it once took, the memory of `top_n` is that
of as many runs before all rounds. The lists of some users are compared. The exit code is 1 where a limit is not kept or
a list differs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tuning import start_spark

from movie_recs.als.spark_ml import factor_model
from movie_recs.model.top_n import top_n

LEAST_RATIO = 3  # of Spark's own time to that of top_n
MOST_GB = 4
COMPARED = 5_000  # users
SEED = 42
FILES = 8  # of a side's factors


def main() -> int:
    """Prints times, memory and whether the lists agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"users": 100_000, "movies": 50_000, "rank": 50, "n": 10, "rounds": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        spark = start_spark(spark_driver_extraJavaOptions="-Xss16m")  # both of Java's compilers, for Spark's own way
        als_model = random_model(spark, Path(folder), arguments.users, arguments.movies, arguments.rank)
        failures = compare_times(als_model, arguments.n, arguments.rounds)
        failures += compare_lists(als_model, arguments.n)
        spark.stop()
    return int(failures > 0)


def random_model(spark: SparkSession, folder: Path, users: int, movies: int, rank: int) -> ALSModel:
    """A saved ALSModel whose factors have been replaced; users and movies have the ids from 1."""
    path, rng = folder / "als_model", np.random.default_rng(SEED)
    one_rating = spark.createDataFrame([(1, 1, 1.0)], "user int, item int, rating float")
    ALS(rank=rank, maxIter=1).fit(one_rating).save(str(path))
    for side, rows in (("userFactors", users), ("itemFactors", movies)):
        for file in [*(path / side).iterdir()]:
            file.unlink()
        features = rng.normal(0, 1 / np.sqrt(rank), (rows, rank)).astype(np.float32)
        for part, places in enumerate(np.array_split(np.arange(rows, dtype=np.int32), FILES)):
            starts = np.arange(0, (len(places) + 1) * rank, rank, dtype=np.int32)
            vectors = pa.ListArray.from_arrays(starts, features[places].ravel())
            pq.write_table(pa.table({"id": places + 1, "features": vectors}), path / side / f"part-{part}.parquet")
    return ALSModel.load(str(path))


def with_top_n(als_model: ALSModel, n: int, users: DataFrame | None = None) -> DataFrame:
    """(user_id, rank, movie_id, score), for all users of the model or for these (id)."""
    model = factor_model(als_model, reg_param=0.0)
    nothing = als_model.userFactors.sparkSession.createDataFrame([], "user_id int, movie_id int")
    users = (als_model.userFactors if users is None else users).select(F.col("id").alias("user_id"))
    return top_n(model, users, nothing, n)


def with_spark(als_model: ALSModel, n: int) -> DataFrame:
    """(user, recommendations), for all users of the model."""
    return als_model.recommendForAllUsers(n)


def compare_times(als_model: ALSModel, n: int, rounds: int) -> int:
    """How many limits are not kept."""
    ways: dict[str, Callable[[ALSModel, int], DataFrame]] = {"top_n": with_top_n, "recommendForAllUsers": with_spark}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, list[float]] = {name: [] for name in ways}
    alone = [measure(with_top_n, als_model, n, "alone: top_n")[1] for _ in range(rounds)]
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            duration, gigabytes = measure(way, als_model, n, f"round {number}: {name}")
            seconds[name].append(duration)
            peaks[name].append(gigabytes)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = medians["recommendForAllUsers"] / medians["top_n"]
    print("medians: " + ", ".join(f"{name} {median:.1f} s" for name, median in medians.items()))
    print(f"recommendForAllUsers takes {ratio:.1f} times the time of top_n (at least {LEAST_RATIO})")
    print(
        f"top_n takes {max(alone):.2f} GB (below {MOST_GB}); after the other way in the same session "
        f"{max(peaks['top_n']):.2f} GB; recommendForAllUsers takes {max(peaks['recommendForAllUsers']):.2f} GB"
    )
    return (ratio < LEAST_RATIO) + (max(alone) >= MOST_GB)


def measure(way: Callable[[ALSModel, int], DataFrame], als_model: ALSModel, n: int, name: str) -> tuple[float, float]:
    """Seconds and gigabytes of a run, which are printed too."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        way(als_model, n).write.format("noop").mode("overwrite").save()
        seconds = time.perf_counter() - started
    print(f"{name} {seconds:.1f} s, {memory.gigabytes:.2f} GB", flush=True)
    return seconds, memory.gigabytes


def compare_lists(als_model: ALSModel, n: int) -> int:
    """How many rows differ: in score, or in movie where the scores before and after are further away than 1e-5."""
    asked = als_model.userFactors.filter(F.col("id") <= COMPARED).select("id")
    theirs = (
        als_model.recommendForUserSubset(asked.toDF("user"), n)
        .select(F.col("user").alias("user_id"), F.posexplode("recommendations").alias("place", "pair"))
        .select("user_id", (F.col("place") + 1).alias("rank"), "pair.item", "pair.rating")
        .toPandas()
    )
    ours = with_top_n(als_model, n, asked).toPandas()
    both = ours.merge(theirs, on=["user_id", "rank"], how="outer").sort_values(["user_id", "rank"])
    wrong = ~((both["score"] - both["rating"]).abs() <= 1e-5)
    steps = both.groupby("user_id")["score"].diff().abs()
    next_steps = steps.shift(-1).where(both["user_id"].shift(-1) == both["user_id"], 0)  # who comes next is not known
    apart = (steps.fillna(np.inf) > 1e-5) & (next_steps > 1e-5)
    wrong |= apart & (both["movie_id"] != both["item"])
    agree = (both["movie_id"] == both["item"]).mean()
    print(
        f"lists of {both['user_id'].nunique()} users: {len(both)} rows, {wrong.sum()} wrong, {agree:.2%} the same movie"
    )
    return int(wrong.sum())


class PeakMemory:
    """The most that this process and all below it have had resident together, by /proc, in `gigabytes`."""

    def __init__(self) -> None:
        self.gigabytes = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.gigabytes = max(self.gigabytes, resident_bytes() / 1e9)
            if self._stopped.wait(0.2):
                return


def resident_bytes() -> int:
    """Of this process and of all its descendants now; pages that two of them share count twice."""
    parents, resident = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            parents[int(folder.name)], resident[int(folder.name)] = int(fields[1]), int(fields[21])
    ours = {os.getpid()}
    while below := {process for process, parent in parents.items() if parent in ours} - ours:
        ours |= below
    return sum(resident[process] for process in ours) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
