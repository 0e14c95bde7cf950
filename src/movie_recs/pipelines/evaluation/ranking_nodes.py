"""How good the lists of each ranking model and of its baselines are, for the users' held-out ratings."""

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame

from movie_recs.model.factor_model import FactorModel
from movie_recs.parameters import RankingParameters
from movie_recs.ranking.fit import BASELINES, fit_parts
from movie_recs.ranking.leaderboard import BY_STARS, Contest, list_by_spark, list_in_memory
from movie_recs.ranking.metrics import measure_rankings
from movie_recs.ranking.search import WINNERS, choose_ranking_engine
from movie_recs.rating.features import movie_ids
from movie_recs.report import figures as plots
from movie_recs.tuning.candidate import RankingCandidate
from movie_recs.tuning.cross_validation import best_candidate

DECIMALS = 10
MODELS = (*BASELINES, BY_STARS, *WINNERS)


def list_movies(
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    movies: DataFrame,
    rating_model: FactorModel,
    als_model: ALSModel,
    cv_results: pd.DataFrame,
    parameters: RankingParameters,
) -> DataFrame:
    """The first `k` of all movies without the user's train ratings, for every user of either set, by each model.

    Each model's hyperparameters are its best in cross-validation. A user without train ratings is a newcomer, for whom
    every model has the list that it has for everybody.

    Returns:
        (model string, user_id int, rank int from 1, movie_id int, score double).
    """
    ids = movie_ids(movies)
    best = {model: best_candidate(cv_results, RankingCandidate, model) for model in WINNERS}
    engine = choose_ranking_engine(train_ratings, len(ids), parameters.tuning)
    parts = fit_parts(train_ratings, ids, best["implicit_als"].als, parameters, engine, als_model)
    users = train_ratings.select("user_id").union(test_ratings.select("user_id")).distinct()
    contest = Contest(parts, best, rating_model, train_ratings, users)
    return {"kernel": list_in_memory, "spark": list_by_spark}[engine](contest, parameters)


def measure_lists(
    ranking_lists: DataFrame,
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    movies: DataFrame,
    parameters: RankingParameters,
) -> pd.DataFrame:
    """The leaderboard: a row a model, as `ranking_metrics.measure_rankings` gives it."""
    measured = measure_rankings(ranking_lists, test_ratings, train_ratings, movies, parameters.evaluation.k).toPandas()
    place = {name: number for number, name in enumerate(MODELS)}
    measured = measured.round(DECIMALS)  # the order of Spark's sums, and so their last digits, may differ
    return measured.sort_values("model", key=lambda names: names.map(place), ignore_index=True)


def plot_leaderboard(leaderboard: pd.DataFrame, data_summary: dict) -> Figure:
    """Accuracy against coverage."""
    return plots.leaderboard(leaderboard, data_summary)
