"""Errors of predicted stars, each mean with its number of rows."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.groups import count_group, explode_groups
from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.model.scoring import to_stars
from movie_recs.tuning.comparison import compare, sums_by_user

COUNT_BINS = {"0": 0, "1": 1, "2-3": 3, "4-9": 9, "10-49": 49}  # label: largest number of ratings
MANY = "50+"
BINS = (*COUNT_BINS, MANY)
ROWS = "rows"


def rating_errors(scored: DataFrame, *by: str, scale: Scale = HALF_STARS) -> DataFrame:
    """Root mean squared and mean absolute error, over all rows and over warm rows.

        rmse = sqrt(sum((rating - stars)^2) / n),    mae = sum(|rating - stars|) / n

    `stars` is the score within the scale. A row is warm if there are train ratings of its user and of its movie.

    Args:
        scored: (rating in stars, score, warm boolean, ...).
        by: Columns to group by.
        scale: The scale of the ratings.

    Returns:
        (*by, rmse double, mae double, n long, rmse_warm double, mae_warm double, n_warm long), one row without `by`.
        An error over no rows is null.
    """
    squared = squared_error("rating", "score", scale)
    absolute = F.abs(F.col("rating") - to_stars("score", scale))
    return scored.groupBy(*by).agg(
        F.sqrt(F.avg(squared)).alias("rmse"),
        F.avg(absolute).alias("mae"),
        F.count("*").alias("n"),
        F.sqrt(F.avg(F.when(F.col("warm"), squared))).alias("rmse_warm"),
        F.avg(F.when(F.col("warm"), absolute)).alias("mae_warm"),
        F.count_if("warm").alias("n_warm"),
    )


def squared_error(rating: str, score: str, scale: Scale = HALF_STARS) -> Column:
    """(rating - stars)^2, the stars being the score within the scale."""
    return (F.col(rating) - to_stars(score, scale)) ** 2


def count_bin(ratings: str) -> Column:
    """The bin of a number of ratings: 0, 1, 2-3, 4-9, 10-49 or 50+."""
    return count_group(ratings, COUNT_BINS, MANY)


def errors_by_group(predictions: DataFrame, groups: Mapping[str, Column], scale: Scale = HALF_STARS) -> DataFrame:
    """The errors of predicted stars in groups of ratings, with the standard error of the RMSE.

        z_n = (e_n^2 - rmse^2) / (2 rmse),    rmse_se = sqrt(U / (U - 1) sum over users of (sum of her z_n)^2) / n

    over the n ratings and U users of a group, by the delta method with users as clusters as in `rmse_gains`.

    Args:
        predictions: (user_id, rating in stars, predicted_stars, ...).
        groups: The group of a rating, a column of text, by the kind of group.
        scale: The scale of the ratings.

    Returns:
        (kind string, group string, n_users long, n long, rmse, rmse_se, mae doubles), one row a group; rmse_se is null
        with one user or without an error.
    """
    squared, absolute = squared_error("rating", "predicted_stars", scale), F.abs(F.expr("rating - predicted_stars"))
    by_user = (
        predictions.select("user_id", squared.alias("s"), absolute.alias("a"), explode_groups(groups).alias("each"))
        .groupBy("each", "user_id")
        .agg(F.count("*").alias("n"), F.sum("s").alias("s"), F.sum("a").alias("a"))
    )
    sums = by_user.groupBy("each").agg(
        F.count("*").alias("n_users"),
        *(F.sum(name).alias(name) for name in ("n", "s", "a")),
        *(F.sum(F.expr(product)).alias(name) for name, product in (("ss", "s * s"), ("sn", "s * n"), ("nn", "n * n"))),
    )
    spread = F.expr("greatest(ss - 2 * (s / n) * sn + (s / n) * (s / n) * nn, 0)")  # sum over users of (s - n rmse^2)^2
    error = F.sqrt(spread * F.expr("n_users / (n_users - 1)")) / F.expr("2 * sqrt(s / n) * n")
    return sums.select(
        *("each.kind", "each.group", "n_users", "n"),
        F.sqrt(F.expr("s / n")).alias("rmse"),
        F.when(F.expr("n_users > 1 and s > 0"), error).alias("rmse_se"),
        F.expr("a / n").alias("mae"),
    )


def rmse_gains(predictions: DataFrame, pairs: Iterable[tuple[str, str]], scale: Scale = HALF_STARS) -> pd.DataFrame:
    """How much lower the RMSE of one model is than that of another on the same rows, and whether that is by chance.

        gain = rmse_before - rmse_after
        z_n = (e_before,n^2 - rmse_before^2) / (2 rmse_before) - (e_after,n^2 - rmse_after^2) / (2 rmse_after)

    `gain_se` is `standard_errors` of z, which is the delta method on paired rows. The sum of both models' squared
    errors is the same whatever the signs in `permutation_p` are, so that their RMSE differ as their squared errors do.

    Args:
        predictions: (user_id, rating in stars, a column of scores for each model).
        pairs: (before, after), names of score columns.
        scale: The scale of the ratings.

    Returns:
        (model, other, gain and gain_se in stars, p, p_holm), one row per pair, the model being the one after; gain is
        NaN where there are no rows, and gain_se with one user or a perfect model.
    """
    pairs = list(pairs)
    models = sorted({model for pair in pairs for model in pair})
    errors = {model: F.sum(squared_error("rating", model, scale)) for model in models}
    found = sums_by_user(predictions, {ROWS: F.count("*"), **errors})
    rows, squares = found[ROWS].to_numpy(), found[models].to_numpy(float)
    n = rows.sum()
    with np.errstate(invalid="ignore", divide="ignore"):  # no rows, or a perfect model
        rmse = np.sqrt(squares.sum(axis=0) / n)
        influences = (squares - rows[:, None] * rmse**2) / (2 * rmse)
    return compare(pairs, models, rmse, influences, squares, n)
