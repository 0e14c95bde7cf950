"""The rating model: a baseline, then ALS on what it leaves; and the ladder of models that leads up to it."""

from typing import NamedTuple

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.als import add_factors, factor_model, fit_als, prepare_fit
from movie_recs.baselines import fit_baseline
from movie_recs.model import FactorModel, first_parts, score
from movie_recs.movie_features import Catalogue
from movie_recs.parameters import Candidate

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


def fit_candidate(ratings: DataFrame, catalogue: Catalogue | None, candidate: Candidate, seed: int) -> Fit:
    """The candidate, fitted on these ratings; without a baseline, its factors are the whole model.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: The movies, all that are rated among them; not needed without a baseline.
        candidate: Hyperparameters, with factors.
        seed: Of all factors' first values.
    """
    if candidate.baseline is None:
        als_model = fit_als(prepare_fit(ratings), candidate.als, seed)
        return Fit(als_model, factor_model(als_model, candidate.als.reg_param))
    base = fit_baseline(ratings, catalogue, candidate.baseline, seed)
    left = score(base, ratings.select("user_id", "movie_id", "rating")).select(
        "user_id", "movie_id", (F.col("rating") - F.col("score")).cast("float").alias("rating")
    )
    als_model = fit_als(prepare_fit(left), candidate.als, seed)
    return Fit(als_model, add_factors(base, als_model, candidate.als.reg_param))


def ladder(taste_als: FactorModel, bias_als: FactorModel, reference_als: FactorModel) -> dict[str, FactorModel]:
    """The models of `BEFORE` by name: what comes before a model's factors is a rung of its own."""
    return {
        "global_mean": first_parts(bias_als, 0),
        "bias": first_parts(bias_als, 1),
        "reference_als": reference_als,
        "bias_als": bias_als,
        "taste": first_parts(taste_als, 1),
        "taste_als": taste_als,
    }
