"""Every user's list by each ranking model, from which the leaderboard is measured."""

from collections.abc import Iterator
from functools import partial, reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from movie_recs.als.compiled import draw_on_sphere
from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import Interactions
from movie_recs.data.schemas import TABLES
from movie_recs.model.arrangement import BY_SCORE
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import Arrays, FactorModel, ItemSide, Rule, Vectors, arrays, feature_matrix
from movie_recs.model.search import search
from movie_recs.ranking.baselines import BASELINES, RANDOM_RANK, baseline_scores
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import RankingParts, compose_items, fitted_users
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.rerank.features import FirstStage, Known
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rerank.lists import SecondStage
from movie_recs.ranking.stars import predicted_stars, rating_vectors

BY_STARS, RERANKED = "rating_by_stars", "reranked"
LISTS = TABLES["ranking.lists"]
FOUND = ("id", "rank", "item_id", "value")  # columns of the results of `search`


class Rated(NamedTuple):
    """A block's ratings, and its users in the rating model; None for events."""

    ratings: Interactions
    stars: Vectors | None


UserBlocks = Blocks[tuple[Rated, Vectors]]


class SecondTask(NamedTuple):
    """A second stage, whose list is `RERANKED`, and what it knows of the movies."""

    reranker: Reranker
    known: Known


class ListingTask(NamedTuple):
    """The models and the users to make lists for.

    Args:
        parts: A fit of the preferences in the train ratings.
        candidates: The best of each ranking model.
        rating_model: The rating model of the train ratings; its list is `BY_STARS`. None for events.
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        blocks: The ratings of users to make lists for, which are not in their lists, in blocks: the train ratings, or
            those of new users.
        users: (user_id int). One without ratings in the blocks is a newcomer, and gets each model's list for a user
            with no history.
        are_new: Whether the users of the blocks are not in the fit: all their vectors follow from their ratings.
            `rating_model` has theirs.
        second: The second stage of the lists of one of the candidates; None without.
    """

    parts: RankingParts
    candidates: dict[str, RankingCandidate]
    rating_model: FactorModel | None
    train_ratings: DataFrame
    blocks: Blocks[Interactions]
    users: DataFrame
    are_new: bool = False
    second: SecondTask | None = None


class ListedModel(NamedTuple):
    """A model to make lists with: its movies, the intercept of its scores, and what puts its candidates in order."""

    name: str
    items: Items
    intercept: float = 0.0
    second: SecondStage | None = None


def list_movies(task: ListingTask, parameters: RankingParameters) -> DataFrame:
    """The k best movies that a user has not rated before, by each model.

    Returns:
        (model string, user_id int, rank int from 1, movie_id int, score double, predicted_stars double on the scale,
        null for events and newcomers).
    """
    spark, k = task.train_ratings.sparkSession, parameters.evaluation.k
    user_ids = np.sort(task.users.select("user_id").distinct().toArrow()["user_id"].to_numpy())
    newcomers = np.setdiff1d(user_ids, task.blocks.user_ids)
    tables = []
    for model, users in _models(task, parameters):
        tables.append(users.table(spark, partial(_list_block, model, task.parts.stars, k), LISTS))
        if len(newcomers):
            tables.append(spark.createDataFrame(_list_newcomers(model, k, newcomers), LISTS))
    return reduce(DataFrame.unionAll, tables)


def _models(task: ListingTask, parameters: RankingParameters) -> Iterator[tuple[ListedModel, UserBlocks]]:
    """Each model, with the vectors of the users of each block."""
    parts, seed = task.parts, parameters.tuning.seed
    blocks = task.blocks.map(partial(_rated, parts.stars))
    movies, no_bias = len(parts.ids), np.zeros(len(parts.ids))
    random_items = draw_on_sphere(0, movies, ~seed % 2**64, RANDOM_RANK)  # not the sequence of the users
    items = prepare_items(parts.ids, no_bias, random_items, DOT)
    yield ListedModel("random", items), blocks.map(partial(_random_users, seed))
    for name in BASELINES[1:]:
        scores = baseline_scores(name, task.train_ratings, parts.ids, parameters.evaluation.damping)
        items = prepare_items(parts.ids, scores.astype(np.float32), np.zeros((movies, 0), np.float32), DOT)
        yield ListedModel(name, items), blocks.map(_zeros)
    if model := task.rating_model:
        items = _items_of(model.items)
        yield ListedModel(BY_STARS, items, model.intercept), _align(blocks, model.users, items.rank)
    for name, candidate in task.candidates.items():
        sides, rule = compose_items(parts, candidate, parameters.preference)
        items = prepare_items(sides.ids, sides.bias[:-1], sides.features[:-1], DOT)
        if candidate.weights is None and not task.are_new:
            users = _align(blocks, fitted_users(parts), items.rank)
        else:
            users = blocks.map(partial(_fold_in, rule, sides))
        yield ListedModel(name, items), users
        if task.second and task.second.reranker.best_params["model"] == name:
            star = parameters.preference.scale.star
            stage = FirstStage(ItemSide(sides, 0.0, rule), parts.stars, task.second.known, star)
            yield ListedModel(RERANKED, items, second=SecondStage(stage, task.second.reranker)), users


def _items_of(table: DataFrame) -> Items:
    items = arrays(table)
    return prepare_items(items.ids, items.bias[:-1], items.features[:-1].astype(np.float32), DOT)


def _align(blocks: Blocks[Rated], users: DataFrame, rank: int) -> UserBlocks:
    """The blocks with the vectors of their users from a model's table."""
    return blocks.with_rows(users.select("id", "bias", "features"), "id").map(partial(_align_rows, rank))


# These run on each block.


def _rated(stars: ItemSide | None, block: Interactions) -> Rated:
    return Rated(block, rating_vectors(stars, block))


def _random_users(seed: int, block: Rated) -> tuple[Rated, Vectors]:
    first, users = block.ratings.first_user, len(block.ratings.user_ids)
    return block, Vectors(np.zeros(users), draw_on_sphere(first, users, seed % 2**64, RANDOM_RANK))


def _zeros(block: Rated) -> tuple[Rated, Vectors]:
    users = len(block.ratings.user_ids)
    return block, Vectors(np.zeros(users), np.zeros((users, 0), np.float32))


def _fold_in(rule: Rule, items: Arrays, block: Rated) -> tuple[Rated, Vectors]:
    return block, rule.user_vectors(block.ratings, items, 0.0)


def _align_rows(rank: int, pair: tuple[Rated, pa.Table]) -> tuple[Rated, Vectors]:
    """A user that is not in the table gets zeros."""
    block, rows = pair
    user_ids = block.ratings.user_ids
    bias, vectors = np.zeros(len(user_ids)), np.zeros((len(user_ids), rank), np.float32)
    if len(rows):
        places = np.searchsorted(user_ids, rows["id"].to_numpy())
        bias[places], vectors[places] = rows["bias"].to_numpy(), feature_matrix(rows["features"].combine_chunks())
    return block, Vectors(bias, vectors)


def _list_block(model: ListedModel, stars: ItemSide | None, k: int, pair: tuple[Rated, Vectors]) -> pa.Table:
    (block, star_users), vectors = pair
    counts = np.bincount(block.users, minlength=len(block.user_ids))
    rows = _list_rows(model, k, block.user_ids, vectors, block.movie_ids[block.movies], counts, block)
    if stars is None or star_users is None:
        return rows
    users = np.searchsorted(block.user_ids, rows["user_id"].to_numpy())
    movies = np.searchsorted(block.movie_ids, rows["movie_id"].to_numpy())
    listed = Vectors(star_users.bias[users], star_users.features[users])
    values = predicted_stars(listed, stars, movies[:, None])[:, 0]
    return rows.set_column(len(rows.column_names) - 1, "predicted_stars", pa.array(values))


def _list_newcomers(model: ListedModel, k: int, ids: np.ndarray) -> pa.Table:
    zeros = Vectors(np.zeros(len(ids)), np.zeros((len(ids), model.items.rank), np.float32))
    return _list_rows(model, k, ids, zeros, np.zeros(0, ids.dtype), np.zeros(len(ids), np.int64))


def _list_rows(
    model: ListedModel,
    k: int,
    ids: np.ndarray,
    vectors: Vectors,
    seen: np.ndarray,
    seen_counts: np.ndarray,
    ratings: Interactions | None = None,
) -> pa.Table:
    """The lists of these users; arguments as in `top_n.search`, and the ratings of those that have some."""
    items, bias, second = model.items, model.intercept + vectors.bias, None if ratings is None else model.second
    number = min(k if second is None else second.candidates(k, BY_SCORE), len(items.ids))
    parts = search(ids, bias, vectors.features, seen, seen_counts, items, number)
    if second is not None and ratings is not None:
        parts = (second.lists(part, ratings, items, k, BY_SCORE) for part in parts)
    found = list(parts)
    columns = {key: np.concatenate([part[key] for part in found] or [np.zeros(0)]) for key in FOUND}
    types = pa.int32(), pa.int32(), pa.int32(), pa.float64()
    arrays_of = [pa.array(column, kind) for column, kind in zip(columns.values(), types, strict=True)]
    models = pa.array([model.name] * len(arrays_of[0]), pa.string())
    unknown = pa.nulls(len(models), pa.float64())
    names = ["model", "user_id", "rank", "movie_id", "score", "predicted_stars"]
    return pa.table([models, *arrays_of, unknown], names)
