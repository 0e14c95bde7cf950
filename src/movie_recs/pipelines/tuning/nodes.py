"""Which hyperparameters are best on the train ratings, and the models that they give."""

from typing import Any, NamedTuple

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs import plots
from movie_recs.als import FitInput, factor_model, fit_als, prepare_fit
from movie_recs.cross_validation import best_candidate, cross_validate
from movie_recs.metrics import rating_errors
from movie_recs.model import FactorModel, score
from movie_recs.parameters import AlsParameters, SplitParameters, TuningParameters


class Fit(NamedTuple):
    """One fit: Spark ML's model as it came, and the same as the two tables that every later step scores with."""

    als_model: ALSModel
    factor_model: FactorModel


def cross_validate_candidates(
    train_ratings: DataFrame, tuning: TuningParameters, split: SplitParameters
) -> pd.DataFrame:
    """The cross-validated error of each candidate; columns as `cross_validation.cross_validate` gives them."""
    ratings, blocks = prepare_fit(train_ratings)
    ratings = ratings.select("user_id", "movie_id", "rating", "fold").cache()  # every trial reads it

    def trial(candidate: AlsParameters, fold: int) -> dict[str, Any]:
        fit_input = FitInput(ratings.filter(F.col("fold") != fold), blocks)
        model = factor_model(fit_als(fit_input, candidate, tuning.seed), candidate.reg_param)
        return rating_errors(score(model, ratings.filter(F.col("fold") == fold)))

    try:
        return cross_validate(tuning.grid.candidates(), split.folds, trial, tuning.parallelism)
    finally:
        ratings.unpersist()


def choose_best(cv_results: pd.DataFrame) -> dict[str, Any]:
    """The winner's rank, reg_param and max_iter."""
    return best_candidate(cv_results).model_dump()


def plot_tuning(cv_results: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The cross-validated error over the regularisation, a line a rank."""
    return plots.cv_results(cv_results, data_summary)


def fit_best(ratings: DataFrame, best_params: dict[str, Any], tuning: TuningParameters) -> Fit:
    """The winner, fitted on these ratings."""
    winner = AlsParameters(**best_params)
    als_model = fit_als(prepare_fit(ratings), winner, tuning.seed)
    return Fit(als_model, factor_model(als_model, winner.reg_param))
