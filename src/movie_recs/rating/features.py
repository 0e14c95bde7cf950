"""Movie features that a user may have a taste for, all of about the same spread.

    genres:     1 / sqrt(number of genres) for each that it has, so that every list has length 1
    year:       exp(-((year - c) / WIDTH)^2 / 2) for each centre c (radial basis functions); without a year the mean
    popularity: log(1 + number of train ratings)
    audience:   who rated it, whatever the stars: the movie's factors in an implicit ALS of the train ratings, of
                length 1; without a rating the mean

Genres and year are known before anyone rates a movie; popularity and audience follow from the ratings of a fit. To
predict how a movie is rated from who rated it is SVD++'s idea (Koren 2008), here as features.
"""

from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import AlsParameters
from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import Seen
from movie_recs.data.movie_features import known_features, movie_table
from movie_recs.rating.parameters import FeatureWeights

AUDIENCE = AlsParameters(rank=20, reg_param=0.1, max_iter=10)  # rank 40 or twice the iterations gain less than 0.0005


class Catalogue(NamedTuple):
    """All movies, by ascending id.

    Args:
        ids: (m,) int32.
        features: (m, k) float64, weighted: those that are known before any rating.
        weights: The weight of each kind.
    """

    ids: np.ndarray
    features: np.ndarray
    weights: FeatureWeights


def describe_movies(movies: DataFrame, weights: FeatureWeights) -> Catalogue:
    """All movies with their genres and years, which must fit in the driver's memory.

    Args:
        movies: (movie_id int, year int or null, genres array<string>, ...).
        weights: The weight of each kind of feature; a kind of weight 0 is left out.
    """
    table = movie_table(movies)
    features = known_features(table, weights.genres, weights.year)
    return Catalogue(table["movie_id"].to_numpy(np.int32), features, weights)


def movie_features(catalogue: Catalogue, counts: np.ndarray, audience: np.ndarray | None) -> np.ndarray:
    """(m, k): the movies' features in a fit, minus their mean over its ratings.

    Args:
        catalogue: The movies.
        counts: (m,), number of its ratings by movie.
        audience: Result of `fit_audience`; None to leave it out.
    """
    parts = [catalogue.features]
    if catalogue.weights.popularity:
        parts.append(catalogue.weights.popularity * np.log1p(counts)[:, None])
    if audience is not None:
        parts.append(catalogue.weights.audience * audience_directions(audience, counts))
    features = np.hstack(parts)
    return features - counts @ features / counts.sum()


def fit_audience(seen: Blocks[Seen], seed: int) -> np.ndarray:
    """(m, rank) float32: item factors of the implicit ALS of who rated what; zeros for a movie without ratings.

    Args:
        seen: Ratings; their stars are ignored.
        seed: Seed of the initial factors.
    """
    (factors,) = fit_factors(seen.map(_ones), AUDIENCE, [AUDIENCE.max_iter], seed, alpha=1.0)
    return factors.items


def _ones(seen: Seen) -> Targets:
    return Targets(seen, np.ones(len(seen.users), np.float32))


def audience_directions(factors: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(m, rank): each movie's direction among the implicit factors; without ratings the mean over all ratings.

    Args:
        factors: (m, rank).
        counts: (m,), number of ratings by movie.
    """
    directions = factors / np.maximum(np.linalg.norm(factors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    directions[counts == 0] = counts @ directions / counts.sum()
    return directions
