"""Errors of predicted stars, each mean with its number of rows."""

from collections.abc import Iterable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.model.scoring import to_stars

COUNT_BINS = {"0": 0, "1": 1, "2-3": 3, "4-9": 9, "10-49": 49}  # label: largest number of ratings
MANY = "50+"
BINS = (*COUNT_BINS, MANY)


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
    label = F.lit(MANY)
    for name, most in reversed(COUNT_BINS.items()):
        label = F.when(F.col(ratings) <= most, name).otherwise(label)
    return label


def rmse_gains(
    predictions: DataFrame, pairs: Iterable[tuple[str, str]], scale: Scale = HALF_STARS
) -> list[dict[str, float | None]]:
    """How much lower the RMSE of one model is than that of another on the same rows, with its standard error.

        gain = rmse_before - rmse_after
        z_n = (e_before,n^2 - rmse_before^2) / (2 rmse_before) - (e_after,n^2 - rmse_after^2) / (2 rmse_after)
        gain_se = sqrt(U / (U - 1) sum over users of (sum of her z_n)^2) / n

    which is the delta method on paired rows, with users as clusters (Liang & Zeger 1986): a user's errors are
    correlated, and so are both models' errors on the same rows.

    Args:
        predictions: (user_id, rating in stars, a column of scores for each model).
        pairs: (before, after), names of score columns.
        scale: The scale of the ratings.

    Returns:
        One row per pair: gain and gain_se in stars; None where there are no rows, and gain_se None with one user or a
        perfect model.
    """
    pairs = list(pairs)
    models = sorted({model for pair in pairs for model in pair})
    (rmse,) = predictions.agg(
        *(F.sqrt(F.avg(squared_error("rating", model, scale))).alias(model) for model in models)
    ).collect()

    def influence(model: str) -> Column:
        return (squared_error("rating", model, scale) - F.lit(rmse[model] ** 2)) / (2 * rmse[model])

    measurable = [pair for pair in pairs if all(rmse[model] for model in pair)]
    sums = [
        F.sum(influence(before) - influence(after)).alias(str(place))
        for place, (before, after) in enumerate(measurable)
    ]
    by_user = predictions.groupBy("user_id").agg(F.count("*").alias("n"), *sums)
    (spread,) = by_user.agg(
        F.count("*").alias("users"),
        F.sum("n").alias("n"),
        *(F.sum(F.col(str(place)) ** 2).alias(str(place)) for place in range(len(measurable))),
    ).collect()
    rows = []
    for pair in pairs:
        before, after = (rmse[model] for model in pair)
        gain = None if before is None or after is None else before - after
        gain_se = None
        if pair in measurable and spread["users"] > 1:
            variance = spread["users"] / (spread["users"] - 1) * spread[str(measurable.index(pair))]
            gain_se = variance**0.5 / spread["n"]
        rows.append({"gain": gain, "gain_se": gain_se})
    return rows
