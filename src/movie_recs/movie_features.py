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

from movie_recs.als import fit_implicit_als, prepare_fit
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


def all_features(catalogue: Catalogue, ratings: DataFrame, counts: np.ndarray, seed: int) -> np.ndarray:
    """(m, k): the features of a fit on these ratings, less their mean over the ratings.

    Args:
        catalogue: The movies.
        ratings: (user_id int, movie_id int, ...), what the fit sees.
        counts: (m,), how many of them each movie has.
        seed: Of the audience's first values.
    """
    weights, parts = catalogue.weights, [catalogue.features]
    if weights.popularity:
        parts.append(weights.popularity * np.log1p(counts)[:, None])
    if weights.audience:
        parts.append(weights.audience * audience_features(catalogue.ids, ratings, counts, seed))
    features = np.hstack(parts)
    return features - counts @ features / counts.sum()


def audience_features(ids: np.ndarray, ratings: DataFrame, counts: np.ndarray, seed: int) -> np.ndarray:
    """(m, rank): each movie's direction among the implicit factors; arguments as of `all_features`."""
    factors = fit_implicit_als(prepare_fit(ratings), AUDIENCE, seed).itemFactors.toPandas()
    rated = np.searchsorted(ids, factors["id"])
    features = np.zeros((len(ids), AUDIENCE.rank))
    features[rated] = np.stack(factors["features"])
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(float).tiny)
    features[counts == 0] = counts @ features / counts.sum()
    return features


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
