"""What a user may have a taste for in a movie, as numbers, all of about the same spread.

    genres:     1 / sqrt(number of genres) for each that it has, so that every list has length 1
    year:       exp(-((year - c) / WIDTH)^2 / 2) for each centre c (radial basis functions); without a year the mean
    popularity: log(1 + number of train ratings)
    audience:   who rated it, whatever the stars: the movie's factors in an implicit ALS of the train ratings, of
                length 1; without a rating the mean

Genres and year are known before anyone rates a movie; popularity and audience follow from the ratings of a fit. That
who rated a movie says much about how it is rated is SVD++'s idea (Koren 2008), here as features.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.als.spark_ml import fit_implicit_als, prepare_fit
from movie_recs.parameters import AlsParameters, FeatureWeights

CENTRES = np.linspace(1930, 2018, 12)  # eight years apart
WIDTH = 8.0  # years
AUDIENCE = AlsParameters(rank=20, reg_param=0.1, max_iter=10)  # rank 40 or twice the iterations gain less than 0.0005


class Catalogue(NamedTuple):
    """All movies, by ascending id.

    ids: (m,) int32; features: (m, k) float64, weighted, of what is known before any rating; weights: of each kind.
    """

    ids: np.ndarray
    features: np.ndarray
    weights: FeatureWeights


def movie_ids(movies: DataFrame) -> np.ndarray:
    """(m,) int32, ascending."""
    return np.sort(movies.select("movie_id").toArrow()["movie_id"].to_numpy())


def describe_movies(movies: DataFrame, weights: FeatureWeights) -> Catalogue:
    """All movies with their genres and years, which must fit in the driver's memory.

    Args:
        movies: (movie_id int, year int or null, genres array<string>, ...).
        weights: What each kind of feature is multiplied by; one of weight 0 is left out.
    """
    table = movies.select("movie_id", "year", "genres").toPandas().sort_values("movie_id")
    kinds = [(weights.genres, genre_features(table["genres"])), (weights.year, year_features(table["year"]))]
    parts = [weight * features for weight, features in kinds if weight]
    features = np.hstack([np.zeros((len(table), 0)), *parts])
    return Catalogue(table["movie_id"].to_numpy(np.int32), features, weights)


def all_features(catalogue: Catalogue, counts: np.ndarray, audience: np.ndarray | None) -> np.ndarray:
    """(m, k): the features of a fit, less their mean over the ratings that it sees.

    Args:
        catalogue: The movies.
        counts: (m,), how many of the ratings each movie has.
        audience: As `audience_directions` gives it; None to leave it out.
    """
    parts = [catalogue.features]
    if catalogue.weights.popularity:
        parts.append(catalogue.weights.popularity * np.log1p(counts)[:, None])
    if audience is not None:
        parts.append(catalogue.weights.audience * audience)
    features = np.hstack(parts)
    return features - counts @ features / counts.sum()


def fit_audience(ids: np.ndarray, ratings: DataFrame, seed: int) -> np.ndarray:
    """(m, rank): item factors of the implicit ALS of who rated what, by Spark ML; zeros for a movie without ratings.

    Args:
        ids: (m,) ascending, those of all rated movies among them.
        ratings: (user_id int, movie_id int, ...).
        seed: Of the first values.
    """
    factors = fit_implicit_als(prepare_fit(ratings), AUDIENCE, seed).itemFactors.toPandas()
    table = np.zeros((len(ids), AUDIENCE.rank))
    table[np.searchsorted(ids, factors["id"])] = np.stack(factors["features"])
    return table


def audience_directions(factors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(m, rank): each movie's direction among the implicit factors; without ratings the mean over all ratings.

    Args:
        factors: (m, rank).
        counts: (m,), how many ratings each movie has.
    """
    directions = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    directions[counts == 0] = counts @ directions / counts.sum()
    return directions


def genre_features(genres: pd.Series) -> np.ndarray:
    """(movies, genres in alphabetical order); a movie without genres has zeros."""
    names = sorted({name for listed in genres for name in listed})
    has = np.array([[name in set(listed) for name in names] for listed in genres], dtype=float)
    has = has.reshape(len(genres), len(names))
    return has / np.sqrt(np.maximum(has.sum(axis=1, keepdims=True), 1))


def year_features(years: pd.Series) -> np.ndarray:
    """(movies, centres); zeros throughout if no movie has a year."""
    features = np.exp(-(((years.to_numpy(float)[:, None] - CENTRES) / WIDTH) ** 2) / 2)
    is_known = np.isfinite(features[:, 0])
    features[~is_known] = features[is_known].mean(axis=0) if is_known.any() else 0.0
    return features
