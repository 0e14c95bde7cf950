"""How many stars: the best rating model by cross-validated RMSE, and its fit."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.als.spark_ml import Fit
from movie_recs.data.parameters import SplitParameters
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import fit_candidate
from movie_recs.rating.ladder import BEST
from movie_recs.rating.memory import choose_rating_carrier
from movie_recs.rating.parameters import RatingParameters
from movie_recs.rating.search import search
from movie_recs.report import figures
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.trial_log import TrialLog


def cross_validate_candidates(
    train_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    finished_trials: TrialLog,
    parameters: RatingParameters,
    split: SplitParameters,
    carrier: str,
) -> pd.DataFrame:
    """The cross-validated error of each candidate and of the reference, as `rating.search.search` returns them.

    A finished trial is added to `finished_trials` at once, so that a killed run can be resumed.
    """
    catalogue = describe_movies(movies, parameters.features)
    tuning, reference = parameters.tuning, parameters.evaluation.reference
    carrier = choose_rating_carrier(carrier, data_summary, catalogue, tuning, movies.sparkSession)
    return search(train_ratings, catalogue, tuning, reference, split.folds, carrier, finished_trials)


def choose_best(cv_results: pd.DataFrame) -> dict[str, Any]:
    """The winner's hyperparameters."""
    return best_candidate(cv_results, RatingCandidate, BEST).model_dump()


def plot_tuning(cv_results: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The cross-validated errors of the best candidates of each model."""
    return figures.cv_results(cv_results, RatingCandidate.MEASURE, data_summary)


def fit_best(
    ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    best_params: dict[str, Any],
    parameters: RatingParameters,
    carrier: str,
) -> Fit:
    """The winner, fitted on these ratings."""
    catalogue = describe_movies(movies, parameters.features)
    carrier = choose_rating_carrier(carrier, data_summary, catalogue, parameters.tuning, movies.sparkSession)
    return fit_candidate(ratings, catalogue, RatingCandidate(**best_params), parameters.tuning.seed, carrier)
