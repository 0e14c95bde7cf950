"""Which hyperparameters of the rating model are best, found in two stages on the same folds.

First every baseline, all of them in the same passes over the ratings. Then, on what the best biases and the best taste
leave of each rating, every combination of ALS; the reference, ALS on the ratings themselves, is one more row.
"""

import time
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.als import FitInput, blocks_for, factor_model, fit_als
from movie_recs.baselines import MovieSide, Problem, cross_val_scores, fit_movie_sides, in_blocks
from movie_recs.cross_validation import best_candidate, cross_validate, summarise
from movie_recs.metrics import rating_errors
from movie_recs.model import score
from movie_recs.movie_features import Catalogue
from movie_recs.parameters import AlsParameters, Candidate, TuningParameters


def search(
    train_ratings: DataFrame, catalogue: Catalogue, tuning: TuningParameters, reference: AlsParameters, folds: int
) -> pd.DataFrame:
    """A row a candidate of bias, taste, reference_als, bias_als and taste_als, as `cross_validation.summarise` has it.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: The movies, all that are rated among them.
        tuning: The grids.
        reference: Hyperparameters of the reference.
        folds: Number of folds.
    """
    blocks = in_blocks(train_ratings).cache()  # every turn of every baseline reads it
    try:
        baselines, sides = _try_baselines(blocks, catalogue, tuning, folds)
        best = {model: best_candidate(baselines, model).baseline for model in ("bias", "taste")}
        chosen = [side for side in sides if side.problem.parameters in best.values()]
        candidates = [Candidate(model="reference_als", **reference.model_dump())] + [
            Candidate(model=f"{model}_als", **baseline.model_dump(), **als.model_dump())
            for model, baseline in best.items()
            for als in tuning.grid.candidates()
        ]
        factors = _try_factors(blocks, chosen, candidates, tuning, folds)
    finally:
        blocks.unpersist()
    return pd.concat([baselines, factors], ignore_index=True)


def _try_baselines(
    blocks: DataFrame, catalogue: Catalogue, tuning: TuningParameters, folds: int
) -> tuple[pd.DataFrame, list[MovieSide]]:
    """The results of all baselines, and their fits."""
    started = time.perf_counter()
    grid = tuning.baseline_grid
    candidates = [
        Candidate(model=model, **parameters.model_dump())
        for model, combinations in (("bias", grid.bias_candidates()), ("taste", grid.taste_candidates()))
        for parameters in combinations
    ]
    problems = [Problem(candidate.baseline, fold) for candidate in candidates for fold in range(folds)]
    sides = fit_movie_sides(blocks, catalogue, problems, tuning.seed)
    held_out = cross_val_scores(blocks, sides).filter("held_out")
    errors = {row["problem"]: row.asDict() for row in rating_errors(held_out, "problem").collect()}
    seconds = (time.perf_counter() - started) / len(problems)  # they are fitted together
    nothing = {"rmse": None, "rmse_warm": None, "error": "a fold has no ratings to measure it on"}
    outcomes = [
        {**({"error": "", **errors[place]} if place in errors else nothing), "seconds": seconds}
        for place in range(len(problems))
    ]
    by_candidate = [outcomes[start : start + folds] for start in range(0, len(outcomes), folds)]
    return summarise(candidates, by_candidate), sides


def _try_factors(
    blocks: DataFrame, sides: list[MovieSide], candidates: list[Candidate], tuning: TuningParameters, folds: int
) -> pd.DataFrame:
    """The results of the candidates with factors, on what these baselines leave."""
    problems = {side.problem: place for place, side in enumerate(sides)}
    als_blocks = blocks_for(blocks)
    by_problem = cross_val_scores(blocks, sides).repartition(als_blocks, "user_id")
    scores = by_problem.sortWithinPartitions("problem", "user_id", "movie_id").cache()  # every trial reads its part

    def trial(candidate: Candidate, fold: int) -> dict[str, Any]:
        baseline = candidate.baseline
        problem = Problem(baseline or sides[0].problem.parameters, fold)
        rows = scores.filter(F.col("problem") == problems[problem])
        base = F.col("score") if baseline else F.lit(0.0)
        train = rows.filter(~F.col("held_out"))
        left = train.select("user_id", "movie_id", (F.col("rating") - base).cast("float").alias("rating"))
        als_model = fit_als(FitInput(left, als_blocks), candidate.als, tuning.seed)
        held_out = rows.filter("held_out").select("user_id", "movie_id", "rating", "warm", base.alias("base"))
        scored = score(factor_model(als_model, candidate.als.reg_param), held_out)
        # As in the composed model, where factors follow a baseline, those of an unknown movie or user are zeros.
        factors = F.when(F.col("warm"), F.col("score")).otherwise(0.0) if baseline else F.col("score")
        return rating_errors(scored.withColumn("score", F.col("base") + factors)).first().asDict()

    try:
        return cross_validate(candidates, folds, trial, tuning.parallelism)
    finally:
        scores.unpersist()
