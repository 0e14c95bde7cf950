"""The quality of each ranking model's and baseline's lists, for the users' held-out ratings."""

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data import spark_interactions
from movie_recs.data.blocks import open_blocks
from movie_recs.data.groups import rows_by_kind
from movie_recs.data.identifiers import to_numbers, to_originals
from movie_recs.data.movie_features import movie_table
from movie_recs.data.scale import EVENTS, Scale
from movie_recs.model.factor_model import FactorModel
from movie_recs.model.users import fold_in
from movie_recs.ranking import leaderboard as lists
from movie_recs.ranking.baselines import BASELINES
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import side_rows
from movie_recs.ranking.fit import KnownSides, collect_parts
from movie_recs.ranking.groups import accuracy_by_group, exposure_by_group
from movie_recs.ranking.leaderboard import BY_STARS, RERANKED, ListingTask, SecondTask
from movie_recs.ranking.memory import choose_ranking_carrier
from movie_recs.ranking.metrics import RELEVANCE, accuracy_gains, measure_rankings
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rerank.spark import collect_known
from movie_recs.ranking.search import SEQUENTIAL, WINNERS
from movie_recs.report import figures
from movie_recs.tuning.comparison import pairs_of
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import DataSize

DECIMALS = 10
MODELS = (*BASELINES, BY_STARS, *WINNERS, RERANKED)


def list_movies(
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    fold_in_ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    als_model: ALSModel,
    factor_model: FactorModel,
    cv_results: pd.DataFrame,
    parameters: RankingParameters,
    carrier: str,
    rating_model: FactorModel | None = None,
    reranker: Reranker | None = None,
) -> DataFrame:
    """The `k` best movies that a user has not rated in train, for every user of either set, by each model.

    Each model's hyperparameters are its best in cross-validation. With a second stage, its lists are those of a model
    too. A user without train ratings is a newcomer, and gets each model's list for a user with no history. If there are
    fold-in ratings, the lists are those of the users that they fold in, who have rated nothing else.

    Returns:
        (model string, user_id, rank int from 1, movie_id, score double, predicted_stars double), with the ids as the
        data has them.
    """
    parameters = parameters.on(Scale.of(data_summary))
    tried = set(cv_results["model"])
    best = {model: best_candidate(cv_results, RankingCandidate, model) for model in WINNERS if model in tried}
    size, spark, by_time = DataSize.of(data_summary), movies.sparkSession, SEQUENTIAL in best
    carrier, _ = choose_ranking_carrier(carrier, size, parameters.tuning, spark, by_time=by_time)
    catalogue = spark_interactions.movie_ids(movies)
    fitted = blocks = open_blocks(carrier, train_ratings, catalogue)
    listed, are_new = train_ratings, not fold_in_ratings.isEmpty()
    if are_new:
        listed, blocks = fold_in_ratings, open_blocks(carrier, fold_in_ratings, catalogue)
        if rating_model is not None:
            rating_model = rating_model._replace(users=fold_in(rating_model, fold_in_ratings))
    users = listed.select("user_id").union(test_ratings.select("user_id")).distinct()
    try:
        stars = None if rating_model is None else rating_model.item_side
        known = KnownSides(side_rows(movie_table(movies), parameters.preference.side), stars)
        ease, sequential = best["ease"], best.get(SEQUENTIAL)
        parts = collect_parts(als_model, factor_model, fitted, train_ratings, ease, parameters, known, sequential)
        has_stars = parameters.preference.scale != EVENTS
        second = reranker and SecondTask(reranker, collect_known(movies, train_ratings, has_stars))
        task = ListingTask(parts, best, rating_model, train_ratings, blocks, users, are_new, second)
        made = lists.list_movies(task, parameters)
        return to_originals(to_originals(made, user_ids, "user_id"), movie_ids, "movie_id")
    finally:
        fitted.close()
        blocks.close()


def measure_lists(
    ranking_lists: DataFrame,
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    fold_in_ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: RankingParameters,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The leaderboard, and whether its models differ in the measure by which the winner was chosen.

    Returns:
        One row per model, with the columns of `metrics.measure_rankings`; one row per pair of models, with the columns
        of `metrics.accuracy_gains`.
    """
    new = None if fold_in_ratings.isEmpty() else fold_in_ratings
    k, scale = parameters.evaluation.k, Scale.of(data_summary) or EVENTS
    numbered = to_numbers(to_numbers(ranking_lists, user_ids, "user_id"), movie_ids, "movie_id")
    measured = measure_rankings(numbered, test_ratings, train_ratings, movies, k, fold_in=new, scale=scale).toPandas()
    place = {name: number for number, name in enumerate(MODELS)}
    measured = measured.round(DECIMALS)  # the order of Spark's sums, and so their last digits, may differ
    leaderboard = measured.sort_values("model", key=lambda names: names.map(place), ignore_index=True)
    chosen_by = RELEVANCE[parameters.tuning.relevance]
    pairs = pairs_of(leaderboard["model"].tolist())
    return leaderboard, accuracy_gains(numbered, test_ratings, movies, k, chosen_by, pairs, scale).round(DECIMALS)


def measure_groups(
    ranking_lists: DataFrame,
    best_params: dict[str, Any],
    train_ratings: DataFrame,
    test_ratings: DataFrame,
    fold_in_ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: RankingParameters,
) -> dict[str, list[dict[str, Any]]]:
    """The winner's accuracy by users' number of ratings, and its exposure of movies by theirs and by decade.

    Returns:
        Rows by kind of group, in order: {group, ...} as in `accuracy_by_group` and `exposure_by_group`.
    """
    new = None if fold_in_ratings.isEmpty() else fold_in_ratings
    k, scale = parameters.evaluation.k, Scale.of(data_summary) or EVENTS
    winner = ranking_lists.where(F.col("model") == best_params["model"])
    lists = to_numbers(to_numbers(winner, user_ids, "user_id"), movie_ids, "movie_id")
    accuracy = accuracy_by_group(lists, test_ratings, train_ratings, movies, k, fold_in=new, scale=scale)
    exposure = exposure_by_group(lists, test_ratings, train_ratings, movies, k)
    return {**rows_by_kind(accuracy, DECIMALS), **rows_by_kind(exposure, DECIMALS)}


def plot_leaderboard(leaderboard: pd.DataFrame, data_summary: dict) -> Figure:
    """Accuracy against coverage."""
    return figures.leaderboard(leaderboard, data_summary)
