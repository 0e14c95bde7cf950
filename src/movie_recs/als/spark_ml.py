"""Alternating least squares, fitted by Spark ML, and its factors as entries of a model's vectors.

    min  sum over rated (u, i) of (r_ui - p_u . q_i)^2  +  lambda (sum_u n_u |p_u|^2 + sum_i n_i |q_i|^2)

n_u and n_i count the ratings of a user and of a movie (ALS-WR; Zhou, Wilkinson, Schreiber & Pan 2008).
"""

import math
from typing import NamedTuple

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.als.parameters import AlsParameters, ImplicitAlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import FactorModel

RATINGS_PER_BLOCK = 2_000_000  # a block is a task of every half iteration: fewer blocks, less overhead
WIDE = 32  # from this rank on a task's algebra outweighs its overhead, so that two on two cores are faster than one


class Fit(NamedTuple):
    """One fit: Spark ML's model as it came, and the composed model that every later step scores with."""

    als_model: ALSModel
    factor_model: FactorModel


class FitInput(NamedTuple):
    """Ratings ready to fit: (user_id int, movie_id int, rating float, ...), and ALS's number of blocks."""

    ratings: DataFrame
    blocks: int


def prepare_fit(ratings: DataFrame, blocks: int | None = None) -> FitInput:
    """The ratings in as few blocks as their number asks for, in an order that does not depend on how they came.

    The order of the sums in a fit, and so its last digits, follow from it: in one block, and inside one process in any
    number, the same ratings give the same model. With more blocks on a cluster the last digits depend on which block
    arrives first. Their number, if given, is as `blocks_for` has it.
    """
    blocks = blocks or blocks_for(ratings)
    return FitInput(ratings.repartition(blocks, "user_id").sortWithinPartitions("user_id", "movie_id"), blocks)


def blocks_for(ratings: DataFrame, rank: int = 1) -> int:
    """As few blocks as the number of ratings and the length of the factors allow, whatever the machine.

    A caller that fits several models at a time keeps all cores busy anyway, and leaves `rank` out.
    """
    return max(2 if rank >= WIDE else 1, math.ceil(ratings.count() / RATINGS_PER_BLOCK))


def fit_als(fit_input: FitInput, parameters: AlsParameters, seed: int) -> ALSModel:
    """The explicit model of the ratings.

    Args:
        fit_input: As `prepare_fit` gives it.
        parameters: Rank, regularisation and number of alternations.
        seed: Seed of the factors' first values.
    """
    return _als(fit_input, parameters, seed).fit(fit_input.ratings)


def fit_implicit_als(fit_input: FitInput, parameters: ImplicitAlsParameters, seed: int) -> ALSModel:
    """The implicit model of weighted preferences: the confidence in each is 1 + alpha times its `rating`.

    Args:
        fit_input: As `prepare_fit` gives it; ratings are positive.
        parameters: Rank, regularisation, number of alternations, and alpha.
        seed: Seed of the factors' first values.
    """
    als = _als(fit_input, parameters, seed).setImplicitPrefs(True).setAlpha(parameters.alpha)
    return als.fit(fit_input.ratings)


def factor_model(als_model: ALSModel, reg_param: float) -> FactorModel:
    """The same model as two tables: no intercept, no biases, ALS's factors as features.

    Args:
        als_model: A fit.
        reg_param: The lambda it was fitted with; Spark's model does not hold it.
    """

    def table(factors: DataFrame) -> DataFrame:
        return factors.select("id", F.lit(0.0).cast("float").alias("bias"), "features")

    rule = RidgeRule((Ridge(als_model.rank, reg_param, per_rating=True),))
    return FactorModel(0.0, table(als_model.userFactors), table(als_model.itemFactors), rule)


def add_factors(base: FactorModel, als_model: ALSModel, reg_param: float) -> FactorModel:
    """The model whose scores are the base's plus ALS's: ALS's factors follow the base's features in each vector.

    Args:
        base: What explains the ratings first; it knows every user and movie that is to be scored.
        als_model: A fit of what the base leaves. A user or movie that it does not know has zeros, to which its
            regularisation pulls.
        reg_param: The lambda it was fitted with.
    """
    zeros = F.array_repeat(F.lit(0.0).cast("float"), als_model.rank)

    def extend(table: DataFrame, factors: DataFrame) -> DataFrame:
        factors = factors.withColumnRenamed("features", "factors")
        features = F.concat("features", F.coalesce("factors", zeros)).alias("features")
        return table.join(factors, "id", how="left").select("id", "bias", features)

    if not isinstance(base.rule, RidgeRule):
        raise TypeError("Factors follow a model whose users are ridge regressions.")
    ridge = Ridge(als_model.rank, reg_param, per_rating=True)
    return base._replace(
        users=extend(base.users, als_model.userFactors),
        items=extend(base.items, als_model.itemFactors),
        rule=RidgeRule((*base.rule.ridges, ridge)),
    )


def _als(fit_input: FitInput, parameters: AlsParameters, seed: int) -> ALS:
    return ALS(
        userCol="user_id",
        itemCol="movie_id",
        ratingCol="rating",
        rank=parameters.rank,
        regParam=parameters.reg_param,
        maxIter=parameters.max_iter,
        numUserBlocks=fit_input.blocks,
        numItemBlocks=fit_input.blocks,
        seed=seed,
    )
