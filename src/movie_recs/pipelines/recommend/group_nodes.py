"""Lists for people who watch together."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.data.id_numbers import Id
from movie_recs.data.identifiers import numbers_of, to_originals
from movie_recs.data.scale import Scale
from movie_recs.data.schemas import RATINGS, TABLES
from movie_recs.data.spark_tables import no_rows
from movie_recs.errors import UserError
from movie_recs.model.arrangement import Arrangement, arrange
from movie_recs.model.exact_search import DOT, prepare_items
from movie_recs.model.factor_model import Arrays, FactorModel, Vectors, arrays
from movie_recs.model.group import group_scores, member_scores
from movie_recs.model.pairs import take_vectors, to_scale
from movie_recs.model.users import fold_in
from movie_recs.pipelines.recommend.nodes import arrangement_of, movies_to_recommend, new_names, shown_movies
from movie_recs.report.parameters import RecommendParameters

GROUP = TABLES["group_recommendations"]
COLUMNS = ["user_id", "movie_id", "rating", "rated_at"]


class Members(NamedTuple):
    """Users that the data know, or new ones: their numbers, and (user_id int, movie_id int, rating, rated_at)."""

    ids: list[int]
    ratings: DataFrame


def recommend_to_group(
    ranking_model: FactorModel,
    ratings: DataFrame,
    movies: DataFrame,
    user_ids: DataFrame,
    movie_ids: DataFrame,
    new_user_ratings: pd.DataFrame,
    matched_ratings: pd.DataFrame,
    data_summary: dict[str, Any],
    parameters: RecommendParameters,
    rating_model: FactorModel | None = None,
) -> DataFrame:
    """The movies for all members of the group together, none of which a member has rated, by each method.

    Returns:
        (method string, rank int, movie_id, title string, year int, genres array<string>, score double, predicted_stars
        double, lowest_stars double, imdb_url string): `score` is that of `group.group_scores`, `predicted_stars` the
        mean of the members', and `lowest_stars` those of the member who would like the movie least.

    Raises:
        UserError: A member is neither a user of the data nor a new user.
    """
    spark = ratings.sparkSession
    if not parameters.group:
        return to_originals(no_rows(spark, GROUP), movie_ids, "movie_id")
    scale, names = Scale.of(data_summary), set(new_names(parameters, new_user_ratings))
    known = _known(ratings, user_ids, [member for member in parameters.group if str(member) not in names])
    new = _new(spark, matched_ratings, [str(member) for member in parameters.group if str(member) in names])
    items = arrays(ranking_model.items)
    scores = member_scores(ranking_model.intercept, _vectors(ranking_model, known, new), items)
    candidates = movies_to_recommend(movies, ratings, movie_ids, parameters)
    rated = known.ratings.select("movie_id").union(new.ratings.select("movie_id")).distinct().toArrow()
    open_to = np.isfinite(scores).all(axis=0) & ~np.isin(items.ids, rated["movie_id"].to_numpy())
    if candidates is not None:
        open_to &= np.isin(items.ids, candidates)
    arrangement = arrangement_of(movies, parameters)
    parts = [
        _list(method, items, np.flatnonzero(open_to), found, parameters.top_n, arrangement)
        for method, found in group_scores(scores[:, open_to]).items()
    ]
    table = pd.concat(parts, ignore_index=True)
    table["predicted_stars"] = table["lowest_stars"] = np.nan
    if rating_model is not None and scale is not None:
        sides = arrays(rating_model.items)
        listed = Arrays(table["movie_id"].to_numpy(), *take_vectors(sides, sides.rows_of(table["movie_id"].to_numpy())))
        stars = to_scale(member_scores(rating_model.intercept, _vectors(rating_model, known, new), listed), scale)
        table["predicted_stars"], table["lowest_stars"] = stars.mean(axis=0), stars.min(axis=0)
    lists = spark.createDataFrame(table.astype({"rank": "int32", "movie_id": "int32"}))
    shown = to_originals(lists.join(shown_movies(movies), "movie_id", how="left"), movie_ids, "movie_id")
    return shown.select(no_rows(spark, GROUP).columns).orderBy("method", "rank")


def _known(ratings: DataFrame, user_ids: DataFrame, asked: list[Id]) -> Members:
    numbers = numbers_of(list(dict.fromkeys(asked)), user_ids)
    own = ratings.where(F.col("user_id").isin(list(numbers.values()))).select(*COLUMNS)
    found = {row["user_id"] for row in own.select("user_id").distinct().collect()}
    if unknown := [member for member in asked if numbers.get(member) not in found]:
        raise UserError(
            f"recommend.group: {unknown[0]!r} is neither a user of this data set nor a name in recommend.new_users."
        )
    return Members(list(numbers.values()), own)


def _new(spark: SparkSession, matched_ratings: pd.DataFrame, names: list[str]) -> Members:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}
    given = matched_ratings[matched_ratings["name"].isin(names)]
    rows = given.assign(user_id=given["name"].map(numbers.get))[COLUMNS]
    return Members(list(numbers.values()), spark.createDataFrame(rows, RATINGS))


def _vectors(model: FactorModel, known: Members, new: Members) -> Vectors:
    """The members' vectors; zeros for one without ratings that count."""
    sides = (
        (known, arrays(model.users.where(F.col("id").isin(known.ids)))),
        (new, arrays(fold_in(model, new.ratings))),
    )
    parts = [
        take_vectors(users, users.rows_of(np.array(members.ids, np.int32))) for members, users in sides if members.ids
    ]
    return Vectors(np.concatenate([part.bias for part in parts]), np.vstack([part.features for part in parts]))


def _list(
    method: str, items: Arrays, rows: np.ndarray, scores: np.ndarray, n: int, arrangement: Arrangement
) -> pd.DataFrame:
    """(method, rank, movie_id, score) of the best of these rows of the items."""
    order = np.lexsort((items.ids[rows], -scores))[: arrangement.candidates(n)]
    found = {
        "id": np.zeros(len(order), np.int32),
        "rank": np.arange(1, len(order) + 1, dtype=np.int32),
        "item_id": items.ids[rows[order]],
        "value": scores[order],
    }
    searched = prepare_items(items.ids[rows], items.bias[rows], items.features[rows].astype(np.float32), DOT)
    best = arrange(found, searched, n, arrangement)
    return pd.DataFrame({"method": method, "rank": best["rank"], "movie_id": best["item_id"], "score": best["value"]})
