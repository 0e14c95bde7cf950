"""What explains ratings before any factor is learnt: damped biases, and each user's taste for known movie features.

    r_ui ~ mu + b_u + b_i + w_u . f_i

    min  sum over rated (u, i) of (r_ui - mu - b_u - b_i - w_u . f_i)^2
         + user_damping  sum_u b_u^2               + taste_reg sum_u |w_u|^2
         + movie_damping sum_i (b_i - w . f_i)^2   + prior_reg |w|^2

mu is the mean train rating, f_i a movie's features (`movie_features`), w the taste that all users share, which is part
of the movies' biases, and w_u what a user's own differs from it (its mean over the users is kept at 0, which moves the
minimum by about prior_reg / (taste_reg users) of w). Without features it is the damped user-item baseline of
Funk 2006 and Koren, Bell & Volinsky 2009; movie biases that are pulled towards what their features say are Agarwal &
Chen's (2009, regression-based latent factor models). It is solved by turns: all users given the movies, then all
movies given the users. Users are spread over Spark's tasks, which send back sums by movie; the movies' side, which is
small, is solved by the driver.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.model.factor_model import FactorModel, Ridge, factor_table
from movie_recs.model.users import UserRows, fold_in, pulls_of, read_users, solve_ridge
from movie_recs.parameters import BaselineParameters
from movie_recs.rating.features import Catalogue, all_features, audience_directions, fit_audience

RATINGS_PER_BLOCK = 500_000  # a block is a task of every turn
LEAST_BLOCKS = 4  # so that few ratings keep a few cores busy; a constant, so that all machines sum in the same order
SUMS_AT_A_TIME = 2_000_000  # that a task sends back: 16 MB
TOLERANCE = 0.005  # stars: the movie biases' root mean square change, over ratings, in the last turn
MOST_TURNS = 20
FITS_AT_A_TIME = 4  # of the audience features, one a fold: Spark's overhead is most of their time
NO_FOLD = -1


class Problem(NamedTuple):
    """One fit: its hyperparameters, and the fold that it does not see (`NO_FOLD` if it sees all)."""

    parameters: BaselineParameters
    held_out: int = NO_FOLD


class MovieSide(NamedTuple):
    """The movies' side of a fit: the users' follows from it by a ridge regression each.

    intercept: mu; ids: (m,) ascending; bias: (m,); features: (m, k); ratings: (m,) that the fit has seen.
    """

    problem: Problem
    intercept: float
    ids: np.ndarray
    bias: np.ndarray
    features: np.ndarray
    ratings: np.ndarray

    @property
    def ridge(self) -> Ridge:
        """The ridge regression that a user's bias and weights solve."""
        parameters = self.problem.parameters
        return Ridge(self.features.shape[1], parameters.taste_reg or 0.0, parameters.user_damping)


class Sums(NamedTuple):
    """What the users' biases and tastes leave of the ratings, summed by movie, (m,), and their mean weights, (k,)."""

    left: np.ndarray
    weights: np.ndarray


def fit_baseline(
    ratings: DataFrame, catalogue: Catalogue, parameters: BaselineParameters, seed: int = 0
) -> FactorModel:
    """The fitted model, with all movies of the catalogue, rated or not.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: The movies, all that are rated among them.
        parameters: Hyperparameters.
        seed: Of the audience features' first values.
    """
    blocks = in_blocks(ratings.withColumn("fold", F.lit(0))).cache()  # every turn reads it
    try:
        (side,) = fit_movie_sides(blocks, catalogue, [Problem(parameters)], seed)
    finally:
        blocks.unpersist()
    spark = ratings.sparkSession
    items = factor_table(spark, side.ids, side.bias, side.features)
    model = FactorModel(side.intercept, items.limit(0), items, (side.ridge,))
    return model._replace(users=fold_in(model, ratings))


def in_blocks(ratings: DataFrame) -> DataFrame:
    """(user_id, movie_id, rating, fold): whole users in partitions, by user and movie, however the ratings came."""
    blocks = max(LEAST_BLOCKS, -(-ratings.count() // RATINGS_PER_BLOCK))
    columns = ratings.select("user_id", "movie_id", F.col("rating").cast("double").alias("rating"), "fold")
    return columns.repartition(blocks, "user_id").sortWithinPartitions("user_id", "movie_id")


def fit_movie_sides(blocks: DataFrame, catalogue: Catalogue, problems: list[Problem], seed: int = 0) -> list[MovieSide]:
    """The movies' side of each problem, many of them solved in the same passes over the ratings.

    Args:
        blocks: As `in_blocks` gives it.
        catalogue: The movies, all that are rated among them.
        problems: What to fit.
        seed: Of the audience features' first values.

    Raises:
        ValueError: A rated movie is not in the catalogue.
    """
    by_fold = blocks.groupBy("movie_id", "fold").agg(F.count("*").alias("n"), F.sum("rating").alias("stars"))
    counts = by_fold.toPandas().sort_values(["movie_id", "fold"])
    if not np.isin(counts["movie_id"], catalogue.ids).all():
        raise ValueError("A rated movie is not in the catalogue.")
    sides = _start(blocks, catalogue, counts, problems, seed)
    at_a_time = max(1, SUMS_AT_A_TIME // len(catalogue.ids))
    chunks = [sides[start : start + at_a_time] for start in range(0, len(sides), at_a_time)]
    return [side for chunk in chunks for side in alternate(chunk, partial(_sum_by_movie, blocks))]


def cross_val_scores(blocks: DataFrame, sides: list[MovieSide]) -> DataFrame:
    """What each fit says of all ratings, those of its held-out fold among them.

    Args:
        blocks: As `in_blocks` gives it.
        sides: Fits, as `fit_movie_sides` gives them.

    Returns:
        (problem int, the place in `sides`; user_id int, movie_id int, rating double, held_out boolean, warm boolean,
        score double); a rating is warm if the fit has seen another of its user and one of its movie.
    """
    shared = blocks.sparkSession.sparkContext.broadcast(sides)

    def add_scores(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        users = read_users(batches)
        for solved in _solve_users(users, shared.value) if users else []:
            held_out = users.columns["fold"] == solved.held_out
            seen_by_user = np.add.reduceat(~held_out, users.starts[:-1]).repeat(np.diff(users.starts))
            for number, place in enumerate(solved.places):
                side = shared.value[place]
                score = users.columns["rating"] - solved.left[:, number]
                columns = {
                    "problem": np.full(len(score), place, np.int32),
                    **{name: users.columns[name] for name in ("user_id", "movie_id", "rating")},
                    "held_out": held_out,
                    "warm": (side.ratings[solved.item_rows] > 0) & (seen_by_user > 0),
                    "score": score,
                }
                yield pa.RecordBatch.from_pydict(columns)

    schema = "problem int, user_id int, movie_id int, rating double, held_out boolean, warm boolean, score double"
    return blocks.mapInArrow(add_scores, schema)


def _start(
    blocks: DataFrame, catalogue: Catalogue, counts: pd.DataFrame, problems: list[Problem], seed: int
) -> list[MovieSide]:
    """All movie biases 0. Fits of the same fold share their arrays, so that they travel to the tasks once."""

    def count(fold: int) -> tuple[float, np.ndarray]:
        seen = counts[counts["fold"] != fold]
        ratings = np.bincount(np.searchsorted(catalogue.ids, seen["movie_id"]), seen["n"], len(catalogue.ids))
        return seen["stars"].sum() / ratings.sum(), ratings

    def describe(fold: int) -> np.ndarray:
        ratings, audience = counted[fold][1], None
        if catalogue.weights.audience:
            factors = fit_audience(catalogue.ids, blocks.filter(F.col("fold") != fold), seed)
            audience = audience_directions(factors, ratings)
        return all_features(catalogue, ratings, audience)

    counted = {fold: count(fold) for fold in {problem.held_out for problem in problems}}
    tasted = sorted({problem.held_out for problem in problems if problem.parameters.taste_reg is not None})
    with ThreadPoolExecutor(FITS_AT_A_TIME) as pool:
        features = dict(zip(tasted, pool.map(describe, tasted), strict=True))
    no_features = np.zeros((len(catalogue.ids), 0))
    sides = []
    for problem in problems:
        intercept, ratings = counted[problem.held_out]
        known = no_features if problem.parameters.taste_reg is None else features[problem.held_out]
        sides.append(MovieSide(problem, intercept, catalogue.ids, np.zeros(len(ratings)), known, ratings))
    return sides


def alternate(sides: list[MovieSide], sum_by_movie: Callable[[list[MovieSide]], list[Sums]]) -> list[MovieSide]:
    """Turns of users and movies until the movies' biases stay as they are.

    Args:
        sides: Where to start from.
        sum_by_movie: Solves the users of each side, and sums what they leave.
    """
    sides, moving = list(sides), list(range(len(sides)))
    for _ in range(MOST_TURNS):
        sums = sum_by_movie([sides[place] for place in moving])
        still_moving = []
        for place, (left, weights) in zip(moving, sums, strict=True):
            side = sides[place]
            bias = _movie_biases(side, left + side.ratings * (side.features @ weights))
            change = np.sqrt(side.ratings @ (bias - side.bias) ** 2 / side.ratings.sum())
            sides[place] = side._replace(bias=bias)
            if change > TOLERANCE:
                still_moving.append(place)
        moving = still_moving
        if not moving:
            break
    return sides


def _movie_biases(side: MovieSide, left: np.ndarray) -> np.ndarray:
    """b_i = (sum of what is left of its ratings + movie_damping w . f_i) / (number of ratings + movie_damping).

    With b_i solved for, w is the ridge regression of the movies' mean `left` on their features, weighted by
    ratings * movie_damping / (ratings + movie_damping).
    """
    damping, features, ratings = side.problem.parameters.movie_damping, side.features, side.ratings
    shrink = damping / (ratings + damping)
    if not features.shape[1]:
        return left / (ratings + damping)
    gram = (features.T * (ratings * shrink)) @ features + side.problem.parameters.prior_reg * np.eye(features.shape[1])
    prior = features @ np.linalg.solve(gram, features.T @ (left * shrink))
    return (left + damping * prior) / (ratings + damping)


class _Solved(NamedTuple):
    """The users of a partition, for the problems at `places`, which share fold and features.

    left: (ratings, problems), what the biases and tastes leave of each rating; weights: (problems, k), summed over the
    users with a rating that the fits see.
    """

    held_out: int
    places: list[int]
    item_rows: np.ndarray
    left: np.ndarray
    weights: np.ndarray
    users: int


def _solve_users(users: UserRows, sides: list[MovieSide]) -> Iterator[_Solved]:
    item_rows = np.searchsorted(sides[0].ids, users.columns["movie_id"])
    alike: dict[tuple[int, int], list[int]] = {}
    for place, side in enumerate(sides):
        alike.setdefault((side.problem.held_out, side.features.shape[1]), []).append(place)
    for (held_out, size), places in alike.items():
        ones = np.ones((len(sides[0].ids), 1))
        features = np.hstack([ones, sides[places[0]].features])
        pulls = np.array([pulls_of(sides[place].ridge) for place in places])
        bias = np.stack([sides[place].intercept + sides[place].bias for place in places], axis=1)
        left = users.columns["rating"][:, None] - bias[item_rows]
        total, seen_users = np.zeros((len(places), size + 1)), 0
        is_seen = users.columns["fold"] != held_out
        for rows in users.slices():
            seen, rated = is_seen[rows], features[item_rows[rows]]
            if not seen.any():
                continue
            weights = solve_ridge(rated[seen], left[rows][seen], pulls)
            left[rows] -= rated @ weights.T
            total += weights
            seen_users += 1
        yield _Solved(held_out, places, item_rows, left, total[:, 1:], seen_users)


def _sum_by_movie(blocks: DataFrame, sides: list[MovieSide]) -> list[Sums]:
    shared = blocks.sparkSession.sparkContext.broadcast(sides)

    def sum_up(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        users = read_users(batches)
        for solved in _solve_users(users, shared.value) if users else []:
            is_seen = users.columns["fold"] != solved.held_out
            rows = solved.item_rows[is_seen]
            for number, place in enumerate(solved.places):
                side = shared.value[place]
                left = solved.left[is_seen, number] + side.bias[rows]
                columns = {
                    "problem": [place],
                    "first_user": [int(users.ids[0])],
                    "left": [np.bincount(rows, left, len(side.ids)).astype(float)],  # of no rows it gives integers
                    "weights": [solved.weights[number]],
                    "users": [solved.users],
                }
                yield pa.RecordBatch.from_pydict(columns)

    schema = "problem long, first_user long, left array<double>, weights array<double>, users long"
    parts = blocks.mapInArrow(sum_up, schema).toPandas().sort_values(["problem", "first_user"])  # one order of sums
    shared.destroy()
    return [
        Sums(np.sum(list(rows["left"]), axis=0), np.sum(list(rows["weights"]), axis=0) / rows["users"].sum())
        for _, rows in parts.groupby("problem")
    ]
