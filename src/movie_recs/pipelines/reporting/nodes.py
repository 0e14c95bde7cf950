"""Content of the page: the requested lists, the lists of its explorer, and all other results."""

from typing import Any

import numpy as np
import pandas as pd
from plotly.graph_objects import Figure
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.data.identifiers import originals_of, to_numbers, with_originals
from movie_recs.data.scale import Scale
from movie_recs.data.series import number_series
from movie_recs.data.spark_titles import display_title
from movie_recs.model.arrangement import Arrangement
from movie_recs.model.factor_model import FactorModel, ItemSide
from movie_recs.model.scoring import score, to_stars
from movie_recs.model.top_n import similar_items, top_n
from movie_recs.parameter_types import Block
from movie_recs.ranking.compact import compact
from movie_recs.report import model_card, page
from movie_recs.report.explorer import describe_history, index_explorer
from movie_recs.report.parameters import RecommendParameters, ReportingParameters
from movie_recs.report.your_list import pack

EXPLORED = 10  # movies in each list of the explorer


def select_movies(
    movies: DataFrame,
    ratings: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: ReportingParameters,
) -> pd.DataFrame:
    """The most rated movies, up to the page's limit, ordered by movie_id.

    Returns:
        (movie_id, original: its id as the data has it, title, year, genres: lists, imdb_id, tmdb_id, ratings: their
        number, mean_rating: stars, missing for events).
    """
    counts = ratings.groupBy("movie_id").agg(F.count("*").alias("ratings"), F.avg("rating").alias("mean_rating"))
    kept = (
        movies.join(counts, "movie_id", how="left")
        .fillna(0, "ratings")
        .orderBy(F.desc("ratings"), "movie_id")
        .limit(parameters.most_movies)
        .select("movie_id", display_title("title"), "year", "genres", "imdb_id", "tmdb_id", "ratings", "mean_rating")
    )
    table = _with_originals(kept, movie_ids, "movie_id", data_summary)
    return table.astype({"year": "Int64", "tmdb_id": "Int64"}).sort_values("movie_id", ignore_index=True)


def select_users(
    ratings: DataFrame, user_ids: DataFrame, data_summary: dict[str, Any], parameters: ReportingParameters
) -> pd.DataFrame:
    """The users with the most ratings, up to the page's limit, ordered by user_id.

    Returns:
        (user_id, original: the id as the data has it, ratings: their number, mean_rating: stars, missing for events).
    """
    kept = (
        ratings.groupBy("user_id")
        .agg(F.count("*").alias("ratings"), F.avg("rating").alias("mean_rating"))
        .orderBy(F.desc("ratings"), "user_id")
        .limit(parameters.most_users)
    )
    return _with_originals(kept, user_ids, "user_id", data_summary).sort_values("user_id", ignore_index=True)


def explore_users(
    ranking_model: FactorModel,
    ratings: DataFrame,
    explorer_users: pd.DataFrame,
    explorer_movies: pd.DataFrame,
    data_summary: dict[str, Any],
    rating_model: FactorModel | None = None,
) -> pd.DataFrame:
    """(user_id, rank, movie_id, predicted_stars): the explorer's movies with each user's highest ranking scores.

    As in `recommend`, but without its filters; movies that the user has rated are left out. Events have no stars.
    """
    users = ratings.sparkSession.createDataFrame(explorer_users[["user_id"]], "user_id int")
    seen = ratings.select("user_id", "movie_id")
    best = top_n(ranking_model, users, seen, EXPLORED, explorer_movies["movie_id"].to_numpy())
    scale, lists = Scale.of(data_summary), best.select("user_id", "rank", "movie_id")
    if rating_model is None or scale is None:
        return lists.withColumn("predicted_stars", F.lit(None).cast("double")).toPandas()
    starred = score(rating_model, lists, "stars")
    return starred.select("user_id", "rank", "movie_id", to_stars("stars", scale).alias("predicted_stars")).toPandas()


def explore_movies(model: FactorModel, explorer_movies: pd.DataFrame, parameters: RecommendParameters) -> pd.DataFrame:
    """(movie_id, rank, similar_movie_id, distance): the nearest of the explorer's movies to each of them."""
    items = model.items.sparkSession.createDataFrame(explorer_movies[["movie_id"]], "movie_id int")
    candidates = explorer_movies["movie_id"].to_numpy()
    return similar_items(model, items, EXPLORED, parameters.similarity, candidates).toPandas()


def build_explorer(
    explorer_movies: pd.DataFrame,
    explorer_users: pd.DataFrame,
    explorer_lists: pd.DataFrame,
    explorer_neighbours: pd.DataFrame,
    data_summary: dict[str, Any],
) -> dict[str, Any]:
    """The four tables as compact JSON."""
    return index_explorer(explorer_movies, explorer_users, explorer_lists, explorer_neighbours, data_summary)


def pack_models(
    ranking_model: FactorModel,
    explorer_movies: pd.DataFrame,
    data_summary: dict[str, Any],
    parameters: ReportingParameters,
    recommend_parameters: RecommendParameters,
    rating_model: FactorModel | None = None,
) -> dict[str, Any]:
    """Both models of the explorer's movies, for the page's own list; empty without movies, or without a rule."""
    if explorer_movies.empty or ranking_model.rule is None:
        return {}
    ranking, rating = (_side(model, explorer_movies["movie_id"]) for model in (ranking_model, rating_model))
    if ranking is None:
        return {}
    models = compact(ranking, rating, parameters.ease_rank)
    series = number_series(explorer_movies["title"].tolist() if recommend_parameters.series_apart else [])
    arrangement = Arrangement(recommend_parameters.diversity, models.ids, series)
    return pack(models, recommend_parameters.filters, data_summary["name"], arrangement)


def show_users(
    recommendations: DataFrame,
    ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    data_summary: dict[str, Any],
    parameters: ReportingParameters,
) -> list[dict[str, Any]]:
    """{user_id, history, movies} of the first users with a list; `history` is the result of `describe_history`."""
    numbered = to_numbers(to_numbers(recommendations, user_ids, "user_id"), movie_ids, "movie_id")
    lists = _first_lists(numbered, "user_id", movies, movie_ids, parameters.most_lists)
    shown = (
        ratings.filter(F.col("user_id").isin(list(lists)))
        .join(movies, "movie_id", how="left")
        .select(
            "user_id",
            "movie_id",
            display_title("title"),
            movies["year"],
            "genres",
            "rating",
            F.year("rated_at").alias("rated_in"),
        )
    )
    histories: dict[int, list[dict[str, Any]]] = {user_id: [] for user_id in lists}
    for row in shown.collect():
        histories[row["user_id"]].append(row.asDict())
    names, scale = originals_of(lists, user_ids), Scale.of(data_summary)
    described = {user_id: describe_history(rows, scale) for user_id, rows in histories.items()}
    favourites = {row["movie_id"] for history in described.values() for row in history["movies"]}
    movie_names = originals_of(favourites, movie_ids)
    for history in described.values():
        history["movies"] = [{**row, "movie_id": movie_names[row["movie_id"]]} for row in history["movies"]]
    return [
        {"user_id": names[user_id], "history": described[user_id], "movies": rows} for user_id, rows in lists.items()
    ]


def show_new_users(
    new_user_recommendations: DataFrame, movies: DataFrame, movie_ids: DataFrame, parameters: ReportingParameters
) -> list[dict[str, Any]]:
    """{name, movies} of the first users that are not in the data."""
    numbered = to_numbers(new_user_recommendations, movie_ids, "movie_id")
    lists = _first_lists(numbered, "name", movies, movie_ids, parameters.most_lists)
    return [{"name": name, "movies": rows} for name, rows in lists.items()]


def show_movies(
    similar_movies: DataFrame, movies: DataFrame, movie_ids: DataFrame, parameters: ReportingParameters
) -> list[dict[str, Any]]:
    """{movie_id, title, year, movies} of the first movies with neighbours."""
    numbered = to_numbers(similar_movies, movie_ids, "movie_id", "similar_movie_id")
    named = numbered.withColumnsRenamed({"movie_id": "requested_id", "similar_movie_id": "movie_id"})
    lists = _first_lists(named, "requested_id", movies, movie_ids, parameters.most_lists)
    shown = (
        movies.filter(F.col("movie_id").isin(list(lists)))
        .select("movie_id", display_title("title"), "year", "genres")
        .collect()
    )
    names = originals_of(lists, movie_ids)
    about = {row["movie_id"]: {**row.asDict(), "movie_id": names[row["movie_id"]]} for row in shown}
    return [{**about[movie_id], "movies": rows} for movie_id, rows in lists.items()]


def gather_lists(
    shown_users: list[dict[str, Any]],
    shown_new_users: list[dict[str, Any]],
    shown_movies: list[dict[str, Any]],
    unknown_ids: pd.DataFrame,
) -> dict[str, Any]:
    """All requested lists, and {kind, id} of the requested users and movies that are unknown."""
    unknown = unknown_ids.to_dict("records")
    return {"users": shown_users, "new_users": shown_new_users, "movies": shown_movies, "unknown": unknown}


def gather_figures(**figures: Figure) -> dict[str, Figure]:
    """The figures by name."""
    return figures


def write_model_card(metrics: dict[str, Any], run_facts: dict[str, Any]) -> str:
    """The model card, Markdown."""
    return model_card.write_model_card(metrics, run_facts)


def render_report(
    metrics: dict[str, Any],
    eda_summary: dict[str, Any],
    report_figures: dict[str, Figure],
    report_lists: dict[str, Any],
    explorer: dict[str, Any],
    your_list: dict[str, Any],
    run_facts: dict[str, Any],
    card: str,
    parameters: dict[str, Any],
) -> str:
    """The page."""
    plain = {name: part.model_dump() if isinstance(part, Block) else part for name, part in parameters.items()}
    part = model_card.render_model_card(card)
    shown = metrics, eda_summary, report_figures, report_lists, explorer, your_list, run_facts, plain
    return page.render(page.Content(*shown, model_card=part))


def _side(model: FactorModel | None, movie_ids: pd.Series) -> ItemSide | None:
    """These movies, ascending, of a model; None if there is no rule."""
    if model is None or model.rule is None:
        return None
    ids = model.items.sparkSession.createDataFrame(movie_ids.to_frame("id"), "id int")
    kept = model.items.join(F.broadcast(ids), "id", how="left_semi")
    return model._replace(items=kept).item_side.of_movies(movie_ids.to_numpy(np.int32))


def _with_originals(kept: DataFrame, ids: DataFrame, column: str, data_summary: dict[str, Any]) -> pd.DataFrame:
    """The rows with `original`, the id as the data has it; without means if the data are events."""
    columns = [column, "original", *(name for name in kept.columns if name != column)]
    table = with_originals(kept, ids, column).select(*columns).toPandas()
    return table if Scale.of(data_summary) else table.assign(mean_rating=float("nan"))


def _first_lists(
    lists: DataFrame, key: str, movies: DataFrame, movie_ids: DataFrame, most: int
) -> dict[Any, list[dict[str, Any]]]:
    """The rows of the first lists by key, each with its movie's links, and its id as the data has it."""
    keys = lists.select(key).distinct().orderBy(key).limit(most)
    links = movies.select("movie_id", "imdb_id", "tmdb_id")
    rows = lists.join(F.broadcast(keys), key, how="left_semi").join(links, "movie_id", how="left").orderBy(key, "rank")
    found: dict[Any, list[dict[str, Any]]] = {}
    shown = [row.asDict() for row in rows.collect()]
    names = originals_of({row["movie_id"] for row in shown}, movie_ids)
    for row in shown:
        found.setdefault(row[key], []).append({**row, "movie_id": names[row["movie_id"]]})
    return found
