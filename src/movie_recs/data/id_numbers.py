"""Original ids and their numbers in memory: the table that `identifiers` describes, without Spark."""

from collections.abc import Iterable

import pyarrow as pa

from movie_recs.parameter_types import NEWEST_ID, OLDEST_ID

Id = int | str


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


def _is_short_number(text: str) -> bool:
    digits = text.strip()
    return digits.isdecimal() and len(digits) <= len(str(NEWEST_ID))
