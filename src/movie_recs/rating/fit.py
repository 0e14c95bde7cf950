"""Fits of rating models: a baseline, then ALS on its residuals; or a Bayesian factorisation of all in one."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import AlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.als.spark_ml import Fit, add_factors, blocks_for, factor_model, fit_als, last_factors, prepare_fit
from movie_recs.bayes.fit import BayesFit, fit_bayes, solve_users
from movie_recs.bayes.parameters import BayesParameters
from movie_recs.data.block_types import Block, Blocks
from movie_recs.data.blocks import open_blocks
from movie_recs.data.interactions import Interactions, Seen, outside, select_seen
from movie_recs.model.factor_model import FACTORS, FactorModel, ItemSide, Rule, factor_rows, read_arrays
from movie_recs.model.scoring import score
from movie_recs.rating.biases import (
    MovieSide,
    SolvedUsers,
    count_ratings,
    fit_biases,
    prepare_users,
    score_pairs,
)
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue, fit_audience, movie_features
from movie_recs.threads import in_threads


def fit_candidate(
    ratings: DataFrame,
    catalogue: Catalogue | None,
    candidate: RatingCandidate,
    seed: int,
    carrier: str = "local",
    plain_als: AlsParameters | None = None,
    final_fit: str = "spark",
) -> Fit:
    """The candidate, fitted on these ratings; without a baseline, its factors are the whole model.

    The factors are Spark ML's whatever the carrier, or those of `fit_compiled`.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: All movies, every rated one among them; None without a baseline.
        candidate: Hyperparameters.
        seed: Seed of all initial factors.
        carrier: Carrier of the baseline, `local` or `spark`.
        plain_als: Hyperparameters of the `ALSModel` if the candidate has no factors of ALS: it is fitted on the
            ratings themselves.
        final_fit: `spark` or `compiled`.

    Raises:
        ValueError: There are no hyperparameters of factors, or there is no catalogue for the baseline.
    """
    als = candidate.als or plain_als
    if als is None:
        raise ValueError(f"{candidate} has no factors.")
    if catalogue is not None and final_fit == "compiled":
        model = fit_compiled(ratings, catalogue, candidate, seed, carrier)
        with_factors = model if candidate.als else fit_compiled(ratings, catalogue, plain(als), seed, carrier)
        return Fit(last_factors(with_factors, als.rank), model)
    blocks = blocks_for(ratings, als.rank)
    if candidate.baseline is None and candidate.bayes is None:
        als_model = fit_als(prepare_fit(ratings, blocks), als, seed)
        return Fit(als_model, factor_model(als_model, als.reg_param))
    if catalogue is None:
        raise ValueError("A baseline needs the movies.")
    if candidate.als is None:
        model = fit_compiled(ratings, catalogue, candidate, seed, carrier)
        return Fit(fit_als(prepare_fit(ratings, blocks), als, seed), model)
    base = fit_compiled(ratings, catalogue, candidate.without_factors, seed, carrier)
    residuals = score(base, ratings.select("user_id", "movie_id", "rating")).select(
        "user_id", "movie_id", (F.col("rating") - F.col("score")).cast("float").alias("rating")
    )
    als_model = fit_als(prepare_fit(residuals, blocks), als, seed)
    return Fit(als_model, add_factors(base, als_model, als.reg_param))


def plain(als: AlsParameters) -> RatingCandidate:
    """ALS of the stars themselves, with these hyperparameters."""
    return RatingCandidate(model="als", **als.model_dump())


def fit_compiled(
    ratings: DataFrame, catalogue: Catalogue, candidate: RatingCandidate, seed: int, carrier: str = "local"
) -> FactorModel:
    """The candidate, its factors by compiled loops where it has some, as the trials fit them.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: All movies, every rated one among them.
        candidate: Hyperparameters.
        seed: Seed of all initial factors.
        carrier: `local` or `spark`.
    """
    blocks = open_blocks(carrier, ratings, catalogue.ids)
    try:
        return _fit_blocks(blocks, catalogue, candidate, seed).model(ratings.sparkSession)
    finally:
        blocks.close()


def fit_folds(
    ratings: DataFrame,
    catalogue: Catalogue,
    candidate: RatingCandidate,
    seed: int,
    folds: int | list[int],
    carrier: str = "local",
) -> dict[int, ItemSide]:
    """By held-out fold, the movies' side of the candidate fitted on the other folds as by `fit_compiled`.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: All movies, every rated one among them.
        candidate: Hyperparameters.
        seed: Seed of all initial factors.
        folds: Number of folds, or the numbers of those that are held out in turn.
        carrier: `local` or `spark`.
    """
    blocks, numbers = open_blocks(carrier, ratings, catalogue.ids), range(folds) if isinstance(folds, int) else folds

    def fit(fold: int) -> ItemSide:
        return _fit_blocks(blocks.map(partial(outside, fold)), catalogue, candidate, seed).item_side

    try:
        # Through Spark, one fit keeps all cores busy by itself.
        sides = in_threads(fit, numbers) if carrier == "local" else [fit(fold) for fold in numbers]
        return dict(zip(numbers, sides, strict=True))
    finally:
        blocks.close()


class _Fitted(NamedTuple):
    """A fit before its tables are in Spark.

    Args:
        intercept: mu.
        items: The movies' side, as `factor_rows` returns it.
        rule: How a user's vector follows from her ratings.
        users: Makes the table of the users, which the movies' side alone does not need.
    """

    intercept: float
    items: pa.Table
    rule: Rule
    users: Callable[[SparkSession], DataFrame]

    def model(self, spark: SparkSession) -> FactorModel:
        return FactorModel(self.intercept, self.users(spark), spark.createDataFrame(self.items, FACTORS), self.rule)

    @property
    def item_side(self) -> ItemSide:
        return ItemSide(read_arrays(self.items), self.intercept, self.rule)


def _fit_blocks(blocks: Blocks[Interactions], catalogue: Catalogue, candidate: RatingCandidate, seed: int) -> _Fitted:
    baseline, als = candidate.baseline, candidate.als
    seen = blocks.map(select_seen)
    if candidate.bayes is not None:
        return _fit_bayes(seen, catalogue, candidate.bayes, seed)
    if baseline is None:
        return _fit_plain_als(seen, catalogue, candidate.part(AlsParameters), seed)
    counts = count_ratings(seen)
    features = np.zeros((len(catalogue.ids), 0))
    if candidate.has_taste:
        features = _features(seen, catalogue, counts.by_movie, seed)
    side, users = fit_biases(prepare_users(seen, features), counts, features, baseline)
    if als is None:
        items = factor_rows(catalogue.ids, side.bias, features)
        return _Fitted(side.intercept, items, RidgeRule((side.ridge,)), _table(users, _user_rows))
    residuals = users.map(partial(_subtract, side)).keep()  # every alternation reads them
    try:
        (factors,) = fit_factors(residuals.map(_targets), als, [als.max_iter], seed)
    finally:
        residuals.close()
    items = factor_rows(catalogue.ids, side.bias, np.hstack([features, factors.items]))
    ridges = side.ridge, Ridge(als.rank, als.reg_param, per_rating=True)
    user_table = _table(residuals.zip(factors.users), _user_rows_with_factors)
    return _Fitted(side.intercept, items, RidgeRule(ridges), user_table)


def _table(blocks: Blocks[Block], formula: Callable[[Block], pa.Table]) -> Callable[[SparkSession], DataFrame]:
    return lambda spark: blocks.table(spark, formula, FACTORS)


def _features(seen: Blocks[Seen], catalogue: Catalogue, counts: np.ndarray, seed: int) -> np.ndarray:
    """(m, k): the movies' features in a fit of these ratings, of which `counts` (m,) has the number by movie."""
    return movie_features(catalogue, counts, fit_audience(seen, seed) if catalogue.weights.audience else None)


def _fit_bayes(seen: Blocks[Seen], catalogue: Catalogue, parameters: BayesParameters, seed: int) -> _Fitted:
    features = _features(seen, catalogue, count_ratings(seen).by_movie, seed)
    (fit,) = fit_bayes(seen, features, parameters, [parameters.max_iter], seed)
    items = factor_rows(catalogue.ids, fit.bias, fit.features)
    return _Fitted(fit.intercept, items, fit.rule, _table(seen, partial(_posterior_rows, fit)))


def _fit_plain_als(seen: Blocks[Seen], catalogue: Catalogue, als: AlsParameters, seed: int) -> _Fitted:
    """ALS of the stars themselves, whose model has the rated users and movies only, as Spark ML's has."""
    (factors,) = fit_factors(seen.map(_stars), als, [als.max_iter], seed)
    rated = count_ratings(seen).by_movie > 0
    items = factor_rows(catalogue.ids[rated], np.zeros(rated.sum()), factors.items[rated])
    rule = RidgeRule((Ridge(als.rank, als.reg_param, per_rating=True),))
    return _Fitted(0.0, items, rule, _table(seen.zip(factors.users), _plain_user_rows))


class _Residuals(NamedTuple):
    """The solved users of a block, and the residuals of their ratings, (n,) float32."""

    solved: SolvedUsers
    values: np.ndarray


def _subtract(side: MovieSide, solved: SolvedUsers) -> _Residuals:
    seen = solved.seen
    values = seen.ratings - score_pairs(side, solved, seen.users, seen.movies)
    return _Residuals(solved, values.astype(np.float32))


def _targets(residuals: _Residuals) -> Targets:
    return Targets(residuals.solved.seen, residuals.values)


def _stars(seen: Seen) -> Targets:
    return Targets(seen, seen.ratings.astype(np.float32))


def _plain_user_rows(pair: tuple[Seen, np.ndarray]) -> pa.Table:
    seen, factors = pair
    rated = seen.rated_users
    return factor_rows(seen.user_ids[rated], np.zeros(rated.sum()), factors[rated])


def _posterior_rows(fit: BayesFit, seen: Seen) -> pa.Table:
    means = solve_users(fit, seen).means
    return factor_rows(seen.user_ids, means[:, 0], means[:, 1:])


def _user_rows(solved: SolvedUsers) -> pa.Table:
    return factor_rows(solved.seen.user_ids, solved.weights[:, 0], solved.weights[:, 1:])


def _user_rows_with_factors(pair: tuple[_Residuals, np.ndarray]) -> pa.Table:
    (solved, _), factors = pair
    return factor_rows(solved.seen.user_ids, solved.weights[:, 0], np.hstack([solved.weights[:, 1:], factors]))
