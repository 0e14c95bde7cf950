"""How many stars: the best rating model by cross-validated RMSE, and its fit."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.parameters import RatingParameters, SplitParameters
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import BEST, Fit, fit_candidate
from movie_recs.rating.search import search
from movie_recs.report import figures as plots
from movie_recs.tuning.candidate import RatingCandidate
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import choose_engine
from movie_recs.tuning.trial_log import TrialLog


def cross_validate_candidates(
    train_ratings: DataFrame,
    movies: DataFrame,
    finished_trials: TrialLog,
    parameters: RatingParameters,
    split: SplitParameters,
) -> pd.DataFrame:
    """The cross-validated error of each candidate, the reference among them, as `rating_search.search` gives it.

    Each trial that ends is added to `finished_trials` at once, so that a run that is killed can be resumed.
    """
    catalogue = describe_movies(movies, parameters.features)
    tuning, reference = parameters.tuning, parameters.evaluation.reference
    return search(train_ratings, catalogue, tuning, reference, split.folds, finished_trials)


def choose_best(cv_results: pd.DataFrame) -> dict[str, Any]:
    """The winner's hyperparameters."""
    return best_candidate(cv_results, RatingCandidate, BEST).model_dump()


def plot_tuning(cv_results: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The cross-validated errors of the best candidates of each model."""
    return plots.cv_results(cv_results, RatingCandidate.MEASURE, data_summary)


def fit_best(ratings: DataFrame, movies: DataFrame, best_params: dict[str, Any], parameters: RatingParameters) -> Fit:
    """The winner, fitted on these ratings."""
    catalogue = describe_movies(movies, parameters.features)
    engine = choose_engine(ratings, catalogue, parameters.tuning)
    return fit_candidate(ratings, catalogue, RatingCandidate(**best_params), parameters.tuning.seed, engine)
