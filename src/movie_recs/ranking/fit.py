"""Ranking models: implicit ALS, EASE, both together, and what is added, all of which are `FactorModel`s.

Ties are ordered by recent popularity, which is also the ranking for a user without ratings.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.sparse import csr_array

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import ImplicitAlsParameters
from movie_recs.als.spark_ml import AlsFactors, Fit, blocks_for, fit_implicit_als, last_factors, prepare_fit
from movie_recs.data.blocks import Blocks, open_blocks
from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import (
    FACTORS,
    Arrays,
    FactorModel,
    ItemSide,
    Rule,
    factor_rows,
    factor_table,
    feature_matrix,
    with_zeros,
)
from movie_recs.model.users import user_rows
from movie_recs.ranking.baselines import recent_popularity
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import decompose, ease_features
from movie_recs.ranking.parameters import PreferenceParameters, RankingParameters
from movie_recs.ranking.preferences import PreferenceRule, make_rule, weighted_targets
from movie_recs.ranking.sequential import sequence_moments, sequential_features
from movie_recs.ranking.stars import StarsRule, join_items

TIE_BREAK = 1e-6  # the bias of the most popular movie: below any difference that matters between scores


class KnownSides(NamedTuple):
    """What is known of the movies apart from the preferences.

    Args:
        features: (features, m), rows of known features, see `ease.side_rows`; None for none.
        stars: The movies' side of the rating model of the same ratings; None for events.
    """

    features: csr_array | None = None
    stars: ItemSide | None = None


NOTHING_KNOWN = KnownSides()


class RankingParts(NamedTuple):
    """The movies' side of a fit, from which the models are composed.

    Args:
        als_model: Implicit ALS; None where its users' side is not needed.
        ids: (m,) all movies, ascending.
        als_items: (m, rank) float32, zeros for a movie without preferences.
        ease_items: (m, r) float32; (m, 0) if no model needs them.
        bias: (m,), breaks ties.
        stars: The movies' side of the rating model of the same ratings, of the same movies; None for events.
        sequential_items: (m, r) float32, see `sequential`; None if no model needs them.
    """

    als_model: ALSModel | AlsFactors | None
    ids: np.ndarray
    als_items: np.ndarray
    ease_items: np.ndarray
    bias: np.ndarray
    stars: ItemSide | None = None
    sequential_items: np.ndarray | None = None


def fit_als(
    blocks: Blocks[Interactions], als: ImplicitAlsParameters, parameters: RankingParameters, spark: SparkSession
) -> ALSModel | AlsFactors:
    """Implicit ALS of the preferences: by Spark ML on either carrier, or by compiled loops.

    Args:
        blocks: The ratings.
        als: Its hyperparameters.
        parameters: Preferences, the seed, and which of them fits.
        spark: The session that fits it.
    """
    if parameters.tuning.final_fit == "compiled":
        return _fit_compiled(blocks, als, parameters, spark)
    weigh = partial(_weighted_rows, parameters.preference)
    weighted = blocks.table(spark, weigh, "user_id int, movie_id int, rating float")
    return fit_implicit_als(prepare_fit(weighted, blocks_for(weighted, als.rank)), als, parameters.tuning.seed)


def _fit_compiled(
    blocks: Blocks[Interactions], als: ImplicitAlsParameters, parameters: RankingParameters, spark: SparkSession
) -> AlsFactors:
    targets = blocks.map(partial(weighted_targets, parameters.preference)).keep()
    try:
        (factors,) = fit_factors(targets, als, [als.max_iter], parameters.tuning.seed, als.alpha)
        users = targets.zip(factors.users).table(spark, _user_factor_rows, FACTORS)
    finally:
        targets.close()
    items = factor_table(spark, blocks.movie_ids, np.zeros(len(blocks.movie_ids)), factors.items)
    return last_factors(FactorModel(0.0, users, items), als.rank)


def fit_candidate(
    ratings: DataFrame,
    movie_ids: np.ndarray,
    candidate: RankingCandidate,
    als: ImplicitAlsParameters,
    parameters: RankingParameters,
    carrier: str = "local",
    known: KnownSides = NOTHING_KNOWN,
) -> Fit:
    """Implicit ALS and the candidate's model, fitted on these ratings.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        movie_ids: (m,) ascending, all movies that may be recommended.
        candidate: Hyperparameters of the model.
        als: Hyperparameters of implicit ALS, those of the candidate if it has some.
        parameters: Preferences and the seed.
        carrier: Carrier of all but ALS's fit, `local` or `spark`.
        known: What is known of the movies apart from the preferences.
    """
    spark, blocks = ratings.sparkSession, open_blocks(carrier, ratings, movie_ids)
    try:
        als_model = fit_als(blocks, als, parameters, spark)
        ease_items = None if candidate.ease_reg is None else fit_ease(blocks, candidate, parameters, known.features)
        sequential_items = None
        if candidate.sequential_reg is not None:
            sequential_items = fit_sequential(blocks, candidate, parameters, ease_items)
        parts = make_parts(als_model, ratings, movie_ids, ease_items, known.stars, sequential_items)
        return Fit(als_model, compose(parts, candidate, parameters.preference, blocks, spark))
    finally:
        blocks.close()


def collect_parts(
    als_model: ALSModel,
    factor_model: FactorModel,
    blocks: Blocks[Interactions],
    ratings: DataFrame,
    ease: RankingCandidate | None,
    parameters: RankingParameters,
    known: KnownSides = NOTHING_KNOWN,
    sequential: RankingCandidate | None = None,
) -> RankingParts:
    """The parts of a saved fit, from which the other models can be composed.

    Args:
        als_model: Implicit ALS of these ratings.
        factor_model: The winner of the same fit: if it has EASE's features, they are not computed again.
        blocks: The ratings.
        ratings: The same: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        ease: Hyperparameters of EASE, the winner's if it has some; None if no model needs EASE.
        parameters: Preferences and the seed.
        known: What is known of the movies apart from the preferences.
        sequential: Hyperparameters of the best model with a sequential part, on the same EASE; None if there is none.
    """
    rule, ease_items, sequential_items = factor_model.rule, None, None
    if isinstance(rule, StarsRule):
        rule = rule.preference
    if isinstance(rule, PreferenceRule) and rule.ease_size:
        items = factor_model.items.select("id", "features").toArrow().sort_by("id")
        features = feature_matrix(items["features"].combine_chunks())[:, : sum(rule.sizes)]
        _, ease_items, saved = rule.split(features)
        sequential_items = saved if rule.sequential_weight else None
    elif ease is not None:
        ease_items = fit_ease(blocks, ease, parameters, known.features)
    if sequential is not None and sequential_items is None:
        sequential_items = fit_sequential(blocks, sequential, parameters, ease_items)
    return make_parts(als_model, ratings, blocks.movie_ids, ease_items, known.stars, sequential_items)


def make_parts(
    als_model: ALSModel | AlsFactors,
    ratings: DataFrame,
    movie_ids: np.ndarray,
    ease_items: np.ndarray | None = None,
    stars: ItemSide | None = None,
    sequential_items: np.ndarray | None = None,
) -> RankingParts:
    """The parts in memory.

    Args:
        als_model: Implicit ALS of these ratings.
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        movie_ids: (m,) ascending, all movies that may be recommended.
        ease_items: Result of `fit_ease`; None if no model needs it.
        stars: The movies' side of the rating model; None for events.
        sequential_items: Result of `fit_sequential`; None if no model needs it.
    """
    factors = als_model.itemFactors.toArrow()
    als_items = np.zeros((len(movie_ids), als_model.rank), np.float32)
    rows = np.searchsorted(movie_ids, factors["id"].to_numpy())
    als_items[rows] = feature_matrix(factors["features"].combine_chunks())
    if ease_items is None:
        ease_items = np.zeros((len(movie_ids), 0), np.float32)
    bias = recent_popularity(ratings, movie_ids) * TIE_BREAK
    stars = None if stars is None else stars.of_movies(movie_ids)
    return RankingParts(als_model, movie_ids, als_items, ease_items, bias, stars, sequential_items)


def fit_ease(
    blocks: Blocks[Interactions],
    ease: RankingCandidate,
    parameters: RankingParameters,
    side: csr_array | None = None,
) -> np.ndarray:
    """EASE's item features, (m, r) float32.

    Args:
        blocks: The ratings.
        ease: Hyperparameters, those of EASE among them.
        parameters: Preferences and the seed.
        side: Rows of known features, see `ease.side_rows`.

    Raises:
        ValueError: The candidate has no EASE.
    """
    if ease.ease_reg is None:
        raise ValueError(f"{ease} has no EASE.")
    preferred = blocks.map(partial(weighted_targets, parameters.preference))
    spectrum = decompose(preferred, ease.ease_rank, parameters.tuning.seed, side)
    return ease_features(spectrum, ease.ease_reg, ease.ease_diagonal or 0.0)


def fit_sequential(
    blocks: Blocks[Interactions],
    candidate: RankingCandidate,
    parameters: RankingParameters,
    ease_items: np.ndarray | None,
) -> np.ndarray:
    """The features of `sequential`, (m, r) float32.

    Args:
        blocks: The ratings.
        candidate: Hyperparameters, those of EASE and of the sequential part among them.
        parameters: Preferences.
        ease_items: Result of `fit_ease`.

    Raises:
        ValueError: The candidate has no sequential part, or there is no EASE.
    """
    if candidate.sequential_reg is None or ease_items is None:
        raise ValueError(f"{candidate} has no sequential part.")
    rule = make_rule(candidate, parameters.preference, 0, ease_items.shape[1])
    return sequential_features(sequence_moments(blocks, rule, ease_items), candidate.sequential_reg)


def compose(
    parts: RankingParts,
    candidate: RankingCandidate,
    preference: PreferenceParameters,
    blocks: Blocks[Interactions],
    spark: SparkSession,
) -> FactorModel:
    """The candidate's model, with only the features that it uses.

    Args:
        parts: The movies' side of the fit.
        candidate: Hyperparameters.
        preference: Which ratings count.
        blocks: The ratings of the model's users.
        spark: The session that creates its tables.
    """
    items, rule = compose_items(parts, candidate, preference)
    if candidate.weights is None:
        users = fitted_users(parts)
    else:
        users = blocks.table(spark, partial(user_rows, rule, items, 0.0), FACTORS)
    return FactorModel(0.0, users, factor_table(spark, items.ids, items.bias[:-1], items.features[:-1]), rule)


def compose_items(
    parts: RankingParts, candidate: RankingCandidate, preference: PreferenceParameters
) -> tuple[Arrays, Rule]:
    """The movies' side, float32 and ALS's part first, and how a user's vector is made; arguments as in `compose`.

    Raises:
        ValueError: The candidate has a weight of what the parts lack: predicted stars, or sequential features.
    """
    nothing = np.zeros((len(parts.ids), 0), np.float32)
    als_items = nothing if candidate.als is None else parts.als_items
    ease_items = nothing if candidate.ease_reg is None else parts.ease_items
    rule = make_rule(candidate, preference, als_items.shape[1], ease_items.shape[1])
    following = nothing
    if candidate.sequential_weight is not None:
        if parts.sequential_items is None:
            raise ValueError(f"{candidate} needs sequential features.")
        following = parts.sequential_items
    features, bias = np.hstack([als_items, ease_items, following]), parts.bias.astype(np.float32)
    if candidate.stars_weight is None:
        return with_zeros(parts.ids, bias, features), rule
    if parts.stars is None:
        raise ValueError(f"{candidate} needs a rating model.")
    stars = StarsRule(rule, parts.stars.rule, parts.stars.intercept, candidate.stars_weight / preference.scale.star)
    return with_zeros(parts.ids, bias, join_items(features, parts.stars)), stars


def fitted_users(parts: RankingParts) -> DataFrame:
    """The users' side of ALS as fitted: (id int, bias float, features array<float>).

    Raises:
        ValueError: The parts have no ALS model.
    """
    if parts.als_model is None:
        raise ValueError("The parts have no ALS model.")
    return parts.als_model.userFactors.select("id", F.lit(0.0).cast("float").alias("bias"), "features")


def _user_factor_rows(pair: tuple[Targets, np.ndarray]) -> pa.Table:
    (seen, _), factors = pair
    return factor_rows(seen.user_ids, np.zeros(len(factors)), factors)


def _weighted_rows(preference: PreferenceParameters, interactions: Interactions) -> pa.Table:
    """(user_id, movie_id, rating): the ratings that count, `rating` being their weight."""
    seen, weights = weighted_targets(preference, interactions)
    ids = seen.user_ids[seen.users], seen.movie_ids[seen.movies]
    return pa.table([*ids, weights], ["user_id", "movie_id", "rating"])
