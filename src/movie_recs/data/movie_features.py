"""What is known of movies before any rating, as numbers: genres and years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:  # a service starts without Spark
    from pyspark.sql import DataFrame

CENTRES = np.linspace(1930, 2018, 12)  # eight years apart
WIDTH = 8.0  # years


def movie_table(movies: DataFrame) -> pd.DataFrame:
    """(movie_id, year, genres) by ascending id: the whole catalogue, which must fit in the driver's memory."""
    return movies.select("movie_id", "year", "genres").toPandas().sort_values("movie_id")


def known_features(table: pd.DataFrame, genres: float, year: float) -> np.ndarray:
    """(movies, k): genres and years times their weights; a kind of weight 0 is left out.

    Args:
        table: Result of `movie_table`.
        genres: Weight of the genres.
        year: Weight of the years.
    """
    kinds = [(genres, genre_features(table["genres"])), (year, year_features(table["year"]))]
    parts = [weight * features for weight, features in kinds if weight]
    return np.hstack([np.zeros((len(table), 0)), *parts])


def genre_features(genres: pd.Series) -> np.ndarray:
    """(movies, genres in alphabetical order); a movie without genres has zeros."""
    of_movies = genres.reset_index(drop=True).explode().dropna()
    codes, names = pd.factorize(of_movies, sort=True)
    has = np.zeros((len(genres), len(names)))
    has[of_movies.index, codes] = 1
    return has / np.sqrt(np.maximum(has.sum(axis=1, keepdims=True), 1))


def year_features(years: pd.Series) -> np.ndarray:
    """(movies, centres); zeros throughout if no movie has a year."""
    features = np.exp(-(((years.to_numpy(float)[:, None] - CENTRES) / WIDTH) ** 2) / 2)
    is_known = np.isfinite(features[:, 0])
    features[~is_known] = features[is_known].mean(axis=0) if is_known.any() else 0.0
    return features
