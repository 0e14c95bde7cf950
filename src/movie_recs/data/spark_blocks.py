"""Blocks of whole users in Spark, whose tasks call the formulas on them.

A block's key is its number, so that results can be put in the order of the blocks. What a task makes of a block is a
chain of functions, `read`, which grows with every `map` and runs whenever the blocks are used.
"""

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from typing_extensions import override

from movie_recs.data.block_types import Block, Blocks, Entries, MovieEntries, Other, Solve
from movie_recs.data.interactions import group_rows

MOST_PARTS = 16  # of the movies' entries, each a task that gets all users' vectors
NO_MOVIE = -1


class SparkBlocks(Blocks[Block]):
    """Consecutive users in each block, in Spark.

    Args:
        rows: (block int, first_user int, ...), cached; each block is in one partition.
        users: (user_id int, block int), the block of each user.
        number: Number of blocks.
        read: Makes a block from its rows, and from its `added` rows if there are any.
        user_ids: As in `Blocks`.
        movie_ids: As in `Blocks`.
        added: (block int, ...), the rows that `with_rows` has added.
    """

    def __init__(
        self,
        rows: DataFrame,
        users: DataFrame,
        number: int,
        read: Callable[..., Block],
        user_ids: np.ndarray,
        movie_ids: np.ndarray,
        added: DataFrame | None = None,
    ):
        super().__init__(user_ids, movie_ids)
        self._rows, self._users, self.number, self._read, self._added = rows, users, number, read, added

    @override
    def map(self, formula: Callable[[Block], Other]) -> "SparkBlocks[Other]":
        return self._derive(partial(_after, self._read, formula), self._added)

    @override
    def zip(self, other: Blocks[Other]) -> "SparkBlocks[tuple[Block, Other]]":
        if (
            not isinstance(other, SparkBlocks)
            or other._rows is not self._rows
            or (self._added, other._added) != (None, None)
        ):
            raise ValueError("Only blocks that are mapped from the same can be zipped.")
        return self._derive(partial(_both, self._read, other._read), None)

    @override
    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        results = self.apply(partial(_pickled, formula), "block int, result binary").toArrow().sort_by("block")
        return [pickle.loads(result.as_py()) for result in results["result"]]  # noqa: S301 - made by this run's tasks

    @override
    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:
        return self.apply(partial(_without_place, formula), schema)

    @override
    def with_rows(self, users: DataFrame, key: str) -> "SparkBlocks[tuple[Block, pa.Table]]":
        # Aliases, as Spark would take this `block` for that of the rows, which comes from the same table.
        placed = self._users.select(F.col("user_id").alias(key), F.col("block").alias("placed"))
        added = users.join(placed, key, how="inner").withColumnRenamed("placed", "block")
        return self._derive(partial(_with_added, self._read), added)

    @override
    def keep(self) -> "SparkBlocks[Block]":
        rows = self.apply(_kept, "block int, first_user int, result binary")
        rows = rows.repartition(self.number, "block").sortWithinPartitions("block").cache()
        return SparkBlocks(rows, self._users, self.number, _unpickle, self.user_ids, self.movie_ids)

    @override
    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        return _SparkEntries(self, entries)

    @override
    def close(self) -> None:
        self._rows.unpersist()

    def apply(self, formula: "Callable[[Place, Block], pa.Table]", schema: str) -> DataFrame:
        """The rows that the formula returns for each block and its place."""
        # Lambdas, because Spark counts a function's arguments, and `run` takes one or two.
        by_block, run = self._rows.groupBy("block"), partial(_run_on_rows, self._read, formula)
        if self._added is None:
            return by_block.applyInArrow(lambda rows: run(rows), schema)
        return by_block.cogroup(self._added.groupBy("block")).applyInArrow(lambda rows, added: run(rows, added), schema)

    def _derive(self, read: Callable[..., Any], added: DataFrame | None) -> "SparkBlocks[Any]":
        return SparkBlocks(self._rows, self._users, self.number, read, self.user_ids, self.movie_ids, added)


class Place(NamedTuple):
    """The number of a block, and the number of users in the blocks before it."""

    block: int
    first_user: int


class _SparkEntries(MovieEntries):
    """Entries in parts by movie: movie i is in part i modulo their number. Every task gets all users' vectors."""

    def __init__(self, blocks: SparkBlocks[Any], entries: Callable[[Any], Entries]):
        self._users, self._movies = len(blocks.user_ids), len(blocks.movie_ids)
        self._parts = min(MOST_PARTS, blocks.number)
        rows = blocks.apply(partial(_entry_rows, entries, self._parts), "part int, user int, movie int, value float")
        self._rows = (
            rows.repartition(self._parts, "part").sortWithinPartitions("part").cache()
        )  # read by every alternation

    @override
    def solve(self, vectors: Blocks[np.ndarray], formula: Solve) -> np.ndarray:
        if not isinstance(vectors, SparkBlocks):
            raise TypeError("The vectors are not in Spark, as the entries are.")
        parts = F.explode(F.sequence(F.lit(0), F.lit(self._parts - 1))).alias("part")
        users = vectors.apply(_vector_rows, "first_user int, vectors binary").select(parts, "*")
        solve = partial(_solve_part, formula, self._users, self._movies)
        solved = (
            self._rows.groupBy("part")
            .cogroup(users.groupBy("part"))
            .applyInArrow(lambda entries, users: solve(entries, users), "movie int, vector binary")
            .toArrow()
        )
        movies, items = solved["movie"].to_numpy(), _stack(solved["vector"], len(solved))
        result = np.zeros((self._movies, items.shape[1]), np.float32)
        result[movies[movies != NO_MOVIE]] = items[movies != NO_MOVIE]
        return result

    @override
    def close(self) -> None:
        self._rows.unpersist()


# These run in Spark's tasks.


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


def _entry_rows(formula: Callable[[Any], Entries], parts: int, _: Place, block: Any) -> pa.Table:
    users, movies, values = formula(block)
    columns = {"part": movies % parts, "user": users, "movie": movies, "value": values}
    types = (pa.int32(), pa.int32(), pa.int32(), pa.float32())
    return pa.table({name: pa.array(column, kind) for (name, column), kind in zip(columns.items(), types, strict=True)})


def _vector_rows(place: Place, vectors: np.ndarray) -> pa.Table:
    first_user = pa.array([place.first_user], pa.int32())
    return pa.table({"first_user": first_user, "vectors": [np.ascontiguousarray(vectors, np.float32).tobytes()]})


def _solve_part(formula: Solve, users: int, movies: int, entries: pa.Table, vectors: pa.Table) -> pa.Table:
    fixed = _stack(vectors.sort_by("first_user")["vectors"], users)  # the order of the blocks
    user_rows, movie_rows, values = (entries[name].to_numpy() for name in ("user", "movie", "value"))
    by_user = group_rows(user_rows, users)[1]
    starts, by_movie = group_rows(movie_rows[by_user], movies)
    order = by_user[by_movie]
    items = formula(starts, user_rows[order], values[order], fixed)
    rated = np.flatnonzero(np.diff(starts))
    if not len(rated):  # the length of the vectors is known all the same
        return pa.table({"movie": pa.array([NO_MOVIE], pa.int32()), "vector": [np.zeros_like(items[0]).tobytes()]})
    return pa.table({"movie": pa.array(rated, pa.int32()), "vector": [vector.tobytes() for vector in items[rated]]})


def _stack(rows: pa.ChunkedArray, number: int) -> np.ndarray:
    """(number, k) float32 from the bytes of one or more rows each; writable, as the compiled loops require."""
    values = np.frombuffer(b"".join(rows.to_pylist()), np.float32).copy()
    return values.reshape(number, -1) if number else np.zeros((0, 0), np.float32)
