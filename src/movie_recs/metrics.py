"""How wrong predicted stars are: each mean says over how many rows it is."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.model import to_stars


def rating_errors(scored: DataFrame) -> dict[str, float | int | None]:
    """Root mean squared and mean absolute error, over all rows and over warm rows.

        rmse = sqrt(sum((rating - stars)^2) / n),    mae = sum(|rating - stars|) / n

    `stars` is the score within 0.5 and 5.0. A row is warm if the model knows its user and its movie, else cold.

    Args:
        scored: (rating, score, user_known, movie_known, ...), as `model.score` gives them.

    Returns:
        rmse, mae, n; rmse_warm, mae_warm, n_warm. An error over no rows is None.
    """
    error = F.col("rating") - to_stars("score")
    warm = _is_warm()
    row = scored.agg(
        F.sqrt(F.avg(error * error)).alias("rmse"),
        F.avg(F.abs(error)).alias("mae"),
        F.count("*").alias("n"),
        F.sqrt(F.avg(F.when(warm, error * error))).alias("rmse_warm"),
        F.avg(F.when(warm, F.abs(error))).alias("mae_warm"),
        F.count_if(warm).alias("n_warm"),
    ).first()
    return row.asDict()


def cold_counts(scored: DataFrame) -> dict[str, int]:
    """What the model did not know: cold_users and cold_movies (distinct ids), and n_cold (rows).

    Args:
        scored: (user_id, movie_id, user_known, movie_known, ...), as `model.score` gives them.
    """
    row = scored.agg(
        F.count_distinct(F.when(~F.col("user_known"), F.col("user_id"))).alias("cold_users"),
        F.count_distinct(F.when(~F.col("movie_known"), F.col("movie_id"))).alias("cold_movies"),
        F.count_if(~_is_warm()).alias("n_cold"),
    ).first()
    return row.asDict()


def _is_warm() -> Column:
    return F.col("user_known") & F.col("movie_known")
