"""Measures of top lists: accuracy, coverage, novelty, diversity and popularity.

Accuracy compares a list with its user's held-out ratings, and comes with its number of users; the others need none.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.scale import EVENTS, HALF_STARS, Scale
from movie_recs.data.schemas import NO_GENRES
from movie_recs.tuning.comparison import compare, sums_by_user

RELEVANCE = {"all": "ndcg", "liked": "ndcg_liked", "graded": "ndcg_graded"}  # what is relevant, and its measure
ACCURACY = (*RELEVANCE.values(), "recall", "precision", "map", "mrr", "hit_rate")


def measure_rankings(
    lists: DataFrame,
    held_out: DataFrame,
    train: DataFrame,
    movies: DataFrame,
    k: int,
    users: DataFrame | None = None,
    fold_in: DataFrame | None = None,
    scale: Scale = HALF_STARS,
) -> DataFrame:
    """Accuracy, coverage, novelty, diversity and popularity of each model's lists of at most k movies.

    Accuracy is a mean over the n_users users with a held-out rating (ndcg_liked: the n_users_liked users with one of
    the liked ones); users without a list score 0. Every held-out movie is relevant. `x_se` is the standard error of x,
    sd / sqrt(n) with sd over the same n users and n - 1 as its denominator.

        ndcg = sum over hits of 1 / log2(rank + 1) / sum_{r=1..min(k, relevant)} 1 / log2(r + 1)
            (Jarvelin & Kekalainen 2002, with binary gains); ndcg_liked: the same, only liked movies being relevant
        ndcg_graded = sum over hits of (2^stars - 1) / log2(rank + 1), over the same sum of the best list that there
            could be, with stars of at most 5 whatever the scale; for events it is ndcg
        recall = hits / relevant,    precision = hits / k, also of a shorter list (Herlocker et al. 2004)
        map = sum over hits of (hits up to that rank) / rank / min(k, relevant) (Buckley & Voorhees 2000, cut off at k)
        mrr = 1 / rank of the first hit or 0 (Voorhees 1999),    hit_rate = 1 with a hit or 0 (Deshpande & Karypis 2004)

    The others are over all lists, also those of users without a held-out rating; n_i is the number of train
    ratings of movie i and U the number of train users.

        coverage = distinct movies in the lists / movies of the catalogue (Ge et al. 2010)
        novelty = mean over lists of the mean over movies of -log2((n_i + 1) / (U + 1)), in bits (Zhou et al. 2010; the
            ones keep it finite for a movie without ratings)
        diversity = mean over lists of two and more movies of the mean over pairs of 1 - |shared genres| / |genres of
            either| (Ziegler et al. 2005; two movies without genres are 0 apart)
        popularity_lift = mean over lists of users with ratings of (mean n_i of the list / mean n_i of the movies that
            its user rated in train, or in fold_in) - 1 (after Abdollahpouri et al. 2019, who compare groups)
        below_mean = share of the recommendations to users with ratings whose predicted stars are below the mean of the
            user's own in train, or in fold_in; null without predicted stars

    Args:
        lists: (model string, user_id int, rank int from 1, movie_id int, perhaps predicted_stars double on the scale,
            ...), each rank and each movie once a list.
        held_out: (user_id int, movie_id int, rating float in stars, ...). A pair that is given twice counts once.
        train: (user_id int, movie_id int, rating float, ...), each pair once.
        movies: (movie_id int, genres array<string>, ...): the whole catalogue, all movies of the others included.
        k: Ranks above k are left out.
        users: (user_id int, ...), the users that are measured; None for all. n_i and U are always those of all train.
        fold_in: (user_id int, movie_id int, rating float, ...), ratings of users that are not in train, by which they
            were folded in; they alone are measured, unless `users` names others.
        scale: The scale of the ratings, which says from which rating on a movie is liked.

    Returns:
        One row per model of `lists`: (model string, k int, each of ndcg, ndcg_liked, ndcg_graded, recall, precision,
        map, mrr, hit_rate with its _se, coverage, novelty, diversity, popularity_lift, below_mean as doubles; n_users,
        n_users_liked, users_without_held_out (of train or fold_in; they are in no mean of accuracy) and
        users_without_list (with held-out ratings) as longs). A mean over no user is null, and so is the error of a mean
        over one.
    """
    popularity = train.groupBy("movie_id").agg(F.count("*").alias("popularity"))
    people = describe_users(train, held_out, popularity, fold_in, scale.liked)
    if "predicted_stars" not in lists.columns:
        lists = lists.withColumn("predicted_stars", F.lit(None).cast("double"))
    users = fold_in if users is None else users
    lists, is_measured = lists.where(F.col("rank") <= k), F.lit(True)
    if users is not None:
        lists = lists.join(users, on="user_id", how="left_semi")
        measured = users.select("user_id", F.lit(True).alias("is_measured")).distinct()
        people, is_measured = people.join(measured, on="user_id", how="left"), F.col("is_measured")

    totals = people.agg(
        F.count("is_fitted").alias("train_users"),
        F.count_if(is_measured & (F.col("n_relevant") > 0)).alias("n_users"),
        F.count_if(is_measured & (F.col("n_liked") > 0)).alias("n_users_liked"),
        F.count_if(is_measured & (F.col("n_relevant") == 0)).alias("users_without_held_out"),
    ).crossJoin(movies.agg(F.count("*").alias("n_movies")))
    # Not count_distinct, for which Spark would read the lists twice or copy each row.
    covered = F.size(F.array_distinct(F.flatten(F.collect_list("movies"))))
    means = [_mean_and_error(name, "n_users_liked" if name == "ndcg_liked" else "n_users") for name in ACCURACY]
    return (
        measure_each_list(lists, people, describe_movies(movies, popularity), k, scale)
        .crossJoin(F.broadcast(totals))
        .groupBy("model", *totals.columns)
        .agg(
            *(column for mean_and_error in means for column in mean_and_error),
            (covered / F.col("n_movies")).alias("coverage"),
            (F.log2(F.col("train_users") + 1) - F.avg("log2_popularity")).alias("novelty"),
            *(F.avg(name).alias(name) for name in ("diversity", "popularity_lift")),
            (F.sum("n_below") / F.nullif(F.sum("n_starred"), F.lit(0))).alias("below_mean"),
            (F.col("n_users") - F.count("ndcg")).alias("users_without_list"),
        )
        .select(
            *("model", F.lit(k).alias("k")),
            *(column for name in ACCURACY for column in (name, f"{name}_se")),
            *("coverage", "novelty", "diversity", "popularity_lift", "below_mean"),
            *("n_users", "n_users_liked", "users_without_held_out", "users_without_list"),
        )
    )


def accuracy_gains(
    lists: DataFrame,
    held_out: DataFrame,
    movies: DataFrame,
    k: int,
    measure: str,
    pairs: Iterable[tuple[str, str]],
    scale: Scale = HALF_STARS,
) -> pd.DataFrame:
    """How much higher a measure of accuracy is by one model than by another for the same users, and whether by chance.

        gain = mean over users of (x_after - x_before)

    with a standard error of paired users. The means are over all users with a held-out rating, of `ndcg_liked` over
    those with a liked one, as in `measure_rankings`; a user without a list has 0.

    Args:
        lists: (model string, user_id int, rank int from 1, movie_id int, ...).
        held_out: (user_id int, movie_id int, rating float in stars, ...).
        movies: (movie_id int, genres array<string>, ...): the whole catalogue.
        k: Ranks above k are left out.
        measure: One of `ACCURACY`.
        pairs: (before, after), names of models.
        scale: The scale of the ratings.

    Returns:
        (model, other, gain, gain_se, p, p_holm), one row per pair, the model being the one after, see
        `comparison.compare`; gain is NaN without users, and gain_se with one.
    """
    pairs = list(pairs)
    models = sorted({model for pair in pairs for model in pair})
    no_ratings = held_out.where(F.lit(False))  # accuracy needs none of train
    popularity = no_ratings.groupBy("movie_id").agg(F.count("*").alias("popularity"))
    people = describe_users(no_ratings, held_out, popularity, None, scale.liked)
    shown = lists.where(F.col("rank") <= k).withColumn("predicted_stars", F.lit(None).cast("double"))
    measured = measure_each_list(shown, people, describe_movies(movies, popularity), k, scale)
    is_measured = F.col("n_liked" if measure == "ndcg_liked" else "n_relevant") > 0
    asked = people.where(is_measured).select("user_id")
    asked = asked.join(measured.select("user_id", "model", measure), "user_id", how="left")
    found = sums_by_user(asked, {name: F.sum(F.when(F.col("model") == name, F.col(measure))) for name in models})
    users, values = found["users"].to_numpy(), found[models].to_numpy(float)
    n = users.sum()
    with np.errstate(invalid="ignore", divide="ignore"):  # no users
        means = values.sum(axis=0) / n
    return compare(pairs, models, -means, users[:, None] * means - values, -values, n)


def ndcg_of_lists(gains: np.ndarray, best: np.ndarray) -> np.ndarray:
    """The NDCG of each user, float64 (users,), as in `measure_rankings`; 0 for a user without relevant movies.

    Args:
        gains: (users, k), what the movie at each rank gains; 0 if it is not relevant, or beyond the end of a list.
        best: (users, k), the highest gains of each user's relevant movies, in a list or not; 0 where there are fewer.
    """
    discounts = 1 / np.log2(np.arange(2, gains.shape[1] + 2))
    ideal = best @ discounts
    return np.divide(gains @ discounts, ideal, out=np.zeros(len(gains)), where=ideal > 0)


def binary_gains(relevant: np.ndarray, k: int) -> np.ndarray:
    """The best gains of users to whom so many movies (users,) are relevant, all of them the same: bool (users, k)."""
    return np.arange(k) < relevant[:, None]


def best_gains(starts: np.ndarray, gains: np.ndarray, k: int) -> np.ndarray:
    """(users, k) float64: each user's highest gains, descending; 0 where there are fewer.

    Args:
        starts: (users + 1,), where each user's gains begin.
        gains: (n,).
        k: Number of places.
    """
    counts = np.diff(starts)
    users = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-gains, users))
    places = np.arange(len(gains)) - np.repeat(starts[:-1], counts)
    best = np.zeros((len(counts), k))
    best[users[places < k], places[places < k]] = gains[order][places < k]
    return best


def gains_of(ratings: np.ndarray, relevance: str, scale: Scale) -> np.ndarray:
    """(n,) float64: what each held-out movie gains.

    Args:
        ratings: (n,), its rating.
        relevance: `all` of them are relevant; `liked`, those from the scale's `liked` on; `graded`, by their stars.
        scale: The scale of the ratings; of events all are relevant.
    """
    if relevance == "all" or scale == EVENTS:
        return np.ones(len(ratings))
    return (ratings >= scale.liked).astype(float) if relevance == "liked" else graded_gain(ratings, scale)


def graded_gain(rating: Any, scale: Scale) -> Any:
    """2^stars - 1 of an array or a column of ratings; 1 for events."""
    return 2.0 ** scale.in_stars(rating) - 1 if scale != EVENTS else 0 * rating + 1


def describe_users(
    train: DataFrame, held_out: DataFrame, popularity: DataFrame, fold_in: DataFrame | None, liked: float
) -> DataFrame:
    """(user_id, stars, n_relevant, n_liked, n_rated, mean_stars, profile_popularity, is_fitted).

    `stars` are the held-out ratings by movie_id; `n_rated` is the number of ratings in train and fold_in, `mean_stars`
    their mean, and `profile_popularity` the mean n_i of their movies, null if that is 0 or there are none; `is_fitted`
    is null for a user without ratings in train.
    """
    own = F.col("rating").alias("own")
    rated = train.select("user_id", "movie_id", own, F.lit(True).alias("is_fitted"))
    if fold_in is not None:
        rated = rated.unionByName(fold_in.select("user_id", "movie_id", own), allowMissingColumns=True)
    profiles = rated.join(F.broadcast(popularity), on="movie_id", how="left").fillna(0, "popularity")
    later = held_out.select("user_id", F.struct("movie_id", "rating").alias("relevant"))
    stars = F.map_values("stars")
    return (
        profiles.unionByName(later, allowMissingColumns=True)
        .where(F.col("user_id").isNotNull())  # joins add this anyway; written here, Spark plans this table once
        .groupBy("user_id")
        .agg(
            F.map_from_entries(F.collect_set("relevant")).alias("stars"),
            F.avg("own").alias("mean_stars"),
            F.nullif(F.avg("popularity"), F.lit(0.0)).alias("profile_popularity"),  # else a division by 0
            F.any_value("is_fitted", True).alias("is_fitted"),
            F.count("popularity").alias("n_rated"),
        )
        .withColumns({"n_relevant": F.size(stars), "n_liked": F.size(F.filter(stars, lambda own: own >= liked))})
    )


def describe_movies(movies: DataFrame, popularity: DataFrame) -> DataFrame:
    """(movie_id, popularity long, genres: array of hashes, which compare faster than strings; never empty)."""
    genres = F.when(F.size("genres") > 0, F.col("genres")).otherwise(F.array(F.lit(NO_GENRES)))
    return movies.join(popularity, on="movie_id", how="left").select(
        "movie_id",
        F.coalesce("popularity", F.lit(0)).alias("popularity"),
        F.transform(genres, lambda genre: F.xxhash64(genre)).alias("genres"),
    )


def measure_each_list(lists: DataFrame, people: DataFrame, catalogue: DataFrame, k: int, scale: Scale) -> DataFrame:
    """(model, user_id, *ACCURACY, movies, log2_popularity, popularity_lift, n_below, n_starred, diversity) of a list.

    A row for each list; null is in no mean.
    """
    stars = F.try_element_at("stars", F.col("movie_id"))
    gain = graded_gain(stars, scale)
    best = F.transform(F.map_values("stars"), lambda each: graded_gain(each, scale))
    is_below = F.col("predicted_stars") < F.col("mean_stars")
    each = (
        lists.select("model", "user_id", "rank", "movie_id", "predicted_stars")
        .join(F.broadcast(catalogue), on="movie_id", how="inner")
        .join(people, on="user_id", how="left")
        .groupBy("model", "user_id")
        .agg(
            _ranks_where(stars.isNotNull()).alias("hits"),
            _ranks_where(stars >= scale.liked).alias("liked_hits"),
            F.coalesce(F.sum(gain / F.log2(F.col("rank") + 1)), F.lit(0.0)).alias("gain"),
            F.any_value(F.slice(F.sort_array(best, asc=False), 1, k)).alias("best"),
            *(F.any_value(name).alias(name) for name in ("n_relevant", "n_liked")),
            F.count_if(is_below).alias("n_below"),
            F.count(is_below).alias("n_starred"),
            F.collect_list("movie_id").alias("movies"),
            F.avg(F.log2(F.col("popularity") + 1)).alias("log2_popularity"),
            (F.avg("popularity") / F.any_value("profile_popularity") - 1).alias("popularity_lift"),
            F.collect_list("genres").alias("genres"),
        )
    )
    hits, liked_hits, n_relevant, n_liked = map(F.col, ("hits", "liked_hits", "n_relevant", "n_liked"))
    ideal = _sum(F.transform("best", lambda each, place: each / F.log2(place + 2)))
    accuracy = {
        "ndcg": _ndcg(hits, n_relevant, k),
        "ndcg_liked": _ndcg(liked_hits, n_liked, k),
        "ndcg_graded": F.col("gain") / ideal,
        "recall": F.size(hits) / n_relevant,
        "precision": F.size(hits) / F.lit(k),
        "map": _sum(F.transform(hits, lambda rank, place: (place + 1) / rank)) / F.least(F.lit(k), n_relevant),
        "mrr": F.coalesce(1 / F.get(hits, F.lit(0)), F.lit(0.0)),
        "hit_rate": (F.size(hits) > 0).cast("double"),
    }
    return each.select(
        *("model", "user_id"),
        *(F.when(n_relevant > 0, value).alias(name) for name, value in accuracy.items()),
        *("movies", "log2_popularity", "popularity_lift", "n_below", "n_starred"),
        _mean_distance(F.col("genres")).alias("diversity"),
    )


def _ranks_where(condition: Column) -> Column:
    """Ascending ranks of the rows that meet a condition, from which every metric of binary relevance follows."""
    return F.sort_array(F.collect_list(F.when(condition, F.col("rank"))))


def _ndcg(ranks: Column, relevant: Column, k: int) -> Column:
    """NDCG from the ranks of the hits; null without relevant movies."""
    ideals = np.cumsum(1 / np.log2(np.arange(2, k + 2)))  # of 1 to k relevant movies
    ideal = F.get(F.lit(ideals.tolist()), F.least(F.lit(k), relevant) - 1)
    return _sum(F.transform(ranks, lambda rank: 1 / F.log2(rank + 1))) / ideal


def _mean_distance(sets: Column) -> Column:
    """Mean over pairs of an array of sets of 1 - |intersection| / |union|; null with fewer than two."""
    n = F.size(sets)

    def similarity_to_later(a: Column, place: Column) -> Column:
        later = F.slice(sets, place + 2, n)
        return _sum(F.transform(later, lambda b: F.size(F.array_intersect(a, b)) / F.size(F.array_union(a, b))))

    return F.when(n > 1, 1 - _sum(F.transform(sets, similarity_to_later)) / (n * (n - 1) / 2))


def _mean_and_error(name: str, users: str) -> tuple[Column, Column]:
    """Mean and standard error of a column over the number of users in `users`; those without a value count as 0."""
    n, listed = F.col(users), F.count(name)
    mean = F.when(n > 0, F.coalesce(F.sum(name), F.lit(0.0)) / n)
    # Squares around the mean of the values, shifted to the mean of all: a difference of squares would lose digits.
    squares = F.coalesce(listed * (F.var_pop(name) + (F.avg(name) - mean) ** 2), F.lit(0.0)) + (n - listed) * mean**2
    return mean.alias(name), F.when(n > 1, F.sqrt(squares / (n - 1) / n)).alias(f"{name}_se")


def _sum(numbers: Column) -> Column:
    return F.aggregate(numbers, F.lit(0.0), lambda total, number: total + number)
