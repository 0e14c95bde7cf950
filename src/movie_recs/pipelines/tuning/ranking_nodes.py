"""What to watch next: the best ranking model by cross-validated NDCG, and its fit."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.als.parameters import ImplicitAlsParameters
from movie_recs.als.spark_ml import Fit
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import Scale
from movie_recs.data.spark_interactions import movie_ids
from movie_recs.data.splitting import HELD_OUT, hold_out_last
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import fit_candidate
from movie_recs.ranking.memory import choose_ranking_carrier
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.search import ALS_FIELDS, WINNERS, compare, search
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
    parameters: RankingParameters,
    split: SplitParameters,
    carrier: str,
) -> pd.DataFrame:
    """The cross-validated NDCG of each candidate, as `ranking.search.search` returns it.

    Where the search sees a sample of the users, the best of each model are measured once more with all of them. With a
    temporal split, each user's last train ratings are held out once, instead of the folds.
    """
    parameters = parameters.on(Scale.of(data_summary))
    part = choose_part(train_ratings, DataSize.of(data_summary), split.folds, parameters.tuning)
    is_temporal, folds = split.strategy == "temporal", part.folds
    ratings = [part.ratings, train_ratings]
    if is_temporal:
        ratings, folds = [hold_out_last(each, split.test_fraction, split.seed) for each in ratings], [HELD_OUT]
    choice = choose_ranking_carrier(carrier, part.size, parameters.tuning, movies.sparkSession, in_tasks=True)
    catalogue = movie_ids(movies)
    found = search(ratings[0], catalogue, parameters, folds, choice, finished_trials)
    if not part.is_sample:
        return found
    best = finalists(found, RankingCandidate, WINNERS)
    carrier, _ = choose_ranking_carrier(carrier, DataSize.of(data_summary), parameters.tuning, movies.sparkSession)
    here = Choice(carrier, IN_THIS_PROCESS)
    return settle(found, compare(ratings[1], catalogue, best, parameters, folds, here, finished_trials))


def choose_best(cv_results: pd.DataFrame) -> dict[str, Any]:
    """The winner's hyperparameters; under `als_model` those of the best implicit ALS, which is fitted as well."""
    als = best_candidate(cv_results, RankingCandidate, "implicit_als").model_dump(include=set(ALS_FIELDS))
    return {**best_candidate(cv_results, RankingCandidate, *WINNERS).model_dump(), "als_model": als}


def plot_tuning(cv_results: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The cross-validated NDCG of the best candidates of each model."""
    return figures.cv_results(cv_results, RankingCandidate.MEASURE, data_summary)


def fit_best(
    ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    best_params: dict[str, Any],
    parameters: RankingParameters,
    carrier: str,
) -> Fit:
    """Implicit ALS, and the winner, fitted on these ratings."""
    parameters = parameters.on(Scale.of(data_summary))
    als = ImplicitAlsParameters(**best_params["als_model"])
    winner = RankingCandidate.of(best_params)
    carrier, _ = choose_ranking_carrier(carrier, DataSize.of(data_summary), parameters.tuning, movies.sparkSession)
    return fit_candidate(ratings, movie_ids(movies), winner, als, parameters, carrier)
