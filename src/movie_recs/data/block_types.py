"""The interface of blocks of whole users, which both carriers implement; a formula sees the arrays of one block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import reduce
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Block = TypeVar("Block")
Other = TypeVar("Other")
Solve = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Entries(NamedTuple):
    """The values of some pairs of user and movie.

    Args:
        users: (n,) integers, the users' places in `user_ids` of all blocks.
        movies: (n,) integers, rows of the catalogue.
        values: (n,) float32.
    """

    users: np.ndarray
    movies: np.ndarray
    values: np.ndarray


class MovieEntries(ABC):
    """Entries grouped by movie, and within a movie by user."""

    @abstractmethod
    def solve(self, vectors: Blocks[np.ndarray], formula: Solve) -> np.ndarray:
        """(m, k) float32: the formula's vectors of the movies; zeros for a movie without entries.

        Args:
            vectors: (users of the block, k) float32.
            formula: Returns the movies' vectors, (m, k), from `starts`, (m + 1,), the users and values of the entries
                by movie, (n,) each, and the vectors of all users, (u, k).
        """

    def close(self) -> None:  # noqa: B027 - a carrier without a cache has nothing to free
        """Frees what Spark has cached of them."""


class Blocks(ABC, Generic[Block]):
    """Blocks of whole users.

    Args:
        user_ids: (u,) ascending, the users of all blocks.
        movie_ids: (m,) ascending, the whole catalogue.
    """

    def __init__(self, user_ids: np.ndarray, movie_ids: np.ndarray):
        self.user_ids, self.movie_ids = user_ids, movie_ids

    @abstractmethod
    def map(self, formula: Callable[[Block], Other]) -> Blocks[Other]:
        """The results as blocks: computed once in this process, and each time that they are used in Spark."""

    @abstractmethod
    def zip(self, other: Blocks[Other]) -> Blocks[tuple[Block, Other]]:
        """Each block paired with the same one of `other`; both are mapped from the same blocks."""

    @abstractmethod
    def collect(self, formula: Callable[[Block], Other]) -> list[Other]:
        """The results in this process, in the order of the blocks."""

    @abstractmethod
    def table(self, spark: SparkSession, formula: Callable[[Block], pa.Table], schema: str) -> DataFrame:
        """The rows that the formula returns for all blocks."""

    @abstractmethod
    def with_rows(self, users: DataFrame, key: str) -> Blocks[tuple[Block, pa.Table]]:
        """Each block with the rows of its users.

        Args:
            users: (key, ...), rows of users.
            key: The column of their ids.
        """

    @abstractmethod
    def keep(self) -> Blocks[Block]:
        """The same blocks, computed once; `close` frees them."""

    @abstractmethod
    def by_movie(self, entries: Callable[[Block], Entries]) -> MovieEntries:
        """The entries of all blocks, grouped by movie."""

    def close(self) -> None:
        """Frees what Spark has cached of the blocks."""


def add_up(arrays: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of arrays of one shape, added in their order; there is at least one."""
    return reduce(np.add, arrays)
