"""Lists for people: what to watch next, and which movies are alike."""

import logging

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs import model
from movie_recs.fold_in import explain
from movie_recs.model import FactorModel
from movie_recs.parameters import RecommendParameters

logger = logging.getLogger(__name__)

REASONS = 3  # of a user's own movies that are named with a recommendation


def find_unknown_ids(factor_model: FactorModel, parameters: RecommendParameters) -> pd.DataFrame:
    """(kind, id) of the asked users and movies that the model does not know, each said in the log."""
    rows = []
    for kind, asked, known, meaning in (
        ("user", parameters.user_ids, factor_model.users, "has rated no movie of this data set: no recommendations"),
        ("movie", parameters.movie_ids, factor_model.items, "has no rating in this data set: no similar movies"),
    ):
        found = {row["id"] for row in known.filter(F.col("id").isin(asked)).select("id").collect()}
        unknown = [each for each in dict.fromkeys(asked) if each not in found]
        rows += [(kind, each) for each in unknown]
        for each in unknown:
            logger.warning("%s %d %s.", kind, each, meaning)
    return pd.DataFrame(rows, columns=["kind", "id"])


def recommend_movies(
    factor_model: FactorModel,
    ratings: DataFrame,
    movies: DataFrame,
    parameters: RecommendParameters,
) -> DataFrame:
    """The movies with the highest scores that each asked user has not rated.

    Returns:
        (user_id int, rank int, movie_id int, title string, year int, genres array<string>, score double,
        predicted_stars double within 0.5-5.0, because array<string>, imdb_url string): `because` names the user's own
        ratings that add most to the score.
    """
    users = factor_model.users.filter(F.col("id").isin(parameters.user_ids)).select(F.col("id").alias("user_id"))
    best = model.top_n(factor_model, users, ratings.select("user_id", "movie_id"), parameters.top_n)
    best = best.cache()  # small, and read twice: to be explained and to be shown
    reasons = explain(factor_model, best, ratings, REASONS)
    return (
        best.join(_reason_titles(reasons, ratings, movies), ["user_id", "movie_id"], how="left")
        .join(_shown(movies), "movie_id", how="left")
        .select(
            "user_id",
            "rank",
            "movie_id",
            "title",
            "year",
            "genres",
            "score",
            model.to_stars("score").alias("predicted_stars"),
            F.coalesce("because", F.array().cast("array<string>")).alias("because"),
            "imdb_url",
        )
        .orderBy("user_id", "rank")
    )


def find_similar_movies(factor_model: FactorModel, movies: DataFrame, parameters: RecommendParameters) -> DataFrame:
    """The nearest movies to each asked movie by L2 distance of item factors.

    Returns:
        (movie_id int, rank int, similar_movie_id int, title string, year int, genres array<string>, distance double);
        title, year and genres are those of the similar movie.
    """
    asked = factor_model.items.filter(F.col("id").isin(parameters.movie_ids)).select(F.col("id").alias("movie_id"))
    shown = _shown(movies).withColumnRenamed("movie_id", "similar_movie_id")
    return (
        model.similar_items(factor_model, asked, parameters.top_n)
        .join(shown, "similar_movie_id", how="left")
        .select("movie_id", "rank", "similar_movie_id", "title", "year", "genres", "distance")
        .orderBy("movie_id", "rank")
    )


def tabulate(table: DataFrame) -> pd.DataFrame:
    """The table for reading: lists become text, with `|` between genres and `; ` between reasons."""
    separators = {"genres": "|", "because": "; "}
    columns = [
        F.array_join(name, separators[name]).alias(name) if name in separators else F.col(name)
        for name in table.columns
    ]
    return table.select(*columns).toPandas().astype({"year": "Int64"})


def _shown(movies: DataFrame) -> DataFrame:
    imdb_url = F.concat(F.lit("https://www.imdb.com/title/tt"), "imdb_id", F.lit("/"))
    return F.broadcast(movies.select("movie_id", "title", "year", "genres", imdb_url.alias("imdb_url")))


def _reason_titles(reasons: DataFrame, ratings: DataFrame, movies: DataFrame) -> DataFrame:
    """(user_id, movie_id, because array<string>): each reason as `title (stars)`, in the order of their strength."""
    named = F.format_string("%s (%.1f)", "title", "rating")
    return (
        reasons.select("user_id", "movie_id", F.posexplode("because_movie_ids").alias("place", "because_id"))
        .join(
            ratings.select("user_id", F.col("movie_id").alias("because_id"), "rating"),
            ["user_id", "because_id"],
            how="inner",
        )
        .join(F.broadcast(movies.select(F.col("movie_id").alias("because_id"), "title")), "because_id", how="inner")
        .groupBy("user_id", "movie_id")
        .agg(
            F.transform(
                F.array_sort(F.collect_list(F.struct("place", named.alias("text")))), lambda r: r["text"]
            ).alias("because")
        )
    )
