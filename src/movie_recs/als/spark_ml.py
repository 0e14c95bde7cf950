"""Alternating least squares, fitted by Spark ML, and its factors as a part of a model's vectors.

    min  sum over rated (u, i) of (r_ui - p_u . q_i)^2  +  lambda (sum_u n_u |p_u|^2 + sum_i n_i |q_i|^2)

n_u and n_i count the ratings of a user and of a movie (ALS-WR; Zhou, Wilkinson, Schreiber & Pan 2008).
"""

import json
import math
import time
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.als.parameters import AlsParameters, ImplicitAlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import FactorModel

BLOCK_SIZE = 4096  # Spark ML's default
RATINGS_PER_BLOCK = 2_000_000  # a block is a task of every half iteration: fewer blocks, less overhead
WIDE = 32  # from this rank on two tasks on two cores are faster than one: the algebra outweighs a task's overhead


class AlsFactors(NamedTuple):
    """Factors of compiled loops in the place of an `ALSModel`: its attributes, and its format on disk.

    Args:
        rank: Number of factors.
        userFactors: (id int, features array<float>).
        itemFactors: The same for movies.
    """

    rank: int
    userFactors: DataFrame  # noqa: N815 - Spark ML's names
    itemFactors: DataFrame  # noqa: N815

    def save(self, path: str) -> None:
        """Writes what `ALSModel.load(path)` reads."""
        spark = self.userFactors.sparkSession
        metadata = {
            "class": "org.apache.spark.ml.recommendation.ALSModel",
            "timestamp": int(1000 * time.time()),
            "sparkVersion": spark.version,
            "uid": f"ALS_{uuid4().hex[-12:]}",
            "paramMap": {"userCol": "user_id", "itemCol": "movie_id", "blockSize": BLOCK_SIZE},
            "defaultParamMap": {
                **{"userCol": "user", "itemCol": "item", "predictionCol": "prediction"},
                **{"coldStartStrategy": "nan", "blockSize": BLOCK_SIZE},
            },
            "rank": self.rank,
        }
        rows = pa.table({"value": [json.dumps(metadata)]})
        spark.createDataFrame(rows, "value string").coalesce(1).write.text(f"{path}/metadata")
        self.userFactors.write.parquet(f"{path}/userFactors")
        self.itemFactors.write.parquet(f"{path}/itemFactors")


class Fit(NamedTuple):
    """A fit: the ALS model, and the composed model that every later step scores with."""

    als_model: ALSModel | AlsFactors
    factor_model: FactorModel


class FitInput(NamedTuple):
    """Ratings ready to fit: (user_id int, movie_id int, rating float, ...), and ALS's number of blocks."""

    ratings: DataFrame
    blocks: int


def prepare_fit(ratings: DataFrame, blocks: int | None = None) -> FitInput:
    """The ratings in as few blocks as their number allows, in an order that does not depend on the input's.

    This fixes the order of the sums in a fit, and so its last digits: in one block, and inside one process in any
    number, the same ratings give the same model. With more blocks on a cluster the last digits depend on which block
    arrives first.

    Args:
        ratings: (user_id int, movie_id int, rating float, ...).
        blocks: Number of blocks; None for `blocks_for(ratings)`.
    """
    blocks = blocks or blocks_for(ratings)
    return FitInput(ratings.repartition(blocks, "user_id").sortWithinPartitions("user_id", "movie_id"), blocks)


def blocks_for(ratings: DataFrame, rank: int = 1) -> int:
    """As few blocks as the number of ratings and the length of the factors allow, whatever the machine.

    A caller that fits several models at a time, which keeps all cores busy, leaves `rank` out.
    """
    return max(2 if rank >= WIDE else 1, math.ceil(ratings.count() / RATINGS_PER_BLOCK))


def fit_als(fit_input: FitInput, parameters: AlsParameters, seed: int) -> ALSModel:
    """The explicit model of the ratings.

    Args:
        fit_input: Result of `prepare_fit`.
        parameters: Rank, regularisation and number of alternations.
        seed: Seed of the initial factors.
    """
    return _als(fit_input, parameters, seed).fit(fit_input.ratings)


def fit_implicit_als(fit_input: FitInput, parameters: ImplicitAlsParameters, seed: int) -> ALSModel:
    """The implicit model of weighted preferences: the confidence in each is 1 + alpha times its `rating`.

    Args:
        fit_input: Result of `prepare_fit` for positive ratings.
        parameters: Rank, regularisation, number of alternations, and alpha.
        seed: Seed of the initial factors.
    """
    als = _als(fit_input, parameters, seed).setImplicitPrefs(True).setAlpha(parameters.alpha)
    return als.fit(fit_input.ratings)


def last_factors(model: FactorModel, rank: int) -> AlsFactors:
    """The factors that are the last part of a model's vectors, of the users and movies that have some."""

    def table(vectors: DataFrame) -> DataFrame:
        factors = F.slice("features", -rank, rank).alias("features")
        return vectors.select("id", factors).filter(F.exists("features", lambda value: value != 0))

    return AlsFactors(rank, table(model.users), table(model.items))


def factor_model(als_model: ALSModel, reg_param: float | None = None) -> FactorModel:
    """ALS as a `FactorModel`: no intercept, no biases, its factors as features.

    Args:
        als_model: A fitted model.
        reg_param: The lambda it was fitted with, which Spark's model does not store; without it the model has no rule.
    """

    def table(factors: DataFrame) -> DataFrame:
        return factors.select("id", F.lit(0.0).cast("float").alias("bias"), "features")

    rule = None if reg_param is None else RidgeRule((Ridge(als_model.rank, reg_param, per_rating=True),))
    return FactorModel(0.0, table(als_model.userFactors), table(als_model.itemFactors), rule)


def add_factors(base: FactorModel, als_model: ALSModel, reg_param: float) -> FactorModel:
    """The model whose scores are the base's plus ALS's: ALS's factors follow the base's features in each vector.

    Args:
        base: The model that the factors are added to, with every user and movie that is to be scored.
        als_model: A fit of the base's residuals. A user or movie that it does not know gets zeros, to which its
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
