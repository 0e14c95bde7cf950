"""Whom the lists of one model serve, and which movies they show: measures of groups of users and of movies."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.data.groups import DECADES, MOVIES, USERS, count_group, decade, explode_groups
from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.ranking.metrics import describe_movies, describe_users, measure_each_list


def accuracy_by_group(
    lists: DataFrame,
    held_out: DataFrame,
    train: DataFrame,
    movies: DataFrame,
    k: int,
    fold_in: DataFrame | None = None,
    scale: Scale = HALF_STARS,
) -> DataFrame:
    """Accuracy of one model's lists for users by their number of ratings in train, or in fold_in.

    Means over the n_users users of a group, with standard errors, as in `measure_rankings`, which has the arguments.

    Returns:
        (kind string, group string, n_users long, ndcg, ndcg_se, ndcg_graded, ndcg_graded_se, hit_rate, hit_rate_se,
        popularity_lift doubles), one row a group of users with held-out ratings.
    """
    popularity = train.groupBy("movie_id").agg(F.count("*").alias("popularity"))
    people = describe_users(train, held_out, popularity, fold_in, scale.liked).where("n_relevant > 0")
    each = measure_each_list(lists.where(F.col("rank") <= k), people, describe_movies(movies, popularity), k, scale)
    measures = ("ndcg", "ndcg_graded", "hit_rate")
    users = people.join(each.select("user_id", *measures, "popularity_lift"), on="user_id", how="left")
    return (
        users.fillna(0.0, measures)
        .groupBy(F.lit(USERS).alias("kind"), count_group("n_rated").alias("group"))
        .agg(
            F.count("*").alias("n_users"),
            *(
                column
                for name in measures
                for column in (
                    F.avg(name).alias(name),
                    (F.try_divide(F.stddev_samp(name), F.sqrt(F.count("*")))).alias(f"{name}_se"),
                )
            ),
            F.avg("popularity_lift").alias("popularity_lift"),
        )
    )


def exposure_by_group(lists: DataFrame, held_out: DataFrame, train: DataFrame, movies: DataFrame, k: int) -> DataFrame:
    """How often movies are recommended and found, by their number of train ratings and by decade of release.

        list_share = recommendations of the group's movies / all,    train_share: the same of the train ratings
        recall = held-out ratings whose movie is in their user's list / held-out ratings of the group

    Args:
        lists: (user_id, rank, movie_id, ...) of one model.
        held_out: (user_id, movie_id, ...), each pair once.
        train: (movie_id, ...).
        movies: (movie_id, year, ...), the catalogue.
        k: Ranks above k are left out.

    Returns:
        (kind string, group string, movies, held_out longs, train_share, list_share, recall doubles), one row a group;
        recall is null without held-out ratings.
    """
    listed = lists.where(F.col("rank") <= k).select("user_id", "movie_id", F.lit(1).alias("listed"))
    wanted = held_out.select("user_id", "movie_id", F.lit(1).alias("held_out"))
    pairs = listed.unionByName(wanted, allowMissingColumns=True).groupBy("user_id", "movie_id")
    counted = pairs.agg(*(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("listed", "held_out")))
    hits = (F.col("listed") > 0) & (F.col("held_out") > 0)
    rows = counted.select("movie_id", "listed", "held_out", hits.cast("int").alias("hits")).unionByName(
        train.select("movie_id", F.lit(1).alias("train")), allowMissingColumns=True
    )
    names = ("listed", "held_out", "hits", "train")
    by_movie = rows.groupBy("movie_id").agg(*(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in names))
    catalogue = movies.select("movie_id", "year").join(by_movie, on="movie_id", how="left").fillna(0, names)
    groups = explode_groups({MOVIES: count_group("train"), DECADES: decade("year")})
    sums = (
        catalogue.select(*names, groups.alias("each"))
        .groupBy("each.kind", "each.group")
        .agg(F.count("*").alias("movies"), *(F.sum(name).alias(name) for name in names))
    )
    of_kind = Window.partitionBy("kind")
    return sums.select(
        *("kind", "group", "movies", "held_out"),
        *(
            F.try_divide(F.col(name), F.sum(name).over(of_kind)).alias(share)
            for name, share in (("train", "train_share"), ("listed", "list_share"))
        ),
        F.try_divide("hits", "held_out").alias("recall"),
    )
