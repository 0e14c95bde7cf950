"""The second stage of lists: its fit."""

from typing import Any

from pyspark.sql import DataFrame

from movie_recs.data.blocks import open_blocks
from movie_recs.data.movie_features import movie_table
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import Scale
from movie_recs.data.spark_interactions import movie_ids
from movie_recs.data.splitting import HELD_OUT, hold_out_last
from movie_recs.pipelines.tuning.ranking_nodes import fit_fold_models
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import side_rows
from movie_recs.ranking.memory import choose_ranking_carrier
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.rerank.fit import fit_reranker
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rerank.spark import collect_facts
from movie_recs.ranking.trial import RankingTrialData
from movie_recs.rating.parameters import RatingParameters
from movie_recs.tuning.memory import DataSize


def fit_second_stage(
    train_ratings: DataFrame,
    movies: DataFrame,
    data_summary: dict[str, Any],
    best_params: dict[str, Any],
    parameters: RankingParameters,
    split: SplitParameters,
    carrier: str,
    rating_best_params: dict[str, Any] | None = None,
    rating_parameters: RatingParameters | None = None,
) -> Reranker:
    """The second stage for the winner's lists, from what is held out of the train ratings as in cross-validation.

    The models of each fold have the winners' hyperparameters, and have seen none of its ratings. From `one_fold_from`
    ratings on one fold is held out.
    """
    parameters, tuning = parameters.on(Scale.of(data_summary)), parameters.tuning
    ratings, folds = train_ratings, list(range(split.folds))
    if split.strategy == "temporal":
        ratings, folds = hold_out_last(train_ratings, split.test_fraction, split.seed), [HELD_OUT]
    elif data_summary["ratings"] >= tuning.one_fold_from:
        folds = folds[:1]
    carrier, _ = choose_ranking_carrier(carrier, DataSize.of(data_summary), tuning, movies.sparkSession)
    ids, stars = movie_ids(movies), {}
    if rating_best_params is not None and rating_parameters is not None:
        sides = fit_fold_models(ratings, movies, folds, rating_best_params, rating_parameters, carrier)
        stars = {fold: side.of_movies(ids) for fold, side in sides.items()}
    features = side_rows(movie_table(movies), parameters.preference.side)
    blocks = open_blocks(carrier, ratings, ids)
    try:
        data = RankingTrialData(
            blocks,
            parameters.preference,
            tuning.relevance,
            parameters.evaluation.k,
            tuning.seed,
            tuning.most_measured,
            {},
            features,
            stars,
        )
        winner = RankingCandidate.of(best_params)
        return fit_reranker(data, winner, best_params, parameters, folds, collect_facts(movies))
    finally:
        blocks.close()
