"""Description of the data: counts, distributions, top movies and tags."""

from functools import reduce
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.identifiers import to_originals
from movie_recs.data.scale import Scale
from movie_recs.data.schemas import NO_GENRES
from movie_recs.data.spark_titles import display_title
from movie_recs.model.scoring import BINS, on_step
from movie_recs.report import figures as plots
from movie_recs.report.parameters import EdaParameters

MEAN_STEP = 0.1  # stars, width of the bins of mean ratings
DECIMALS = 6  # of their ends


def summarise(ratings: DataFrame, movies: DataFrame, data_summary: dict[str, Any]) -> dict[str, Any]:
    """Users, movies rated and never rated, ratings, density = ratings / (users * movies), and movies by genre."""
    ((rated,),) = ratings.agg(F.count_distinct("movie_id")).collect()
    genres = (
        movies.select(
            F.explode(F.when(F.size("genres") > 0, F.col("genres")).otherwise(F.array(F.lit(NO_GENRES)))).alias("genre")
        )
        .groupBy("genre")
        .count()
        .orderBy(F.desc("count"), "genre")
        .collect()
    )
    users, all_movies, count = (data_summary[key] for key in ("users", "movies", "ratings"))
    return {
        "dataset": data_summary["name"],
        "synthetic": data_summary["synthetic"],
        "users": users,
        "movies": all_movies,
        "movies_rated": rated,
        "movies_never_rated": all_movies - rated,
        "ratings": count,
        "density": count / (users * all_movies),
        "genres": {row["genre"]: row["count"] for row in genres},
    }


def count_distributions(ratings: DataFrame, data_summary: dict[str, Any]) -> pd.DataFrame:
    """Distributions of the ratings, as one long table; of events those without stars.

    Returns:
        (distribution, low, high, count): `count` users, movies or ratings have a value from `low` to below `high`, in
        stars, ratings or years. Distributions: rating, mean_rating_per_user, mean_rating_per_movie, ratings_per_user,
        ratings_per_movie (bins double in width), ratings_per_year (of the ratings with a time).
    """
    scale = Scale.of(data_summary)
    years = ratings.filter(F.col("rated_at").isNotNull()).select(
        F.lit("ratings_per_year").alias("distribution"),
        F.year("rated_at").cast("double").alias("low"),
        (F.year("rated_at") + 1.0).alias("high"),
    )
    parts = [years]
    if scale is not None:
        low = on_step(F.col("rating"), scale)
        width = scale.step or (scale.most - scale.least) / BINS
        parts.append(
            ratings.select(F.lit("rating").alias("distribution"), low.alias("low"), (low + width).alias("high"))
        )
    for side in ("user", "movie"):
        by_id = ratings.groupBy(f"{side}_id").agg(F.avg("rating").alias("mean"), F.count("*").alias("ratings"))
        power = F.length(F.bin("ratings")) - 1  # floor(log2(ratings)), exactly
        if scale is not None:
            width = MEAN_STEP * scale.star
            step = F.floor(F.round(F.col("mean") / width, 6))
            parts.append(
                by_id.select(
                    F.lit(f"mean_rating_per_{side}").alias("distribution"),
                    F.round(step * width, DECIMALS).alias("low"),
                    F.round((step + 1) * width, DECIMALS).alias("high"),
                )
            )
        parts.append(
            by_id.select(
                F.lit(f"ratings_per_{side}").alias("distribution"),
                F.pow(F.lit(2.0), power).alias("low"),
                F.pow(F.lit(2.0), power + 1).alias("high"),
            )
        )
    keys = ["distribution", "low", "high"]
    return reduce(DataFrame.unionByName, parts).groupBy(*keys).count().orderBy(*keys).toPandas()


def rank_movies(
    ratings: DataFrame,
    movies: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: EdaParameters,
) -> pd.DataFrame:
    """The most rated and the best rated movies; of events the first, without means.

        damped_mean = (sum of ratings + damping * global mean) / (number of ratings + damping)

    Returns:
        (list, place, movie_id as the data has it, title, year, ratings, mean_rating, damped_mean), `list` being
        most_rated or best_rated.
    """
    ((global_mean,),) = ratings.agg(F.avg("rating")).collect()
    damping = parameters.damping
    by_movie = (
        ratings.groupBy("movie_id")
        .agg(F.count("*").alias("ratings"), F.avg("rating").alias("mean_rating"))
        .withColumn(
            "damped_mean",
            (F.col("ratings") * F.col("mean_rating") + damping * global_mean) / (F.col("ratings") + damping),
        )
    )
    tables = []
    lists = {"most_rated": "ratings", "best_rated": "damped_mean"}
    if Scale.of(data_summary) is None:
        del lists["best_rated"]
        by_movie = by_movie.withColumns({name: F.lit(None).cast("double") for name in ("mean_rating", "damped_mean")})
    for name, order in lists.items():
        top = by_movie.orderBy(F.desc(order), "movie_id").limit(parameters.top)
        named = top.join(movies, "movie_id", how="inner").withColumn("number", F.col("movie_id"))
        table = (
            to_originals(named, movie_ids, "movie_id")
            .orderBy(F.desc(order), "number")
            .select(
                F.lit(name).alias("list"),
                "movie_id",
                display_title("title"),
                "year",
                "ratings",
                "mean_rating",
                "damped_mean",
            )
            .toPandas()
        )
        table.insert(1, "place", range(1, len(table) + 1))
        tables.append(table)
    return pd.concat(tables, ignore_index=True).astype({"year": "Int64"})


def rank_tags(tags: DataFrame, parameters: EdaParameters) -> pd.DataFrame:
    """(tag, applications, users, movies): the most used tags; upper and lower case count as one."""
    return (
        tags.groupBy(F.lower("tag").alias("tag"))
        .agg(
            F.count("*").alias("applications"),
            F.count_distinct("user_id").alias("users"),
            F.count_distinct("movie_id").alias("movies"),
        )
        .orderBy(F.desc("applications"), "tag")
        .limit(parameters.top)
        .toPandas()
    )


def plot_genres(eda_summary: dict[str, Any], data_summary: dict[str, Any]) -> Figure:
    """Movies per genre; empty if no movie has one."""
    genres = eda_summary["genres"]
    return plots.genres({} if set(genres) <= {NO_GENRES} else genres, data_summary)


def plot_distributions(distributions: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The six distributions, in a grid."""
    return plots.distributions(distributions, data_summary)


def plot_top_movies(top_movies: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The most rated and the best rated movies side by side."""
    return plots.top_movies(top_movies, data_summary)


def plot_tags(top_tags: pd.DataFrame, data_summary: dict[str, Any]) -> Figure:
    """The most used tags."""
    return plots.tags(top_tags, data_summary)
