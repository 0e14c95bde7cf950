"""The rating model: a baseline, then ALS on what it leaves; and the ladder of models that leads up to it."""

from typing import NamedTuple

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.als import compiled as in_memory
from movie_recs.als.spark_ml import add_factors, blocks_for, factor_model, fit_als, prepare_fit
from movie_recs.model.factor_model import FactorModel, score, score_parts
from movie_recs.rating.biases import fit_baseline
from movie_recs.rating.features import Catalogue
from movie_recs.tuning.candidate import RatingCandidate

BEFORE = {  # each rung of the ladder, and what it is compared with
    "global_mean": None,
    "bias": "global_mean",
    "reference_als": "bias",
    "bias_als": "bias",
    "taste": "bias",
    "taste_als": "taste",
}
BEST = "taste_als"


class Fit(NamedTuple):
    """One fit: Spark ML's model as it came, and the composed model that every later step scores with."""

    als_model: ALSModel
    factor_model: FactorModel


def fit_candidate(
    ratings: DataFrame, catalogue: Catalogue | None, candidate: RatingCandidate, seed: int, engine: str = "spark"
) -> Fit:
    """The candidate, fitted on these ratings; without a baseline, its factors are the whole model.

    The factors are Spark ML's ALS, whatever the engine.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: The movies, all that are rated among them; not needed without a baseline.
        candidate: Hyperparameters, with factors.
        seed: Of all factors' first values.
        engine: Of the baseline: `kernel`, in the driver's memory, or `spark`, by passes over the ratings.
    """
    blocks = blocks_for(ratings, candidate.rank)
    if candidate.baseline is None:
        als_model = fit_als(prepare_fit(ratings, blocks), candidate.als, seed)
        return Fit(als_model, factor_model(als_model, candidate.als.reg_param))
    if engine == "kernel":
        base = in_memory.fit_model(ratings, catalogue, candidate.without_factors, seed)
    else:
        base = fit_baseline(ratings, catalogue, candidate.baseline, seed)
    left = score(base, ratings.select("user_id", "movie_id", "rating")).select(
        "user_id", "movie_id", (F.col("rating") - F.col("score")).cast("float").alias("rating")
    )
    als_model = fit_als(prepare_fit(left, blocks), candidate.als, seed)
    return Fit(als_model, add_factors(base, als_model, candidate.als.reg_param))


def fit_rung(
    ratings: DataFrame, catalogue: Catalogue, candidate: RatingCandidate, seed: int, engine: str = "spark"
) -> FactorModel:
    """A model that is measured and not used; arguments as of `fit_candidate`.

    On the engine `kernel` its factors are fitted in memory, as those of cross-validation's trials are.
    """
    if engine == "kernel":
        return in_memory.fit_model(ratings, catalogue, candidate, seed)
    return fit_candidate(ratings, catalogue, candidate, seed).factor_model


def score_ladder(
    taste_als: FactorModel, bias_als: FactorModel, reference_als: FactorModel, pairs: DataFrame
) -> DataFrame:
    """The pairs with a column of scores for each model of `BEFORE`, in its order, after their own.

    What comes before a model's factors is a rung of its own.
    """
    scored = score_parts(bias_als, pairs, {"global_mean": 0, "bias": 1, "bias_als": 2})
    scored = score_parts(taste_als, score(reference_als, scored, "reference_als"), {"taste": 1, "taste_als": 2})
    return scored.select(*pairs.columns, *BEFORE)
