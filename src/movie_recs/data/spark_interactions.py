"""Tables of Spark as the columns that `interactions` reads as arrays."""

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.interactions import NO_TIME


def interaction_columns(ratings: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating float, fold short, time long), the columns that `read_interactions` reads.

    Args:
        ratings: (user_id int, movie_id int, rating in stars, perhaps fold int, perhaps rated_at timestamp).
    """
    fold = (F.col("fold") if "fold" in ratings.columns else F.lit(0)).cast("short").alias("fold")
    rating = F.col("rating").cast("float").alias("rating")
    time = microseconds() if "rated_at" in ratings.columns else F.lit(0).cast("long").alias("time")
    return ratings.select("user_id", "movie_id", rating, fold, time)


def microseconds() -> Column:
    """`rated_at` as a long `time`; a rating without a time counts as the oldest."""
    return F.coalesce(F.unix_micros("rated_at"), F.lit(NO_TIME)).alias("time")


def movie_ids(movies: DataFrame) -> np.ndarray:
    """(m,) int32: the ids of the movies, ascending."""
    return np.sort(movies.select("movie_id").toArrow()["movie_id"].to_numpy())
