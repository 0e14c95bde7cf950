"""How many stars: the best rating model by cross-validated RMSE, and its fit."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.als.parameters import AlsParameters
from movie_recs.als.spark_ml import Fit
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import scale_of
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import fit_candidate
from movie_recs.rating.memory import choose_rating_carrier
from movie_recs.rating.parameters import RatingParameters
from movie_recs.rating.search import WINNERS, compare, first_values, for_all_users, search
from movie_recs.report import figures
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import IN_THIS_PROCESS, Choice, DataSize
from movie_recs.tuning.part import choose_part, finalists, settle
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

    Where the search sees a sample of the users, the best of each model are measured once more with all of them. A
    finished trial is added to `finished_trials` at once, so that a killed run can be resumed.
    """
    catalogue = describe_movies(movies, parameters.features)
    tuning, reference = parameters.tuning.suited_to(data_summary["ratings"]), parameters.evaluation.reference
    part = choose_part(train_ratings, DataSize.of(data_summary), split.folds, tuning)
    tuning = first_values(tuning, part.size)
    choice = choose_rating_carrier(carrier, part.size, catalogue, tuning, movies.sparkSession, in_tasks=True)
    scale = scale_of(data_summary)
    found = search(part.ratings, catalogue, tuning, reference, part.folds, choice, finished_trials, scale)
    if not part.is_sample:
        return found
    size = DataSize.of(data_summary)
    best = for_all_users(finalists(found, RatingCandidate, WINNERS), part.size, size)
    carrier, _ = choose_rating_carrier(carrier, size, catalogue, tuning, movies.sparkSession)
    here = Choice(carrier, IN_THIS_PROCESS)
    return settle(found, compare(train_ratings, catalogue, best, tuning, part.folds, here, finished_trials, scale))


def choose_best(cv_results: pd.DataFrame, parameters: RatingParameters) -> dict[str, Any]:  # noqa: ARG001 - as ranking's
    """The winner's hyperparameters; without ALS in it, under `als_model` those of the best plain ALS, fitted too."""
    best = best_candidate(cv_results, RatingCandidate, *WINNERS)
    if best.als:
        return best.model_dump()
    als = best_candidate(cv_results, RatingCandidate, "reference_als", "als").als
    return {**best.model_dump(), "als_model": None if als is None else als.model_dump()}


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
    carrier, _ = choose_rating_carrier(
        carrier, DataSize.of(data_summary), catalogue, parameters.tuning, movies.sparkSession
    )
    best, als = RatingCandidate.of(best_params), best_params.get("als_model")
    plain_als = None if als is None else AlsParameters(**als)
    tuning = parameters.tuning
    return fit_candidate(ratings, catalogue, best, tuning.seed, carrier, plain_als, tuning.final_fit)
