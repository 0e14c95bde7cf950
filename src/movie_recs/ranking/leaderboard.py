"""Every user's list by each ranking model: what the leaderboard is measured on."""

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
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import Arrays, FactorModel, Vectors, arrays, feature_matrix
from movie_recs.model.top_n import search
from movie_recs.ranking.baselines import BASELINES, RANDOM_RANK, baseline_scores
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import RankingParts, compose_items, fitted_users
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.preferences import PreferenceRule

BY_STARS = "rating_by_stars"
LISTS = TABLES["ranking.lists"]
FOUND = ("id", "rank", "item_id", "value")  # columns of what `search` finds


class ListingTask(NamedTuple):
    """The models whose lists are wanted, and the users.

    Args:
        parts: A fit of the preferences in the train ratings.
        candidates: The best of each ranking model.
        rating_model: The rating model of the train ratings; its list is `BY_STARS`.
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp).
        blocks: The same in blocks.
        users: (user_id int), the users that get lists; one without train ratings is a newcomer, for whom every model
            has the list that it has for everybody.
    """

    parts: RankingParts
    candidates: dict[str, RankingCandidate]
    rating_model: FactorModel
    train_ratings: DataFrame
    blocks: Blocks[Interactions]
    users: DataFrame


class ListedModel(NamedTuple):
    """A model's movies, its intercept, and the vectors of the users of each block with the block."""

    name: str
    intercept: float
    items: Items
    users: Blocks[tuple[Interactions, Vectors]]


def list_movies(task: ListingTask, parameters: RankingParameters) -> DataFrame:
    """(model string, user_id int, rank int from 1, movie_id int, score double): the first k without train ratings."""
    spark, k = task.train_ratings.sparkSession, parameters.evaluation.k
    user_ids = np.sort(task.users.select("user_id").distinct().toArrow()["user_id"].to_numpy())
    newcomers = np.setdiff1d(user_ids, task.blocks.user_ids)
    tables = []
    for model in _models(task, parameters):
        tables.append(
            model.users.table(spark, partial(_list_block, model.name, model.intercept, model.items, k), LISTS)
        )
        if len(newcomers):
            tables.append(spark.createDataFrame(_list_newcomers(model, newcomers, k), LISTS))
    return reduce(DataFrame.unionAll, tables)


def _models(task: ListingTask, parameters: RankingParameters) -> Iterator[ListedModel]:
    parts, blocks, seed = task.parts, task.blocks, parameters.tuning.seed
    movies, no_bias = len(parts.ids), np.zeros(len(parts.ids))
    random_items = draw_on_sphere(0, movies, ~seed % 2**64, RANDOM_RANK)
    yield ListedModel(
        "random", 0.0, prepare_items(parts.ids, no_bias, random_items, DOT), blocks.map(partial(_random_users, seed))
    )
    for name in BASELINES[1:]:
        scores = baseline_scores(name, task.train_ratings, parts.ids, parameters.evaluation.damping)
        items = prepare_items(parts.ids, scores.astype(np.float32), np.zeros((movies, 0), np.float32), DOT)
        yield ListedModel(name, 0.0, items, blocks.map(_zeros))
    model = task.rating_model
    yield ListedModel(BY_STARS, model.intercept, _items_of(model.items), _align(blocks, model.users))
    for name, candidate in task.candidates.items():
        sides, rule = compose_items(parts, candidate, parameters.preference)
        items = prepare_items(sides.ids, sides.bias[:-1], sides.features[:-1], DOT)
        if candidate.weights is None:
            users = _align(blocks, fitted_users(parts))
        else:
            users = blocks.map(partial(_fold_in, rule, sides))
        yield ListedModel(name, 0.0, items, users)


def _items_of(table: DataFrame) -> Items:
    items = arrays(table)
    return prepare_items(items.ids, items.bias[:-1], items.features[:-1].astype(np.float32), DOT)


def _align(blocks: Blocks[Interactions], users: DataFrame) -> Blocks[tuple[Interactions, Vectors]]:
    """The blocks with their users' vectors of a model's table."""
    return blocks.with_rows(users.select("id", "bias", "features"), "id").map(_align_rows)


# What runs on each block.


def _random_users(seed: int, block: Interactions) -> tuple[Interactions, Vectors]:
    users = len(block.user_ids)
    return block, Vectors(np.zeros(users), draw_on_sphere(block.first_user, users, seed % 2**64, RANDOM_RANK))


def _zeros(block: Interactions) -> tuple[Interactions, Vectors]:
    return block, Vectors(np.zeros(len(block.user_ids)), np.zeros((len(block.user_ids), 0), np.float32))


def _fold_in(rule: PreferenceRule, items: Arrays, block: Interactions) -> tuple[Interactions, Vectors]:
    return block, rule.user_vectors(block, items, 0.0)


def _align_rows(pair: tuple[Interactions, pa.Table]) -> tuple[Interactions, Vectors]:
    """A user that the table does not know has zeros."""
    block, rows = pair
    known = np.isin(rows["id"].to_numpy(), block.user_ids)
    places = np.searchsorted(block.user_ids, rows["id"].to_numpy()[known])
    features = feature_matrix(rows["features"].combine_chunks())
    bias, vectors = np.zeros(len(block.user_ids)), np.zeros((len(block.user_ids), features.shape[1]), np.float32)
    bias[places], vectors[places] = rows["bias"].to_numpy()[known], features[known]
    return block, Vectors(bias, vectors)


def _list_block(name: str, intercept: float, items: Items, k: int, pair: tuple[Interactions, Vectors]) -> pa.Table:
    block, vectors = pair
    counts = np.bincount(block.users, minlength=len(block.user_ids))
    seen = block.movie_ids[block.movies]
    return _list_rows(name, items, k, block.user_ids, intercept + vectors.bias, vectors.features, seen, counts)


def _list_newcomers(model: ListedModel, newcomers: np.ndarray, k: int) -> pa.Table:
    users = len(newcomers)
    bias, vectors = np.full(users, model.intercept), np.zeros((users, model.items.rank), np.float32)
    nothing = np.zeros(0, newcomers.dtype), np.zeros(users, np.int64)
    return _list_rows(model.name, model.items, k, newcomers, bias, vectors, *nothing)


def _list_rows(name: str, items: Items, k: int, ids: np.ndarray, *queries: np.ndarray) -> pa.Table:
    bias, features, seen, counts = queries
    found = list(search(ids, bias, features, seen, counts, items, min(k, len(items.ids))))
    columns = {key: np.concatenate([part[key] for part in found] or [np.zeros(0)]) for key in FOUND}
    types = pa.int32(), pa.int32(), pa.int32(), pa.float64()
    arrays_of = [pa.array(column, kind) for column, kind in zip(columns.values(), types, strict=True)]
    models = pa.array([name] * len(arrays_of[0]), pa.string())
    return pa.table([models, *arrays_of], ["model", "user_id", "rank", "movie_id", "score"])
