"""What to watch next: the best ranking model by cross-validated NDCG, and its fit."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.parameters import ImplicitAlsParameters, RankingParameters, SplitParameters
from movie_recs.ranking.fit import compose, fit_parts
from movie_recs.ranking.search import HELD_OUT, WINNERS, choose_ranking_engine, hold_out_last, search
from movie_recs.rating.features import movie_ids
from movie_recs.rating.fit import Fit
from movie_recs.report import figures as plots
from movie_recs.tuning.candidate import RankingCandidate
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.trial_log import TrialLog


def cross_validate_candidates(
    train_ratings: DataFrame,
    movies: DataFrame,
    finished_trials: TrialLog,
    parameters: RankingParameters,
    split: SplitParameters,
) -> pd.DataFrame:
    """The cross-validated NDCG of each candidate, as `ranking_search.search` gives it.

    With a temporal split, each user's last train ratings are held out, once, in the place of the folds.
    """
    folds: int | list[int] = split.folds
    if split.strategy == "temporal":
        train_ratings, folds = hold_out_last(train_ratings, split.test_fraction, split.seed), [HELD_OUT]
    return search(train_ratings, movie_ids(movies), parameters, folds, finished_trials)


def choose_best(cv_results: pd.DataFrame) -> dict[str, Any]:
    """The winner's hyperparameters, and under `als_model` those of the best implicit ALS, which is fitted as well."""
    als = best_candidate(cv_results, RankingCandidate, "implicit_als").als
    return {**best_candidate(cv_results, RankingCandidate, *WINNERS).model_dump(), "als_model": als.model_dump()}


def plot_tuning(cv_results: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The cross-validated NDCG of the best candidates of each model."""
    return plots.cv_results(cv_results, RankingCandidate.MEASURE, data_summary)


def fit_best(ratings: DataFrame, movies: DataFrame, best_params: dict[str, Any], parameters: RankingParameters) -> Fit:
    """Implicit ALS, and the winner, fitted on these ratings."""
    ids = movie_ids(movies)
    als = ImplicitAlsParameters(**best_params["als_model"])
    winner = RankingCandidate(**{name: best_params[name] for name in RankingCandidate.model_fields})
    engine = choose_ranking_engine(ratings, len(ids), parameters.tuning)
    parts = fit_parts(ratings, ids, als, parameters, engine)
    return Fit(parts.als_model, compose(parts, winner, parameters.preference, ratings, engine))
