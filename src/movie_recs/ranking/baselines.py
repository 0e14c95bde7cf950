"""Ranking models that are the same for all users, as baselines; and the popularity by which ties are ordered."""

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

RECENT_DAYS = 365.0  # after which a rating counts half in the popularity by which ties are ordered
RANDOM_RANK = 16
BASELINES = ("random", "most_popular", "damped_mean")


def baseline_scores(name: str, ratings: DataFrame, movie_ids: np.ndarray, damping: float) -> np.ndarray:
    """(m,): the score of each movie in a model with one ranking for all users.

    Args:
        name: `most_popular`, by number of ratings; `damped_mean`, by mean stars with `damping`
            pseudo-ratings at the mean of all ratings added.
        ratings: (user_id int, movie_id int, rating float in stars).
        movie_ids: (m,) ascending.
        damping: Number of pseudo-ratings of each movie.
    """
    table = ratings.groupBy("movie_id").agg(F.count("*").alias("n"), F.sum("rating").alias("stars")).toPandas()
    places = np.searchsorted(movie_ids, table["movie_id"])
    counts, stars = (np.bincount(places, table[column], len(movie_ids)) for column in ("n", "stars"))
    mean = stars.sum() / counts.sum()
    return {
        "most_popular": counts,
        "damped_mean": (stars + damping * mean) / (counts + damping),
    }[name]


def recent_popularity(ratings: DataFrame, movie_ids: np.ndarray) -> np.ndarray:
    """(m,) from 0 to 1: each movie's number of ratings, relative to the largest, a rating halving every `RECENT_DAYS`.

    Without times every rating counts the same.
    """
    ((newest,),) = ratings.agg(F.max("rated_at")).collect()
    age = F.datediff(F.lit(newest), "rated_at") if newest else F.lit(0)
    weight = F.pow(F.lit(2.0), -F.coalesce(age, F.lit(0)) / F.lit(RECENT_DAYS))
    table = ratings.groupBy("movie_id").agg(F.sum(weight).alias("weight")).toPandas()
    total = np.bincount(np.searchsorted(movie_ids, table["movie_id"]), table["weight"], len(movie_ids))
    return total / max(total.max(initial=0), np.finfo(float).tiny)
