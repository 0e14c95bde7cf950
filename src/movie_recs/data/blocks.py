"""Ratings in blocks of whole users, and the two carriers that run a formula on them: in this process, or through Spark.

A formula is a function on the arrays of one block. `LocalBlocks` has all users in one block and calls formulas in this
process. `SparkBlocks` has consecutive users in each of many blocks, which stay in Spark; its tasks call the formulas,
and results come back in the order of the blocks. So a concatenation or sum over the blocks is the same with both, up to
the rounding of sums.

The movies' step of an alternation needs all ratings of a movie together, which `MovieEntries` has.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from typing_extensions import override

from movie_recs.data.block_types import Block, Blocks, Entries, MovieEntries, Other, Solve
from movie_recs.data.interactions import Interactions, group_rows, read_interactions
from movie_recs.data.spark_blocks import SparkBlocks
from movie_recs.data.spark_interactions import interaction_columns

RATINGS_PER_BLOCK = 500_000  # a block is a task of every pass
LEAST_BLOCKS = 4  # so that few ratings keep a few cores busy; a constant, so that all machines sum in the same order


class LocalBlocks(Blocks[Block]):
    """All users in one block, in this process."""

    def __init__(self, block: Block, user_ids: np.ndarray, movie_ids: np.ndarray):
        super().__init__(user_ids, movie_ids)
        self.block = block

    @override
    def map(self, formula: Callable[[Block], Other]) -> "LocalBlocks[Other]":
        return LocalBlocks(formula(self.block), self.user_ids, self.movie_ids)

    @override
    def zip(self, other: Blocks[Other]) -> "LocalBlocks[tuple[Block, Other]]":
        return self.map(lambda block: (block, _only(other)))

    @override
    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        return [formula(self.block)]

    @override
    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:
        return spark.createDataFrame(formula(self.block), schema)

    @override
    def with_rows(self, users: DataFrame, key: str) -> "LocalBlocks[tuple[Block, pa.Table]]":
        rows = users.toArrow()
        own = rows.filter(np.isin(rows[key].to_numpy(), self.user_ids))
        return self.map(lambda block: (block, own))

    @override
    def keep(self) -> "LocalBlocks[Block]":
        return self

    @override
    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        return _LocalEntries(entries(self.block), len(self.movie_ids))


class _LocalEntries(MovieEntries):
    def __init__(self, entries: Entries, movies: int):
        self._starts, order = group_rows(entries.movies, movies)
        self._users, self._values = entries.users[order], entries.values[order]

    @override
    def solve(self, vectors: Blocks[np.ndarray], formula: Solve) -> np.ndarray:
        return formula(self._starts, self._users, self._values, _only(vectors))


def local_blocks(ratings: DataFrame, movie_ids: np.ndarray) -> LocalBlocks[Interactions]:
    """All ratings in one block in this process.

    Args:
        ratings: The columns of `interaction_columns`.
        movie_ids: (m,) ascending, the whole catalogue.

    Raises:
        ValueError: A rated movie is not in the catalogue.
    """
    block = _read_block(interaction_columns(ratings).toArrow(), movie_ids)
    return LocalBlocks(block, block.user_ids, movie_ids)


def spark_blocks(ratings: DataFrame, movie_ids: np.ndarray) -> SparkBlocks[Interactions]:
    """The ratings in Spark, in blocks of about `RATINGS_PER_BLOCK`; arguments as in `local_blocks`.

    The driver holds the ids of users and movies. `close` frees the cached ratings.
    """
    counts = ratings.groupBy("user_id").count().toArrow().sort_by("user_id")
    user_ids, ends = counts["user_id"].to_numpy(), np.cumsum(counts["count"].to_numpy())
    total = int(ends[-1]) if len(ends) else 0
    number = max(LEAST_BLOCKS, math.ceil(total / RATINGS_PER_BLOCK))
    blocks = ((ends - 1) * number // max(total, 1)).astype(np.int32)
    first_users = np.searchsorted(blocks, blocks).astype(np.int32)
    columns = {"user_id": user_ids, "block": blocks, "first_user": first_users}
    schema = "user_id int, block int, first_user int"
    users = ratings.sparkSession.createDataFrame(pa.table(columns), schema)
    rows = interaction_columns(ratings).join(users, "user_id", how="inner")
    rows = rows.repartition(number, "block").sortWithinPartitions("block").cache()  # every pass reads them
    read = partial(_read_block, movie_ids=movie_ids)
    return SparkBlocks(rows, users.select("user_id", "block"), number, read, user_ids, movie_ids)


def open_blocks(carrier: str, ratings: DataFrame, movie_ids: np.ndarray) -> Blocks[Interactions]:
    """The ratings in blocks of the carrier `local` or `spark`."""
    return {"local": local_blocks, "spark": spark_blocks}[carrier](ratings, movie_ids)


def tasks_at_a_time(spark: SparkSession) -> int:
    """How many tasks Spark runs at once: its default number of partitions, which Spark Connect has too."""
    return spark.range(10_000).select(F.spark_partition_id()).distinct().count()


def _read_block(rows: pa.Table, movie_ids: np.ndarray) -> Interactions:
    first_user = rows["first_user"][0].as_py() if "first_user" in rows.column_names else 0
    block = read_interactions(rows, movie_ids, first_user)
    if (block.movies == len(movie_ids)).any():
        raise ValueError("A rated movie is not in the catalogue.")
    return block


def _only(blocks: Blocks[Any]) -> Any:
    """The block of blocks in this process."""
    if not isinstance(blocks, LocalBlocks):
        raise TypeError("The blocks are in Spark, not in this process.")
    return blocks.block
