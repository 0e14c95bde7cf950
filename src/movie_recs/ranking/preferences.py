"""What a user's ratings say of what she prefers, and her vector in a ranking model.

Some of her ratings count as preferences (`are_preferred`), and each of them as much as

    s = max(1 + star_weight (r - mean of her r), 0.1)
    a = old_weight + (1 - old_weight) 2^(-later / half_life),   later = number of her preferences after it
    w = s a / (mean of s a over her preferences)

A ranking model's item vectors have two parts, either of which may be empty. With y_i and f_i those of movie i, and n
the number of her preferences i,

    implicit ALS: p = als_weight (sum over all j y_j y_j^T + sum alpha w_i y_i y_i^T + lambda n I)^-1
                                 sum (1 + alpha w_i) y_i        (the user step of Hu, Koren & Volinsky 2008, eq. 4)
    EASE:         p = sum w_i d_i f_i                           (`ease` says what d is)

So a vector is a sum over her ratings, and new ratings, or a new user's, need no fit.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import DataFrame
from scipy.sparse import csr_array

from movie_recs.als import kernels
from movie_recs.als.compiled import microseconds
from movie_recs.data.schemas import LIKED_STARS
from movie_recs.model.factor_model import FACTORS, Arrays, FactorModel, Folding, arrays, feature_lists
from movie_recs.parameters import PreferenceParameters, RatingWeights
from movie_recs.ranking.ease import self_influence
from movie_recs.tuning.candidate import RankingCandidate

LEAST_WEIGHT = 0.1  # of a preference, however few its stars: it was watched and rated


def make_folding(
    candidate: RankingCandidate, preference: PreferenceParameters, als_size: int, ease_size: int
) -> Folding:
    """How a user's vector is made in the candidate's model.

    Args:
        candidate: Hyperparameters.
        preference: Which ratings count; and in a fit how much, which is all that a model of ALS alone has.
        als_size: Features of the ALS part.
        ease_size: Features of the EASE part.
    """
    preferred = preference.preferred
    weights = candidate.weights or RatingWeights(star_weight=preference.star_weight)
    if candidate.als is None:
        return Folding(0, ease_size, preferred, weights)
    als_weight = 1.0 if candidate.als_weight is None else candidate.als_weight
    return Folding(als_size, ease_size, preferred, weights, als_weight, candidate.reg_param, candidate.alpha)


def are_preferred(starts: np.ndarray, stars: np.ndarray, preferred: str) -> np.ndarray:
    """(n,) bool: which ratings count.

    Args:
        starts: (u + 1,), where each user's rows begin.
        stars: (n,).
        preferred: `all`; `liked`, at least 4 stars; `above_mean`, at least the user's own mean.
    """
    if preferred == "liked":
        return stars >= LIKED_STARS
    return stars >= _means(starts, stars) if preferred == "above_mean" else np.ones(len(stars), bool)


def weigh_stars(starts: np.ndarray, stars: np.ndarray, star_weight: float) -> np.ndarray:
    """(n,): s of the module's first lines."""
    return np.maximum(1 + star_weight * (stars - _means(starts, stars)), LEAST_WEIGHT)


def weigh(
    starts: np.ndarray, stars: np.ndarray, times: np.ndarray, movies: np.ndarray, weights: RatingWeights
) -> np.ndarray:
    """(n,) float32: w of the module's first lines.

    Args:
        starts: (u + 1,), where each user's rows begin.
        stars: (n,).
        times: (n,); of equal times the higher movie is the later.
        movies: (n,).
        weights: What counts how much.
    """
    values = weigh_stars(starts, stars, weights.star_weight)
    if weights.half_life is not None:
        counts = np.diff(starts)
        order = np.lexsort((movies, times, np.repeat(np.arange(len(counts)), counts)))
        later = np.empty(len(stars))
        later[order] = np.repeat(starts[1:], counts) - 1 - np.arange(len(stars))
        values *= weights.old_weight + (1 - weights.old_weight) * 2.0 ** (-later / weights.half_life)
    return (values / _means(starts, values)).astype(np.float32)


def user_vectors(
    starts: np.ndarray, movies: np.ndarray, weights: np.ndarray, items: np.ndarray, folding: Folding
) -> np.ndarray:
    """(u, k) float32: the users' vectors.

    Args:
        starts: (u + 1,), where each user's preferences begin.
        movies: (n,) rows of `items`.
        weights: (n,) float32.
        items: (m, k) float32, ALS's part first.
        folding: How.
    """
    users = len(starts) - 1
    factors = np.zeros((users, folding.als_size), np.float32)
    if folding.als_size:
        als_items = np.ascontiguousarray(items[:, : folding.als_size])
        singular = kernels.solve_factors(starts, movies, weights, als_items, factors, folding.reg_param, folding.alpha)
        if singular >= 0:
            raise ArithmeticError("the normal equations are singular: raise reg_param, or lower the rank")
        factors *= np.float32(folding.als_weight)
    own = items[:, folding.als_size :]
    rows = csr_array((weights * self_influence(own)[movies], movies, starts), shape=(users, len(items)))
    return np.hstack([factors, (rows @ own).astype(np.float32)])


def fold_in_preferences(model: FactorModel, ratings: DataFrame) -> DataFrame:
    """The users' side of a ranking model for whoever gave these ratings, known to the model or new.

    Args:
        model: Its movies and `folding` are used, its users are not.
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp), all ratings of these users,
            each pair once. Those of movies that the model does not know say nothing.

    Returns:
        (id int, bias float, features array<float>), a row a user; zeros for one without a preference that counts.
    """
    folding = model.folding
    shared = ratings.sparkSession.sparkContext.broadcast(arrays(model.items))

    def solve(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = [batch for batch in batches if batch.num_rows]
        if not parts:
            return
        ids, vectors = fold_in_rows(pa.Table.from_batches(parts), shared.value, folding)
        columns = [pa.array(ids), pa.array(np.zeros(len(ids), np.float32)), feature_lists(vectors)]
        yield pa.RecordBatch.from_arrays(columns, ["id", "bias", "features"])

    by_user = _columns(ratings).repartition("user_id").sortWithinPartitions("user_id", "movie_id")
    return by_user.mapInArrow(solve, FACTORS)


def fold_in_rows(rated: pa.Table, items: Arrays, folding: Folding) -> tuple[np.ndarray, np.ndarray]:
    """The users' ids (u,), ascending, and their vectors (u, k) float32.

    Args:
        rated: (user_id, movie_id, rating, time), as `collect_rows` has it.
        items: The movies' side.
        folding: How.
    """
    ids, starts, rows, weights = _preferences(rated, items, folding)
    return ids, user_vectors(starts, rows, weights, items.features[:-1].astype(np.float32), folding)


def explain_preferences(model: FactorModel, recommendations: DataFrame, ratings: DataFrame, reasons: int) -> DataFrame:
    """The user's own ratings that add most to each recommendation's score.

    A score is a sum over her preferences j: of ALS's part als_weight y_i^T (...)^-1 y_j (1 + alpha w_j), the exact
    decomposition of Hu, Koren & Volinsky 2008, section 5; of EASE's w_j d_j f_j . f_i.

    Args:
        model: A ranking model.
        recommendations: (user_id int, movie_id int).
        ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp), all of these users' ratings.
        reasons: How many to name at most; only those that add something.

    Returns:
        (user_id int, movie_id int, because_movie_ids array<int>), the strongest reason first.
    """
    folding = model.folding
    shared = ratings.sparkSession.sparkContext.broadcast(arrays(model.items))

    def strongest(asked: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
        items, asked = shared.value, asked[["user_id", "movie_id"]]
        if rated.empty:
            return asked.assign(because_movie_ids=[[] for _ in range(len(asked))])
        table = pa.Table.from_pandas(rated.sort_values("movie_id"), preserve_index=False)
        _, _, rows, weights = _preferences(table, items, folding)
        terms = contributions(items.features[:-1], rows, items.rows_of(asked["movie_id"].to_numpy()), weights, folding)
        order = np.argsort(-terms, axis=1, kind="stable")[:, :reasons]
        because = [items.ids[rows[best[row[best] > 0]]].tolist() for row, best in zip(terms, order, strict=True)]
        return asked.assign(because_movie_ids=because)

    users = recommendations.select("user_id").distinct()
    rated = _columns(ratings.join(users, "user_id", how="left_semi")).groupBy("user_id")
    asked = recommendations.select("user_id", "movie_id").groupBy("user_id")
    return asked.cogroup(rated).applyInPandas(strongest, "user_id int, movie_id int, because_movie_ids array<int>")


def contributions(
    items: np.ndarray, rated: np.ndarray, asked: np.ndarray, weights: np.ndarray, folding: Folding
) -> np.ndarray:
    """(a, n): what each of one user's preferences adds to the score of each asked movie.

    Args:
        items: (m, k).
        rated: (n,) rows of `items`, her preferences.
        asked: (a,) rows of `items`.
        weights: (n,).
        folding: How her vector is made.
    """
    factors, own = np.split(items.astype(float), [folding.als_size], axis=1)
    mine = own[rated] * (weights * self_influence(own[rated]))[:, None]
    total = own[asked] @ mine.T
    if folding.als_size and len(rated):
        rated_factors, more = factors[rated], folding.alpha * weights
        system = factors.T @ factors + (rated_factors.T * more) @ rated_factors
        system += folding.reg_param * len(rated) * np.eye(folding.als_size)
        effect = np.linalg.solve(system, rated_factors.T * (1 + more))
        total += folding.als_weight * factors[asked] @ effect
    return total


def _preferences(
    rated: pa.Table, items: Arrays, folding: Folding
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The ids of the users, and of their preferences among the known movies: starts, rows of `items`, weights."""
    users, movie_ids, stars, times = (rated[name].to_numpy() for name in ("user_id", "movie_id", "rating", "time"))
    ids, starts = np.unique(users, return_index=True)
    kept = are_preferred(np.append(starts, len(users)), stars.astype(float), folding.preferred)
    rows = items.rows_of(movie_ids)
    kept &= rows < len(items.ids)
    starts = np.append(np.searchsorted(users[kept], ids), np.count_nonzero(kept))
    weights = weigh(starts, stars[kept].astype(float), times[kept], movie_ids[kept], folding.weights)
    return ids, starts, rows[kept].astype(np.int32), weights


def collect_rows(ratings: DataFrame) -> pa.Table:
    """(user_id, movie_id, rating, time long in microseconds) in memory, by user and movie."""
    return _columns(ratings).toArrow().sort_by([("user_id", "ascending"), ("movie_id", "ascending")])


def _columns(ratings: DataFrame) -> DataFrame:
    return ratings.select("user_id", "movie_id", "rating", microseconds())


def _means(starts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n,): each row's mean over the rows of its user."""
    counts = np.diff(starts)
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), values, len(counts))
    return np.repeat(sums / np.maximum(counts, 1), counts)
