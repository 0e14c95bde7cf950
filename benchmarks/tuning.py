"""Cross-validation: both carriers against Spark ML, and what a trial takes at ten and a hundred times the ratings.

    python benchmarks/tuning.py [--rounds 3] [--no-scaling]

First ml-latest-small, plain ALS, the same folds and the same 9 candidates, each way in turn in one warm session, from
the DataFrame of ratings to the best parameters: Spark ML's `CrossValidator` as it comes, the local carrier (a trial is
a task), the Spark carrier (a trial is passes over blocks of users, which is for data that fit no task). Then synthetic
ratings, 100,000, 1 million and 10 million of them, on the local carrier alone: time a rating and trial, and the most
memory that a task has taken, against what `rating.memory` says. The exit code is 1 where a limit is not
kept, or where the two carriers choose differently.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
from kedro_run import ROOT, find_raw
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.recommendation import ALS
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder
from pyspark.sql import DataFrame, SparkSession

from movie_recs.data.blocks import local_blocks, open_blocks
from movie_recs.data.schemas import RATINGS
from movie_recs.data.spark_interactions import movie_ids
from movie_recs.data.splitting import split_by_hash
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import AUDIENCE, describe_movies
from movie_recs.rating.memory import estimate_bayes, estimate_memory
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.trial import RatingTrialData
from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.spark import configure_spark
from movie_recs.settings import CONFIG_LOADER_ARGS
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate, cross_validate
from movie_recs.tuning.memory import GIB, MIB, DataSize
from movie_recs.tuning.trial import Trial

RANKS, REG_PARAMS, MAX_ITER, FOLDS, SEED = [5, 10, 15], [0.1, 0.2, 0.4], 10, 5, 42
CANDIDATES = [
    RatingCandidate(model="als", rank=rank, reg_param=reg_param, max_iter=MAX_ITER)
    for rank in RANKS
    for reg_param in REG_PARAMS
]
LEAST_RATIO = 25  # of CrossValidator's time to the local carrier's
SCALES = {"100 thousand": (610, 6_000), "1 million": (6_100, 9_000), "10 million": (61_000, 12_000)}  # users, movies
MOST_GROWTH = 1.5  # of the time a rating and trial
TASTE = {"user_damping": 5, "movie_damping": 5, "taste_reg": 8, "prior_reg": 10}
SCALED = [RatingCandidate(model="als", rank=10, reg_param=0.1, max_iter=10)]
SCALED += [RatingCandidate(model="taste_als", rank=20, reg_param=0.2, max_iter=10, **TASTE)]
SCALED += [RatingCandidate(model="bayes", rank=10, max_iter=20)]


def main() -> int:
    """Prints both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-scaling", action="store_true")
    parser.add_argument("--scale", help=argparse.SUPPRESS)  # in a process of its own
    arguments = parser.parse_args()
    if arguments.scale:
        print(json.dumps(measure_scale(arguments.scale)))
        return 0
    failures = compare(arguments.rounds, find_raw())
    if not arguments.no_scaling:
        failures += scale_up()
    return int(failures > 0)


def start_spark(**options: str) -> SparkSession:
    """The session of conf/base/spark.yml, but for these options (with `_` for the dots)."""
    loader = ConfigLoader(str(ROOT / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
    others = {name.replace("_", "."): value for name, value in options.items()}
    configure_spark({**loader["spark"], **others}, ROOT / "conf" / "base")
    return SparkSession.builder.getOrCreate()


def compare(rounds: int, raw: Path) -> int:
    """How many limits are not kept."""
    spark = start_spark(spark_driver_extraJavaOptions="-Xss16m")  # both of Java's compilers: the session is a long one
    ratings = spark.read.csv(str(raw / "ratings.csv"), header=True, schema="userId int, movieId int, rating float")
    ratings = ratings.toDF("user_id", "movie_id", "rating")
    train = split_by_hash(ratings, 0.2, FOLDS, SEED).train.cache()
    train.count()
    ways: dict[str, Callable[[DataFrame], dict[str, float]]] = {
        "CrossValidator": with_cross_validator,
        "local carrier": partial(with_carrier, "local"),
        "Spark carrier": partial(with_carrier, "spark"),
    }
    ways["local carrier"](train)  # a warm session: its workers run, its code is compiled
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    best: dict[str, dict[str, float]] = {}
    for number in range(1, rounds + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            best[name] = way(train)
            seconds[name].append(time.perf_counter() - started)
            print(f"round {number}: {name} {seconds[name][-1]:.1f} s: {best[name]}", flush=True)
    spark.stop()
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name in ("CrossValidator", "Spark carrier"):
        ratio = medians[name] / medians["local carrier"]
        limit = f" (at least {LEAST_RATIO})" if name == "CrossValidator" else ""
        print(f"{name} takes {ratio:.0f} times the local carrier's time, by medians{limit}")
    differs = best["local carrier"] != best["Spark carrier"]
    return differs + (medians["CrossValidator"] / medians["local carrier"] < LEAST_RATIO)


def with_cross_validator(train: DataFrame) -> dict[str, float]:
    """Spark's own way, with the settings that it comes with."""
    spark = train.sparkSession
    partitions = spark.conf.get("spark.sql.shuffle.partitions", "200") or "200"
    spark.conf.set("spark.sql.shuffle.partitions", "200")
    als = ALS(userCol="user_id", itemCol="movie_id", ratingCol="rating", coldStartStrategy="drop", seed=SEED)
    grid = ParamGridBuilder().addGrid(als.rank, RANKS).addGrid(als.regParam, REG_PARAMS).build()
    evaluator = RegressionEvaluator(metricName="rmse", labelCol="rating")
    tuned = CrossValidator(
        estimator=als, estimatorParamMaps=grid, evaluator=evaluator, numFolds=FOLDS, foldCol="fold"
    ).fit(train)
    spark.conf.set("spark.sql.shuffle.partitions", partitions)
    rmse, best = min(zip(tuned.avgMetrics, grid, strict=True), key=lambda pair: pair[0])
    return {**{parameter.name: value for parameter, value in best.items()}, "warm_rmse": round(rmse, 4)}


def with_carrier(carrier: str, train: DataFrame) -> dict[str, float]:
    """Compiled trials, each in a task or each by passes over blocks."""
    blocks = open_blocks(carrier, train, movie_ids(train.select("movie_id").distinct()))
    try:
        runner = TrialRunner(train.sparkSession, RatingTrialData(blocks, None, SEED, {}), carrier)
        return described(cross_validate(CANDIDATES, FOLDS, runner))
    finally:
        blocks.close()


def described(results: pd.DataFrame) -> dict[str, float]:
    """The best candidate of a `cv_results`."""
    best = best_candidate(results, RatingCandidate, "als")
    row = results[(results["rank"] == best.rank) & (results["reg_param"] == best.reg_param)].iloc[0]
    return {"rank": best.rank, "regParam": best.reg_param, "warm_rmse": round(row["mean_rmse_warm"], 4)}


def scale_up() -> int:
    """How many sizes take more time a rating, or more memory, than they may."""
    rows = {}
    for name in SCALES:
        command = [sys.executable, __file__, "--scale", name]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rows[name] = json.loads(output.splitlines()[-1])
    table = pd.DataFrame(rows).T
    table["growth"] = table["microseconds"] / table["microseconds"].iloc[0]
    for model in ("taste", "bayes"):
        table[f"{model}_growth"] = table[f"{model}_microseconds"] / table[f"{model}_microseconds"].iloc[0]
    print("microseconds a rating and trial: ALS of rank 10; taste_: biases, taste, ALS of rank 20; bayes_: rank 10")
    print(table.round(2).to_string())
    grown = (table[["growth", "taste_growth", "bayes_growth"]] > MOST_GROWTH).to_numpy().sum()
    return int(grown + (table["peak_gb"] > table["estimated_gb"]).sum())


def measure_scale(name: str) -> dict[str, float]:
    """One size: ratings made by the generator, one trial after the other in one task."""
    users, movies = SCALES[name]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "movie_recs.sample", "--spark", "--folder", folder]
        command += ["--users", str(users), "--movies", str(movies), "--ratings-per-user", "165"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SPARK_DRIVER_MEMORY": "8g"})
        spark = start_spark()
        ratings = spark.read.csv(f"{folder}/ratings.csv", header=True, schema=RATINGS.replace("timestamp", "long"))
        titles = spark.read.csv(f"{folder}/movies.csv", header=True, schema="movie_id int, title string, genres string")
        weights = FeatureWeights(genres=1, year=1, popularity=0.5, audience=0.7)
        year = "try_cast(regexp_extract(title, '([0-9]{4})', 1) as int) as year"
        catalogue = describe_movies(titles.selectExpr("movie_id", year, "split(genres, '[|]') as genres"), weights)
        train = split_by_hash(ratings.select("user_id", "movie_id", "rating"), 0.2, FOLDS, SEED).train.cache()
        size = DataSize(train.count(), train.select("user_id").distinct().count(), len(catalogue.ids))
        seconds = {}
        data = RatingTrialData(local_blocks(train, catalogue.ids), catalogue, SEED, {})
        runner = TrialRunner(spark, data, "local")
        list(runner.run([Trial(SCALED[0].model_copy(update={"max_iter": 1}), 0)]))  # starts the worker
        for candidate in SCALED:
            outcomes = [outcome for fold in (0, 1) for _, outcome in runner.run([Trial(candidate, fold)])]
            assert not any(outcome.error for outcome in outcomes), outcomes
            seconds[candidate.model] = statistics.median(outcome.seconds for outcome in outcomes)
        peaks = spark.range(8, numPartitions=8).mapInArrow(peak_rows, "peak long")
        peak = max(row["peak"] for row in peaks.collect())
        spark.stop()
    features = 1 + catalogue.features.shape[1] + 1 + AUDIENCE.rank
    return {
        "ratings": size.ratings,
        "microseconds": 1e6 * seconds["als"] / size.ratings,
        "taste_microseconds": 1e6 * seconds["taste_als"] / size.ratings,
        "bayes_microseconds": 1e6 * seconds["bayes"] / size.ratings,
        "seconds": seconds["als"],
        "taste_seconds": seconds["taste_als"],
        "bayes_seconds": seconds["bayes"],
        "peak_gb": peak / GIB,
        "estimated_gb": (estimate_memory(size, 20, features) + estimate_bayes(size, 10, features)) / GIB,
    }


def peak_rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """In a task: what its process has had."""
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"peak": [peak_memory()]})


def peak_memory() -> int:
    """Bytes, the most that this process has had."""
    unit = 1 if sys.platform == "darwin" else MIB // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())
