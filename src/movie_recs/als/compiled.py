"""Fits on ratings that are arrays in one process's memory: the same models as the distributed ones, compiled.

Where a data set fits, this takes milliseconds for what costs Spark a dozen jobs; `baselines` and `als` do the same over
a cluster.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.als import kernels
from movie_recs.model.factor_model import FactorModel, Ridge, factor_table
from movie_recs.model.users import pulls_of
from movie_recs.parameters import AlsParameters, BaselineParameters
from movie_recs.rating.biases import NO_FOLD, MovieSide, Problem, Sums, alternate
from movie_recs.rating.features import AUDIENCE, Catalogue, all_features, audience_directions
from movie_recs.tuning.candidate import RatingCandidate

EXPLICIT = -1.0  # no alpha: ratings are targets, not confidences


class Interactions(NamedTuple):
    """Ratings by user, then by movie.

    users, movies: (n,) int32, rows of `user_ids` and of `movie_ids`; ratings: (n,) float32 in stars; folds: (n,) int16;
    times: (n,) int64 in microseconds; user_ids, movie_ids: ascending, int32.
    """

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    folds: np.ndarray
    times: np.ndarray
    user_ids: np.ndarray
    movie_ids: np.ndarray


class Seen(NamedTuple):
    """The ratings that a fit sees, by user and by movie.

    users, movies: (n,) int32 and ratings: (n,) float64, by user; user_starts: (users + 1,); by_movie: (n,) the rows by
    movie; movie_starts: (movies + 1,); user_ids, movie_ids: as in `Interactions`.
    """

    users: np.ndarray
    movies: np.ndarray
    ratings: np.ndarray
    user_starts: np.ndarray
    by_movie: np.ndarray
    movie_starts: np.ndarray
    user_ids: np.ndarray
    movie_ids: np.ndarray

    @property
    def movie_counts(self) -> np.ndarray:
        """(movies,): how many of the ratings each has."""
        return np.diff(self.movie_starts).astype(float)

    @property
    def rated_users(self) -> np.ndarray:
        """(users,): who has a rating here."""
        return np.diff(self.user_starts) > 0


class Tastes(NamedTuple):
    """A baseline's fit: the movies' side, its features with the user's bias as a first column, and the users' weights.

    features: (movies, 1 + k); weights: (users, 1 + k).
    """

    side: MovieSide
    features: np.ndarray
    weights: np.ndarray

    def scores(self, users: np.ndarray, movies: np.ndarray) -> np.ndarray:
        """(n,): of these pairs of rows, in stars."""
        return (
            self.side.intercept + self.side.bias[movies] + kernels.predict(users, movies, self.weights, self.features)
        )


def collect_interactions(ratings: DataFrame, movie_ids: np.ndarray | None = None) -> Interactions:
    """The ratings in memory, in the same order however they came.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars, perhaps fold int, perhaps rated_at timestamp).
        movie_ids: Ascending ids, those of all rated movies among them; without them, the rated ones.
    """
    fold = (F.col("fold") if "fold" in ratings.columns else F.lit(0)).cast("short").alias("fold")
    rating = F.col("rating").cast("float").alias("rating")
    time = microseconds() if "rated_at" in ratings.columns else F.lit(0).cast("long").alias("time")
    table = ratings.select("user_id", "movie_id", rating, fold, time).toArrow()
    columns = [table[name].to_numpy() for name in table.column_names]
    user_ids, users = np.unique(columns[0], return_inverse=True)
    movie_ids = np.unique(columns[1]) if movie_ids is None else movie_ids
    movies = np.searchsorted(movie_ids, columns[1])
    if len(movies) and not (movie_ids[np.minimum(movies, len(movie_ids) - 1)] == columns[1]).all():
        raise ValueError("A rated movie is not in the catalogue.")
    users, movies = users.astype(np.int32), movies.astype(np.int32)
    by_movie = kernels.group_rows(movies, len(movie_ids))[1]
    order = by_movie[kernels.group_rows(users[by_movie], len(user_ids))[1]]
    return Interactions(users[order], movies[order], *(column[order] for column in columns[2:]), user_ids, movie_ids)


def microseconds() -> Column:
    """`rated_at` as a long `time`; a rating without one is as old as can be."""
    return F.coalesce(F.unix_micros("rated_at"), F.lit(-(2**63))).alias("time")


def select_seen(interactions: Interactions, held_out: int = NO_FOLD) -> Seen:
    """All ratings but those of one fold, or all."""
    rows = np.flatnonzero(interactions.folds != held_out)
    users, movies = interactions.users[rows], interactions.movies[rows]
    user_starts = np.searchsorted(users, np.arange(len(interactions.user_ids) + 1, dtype=np.int32))
    movie_starts, by_movie = kernels.group_rows(movies, len(interactions.movie_ids))
    ratings = interactions.ratings[rows].astype(float)
    return Seen(
        users,
        movies,
        ratings,
        user_starts,
        by_movie.astype(np.int32),
        movie_starts,
        interactions.user_ids,
        interactions.movie_ids,
    )


def fit_audience(seen: Seen, seed: int) -> np.ndarray:
    """(movies, rank) float32: item factors of the implicit ALS of who rated what; zeros for a movie without ratings."""
    ones = np.ones(len(seen.users), np.float32)
    ((_, items),) = fit_factors(seen, ones, AUDIENCE, [AUDIENCE.max_iter], seed, alpha=1.0)
    return items


def movie_features(seen: Seen, catalogue: Catalogue, audience: np.ndarray | None) -> np.ndarray:
    """(movies, k): as `movie_features.all_features` has it, from factors as `fit_audience` gives them."""
    counts = seen.movie_counts
    directions = None if audience is None else audience_directions(audience, counts)
    return all_features(catalogue, counts, directions)


class UserRidges:
    """The ridge regressions of all users on the movies' features, of which only targets and pulls change."""

    def __init__(self, seen: Seen, features: np.ndarray):
        self.seen = seen
        self.features = np.hstack([np.ones((len(features), 1)), features])
        self.grams = kernels.sum_grams(seen.user_starts, seen.movies, self.features)

    def fit(self, parameters: BaselineParameters, held_out: int = NO_FOLD) -> Tastes:
        """The baseline of these hyperparameters, as `baselines.fit_movie_sides` fits it."""
        seen, counts = self.seen, self.seen.movie_counts
        intercept = seen.ratings.sum() / len(seen.ratings)
        problem = Problem(parameters, held_out)
        side = MovieSide(problem, intercept, seen.movie_ids, np.zeros(len(counts)), self.features[:, 1:], counts)
        factors = kernels.factorise(self.grams, pulls_of(side.ridge))
        are_users = seen.rated_users

        def sum_by_movie(sides: list[MovieSide]) -> list[Sums]:
            (side,) = sides
            weights, left = self._solve(factors, side)
            stars = left + side.bias[seen.movies]
            by_movie = np.bincount(seen.movies, stars, len(counts))
            return [Sums(by_movie, weights[are_users, 1:].mean(axis=0))]

        (side,) = alternate([side], sum_by_movie)
        return Tastes(side, self.features, self._solve(factors, side)[0])

    def _solve(self, factors: np.ndarray, side: MovieSide) -> tuple[np.ndarray, np.ndarray]:
        """The users' weights, (users, 1 + k), and what they leave of each rating, (n,)."""
        seen = self.seen
        targets = seen.ratings - side.intercept - side.bias[seen.movies]
        weights = kernels.solve_ridges(factors, seen.user_starts, seen.movies, self.features, targets)
        return weights, targets - kernels.predict(seen.users, seen.movies, weights, self.features)


def fit_model(ratings: DataFrame, catalogue: Catalogue, candidate: RatingCandidate, seed: int) -> FactorModel:
    """A baseline, and factors where the candidate has some, fitted in the driver's memory.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: The movies, all that are rated among them.
        candidate: Hyperparameters, with a baseline.
        seed: Of all first values.
    """
    seen = select_seen(collect_interactions(ratings, catalogue.ids))
    features = np.zeros((len(catalogue.ids), 0))
    if candidate.taste_reg is not None:
        features = movie_features(seen, catalogue, fit_audience(seen, seed) if catalogue.weights.audience else None)
    tastes = UserRidges(seen, features).fit(candidate.baseline)
    side, _, weights = tastes
    users, items, ridges = [weights[:, 1:]], [side.features], (side.ridge,)
    if candidate.als is not None:
        left = (seen.ratings - tastes.scores(seen.users, seen.movies)).astype(np.float32)
        (factors,) = fit_factors(seen, left, candidate.als, [candidate.max_iter], seed)
        users.append(factors[0])
        items.append(factors[1])
        ridges += (Ridge(candidate.rank, candidate.reg_param, per_rating=True),)
    spark = ratings.sparkSession
    return FactorModel(
        side.intercept,
        factor_table(spark, seen.user_ids, weights[:, 0], np.hstack(users)),
        factor_table(spark, side.ids, side.bias, np.hstack(items)),
        ridges,
    )


def fit_factors(
    seen: Seen,
    ratings: np.ndarray,
    parameters: AlsParameters,
    iterations: Iterable[int],
    seed: int,
    alpha: float = EXPLICIT,
    start: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The factors of users and of movies after each of these numbers of alternations: Spark ML's ALS, in memory.

    The objective, the order of the two halves and the distribution of the users' first values, uniform on the sphere,
    are Spark's; the values themselves are not.

    Args:
        seen: Whose rating of what.
        ratings: (n,) float32, in the order of `seen`: stars, or what a baseline leaves of them.
        parameters: Rank and regularisation.
        iterations: Ascending.
        seed: Of the users' first values.
        alpha: Of the implicit model's confidence 1 + alpha |r|; negative for the explicit model.
        start: The users' first values, (users, rank) float32, instead of random ones.

    Yields:
        (users, rank) and (movies, rank) float32; zeros for who or what has no ratings.

    Raises:
        ArithmeticError: A system of normal equations is singular.
    """
    users = _first_values(len(seen.user_starts) - 1, parameters.rank, seed) if start is None else start.copy()
    users[~seen.rated_users] = 0
    items = np.zeros((len(seen.movie_starts) - 1, parameters.rank), np.float32)
    by_user = seen.user_starts, seen.movies, ratings, items, users
    by_movie = seen.movie_starts, seen.users[seen.by_movie], ratings[seen.by_movie], users, items
    done = 0
    for wanted in iterations:
        for _ in range(done, wanted):
            for side in (by_movie, by_user):
                if kernels.solve_factors(*side, parameters.reg_param, alpha) >= 0:
                    raise ArithmeticError("the normal equations are singular: raise reg_param, or lower the rank")
        done = wanted
        yield users.copy(), items.copy()


def _first_values(count: int, rank: int, seed: int) -> np.ndarray:
    """(count, rank) float32: points spread evenly over the unit sphere, as Spark ML draws them."""
    values = np.random.default_rng([seed % 2**64, rank]).standard_normal((count, rank), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)
