"""Trials on data of any size: baselines in shared passes over the ratings, several fits of Spark ML's ALS at a time."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.als.spark_ml import FitInput, blocks_for, factor_model, fit_als
from movie_recs.model.factor_model import score
from movie_recs.rating.biases import MovieSide, Problem, cross_val_scores, fit_movie_sides, in_blocks
from movie_recs.rating.features import Catalogue
from movie_recs.rating.metrics import rating_errors
from movie_recs.tuning.trial import Outcome, Trial, attempt, failed


class SparkEngine:
    """Runs trials as Spark jobs.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: The movies, all that are rated among them; None if no candidate has a baseline.
        seed: Of the factors' first values.
        parallelism: Fits of ALS at a time.
    """

    def __init__(self, train_ratings: DataFrame, catalogue: Catalogue | None, seed: int, parallelism: int):
        self._catalogue, self._seed, self._parallelism = catalogue, seed, parallelism
        self._blocks = in_blocks(train_ratings).cache()  # every turn of every baseline reads it
        self._sides: dict[Problem, MovieSide] = {}

    def __enter__(self) -> "SparkEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self._blocks.unpersist()

    def run(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """The baselines together, then those with factors as they end."""
        baselines = [trial for trial in trials if trial.candidate.als is None]
        factors = [trial for trial in trials if trial.candidate.als is not None]
        if baselines:
            yield from self._run_baselines(baselines)
        if factors:
            yield from self._run_factors(factors)

    def _run_baselines(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        started = time.perf_counter()
        try:
            sides = self._fit_sides([_problem(trial) for trial in trials])
            held_out = cross_val_scores(self._blocks, sides).filter("held_out")
            errors = {row["problem"]: row.asDict() for row in rating_errors(held_out, "problem").collect()}
        except Exception as error:  # they are fitted together, and fail together
            yield from ((trial, failed(error, trial.fold)) for trial in trials)
            return
        seconds = (time.perf_counter() - started) / len(trials)
        nothing = {"rmse": None, "rmse_warm": None}
        for place, trial in enumerate(trials):
            (outcome,) = attempt(partial(lambda found: [found], errors.get(place, nothing)), [trial])
            yield trial, outcome._replace(seconds=seconds)

    def _run_factors(self, trials: list[Trial]) -> Iterator[tuple[Trial, Outcome]]:
        """On what the baselines leave, each trial reading its part of one cached table."""
        problems = list(dict.fromkeys(_problem(trial) for trial in trials if trial.candidate.baseline))
        als_blocks = blocks_for(self._blocks)
        scores = cross_val_scores(self._blocks, self._fit_sides(problems)) if problems else None
        tables = {
            table: _by_user(rows, als_blocks).cache()
            for table, rows in (("plain", _mark_warm(self._blocks)), ("scores", scores))
            if rows is not None
        }

        def measure(trial: Trial) -> list[dict[str, float | None]]:
            if trial.candidate.baseline is None:
                is_held_out = (F.col("fold") == trial.fold).alias("held_out")
                rows = tables["plain"].select("*", is_held_out, F.lit(0.0).alias("score"))
            else:
                rows = tables["scores"].filter(F.col("problem") == problems.index(_problem(trial)))
            return [self._measure(trial, rows, als_blocks)]

        pool = ThreadPoolExecutor(self._parallelism, thread_name_prefix="trial")
        try:
            waiting = {pool.submit(attempt, partial(measure, trial), [trial]): trial for trial in trials}
            for done in as_completed(waiting):
                yield waiting[done], done.result()[0]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for table in tables.values():
                table.unpersist()

    def _measure(self, trial: Trial, rows: DataFrame, als_blocks: int) -> dict[str, float | None]:
        candidate = trial.candidate
        train = rows.filter(~F.col("held_out"))
        left = train.select("user_id", "movie_id", (F.col("rating") - F.col("score")).cast("float").alias("rating"))
        als_model = fit_als(FitInput(left, als_blocks), candidate.als, self._seed)
        held_out = rows.filter("held_out").select("user_id", "movie_id", "rating", "warm", F.col("score").alias("base"))
        scored = score(factor_model(als_model, candidate.als.reg_param), held_out)
        # As in the composed model, where factors follow a baseline, those of an unknown movie or user are zeros.
        has_baseline = candidate.baseline is not None
        factors = F.when(F.col("warm"), F.col("score")).otherwise(0.0) if has_baseline else F.col("score")
        return rating_errors(scored.withColumn("score", F.col("base") + factors)).first().asDict()

    def _fit_sides(self, problems: list[Problem]) -> list[MovieSide]:
        missing = [problem for problem in dict.fromkeys(problems) if problem not in self._sides]
        sides = fit_movie_sides(self._blocks, self._catalogue, missing, self._seed) if missing else []
        self._sides.update(zip(missing, sides, strict=True))
        return [self._sides[problem] for problem in problems]


def _problem(trial: Trial) -> Problem:
    return Problem(trial.candidate.baseline, trial.fold)


def _by_user(rows: DataFrame, blocks: int) -> DataFrame:
    order = ["problem"] if "problem" in rows.columns else []
    return rows.repartition(blocks, "user_id").sortWithinPartitions(*order, "user_id", "movie_id")


def _mark_warm(ratings: DataFrame) -> DataFrame:
    """(..., warm boolean): whether other folds have ratings of the user and of the movie."""

    def elsewhere(*keys: str) -> Column:
        return F.count("*").over(Window.partitionBy(*keys)) > F.count("*").over(Window.partitionBy(*keys, "fold"))

    return ratings.withColumn("warm", elsewhere("user_id") & elsewhere("movie_id"))
