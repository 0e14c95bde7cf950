"""Measures of top lists: accuracy, coverage, novelty, diversity and popularity.

Accuracy compares a list with its user's held-out ratings, and comes with its number of users; the others need none.
"""

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.data.scale import HALF_STARS
from movie_recs.data.schemas import NO_GENRES

ACCURACY = ("ndcg", "ndcg_liked", "recall", "precision", "map", "mrr", "hit_rate")


def measure_rankings(
    lists: DataFrame,
    held_out: DataFrame,
    train: DataFrame,
    movies: DataFrame,
    k: int,
    users: DataFrame | None = None,
    fold_in: DataFrame | None = None,
    liked: float = HALF_STARS.liked,
) -> DataFrame:
    """Accuracy, coverage, novelty, diversity and popularity of each model's lists of at most k movies.

    Accuracy is a mean over the n_users users with a held-out rating (ndcg_liked: the n_users_liked users with one of
    the liked ones); users without a list score 0. Every held-out movie is relevant. `x_se` is the standard error of x,
    sd / sqrt(n) with sd over the same n users and n - 1 as its denominator.

        ndcg = sum over hits of 1 / log2(rank + 1) / sum_{r=1..min(k, relevant)} 1 / log2(r + 1)
            (Jarvelin & Kekalainen 2002, with binary gains); ndcg_liked: the same, only liked movies being relevant
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

    Args:
        lists: (model string, user_id int, rank int from 1, movie_id int, ...), each rank and each movie once a list.
        held_out: (user_id int, movie_id int, rating float in stars, ...). A pair that is given twice counts once.
        train: (user_id int, movie_id int, ...), each pair once.
        movies: (movie_id int, genres array<string>, ...): the whole catalogue, all movies of the others included.
        k: Ranks above k are left out.
        users: (user_id int, ...), the users that are measured; None for all. n_i and U are always those of all train.
        fold_in: (user_id int, movie_id int, ...), ratings of users that are not in train, by which they were folded in;
            they alone are measured, unless `users` names others.
        liked: From which rating on a movie is liked.

    Returns:
        One row per model of `lists`: (model string, k int, each of ndcg, ndcg_liked, recall, precision, map, mrr,
        hit_rate with its _se, coverage, novelty, diversity, popularity_lift as doubles; n_users, n_users_liked,
        users_without_held_out (of train or fold_in; they are in no mean of accuracy) and users_without_list (with
        held-out ratings) as longs). A mean over no user is null, and so is the error of a mean over one.
    """
    popularity = train.groupBy("movie_id").agg(F.count("*").alias("popularity"))
    people = _describe_users(train, held_out, popularity, fold_in, liked)
    users = fold_in if users is None else users
    lists, is_measured = lists.where(F.col("rank") <= k), F.lit(True)
    if users is not None:
        lists = lists.join(users, on="user_id", how="left_semi")
        measured = users.select("user_id", F.lit(True).alias("is_measured")).distinct()
        people, is_measured = people.join(measured, on="user_id", how="left"), F.col("is_measured")

    totals = people.agg(
        F.count("is_fitted").alias("train_users"),
        F.count_if(is_measured & (F.size("relevant") > 0)).alias("n_users"),
        F.count_if(is_measured & (F.size("liked") > 0)).alias("n_users_liked"),
        F.count_if(is_measured & (F.size("relevant") == 0)).alias("users_without_held_out"),
    ).crossJoin(movies.agg(F.count("*").alias("n_movies")))
    # Not count_distinct, for which Spark would read the lists twice or copy each row.
    covered = F.size(F.array_distinct(F.flatten(F.collect_list("movies"))))
    means = [_mean_and_error(name, "n_users_liked" if name == "ndcg_liked" else "n_users") for name in ACCURACY]
    return (
        _measure_lists(lists, people, _describe_movies(movies, popularity), k)
        .crossJoin(F.broadcast(totals))
        .groupBy("model", *totals.columns)
        .agg(
            *(column for mean_and_error in means for column in mean_and_error),
            (covered / F.col("n_movies")).alias("coverage"),
            (F.log2(F.col("train_users") + 1) - F.avg("log2_popularity")).alias("novelty"),
            *(F.avg(name).alias(name) for name in ("diversity", "popularity_lift")),
            (F.col("n_users") - F.count("ndcg")).alias("users_without_list"),
        )
        .select(
            *("model", F.lit(k).alias("k")),
            *(column for name in ACCURACY for column in (name, f"{name}_se")),
            *("coverage", "novelty", "diversity", "popularity_lift"),
            *("n_users", "n_users_liked", "users_without_held_out", "users_without_list"),
        )
    )


def ndcg_of_lists(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """The NDCG of each user, float64 (users,), as in `measure_rankings`; 0 for a user without relevant movies.

    Args:
        hits: bool (users, k), whether the movie at each rank is relevant; False beyond the end of a shorter list.
        relevant: int (users,), how many movies are relevant to each user, in her list or not.
    """
    discounts = 1 / np.log2(np.arange(2, hits.shape[1] + 2))
    return hits @ discounts / np.cumsum(discounts)[np.clip(relevant, 1, len(discounts)) - 1]


def _describe_users(
    train: DataFrame, held_out: DataFrame, popularity: DataFrame, fold_in: DataFrame | None, liked: float
) -> DataFrame:
    """(user_id, relevant, liked: arrays of movie_id, profile_popularity, is_fitted).

    `profile_popularity` is the mean n_i of the movies in train and fold_in, null if that is 0 or there are none;
    `is_fitted` is null for a user without ratings in train.
    """
    rated = train.select("user_id", "movie_id", F.lit(True).alias("is_fitted"))
    if fold_in is not None:
        rated = rated.unionByName(fold_in.select("user_id", "movie_id"), allowMissingColumns=True)
    profiles = rated.join(F.broadcast(popularity), on="movie_id", how="left").fillna(0, "popularity")
    later = held_out.select("user_id", F.col("movie_id").alias("relevant"), "rating")
    return (
        profiles.unionByName(later, allowMissingColumns=True)
        .where(F.col("user_id").isNotNull())  # joins add this anyway; written here, Spark plans this table once
        .groupBy("user_id")
        .agg(
            F.collect_set("relevant").alias("relevant"),
            F.collect_set(F.when(F.col("rating") >= liked, F.col("relevant"))).alias("liked"),
            F.nullif(F.avg("popularity"), F.lit(0.0)).alias("profile_popularity"),  # else a division by 0
            F.any_value("is_fitted", True).alias("is_fitted"),
        )
    )


def _describe_movies(movies: DataFrame, popularity: DataFrame) -> DataFrame:
    """(movie_id, popularity long, genres: array of hashes, which compare faster than strings; never empty)."""
    genres = F.when(F.size("genres") > 0, F.col("genres")).otherwise(F.array(F.lit(NO_GENRES)))
    return movies.join(popularity, on="movie_id", how="left").select(
        "movie_id",
        F.coalesce("popularity", F.lit(0)).alias("popularity"),
        F.transform(genres, lambda genre: F.xxhash64(genre)).alias("genres"),
    )


def _measure_lists(lists: DataFrame, people: DataFrame, catalogue: DataFrame, k: int) -> DataFrame:
    """(model, *ACCURACY, movies, log2_popularity, popularity_lift, diversity) of each list; null is in no mean."""
    each = (
        lists.select("model", "user_id", "rank", "movie_id")
        .join(F.broadcast(catalogue), on="movie_id", how="inner")
        .join(people, on="user_id", how="left")
        .groupBy("model", "user_id")
        .agg(
            _ranks_where(F.array_contains("relevant", F.col("movie_id"))).alias("hits"),
            _ranks_where(F.array_contains("liked", F.col("movie_id"))).alias("liked_hits"),
            F.any_value(F.size("relevant")).alias("n_relevant"),
            F.any_value(F.size("liked")).alias("n_liked"),
            F.collect_list("movie_id").alias("movies"),
            F.avg(F.log2(F.col("popularity") + 1)).alias("log2_popularity"),
            (F.avg("popularity") / F.any_value("profile_popularity") - 1).alias("popularity_lift"),
            F.collect_list("genres").alias("genres"),
        )
    )
    hits, liked_hits, n_relevant, n_liked = map(F.col, ("hits", "liked_hits", "n_relevant", "n_liked"))
    accuracy = {
        "ndcg": _ndcg(hits, n_relevant, k),
        "ndcg_liked": _ndcg(liked_hits, n_liked, k),
        "recall": F.size(hits) / n_relevant,
        "precision": F.size(hits) / F.lit(k),
        "map": _sum(F.transform(hits, lambda rank, place: (place + 1) / rank)) / F.least(F.lit(k), n_relevant),
        "mrr": F.coalesce(1 / F.get(hits, F.lit(0)), F.lit(0.0)),
        "hit_rate": (F.size(hits) > 0).cast("double"),
    }
    return each.select(
        "model",
        *(F.when(n_relevant > 0, value).alias(name) for name, value in accuracy.items()),
        *("movies", "log2_popularity", "popularity_lift"),
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
