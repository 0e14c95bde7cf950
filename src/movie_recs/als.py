"""Alternating least squares: fits by Spark ML, and what follows from the ridge that it solves for each user.

    min  sum over rated (u, i) of (r_ui - p_u . q_i)^2  +  lambda (sum_u n_u |p_u|^2 + sum_i n_i |q_i|^2)

n_u and n_i count the ratings of a user and of a movie (ALS-WR; Zhou, Wilkinson, Schreiber & Pan 2008).
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.model import FactorModel
from movie_recs.parameters import AlsParameters

RATINGS_PER_BLOCK = 2_000_000  # a block is a task of every half iteration: fewer blocks, less overhead


class FitInput(NamedTuple):
    """Ratings ready to fit: (user_id int, movie_id int, rating float in stars, ...), and ALS's number of blocks."""

    ratings: DataFrame
    blocks: int


def prepare_fit(ratings: DataFrame) -> FitInput:
    """The ratings in as few blocks as their number asks for, in an order that does not depend on how they came.

    The order of the sums in a fit, and so its last digits, follow from it: in one block the same ratings give the same
    model. With more blocks on a cluster the last digits depend on which block arrives first.
    """
    blocks = max(1, math.ceil(ratings.count() / RATINGS_PER_BLOCK))
    return FitInput(ratings.repartition(blocks, "user_id").sortWithinPartitions("user_id", "movie_id"), blocks)


def fit_als(fit_input: FitInput, parameters: AlsParameters, seed: int) -> ALSModel:
    """The explicit model of the ratings.

    Args:
        fit_input: As `prepare_fit` gives it.
        parameters: Rank, regularisation and number of alternations.
        seed: Of the factors' first values.
    """
    als = ALS(
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
    return als.fit(fit_input.ratings)


def factor_model(als_model: ALSModel, reg_param: float) -> FactorModel:
    """The same model as two tables: no intercept, no biases, ALS's factors as features.

    Args:
        als_model: A fit.
        reg_param: The lambda it was fitted with; Spark's model does not hold it.
    """

    def table(factors: DataFrame) -> DataFrame:
        return factors.select("id", F.lit(0.0).cast("float").alias("bias"), "features")

    return FactorModel(0.0, table(als_model.userFactors), table(als_model.itemFactors), reg_param)


def explain(model: FactorModel, recommendations: DataFrame, ratings: DataFrame, reasons: int) -> DataFrame:
    """The user's own ratings that add most to each recommendation's score.

    With the movies' factors fixed, the user's are a ridge regression on her ratings, so the score is a sum over them:

        p_u . q_i = sum over rated j of q_i . A^-1 q_j r_uj,    A = sum over rated j of q_j q_j^T + lambda n_u I

    (as Hu, Koren & Volinsky 2008, section 5, for the explicit model). The terms are compared with r_uj less the
    user's mean, so that a rating she gives to everything is no reason.

    Args:
        model: The model whose scores are explained.
        recommendations: (user_id int, movie_id int).
        ratings: (user_id int, movie_id int, rating float in stars), all of these users' ratings.
        reasons: How many ratings to name at most; only those that add something.

    Returns:
        (user_id int, movie_id int, because_movie_ids array<int>), the strongest reason first.
    """
    items = model.items.select(F.col("id").alias("movie_id"), "features")
    users = recommendations.select("user_id").distinct()
    asked = recommendations.select("user_id", "movie_id").join(items, "movie_id", how="inner").groupBy("user_id")
    rated = (
        ratings.join(users, "user_id", how="left_semi")
        .select("user_id", "movie_id", "rating")
        .join(items.withColumnRenamed("features", "rated_features"), "movie_id", how="inner")
        .groupBy("user_id")
    )

    reg_param = model.reg_param

    def contributions(asked: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
        if rated.empty:
            return asked[["user_id", "movie_id"]].assign(because_movie_ids=[[] for _ in range(len(asked))])
        rated = rated.sort_values("movie_id")
        known, wanted = np.array(rated["rated_features"].to_list()), np.array(asked["features"].to_list())
        stars = rated["rating"].to_numpy(float)
        gram = known.T @ known + max(reg_param, 1e-9) * len(stars) * np.eye(known.shape[1])
        terms = wanted @ np.linalg.solve(gram, known.T) * (stars - stars.mean())
        order = np.argsort(-terms, axis=1, kind="stable")[:, :reasons]
        movie_ids = rated["movie_id"].to_numpy()
        because = [movie_ids[best[row[best] > 0]].tolist() for row, best in zip(terms, order, strict=True)]
        return asked[["user_id", "movie_id"]].assign(because_movie_ids=because)

    schema = "user_id int, movie_id int, because_movie_ids array<int>"
    return asked.cogroup(rated).applyInPandas(contributions, schema)
