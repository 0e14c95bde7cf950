"""Ratings in blocks of whole users, and the two carriers that run a formula on them: in this process, or through Spark.

A formula is a function on the arrays of one block; it knows neither Spark nor how many blocks there are. `LocalBlocks`
holds all users in one block and calls formulas here. `SparkBlocks` holds consecutive users in each of many blocks,
which stay in Spark; its tasks call the formulas, and results come back in the order of the blocks. What is concatenated
or summed over the blocks is therefore the same with both, up to the rounding of sums.

The movies' side of an alternation needs all ratings of a movie together, which `MovieEntries` has.
"""

import math
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.data.interactions import (
    Interactions,
    group_rows,
    interaction_columns,
    read_interactions,
)

RATINGS_PER_BLOCK = 500_000  # a block is a task of every pass
LEAST_BLOCKS = 4  # so that few ratings keep a few cores busy; a constant, so that all machines sum in the same order
PARTS = 16  # of the movies, each a task that has all users' vectors

Block = TypeVar("Block")
Other = TypeVar("Other")
Solve = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Entries(NamedTuple):
    """The values of some pairs of user and movie.

    Args:
        users: (n,) integers, numbers of the users in the whole data.
        movies: (n,) integers, rows of the catalogue.
        values: (n,) float32.
    """

    users: np.ndarray
    movies: np.ndarray
    values: np.ndarray


class MovieEntries(ABC):
    """Entries grouped by movie, and within a movie by user."""

    @abstractmethod
    def solve(self, vectors: "Blocks[np.ndarray]", formula: Solve) -> np.ndarray:
        """(m, k) float32: what the formula gives for each movie; zeros for a movie without entries.

        Args:
            vectors: (users of the block, k) float32.
            formula: From `starts` (m + 1,), the users (n,) and values (n,) in the order of the movies, and the vectors
                of all users (u, k), the movies' vectors (m, k).
        """

    def close(self) -> None:  # noqa: B027 - there is nothing to free in this process
        """Frees what Spark keeps of them."""


class Blocks(ABC, Generic[Block]):
    """Blocks of whole users, of which each formula sees one.

    Args:
        user_ids: (u,) ascending, the users of all blocks.
        movie_ids: (m,) ascending, the whole catalogue.
    """

    def __init__(self, user_ids: np.ndarray, movie_ids: np.ndarray):
        self.user_ids, self.movie_ids = user_ids, movie_ids

    @abstractmethod
    def map(self, formula: Callable[[Block], Other]) -> "Blocks[Other]":
        """The results as blocks. Computed once in this process; through Spark, each time that they are used."""

    @abstractmethod
    def zip(self, other: "Blocks[Other]") -> "Blocks[tuple[Block, Other]]":
        """Each block with that of another one; both are mapped from the same."""

    @abstractmethod
    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        """The results in this process, in the order of the blocks."""

    @abstractmethod
    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:
        """The rows that the formula gives for all blocks."""

    @abstractmethod
    def with_rows(self, users: DataFrame, key: str) -> "Blocks[tuple[Block, pa.Table]]":
        """Each block with the rows of its users.

        Args:
            users: (key, ...), rows of users.
            key: The column of their ids.
        """

    @abstractmethod
    def keep(self) -> "Blocks[Block]":
        """Blocks whose formulas have run and are not run again; `close` frees them."""

    @abstractmethod
    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        """The entries of all blocks, grouped by movie."""

    def close(self) -> None:
        """Frees what Spark keeps of the blocks."""


class LocalBlocks(Blocks[Block]):
    """All users in one block, in this process."""

    def __init__(self, block: Block, user_ids: np.ndarray, movie_ids: np.ndarray):
        super().__init__(user_ids, movie_ids)
        self.block = block

    def map(self, formula: Callable[[Block], Other]) -> "LocalBlocks[Other]":
        """See `Blocks`."""
        return LocalBlocks(formula(self.block), self.user_ids, self.movie_ids)

    def zip(self, other: Blocks[Other]) -> "LocalBlocks[tuple[Block, Other]]":
        """See `Blocks`."""
        return self.map(lambda block: (block, _only(other)))

    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        """See `Blocks`."""
        return [formula(self.block)]

    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:
        """See `Blocks`."""
        return spark.createDataFrame(formula(self.block), schema)

    def with_rows(self, users: DataFrame, key: str) -> "LocalBlocks[tuple[Block, pa.Table]]":
        """See `Blocks`."""
        rows = users.toArrow()
        own = rows.filter(np.isin(rows[key].to_numpy(), self.user_ids))
        return self.map(lambda block: (block, own))

    def keep(self) -> "LocalBlocks[Block]":
        """See `Blocks`."""
        return self

    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        """See `Blocks`."""
        return _LocalEntries(entries(self.block), len(self.movie_ids))


class SparkBlocks(Blocks[Block]):
    """Consecutive users in each block, in Spark.

    Args:
        rows: (block int, first_user int, ...), cached; a block is within one partition.
        people: (user_id int, block int): where each user is.
        number: Number of blocks.
        read: A block from its rows, and from those that `with_rows` has added.
        user_ids: As in `Blocks`.
        movie_ids: As in `Blocks`.
        added: (block int, ...), what `with_rows` has added.
    """

    def __init__(
        self,
        rows: DataFrame,
        people: DataFrame,
        number: int,
        read: Callable[..., Block],
        user_ids: np.ndarray,
        movie_ids: np.ndarray,
        added: DataFrame | None = None,
    ):
        super().__init__(user_ids, movie_ids)
        self._rows, self._people, self._number, self._read, self._added = rows, people, number, read, added

    def map(self, formula: Callable[[Block], Other]) -> "SparkBlocks[Other]":
        """See `Blocks`."""
        return self._with(partial(_after, self._read, formula), self._added)

    def zip(self, other: Blocks[Other]) -> "SparkBlocks[tuple[Block, Other]]":
        """See `Blocks`."""
        if not isinstance(other, SparkBlocks) or other._rows is not self._rows or self._added or other._added:
            raise ValueError("Only blocks that are mapped from the same can be zipped.")
        return self._with(partial(_both, self._read, other._read), None)

    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        """See `Blocks`."""
        results = self.apply(partial(_pickled, formula), "block int, result binary").toArrow().sort_by("block")
        return [pickle.loads(result.as_py()) for result in results["result"]]  # noqa: S301 - made by this run's tasks

    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:  # noqa: ARG002
        """See `Blocks`."""
        return self.apply(partial(_without_place, formula), schema)

    def with_rows(self, users: DataFrame, key: str) -> "SparkBlocks[tuple[Block, pa.Table]]":
        """See `Blocks`."""
        # Aliases, so that Spark tells this block from that of the rows, which comes from the same table.
        people = self._people.select(F.col("user_id").alias(key), F.col("block").alias("placed"))
        placed = users.join(people, key, how="inner").withColumnRenamed("placed", "block")
        return self._with(partial(_with_added, self._read), placed)

    def keep(self) -> "SparkBlocks[Block]":
        """See `Blocks`."""
        rows = self.apply(_kept, "block int, first_user int, result binary")
        rows = rows.repartition(self._number, "block").sortWithinPartitions("block").cache()
        return SparkBlocks(rows, self._people, self._number, _unpickle, self.user_ids, self.movie_ids)

    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        """See `Blocks`."""
        return _SparkEntries(self, entries)

    def close(self) -> None:
        """See `Blocks`."""
        self._rows.unpersist()

    def apply(self, formula: "Callable[[Place, Block], pa.Table]", schema: str) -> DataFrame:
        """The rows that the formula gives for all blocks and their places."""
        by_block, run = self._rows.groupBy("block"), partial(_run_on_rows, self._read, formula)
        if self._added is None:
            return by_block.applyInArrow(lambda rows: run(rows), schema)
        return by_block.cogroup(self._added.groupBy("block")).applyInArrow(lambda rows, added: run(rows, added), schema)

    def _with(self, read: Callable[..., Any], added: DataFrame | None) -> "SparkBlocks[Any]":
        return SparkBlocks(self._rows, self._people, self._number, read, self.user_ids, self.movie_ids, added)


class Place(NamedTuple):
    """Which block it is, and the number of users in those before it."""

    block: int
    first_user: int


def local_blocks(ratings: DataFrame, movie_ids: np.ndarray) -> LocalBlocks[Interactions]:
    """All ratings in one block in this process.

    Args:
        ratings: As of `interaction_columns`.
        movie_ids: (m,) ascending, those of all rated movies among them.

    Raises:
        ValueError: A rated movie is not among them.
    """
    block = _read_block(interaction_columns(ratings).toArrow(), movie_ids)
    return LocalBlocks(block, block.user_ids, movie_ids)


def spark_blocks(ratings: DataFrame, movie_ids: np.ndarray) -> SparkBlocks[Interactions]:
    """The same in Spark, in blocks of about `RATINGS_PER_BLOCK` ratings; the driver holds the ids of users and movies.

    `close` frees the cached ratings.
    """
    counts = ratings.groupBy("user_id").count().toArrow().sort_by("user_id")
    user_ids, ends = counts["user_id"].to_numpy(), np.cumsum(counts["count"].to_numpy())
    total = int(ends[-1]) if len(ends) else 0
    number = max(LEAST_BLOCKS, math.ceil(total / RATINGS_PER_BLOCK))
    blocks = ((ends - 1) * number // max(total, 1)).astype(np.int32)
    first_users = np.searchsorted(blocks, blocks).astype(np.int32)
    columns = {"user_id": user_ids, "block": blocks, "first_user": first_users}
    schema = "user_id int, block int, first_user int"
    people = ratings.sparkSession.createDataFrame(pa.table(columns), schema)
    rows = interaction_columns(ratings).join(people, "user_id", how="inner")
    rows = rows.repartition(number, "block").sortWithinPartitions("block").cache()  # every pass reads them
    read = partial(_read_block, movie_ids=movie_ids)
    return SparkBlocks(rows, people.select("user_id", "block"), number, read, user_ids, movie_ids)


def open_blocks(carrier: str, ratings: DataFrame, movie_ids: np.ndarray) -> Blocks[Interactions]:
    """The ratings' blocks with the carrier `local` or `spark`."""
    return {"local": local_blocks, "spark": spark_blocks}[carrier](ratings, movie_ids)


def tasks_at_a_time(spark: SparkSession) -> int:
    """How many tasks Spark runs at once, as the partitions of a range tell; it works over Spark Connect too."""
    return spark.range(10_000).select(F.spark_partition_id()).distinct().count()


class _LocalEntries(MovieEntries):
    def __init__(self, entries: Entries, movies: int):
        self._starts, order = group_rows(entries.movies, movies)
        self._users, self._values = entries.users[order], entries.values[order]

    def solve(self, vectors: Blocks[np.ndarray], formula: Solve) -> np.ndarray:
        return formula(self._starts, self._users, self._values, _only(vectors))


class _SparkEntries(MovieEntries):
    """Entries in parts of movies: movie i is in part i modulo their number. Every task has all users' vectors."""

    def __init__(self, blocks: SparkBlocks[Any], entries: Callable[[Any], Entries]):
        self._users, self._movies = len(blocks.user_ids), len(blocks.movie_ids)
        rows = blocks.apply(partial(_entry_rows, entries), "part int, user int, movie int, value float")
        self._rows = rows.repartition(PARTS, "part").sortWithinPartitions("part").cache()  # every turn reads them

    def solve(self, vectors: Blocks[np.ndarray], formula: Solve) -> np.ndarray:
        if not isinstance(vectors, SparkBlocks):
            raise TypeError("The vectors are not in Spark, as the entries are.")
        parts = F.explode(F.sequence(F.lit(0), F.lit(PARTS - 1))).alias("part")
        users = vectors.apply(_vector_rows, "first_user int, vectors binary").select(parts, "*")
        solve = partial(_solve_part, formula, self._users, self._movies)
        solved = (
            self._rows.groupBy("part")
            .cogroup(users.groupBy("part"))
            .applyInArrow(lambda entries, users: solve(entries, users), "movie int, vector binary")
            .toArrow()
        )
        items = _stack(solved["vector"], len(solved))
        result = np.zeros((self._movies, items.shape[1]), np.float32)
        result[solved["movie"].to_numpy()] = items
        return result

    def close(self) -> None:
        self._rows.unpersist()


# What runs in Spark's tasks.


def _read_block(rows: pa.Table, movie_ids: np.ndarray) -> Interactions:
    first_user = rows["first_user"][0].as_py() if "first_user" in rows.column_names else 0
    block = read_interactions(rows, movie_ids, first_user)
    if (block.movies == len(movie_ids)).any():
        raise ValueError("A rated movie is not in the catalogue.")
    return block


def _run_on_rows(
    read: Callable[..., Any], formula: Callable[[Place, Any], pa.Table], rows: pa.Table, *added: pa.Table
) -> pa.Table:
    place = Place(rows["block"][0].as_py(), rows["first_user"][0].as_py())
    return formula(place, read(rows, *added))


def _after(read: Callable[..., Any], formula: Callable[[Any], Any], *tables: pa.Table) -> Any:
    return formula(read(*tables))


def _both(one: Callable[..., Any], two: Callable[..., Any], *tables: pa.Table) -> tuple[Any, Any]:
    return one(*tables), two(*tables)


def _with_added(read: Callable[..., Any], rows: pa.Table, added: pa.Table) -> tuple[Any, pa.Table]:
    return read(rows), added


def _pickled(formula: Callable[[Any], Any], place: Place, block: Any) -> pa.Table:
    result = pickle.dumps(formula(block), protocol=5)
    return pa.table({"block": pa.array([place.block], pa.int32()), "result": [result]})


def _kept(place: Place, block: Any) -> pa.Table:
    columns = {name: pa.array([value], pa.int32()) for name, value in place._asdict().items()}
    return pa.table({**columns, "result": [pickle.dumps(block, protocol=5)]})


def _unpickle(rows: pa.Table) -> Any:
    return pickle.loads(rows["result"][0].as_py())  # noqa: S301 - made by this run's tasks


def _without_place(formula: Callable[[Any], pa.Table], _: Place, block: Any) -> pa.Table:
    return formula(block)


def _entry_rows(formula: Callable[[Any], Entries], _: Place, block: Any) -> pa.Table:
    users, movies, values = formula(block)
    columns = {"part": movies % PARTS, "user": users, "movie": movies, "value": values}
    types = (pa.int32(), pa.int32(), pa.int32(), pa.float32())
    return pa.table({name: pa.array(column, kind) for (name, column), kind in zip(columns.items(), types, strict=True)})


def _vector_rows(place: Place, vectors: np.ndarray) -> pa.Table:
    first_user = pa.array([place.first_user], pa.int32())
    return pa.table({"first_user": first_user, "vectors": [np.ascontiguousarray(vectors, np.float32).tobytes()]})


def _solve_part(formula: Solve, users: int, movies: int, entries: pa.Table, vectors: pa.Table) -> pa.Table:
    if not len(entries):
        return pa.table({"movie": pa.array([], pa.int32()), "vector": pa.array([], pa.binary())})
    vectors = vectors.sort_by("first_user")  # they follow one another
    fixed = _stack(vectors["vectors"], users)
    user_rows, movie_rows, values = (entries[name].to_numpy() for name in ("user", "movie", "value"))
    by_user = group_rows(user_rows, users)[1]
    starts, by_movie = group_rows(movie_rows[by_user], movies)
    order = by_user[by_movie]
    items = formula(starts, user_rows[order], values[order], fixed)
    rated = np.flatnonzero(np.diff(starts))
    return pa.table({"movie": pa.array(rated, pa.int32()), "vector": [vector.tobytes() for vector in items[rated]]})


def _only(blocks: Blocks[Any]) -> Any:
    """The one block of a carrier that has one."""
    if not isinstance(blocks, LocalBlocks):
        raise TypeError("The blocks are in Spark, not in this process.")
    return blocks.block


def _stack(rows: pa.ChunkedArray, number: int) -> np.ndarray:
    """(number, k) float32 from the bytes of one or more rows each, writable as compiled loops expect it."""
    values = np.frombuffer(b"".join(rows.to_pylist()), np.float32).copy()
    return values.reshape(number, -1) if number else np.zeros((0, 0), np.float32)
