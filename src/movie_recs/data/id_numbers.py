"""Original ids and their numbers in memory: the table that `identifiers` describes, without Spark."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from movie_recs.parameter_types import NEWEST_ID, OLDEST_ID

Id = int | str
UNREADABLE = "\ufffd"  # what is read where bytes are not of the file's encoding


def own_numbers(originals: Iterable[Id]) -> dict[Id, int]:
    """The number of each of these ids that is one, where ids are their own numbers."""
    written = ((each, int(each)) for each in originals if isinstance(each, int) or _is_short_number(each))
    return {each: number for each, number in written if OLDEST_ID <= number <= NEWEST_ID}


class IdNumbers:
    """The ids of users or of movies."""

    def __init__(self, table: pa.Table):
        """`table` has the columns id and original; original is text, or an integer where ids are their own numbers."""
        self._numbers: dict[str, int] | None = None
        if not pa.types.is_integer(table.schema.field("original").type):
            self._numbers = dict(zip(table["original"].to_pylist(), table["id"].to_pylist(), strict=True))
            self._originals = {number: original for original, number in self._numbers.items()}

    def number(self, original: Id) -> int | None:
        """The number of an id; None if it has none."""
        if self._numbers is None:
            return own_numbers([original]).get(original)
        return self._numbers.get(str(original))

    def original(self, number: int) -> Id:
        """The id as the data has it."""
        return number if self._numbers is None else self._originals[number]


class IdTable:
    """The ids of users or of movies in columns of bytes; ids that are text get numbers as they come.

    Args:
        table: (id, original), as of `IdNumbers`.
    """

    def __init__(self, table: pa.Table):
        self._table, self._first = table, 1 + (pc.max(table["id"]).as_py() or 0)
        self._are_numbers = pa.types.is_integer(table.schema.field("original").type)
        pairs = zip(table["original"].to_pylist(), table["id"].to_pylist(), strict=True)
        self._numbers: dict[str, int] = dict(pairs)

    def are_plain(self, ids: pa.ChunkedArray) -> np.ndarray:
        """(n,) bool: which are written so that nothing can be meant but that id."""
        return self._each(ids, lambda text: text if self._is_plain(text) else "") != ""

    def number(self, ids: pa.ChunkedArray) -> np.ndarray:
        """(n,) int32: the numbers of plain ids."""
        if self._are_numbers:
            return ids.cast(pa.string()).cast(pa.int32()).to_numpy()
        return self._each(ids, self._number).astype(np.int32)

    @property
    def table(self) -> pa.Table:
        """(id, original) of all ids, the new ones last."""
        new = [(number, text) for text, number in self._numbers.items() if number >= self._first]
        if self._are_numbers or not new:
            return self._table
        rows = pa.table(list(zip(*new, strict=True)), ["id", "original"]).cast(self._table.schema)
        return pa.concat_tables([self._table, rows])

    def _each(self, ids: pa.ChunkedArray, function: Callable[[str], Any]) -> np.ndarray:
        """The function's result for each id, called once for each that is different; bytes that are no text are ""."""
        coded = ids.combine_chunks().dictionary_encode(null_encoding="encode")
        texts = (_text(each) for each in coded.dictionary.to_pylist())
        return np.array([function(text) for text in texts], object)[coded.indices.to_numpy()]

    def _is_plain(self, text: str) -> bool:
        if self._are_numbers:
            return text.isascii() and text.isdecimal() and not text.startswith("0") and bool(own_numbers([text]))
        return text.isprintable() and text == text.strip() and not set(text) & {UNREADABLE, '"'}

    def _number(self, text: str) -> int:
        return self._numbers.setdefault(text, max(self._first, self._first + len(self._numbers) - len(self._table)))


def _text(written: bytes | None) -> str:
    try:
        return (written or b"").decode()
    except UnicodeDecodeError:
        return ""


def _is_short_number(text: str) -> bool:
    digits = text.strip()
    return digits.isdecimal() and len(digits) <= len(str(NEWEST_ID))
