"""What to watch next: the best ranking model by cross-validated NDCG, and its fit."""

from functools import partial
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame

from movie_recs.als.parameters import ImplicitAlsParameters
from movie_recs.als.spark_ml import Fit
from movie_recs.data.movie_features import known_features, movie_table
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import Scale
from movie_recs.data.spark_interactions import movie_ids
from movie_recs.data.splitting import HELD_OUT, hold_out_last
from movie_recs.model.factor_model import FactorModel, ItemSide
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import side_rows
from movie_recs.ranking.fit import KnownSides, fit_candidate
from movie_recs.ranking.memory import choose_ranking_carrier
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.search import ALS_FIELDS, WINNERS, FoldStars, choose_winner, compare, search
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import fit_folds
from movie_recs.rating.parameters import RatingParameters
from movie_recs.report import figures
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import IN_THIS_PROCESS, Choice, DataSize
from movie_recs.tuning.part import choose_part, finalists, settle
from movie_recs.tuning.trial_log import TrialLog, digest


def cross_validate_candidates(
    train_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    finished_trials: TrialLog,
    parameters: RankingParameters,
    split: SplitParameters,
    carrier: str,
    rating_best_params: dict[str, Any] | None = None,
    rating_parameters: RatingParameters | None = None,
) -> pd.DataFrame:
    """The cross-validated NDCG of each candidate, as `ranking.search.search` returns it.

    The rating model of each fold has the hyperparameters of the best one; of events there is none.

    Where the search sees a sample of the users, the best of each model are measured once more with all of them. With a
    temporal split, each user's last train ratings are held out once, instead of the folds.
    """
    parameters = parameters.on(Scale.of(data_summary))
    part = choose_part(train_ratings, DataSize.of(data_summary), split.folds, parameters.tuning)
    is_temporal, folds = split.strategy == "temporal", part.folds
    ratings = [part.ratings, train_ratings]
    if is_temporal:
        ratings, folds = [hold_out_last(each, split.test_fraction, split.seed) for each in ratings], [HELD_OUT]
    spark, tuning = movies.sparkSession, parameters.tuning
    choice = choose_ranking_carrier(carrier, part.size, tuning, spark, in_tasks=True, by_time=is_temporal)
    catalogue, table = movie_ids(movies), movie_table(movies)
    features = side_rows(table, parameters.preference.side)

    def fold_models(ratings: DataFrame, carrier: str) -> FoldStars | None:
        if rating_best_params is None or rating_parameters is None or tuning.relevance == "all":
            return None
        fit = partial(fit_fold_models, ratings, movies, folds, rating_best_params, rating_parameters, carrier)
        weights = rating_parameters.features
        known = digest([known_features(table, weights.genres, weights.year).tobytes()])
        return FoldStars(fit, [rating_best_params, weights.model_dump(), rating_parameters.tuning.seed, known])

    stars = fold_models(ratings[0], choice.carrier)
    found = search(ratings[0], catalogue, parameters, folds, choice, finished_trials, features, stars, is_temporal)
    if not part.is_sample:
        return found
    best = finalists(found, RankingCandidate, WINNERS)
    carrier, _ = choose_ranking_carrier(carrier, DataSize.of(data_summary), tuning, spark, by_time=is_temporal)
    here, stars = Choice(carrier, IN_THIS_PROCESS), fold_models(ratings[1], carrier)
    on_all = compare(ratings[1], catalogue, best, parameters, folds, here, finished_trials, features, stars)
    return settle(found, on_all)


def fit_fold_models(
    ratings: DataFrame,
    movies: DataFrame,
    folds: int | list[int],
    best_params: dict[str, Any],
    parameters: RatingParameters,
    carrier: str,
) -> dict[int, ItemSide]:
    """For each of these folds, the movies' side of the best rating model fitted on the others."""
    described = describe_movies(movies, parameters.features)
    return fit_folds(ratings, described, RatingCandidate.of(best_params), parameters.tuning.seed, folds, carrier)


def choose_best(cv_results: pd.DataFrame, parameters: RankingParameters) -> dict[str, Any]:
    """The winner's hyperparameters, and what it was chosen by.

    Under `als_model` are those of the best implicit ALS, which is fitted as well; `relevance` says which held-out
    movies were hits.
    """
    als = best_candidate(cv_results, RankingCandidate, "implicit_als").model_dump(include=set(ALS_FIELDS))
    return {
        **choose_winner(cv_results, parameters.tuning).model_dump(),
        "als_model": als,
        "relevance": parameters.tuning.relevance,
    }


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
    rating_model: FactorModel | None = None,
) -> Fit:
    """Implicit ALS, and the winner, fitted on these ratings; `rating_model` is fitted on the same, for its stars."""
    parameters = parameters.on(Scale.of(data_summary))
    als = ImplicitAlsParameters(**best_params["als_model"])
    winner = RankingCandidate.of(best_params)
    size, by_time = DataSize.of(data_summary), winner.sequential_reg is not None
    carrier, _ = choose_ranking_carrier(carrier, size, parameters.tuning, movies.sparkSession, by_time=by_time)
    stars = None if winner.stars_weight is None or rating_model is None else rating_model.item_side
    known = KnownSides(side_rows(movie_table(movies), parameters.preference.side), stars)
    return fit_candidate(ratings, movie_ids(movies), winner, als, parameters, carrier, known)
