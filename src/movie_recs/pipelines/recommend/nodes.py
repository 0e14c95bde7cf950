"""Lists to read: recommended movies and similar movies."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from movie_recs.als.spark_ml import factor_model
from movie_recs.data.id_numbers import Id
from movie_recs.data.identifiers import numbers_of, originals_of, to_originals, with_originals
from movie_recs.data.movie_filters import filter_movies
from movie_recs.data.new_users import NewRatings, collect_new_ratings
from movie_recs.data.scale import EVENTS, Scale
from movie_recs.data.schemas import FORMATS, IMDB, RATINGS, SEPARATORS, TABLES
from movie_recs.data.series import number_series
from movie_recs.data.spark_tables import no_rows
from movie_recs.data.spark_titles import display_title
from movie_recs.errors import UserError
from movie_recs.model.arrangement import Arrangement
from movie_recs.model.factor_model import FactorModel, has_vectors
from movie_recs.model.scoring import score, to_stars
from movie_recs.model.top_n import similar_items, top_n
from movie_recs.model.users import add_newcomers, explain, fold_in
from movie_recs.ranking.rerank.features import FirstStage
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rerank.lists import SecondStage
from movie_recs.ranking.rerank.spark import collect_known, reranked_top_n
from movie_recs.report.parameters import RecommendParameters

logger = logging.getLogger(__name__)

REASONS = 3  # of the user's own movies, shown with a recommendation
NAMED = 10  # ids in a line of the log
TITLES = ("movie_id", "title", "year", "imdb_id")
REASONS_SHOWN = {"because": "array<string>", "because_shares": "array<double>"}
SHOWN = (
    *("rank", "movie_id", "title", "year", "genres"),
    *("score", "predicted_stars", "because", "imdb_url", "because_shares"),
)


def find_unknown_ids(
    ranking_model: FactorModel,
    similar_model: FactorModel,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    parameters: RecommendParameters,
) -> pd.DataFrame:
    """(kind, id) of the requested users and movies that the models do not know, which are logged too."""
    rows = []
    for kind, requested, known, ids, meaning in (
        ("user", parameters.user_ids, ranking_model.users, user_ids, "no rating in this data set: no recommendations"),
        ("movie", parameters.movie_ids, similar_model.items, movie_ids, "not in this data set: no similar movies"),
    ):
        if requested == "all":
            continue
        numbers = numbers_of(requested, ids)
        wanted = F.col("id").isin(list(numbers.values()))
        found = {row["id"] for row in known.filter(wanted).select("id").collect()}
        unknown = [each for each in dict.fromkeys(requested) if numbers.get(each) not in found]
        rows += [(kind, each) for each in unknown]
        if unknown:
            logger.warning(
                "%s %s (%d of %d asked): %s.", kind, _name(unknown), len(unknown), len(set(requested)), meaning
            )
    return pd.DataFrame(rows, columns=["kind", "id"])


def recommend_movies(
    ranking_model: FactorModel,
    ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: RecommendParameters,
    rating_model: FactorModel | None = None,
    reranker: Reranker | None = None,
    best_params: dict[str, Any] | None = None,
) -> DataFrame:
    """For each requested user, the movies with the highest ranking scores that are not rated yet and pass the filters.

    Returns:
        (user_id, rank int, movie_id, title string, year int, genres array<string>, score double, predicted_stars double
        on the scale, because array<string>, imdb_url string, because_shares array<double>), with the original ids:
        `score` is the ranking model's, or that of the second stage, `predicted_stars` the rating model's, null for
        events, `because` names the user's own ratings that add most to the ranking model's score, and `because_shares`
        has the share of that score that each of them adds, null where the score is not positive.

    Raises:
        UserError: The second stage was fitted for another ranking model.
    """
    is_requested = _is_requested(parameters.user_ids, user_ids)
    users = ranking_model.users.filter(is_requested).select(F.col("id").alias("user_id")).cache()  # read for each join
    candidates = movies_to_recommend(movies, ratings, movie_ids, parameters)
    how, scale = (parameters.top_n, candidates, arrangement_of(movies, parameters)), Scale.of(data_summary)
    second = _second_stage(reranker, best_params, ranking_model, rating_model, movies, ratings, scale)
    best = _best(ranking_model, second, users, ratings, *how)
    lists = _show(best, ranking_model, rating_model, ratings, movies, scale)
    without = [row["user_id"] for row in users.join(lists, "user_id", how="left_anti").limit(NAMED + 1).collect()]
    if without:
        named = list(originals_of(without, user_ids).values())
        logger.warning("user %s: no list, as no movie that passes the filters is unrated.", _name(named))
    shown = to_originals(to_originals(lists, user_ids, "user_id"), movie_ids, "movie_id")
    return shown.select("user_id", *SHOWN).orderBy("user_id", "rank")


def match_new_ratings(
    new_user_ratings: pd.DataFrame,
    movies: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: RecommendParameters,
) -> NewRatings:
    """The ratings of users that are not in the data, by our movies' numbers, and those of a file that match none."""
    if not new_names(parameters, new_user_ratings):
        return collect_new_ratings(
            [], new_user_ratings, pd.DataFrame(columns=[*TITLES, "original"]), Scale.of(data_summary)
        )
    titles = with_originals(movies.select(*TITLES), movie_ids, "movie_id").toPandas()
    return collect_new_ratings(parameters.new_users, new_user_ratings, titles, Scale.of(data_summary))


def recommend_to_new_users(
    ranking_model: FactorModel,
    ratings: DataFrame,
    movies: DataFrame,
    movie_ids: DataFrame,
    new_user_ratings: pd.DataFrame,
    matched_ratings: pd.DataFrame,
    data_summary: dict[str, Any],
    parameters: RecommendParameters,
    rating_model: FactorModel | None = None,
    reranker: Reranker | None = None,
    best_params: dict[str, Any] | None = None,
) -> DataFrame:
    """Lists for users that are not in the data, by fold-in of their given ratings; nothing is fitted.

    Returns:
        (name string, and the columns of `recommend_movies` after user_id). A user without ratings gets the movies that
        are popular recently.
    """
    spark = ratings.sparkSession
    names = new_names(parameters, new_user_ratings)
    if not names:
        return to_originals(no_rows(spark, TABLES["new_user_recommendations"]), movie_ids, "movie_id")
    scale = Scale.of(data_summary)
    numbers = {name: number for number, name in enumerate(names, start=1)}
    rows = matched_ratings.assign(user_id=matched_ratings["name"].map(numbers))
    own = spark.createDataFrame(rows[["user_id", "movie_id", "rating", "rated_at"]], RATINGS)
    own = own.cache()  # else Spark computes with all of its rows whenever it plans a query
    table = pd.DataFrame(numbers.items(), columns=["name", "user_id"])
    users = spark.createDataFrame(table, "name string, user_id int")
    ranking_model = _with_new_users(ranking_model, own, users)
    rating_model = None if rating_model is None else _with_new_users(rating_model, own, users)
    candidates = movies_to_recommend(movies, ratings, movie_ids, parameters)
    how = parameters.top_n, candidates, arrangement_of(movies, parameters)
    second = _second_stage(reranker, best_params, ranking_model, rating_model, movies, ratings, scale)
    best = _best(ranking_model, second, users.select("user_id"), own, *how)
    lists = _show(best, ranking_model, rating_model, own, movies, scale)
    shown = to_originals(lists.join(users, "user_id", how="inner"), movie_ids, "movie_id")
    return shown.select("name", *SHOWN).orderBy("name", "rank")


def find_similar_movies(
    model: FactorModel,
    als_model: ALSModel,
    movies: DataFrame,
    movie_ids: DataFrame,
    parameters: RecommendParameters,
) -> DataFrame:
    """The nearest movies to each requested movie by the distance of the model's item vectors.

    A rating model of biases alone has no item vectors; then those of the ALS model are used.

    Args:
        model: The rating model; of events the ranking model.
        als_model: The ALS model of the same objective.
        movies: (movie_id int, title, year, genres, ...).
        movie_ids: (id int, original string).
        parameters: The requested movies, and how many similar ones.

    Returns:
        (movie_id, rank int, similar_movie_id, title string, year int, genres array<string>, distance double) with the
        original ids; title, year and genres are those of the similar movie.
    """
    if not has_vectors(model.rule):
        model = factor_model(als_model)
    requested = model.items.filter(_is_requested(parameters.movie_ids, movie_ids)).select(F.col("id").alias("movie_id"))
    shown = shown_movies(movies).withColumnRenamed("movie_id", "similar_movie_id")
    similar = similar_items(model, requested, parameters.top_n, parameters.similarity)
    return (
        to_originals(similar.join(shown, "similar_movie_id", how="left"), movie_ids, "movie_id", "similar_movie_id")
        .select("movie_id", "rank", "similar_movie_id", "title", "year", "genres", "distance")
        .orderBy("movie_id", "rank")
    )


def new_names(parameters: RecommendParameters, from_file: pd.DataFrame) -> list[str]:
    """The names of all new users."""
    return [user.name for user in parameters.new_users] + from_file["name"].unique().tolist()


def tabulate(table: DataFrame) -> pd.DataFrame:
    """The table for a CSV file: lists become text, with `|` between genres and `; ` between reasons and their shares.

    Its rows are in the order of their owner and rank, which a table of several files loses when it is read.
    """
    columns = [
        F.array_join(_texts(name), SEPARATORS[name]).alias(name) if name in SEPARATORS else F.col(name)
        for name in table.columns
    ]
    return table.select(*columns).orderBy(*table.columns[:2]).toPandas().astype({"year": "Int64"})


def _texts(column: str) -> Column:
    """The list's values as `schemas.list_text` has them."""
    if column not in FORMATS:
        return F.col(column)
    return F.transform(column, lambda each: F.when(each.isNotNull(), F.format_string(FORMATS[column], each)))


def _name(ids: list[Id]) -> str:
    """The first ids, and dots if there are more."""
    return ", ".join(map(str, ids[:NAMED])) + (", ..." if len(ids) > NAMED else "")


def _is_requested(requested: Sequence[Id] | Literal["all"], ids: DataFrame) -> Column:
    return F.lit(True) if requested == "all" else F.col("id").isin(list(numbers_of(requested, ids).values()))


def _with_new_users(model: FactorModel, ratings: DataFrame, users: DataFrame) -> FactorModel:
    """The model with these users (name, user_id) alone, folded in by their ratings."""
    folded = fold_in(model, ratings).cache()  # read to find who has none, to make lists and to give them stars
    return add_newcomers(model._replace(users=folded), users)


def _best(
    model: FactorModel,
    second: SecondStage | None,
    users: DataFrame,
    ratings: DataFrame,
    n: int,
    candidates: np.ndarray | None,
    arrangement: Arrangement,
) -> DataFrame:
    """The users' lists as `top_n` has them, by the second stage if there is one; `ratings` are all of theirs."""
    if second is None:
        return top_n(model, users, ratings.select("user_id", "movie_id"), n, candidates, arrangement)
    return reranked_top_n(model, second, users, ratings, n, candidates, arrangement)


def _second_stage(
    reranker: Reranker | None,
    best_params: dict[str, Any] | None,
    ranking_model: FactorModel,
    rating_model: FactorModel | None,
    movies: DataFrame,
    ratings: DataFrame,
    scale: Scale | None,
) -> SecondStage | None:
    if reranker is None:
        return None
    if reranker.best_params != best_params:
        raise UserError("The second stage is that of another ranking model: run kedro run with ranking.rerank=true.")
    side = ranking_model.item_side
    stars = None if rating_model is None else rating_model.item_side.of_movies(side.items.ids)
    known = collect_known(movies, ratings, has_stars=scale is not None)
    return SecondStage(FirstStage(side, stars, known, (scale or EVENTS).star), reranker)


def movies_to_recommend(
    movies: DataFrame, ratings: DataFrame, movie_ids: DataFrame, parameters: RecommendParameters
) -> np.ndarray | None:
    """The ids of the movies that may be recommended; None for all."""
    without = list(numbers_of(parameters.filters.without_movie_ids, movie_ids).values())
    filters = parameters.filters.model_copy(update={"without_movie_ids": without})
    return filter_movies(movies, ratings, filters)


def arrangement_of(movies: DataFrame, parameters: RecommendParameters) -> Arrangement:
    """The order that the parameters ask for; series are known by the titles."""
    if not parameters.series_apart:
        return Arrangement(parameters.diversity)
    titles = movies.select("movie_id", "title").toArrow().sort_by("movie_id")
    return Arrangement(parameters.diversity, titles["movie_id"].to_numpy(), number_series(titles["title"].to_pylist()))


def _show(
    best: DataFrame,
    ranking_model: FactorModel,
    rating_model: FactorModel | None,
    ratings: DataFrame,
    movies: DataFrame,
    scale: Scale | None,
) -> DataFrame:
    """The lists with titles, stars, reasons and links."""
    best = best.cache()  # small, and read to be explained, to be given stars and to be shown
    reasons = explain(ranking_model, best, ratings, REASONS, for_people=True)
    shown = best.join(_reason_titles(reasons, ratings, movies, scale), ["user_id", "movie_id"], how="left")
    stars = F.lit(None).cast("double")
    if rating_model is not None and scale is not None:
        starred, stars = score(rating_model, best.select("user_id", "movie_id"), "stars"), to_stars("stars", scale)
        shown = shown.join(starred, ["user_id", "movie_id"], how="left")
    return (
        shown.join(shown_movies(movies), "movie_id", how="left")
        .withColumn("predicted_stars", stars)
        .withColumns({name: F.coalesce(name, F.array().cast(kind)) for name, kind in REASONS_SHOWN.items()})
    )


def shown_movies(movies: DataFrame) -> DataFrame:
    """(movie_id, title as people read it, year, genres, imdb_url)."""
    imdb_url = F.concat(F.lit(IMDB), "imdb_id", F.lit("/"))
    return F.broadcast(movies.select("movie_id", display_title("title"), "year", "genres", imdb_url.alias("imdb_url")))


def _reason_titles(reasons: DataFrame, ratings: DataFrame, movies: DataFrame, scale: Scale | None) -> DataFrame:
    """(user_id, movie_id, because array<string>, because_shares array<double>), in the order of the reasons' strength.

    Each reason is `title (stars)`; events have no stars.
    """
    named: Column = F.col("title") if scale is None else F.format_string("%s (%.1f)", "title", "rating")
    return (
        reasons.select(
            "user_id",
            "movie_id",
            F.posexplode(F.arrays_zip("because_movie_ids", "because_shares")).alias("place", "reason"),
        )
        .select("user_id", "movie_id", "place", "reason.*")
        .withColumnsRenamed({"because_movie_ids": "because_id", "because_shares": "share"})
        .join(
            ratings.select("user_id", F.col("movie_id").alias("because_id"), "rating"),
            ["user_id", "because_id"],
            how="inner",
        )
        .join(
            F.broadcast(movies.select(F.col("movie_id").alias("because_id"), display_title("title"))),
            "because_id",
            how="inner",
        )
        .groupBy("user_id", "movie_id")
        .agg(F.array_sort(F.collect_list(F.struct("place", named.alias("text"), "share"))).alias("reasons"))
        .select(
            "user_id",
            "movie_id",
            F.col("reasons.text").alias("because"),
            F.col("reasons.share").alias("because_shares"),
        )
    )
