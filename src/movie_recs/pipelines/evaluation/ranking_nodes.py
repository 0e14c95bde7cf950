"""The quality of each ranking model's and baseline's lists, for the users' held-out ratings."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame

from movie_recs.data.blocks import open_blocks
from movie_recs.data.interactions import movie_ids
from movie_recs.data.scale import EVENTS, Scale
from movie_recs.model.factor_model import FactorModel
from movie_recs.ranking import leaderboard as lists
from movie_recs.ranking.baselines import BASELINES
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import collect_parts
from movie_recs.ranking.leaderboard import BY_STARS, ListingTask
from movie_recs.ranking.memory import choose_ranking_carrier
from movie_recs.ranking.metrics import measure_rankings
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.search import WINNERS
from movie_recs.report import figures
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import DataSize

DECIMALS = 10
MODELS = (*BASELINES, BY_STARS, *WINNERS)


def list_movies(
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    als_model: ALSModel,
    factor_model: FactorModel,
    cv_results: pd.DataFrame,
    parameters: RankingParameters,
    carrier: str,
    rating_model: FactorModel | None = None,
) -> DataFrame:
    """The `k` best movies that a user has not rated in train, for every user of either set, by each model.

    Each model's hyperparameters are its best in cross-validation. A user without train ratings is a newcomer, and gets
    each model's list for a user with no history.

    Returns:
        (model string, user_id int, rank int from 1, movie_id int, score double).
    """
    parameters = parameters.on(Scale.of(data_summary))
    best = {model: best_candidate(cv_results, RankingCandidate, model) for model in WINNERS}
    carrier, _ = choose_ranking_carrier(carrier, DataSize.of(data_summary), parameters.tuning, movies.sparkSession)
    users = train_ratings.select("user_id").union(test_ratings.select("user_id")).distinct()
    blocks = open_blocks(carrier, train_ratings, movie_ids(movies))
    try:
        parts = collect_parts(als_model, factor_model, blocks, train_ratings, best["ease"], parameters)
        return lists.list_movies(ListingTask(parts, best, rating_model, train_ratings, blocks, users), parameters)
    finally:
        blocks.close()


def measure_lists(
    ranking_lists: DataFrame,
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    parameters: RankingParameters,
) -> pd.DataFrame:
    """The leaderboard: one row per model, with the columns of `metrics.measure_rankings`."""
    k, liked = parameters.evaluation.k, (Scale.of(data_summary) or EVENTS).liked
    measured = measure_rankings(ranking_lists, test_ratings, train_ratings, movies, k, liked=liked).toPandas()
    place = {name: number for number, name in enumerate(MODELS)}
    measured = measured.round(DECIMALS)  # the order of Spark's sums, and so their last digits, may differ
    return measured.sort_values("model", key=lambda names: names.map(place), ignore_index=True)


def plot_leaderboard(leaderboard: pd.DataFrame, data_summary: dict) -> Figure:
    """Accuracy against coverage."""
    return figures.leaderboard(leaderboard, data_summary)
