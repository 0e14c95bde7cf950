"""Tables of a source as rows of bytes, read without Spark: one column for each role, a batch at a time."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.dataset

from movie_recs.data.sources.description import ItemsDescription, Table
from movie_recs.data.sources.layouts import Source
from movie_recs.data.sources.reading import LINE_END, LIST_SEPARATOR, RECORD, ROLES, columns_of, encoding_of, name_of

UNIT_SEPARATOR = b"\x1f"  # for a separator of several characters, which Arrow does not read
BLOCK_BYTES = 2**24


class PlainTable:
    """A table of a source, read anew for each pass over it.

    Args:
        path: A file, or a folder of parts; None for a table without rows.
        source: The source.
        name: Which of its tables the file is, or is written like.
    """

    def __init__(self, path: str | None, source: Source, name: Table):
        self.source, self.is_there, self._path, self._name = source, path is not None, path or "", name

    def batches(self) -> Iterator[pa.Table]:
        """Tables (each role of the table, record), all binary; null where the source has no such column.

        `record` is the row as `reading.text_rows` has it. A row that has not the file's number of fields has nothing
        but its record.
        """
        described = self.source.description.table(self._name)
        if described is None or not self.is_there:
            return
        read = self._other
        if self.source.description.format == "csv":
            read = self._ratings if self._name == "ratings" else self._lines
        columns = {role: name_of(column) for role, column in described.columns().items()}
        for rows, malformed in read():
            texts = {role: rows[name] for role, name in columns.items() if name in rows.column_names}
            yield _with_roles(self._name, self._genres(described, rows, texts), _records(rows, described.separator))
            if malformed:
                yield _with_roles(self._name, {}, pa.chunked_array([pa.array(malformed, pa.binary())]))

    def _genres(self, described: Any, rows: pa.Table, texts: dict[str, Any]) -> dict[str, Any]:
        """Genres with one separator, whatever the file has; a rating with a point."""
        if isinstance(described, ItemsDescription) and described.flags:
            flags = {genre: rows[name_of(column)].to_pylist() for genre, column in described.flags.items()}
            by_genre = ([genre if each == b"1" else "" for each in column] for genre, column in flags.items())
            listed = [LIST_SEPARATOR.join(filter(None, row)).encode() for row in zip(*by_genre, strict=True)]
            texts["genres"] = pa.chunked_array([pa.array(listed, pa.binary())])
        elif isinstance(described, ItemsDescription) and "genres" in texts:
            own = described.genre_separator.encode()
            listed = [each and each.replace(own, LIST_SEPARATOR.encode()) for each in texts["genres"].to_pylist()]
            texts["genres"] = pa.chunked_array([pa.array(listed, pa.binary())])
        if described.decimal == "," and "rating" in texts:
            points = [each and each.replace(b",", b".") for each in texts["rating"].to_pylist()]
            texts["rating"] = pa.chunked_array([pa.array(points, pa.binary())])
        return texts

    def _parts(self) -> list[str]:
        path = Path(self._path)
        return [str(part) for part in sorted(path.glob("[!_.]*"))] if path.is_dir() else [self._path]

    def _lines(self) -> Iterator[tuple[pa.Table, list[bytes]]]:
        """Of a text file of few rows, whose texts may be quoted: each line is a row, whatever is in it."""
        described = self.source.description.table(self._name)
        assert described is not None
        names = columns_of(self._path, described, self.source, self._name)
        encoding, separator = encoding_of(self._path, described), described.separator or ","
        for part in self._parts():
            text = _content(part).decode(encoding, errors="replace").removeprefix("\ufeff")
            lines = [line for line in LINE_END.split(text) if line.strip()][int(described.header or 0) :]
            rows = [_fields(line, separator, described.quote) for line in lines]
            good = [row for row in rows if row is not None and len(row) == len(names)]
            bad = [line for line, row in zip(lines, rows, strict=True) if row is None or len(row) != len(names)]
            columns = [pa.array([row[place].encode() for row in good], pa.binary()) for place in range(len(names))]
            yield pa.table(columns, names), [line.encode() for line in bad]

    def _ratings(self) -> Iterator[tuple[pa.Table, list[bytes]]]:
        """Of a text file of many rows without texts: by Arrow."""
        described = self.source.description.table(self._name)
        assert described is not None
        names = columns_of(self._path, described, self.source, self._name)
        separator, malformed = described.separator or ",", list[bytes]()

        def set_aside(row: pyarrow.csv.InvalidRow) -> str:
            text = row.text.replace(UNIT_SEPARATOR.decode(), separator)
            if text.strip():  # else an empty line
                malformed.append(text.encode())
            return "skip"

        encoding = encoding_of(self._path, described)
        for part in self._parts():
            reader = pyarrow.csv.open_csv(
                _single_separator(part, separator),
                pyarrow.csv.ReadOptions(
                    column_names=names, skip_rows=int(described.header or 0), encoding=encoding, block_size=BLOCK_BYTES
                ),
                pyarrow.csv.ParseOptions(
                    delimiter=separator if len(separator) == 1 else UNIT_SEPARATOR.decode(),
                    quote_char=False,
                    invalid_row_handler=set_aside,
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False, check_utf8=False
                ),
            )
            for batch in reader:
                table = pa.Table.from_batches([batch])
                yield _unquoted(table, described.quote) if described.quote else table, malformed[:]
                malformed.clear()
        if malformed:
            yield pa.table({name: pa.array([], pa.binary()) for name in names}), malformed[:]

    def _other(self) -> Iterator[tuple[pa.Table, list[bytes]]]:
        found = pyarrow.dataset.dataset(self._parts(), format=self.source.description.format)
        for batch in found.to_batches():
            table = pa.Table.from_batches([batch])
            texts = {field.name: _as_bytes(table[field.name]) for field in table.schema}
            yield pa.table(texts), []


def _fields(line: str, separator: str, quote: str | None) -> list[str] | None:
    """The fields of a line; None where a quote is not one around a whole field, or doubled within."""
    if not quote or quote not in line:
        return line.split(separator)
    one, own = re.escape(separator), re.escape(quote)
    field = rf"(?:{own}((?:[^{own}]|{own}{own})*){own}|([^{own}{one}]*))"
    if not re.fullmatch(rf"{field}(?:{one}{field})*", line):
        return None
    found = re.finditer(rf"(?:^|{one}){field}", line)
    return [each[1].replace(quote * 2, quote) if each[1] is not None else each[2] for each in found]


def _unquoted(table: pa.Table, quote: str) -> pa.Table:
    """The fields without quotes around them; quotes elsewhere stay, so that one that is never closed hides no row."""
    pattern = rf"^{re.escape(quote)}([^{re.escape(quote)}]*){re.escape(quote)}$"
    fields = [pc.replace_substring_regex(column, pattern, r"\1") for column in table.columns]
    return pa.table(fields, table.column_names)


def _content(part: str) -> bytes:
    with pa.input_stream(part, compression="detect") as file:
        return file.read()


def _single_separator(part: str, separator: str) -> Any:
    """The file, or its content with a separator of one character."""
    if len(separator) == 1:
        return part
    return io.BytesIO(_content(part).replace(separator.encode(), UNIT_SEPARATOR))


def _with_roles(name: Table, texts: dict[str, Any], records: pa.ChunkedArray) -> pa.Table:
    nothing = pa.nulls(len(records), pa.binary())
    return pa.table({**{role: texts.get(role, nothing) for role in ROLES[name]}, RECORD: records})


def _records(rows: pa.Table, separator: str | None) -> pa.ChunkedArray:
    if not rows.num_columns:
        return pa.chunked_array([], pa.binary())
    columns = [pc.fill_null(column, b"") for column in rows.columns]
    return pc.binary_join_element_wise(*columns, (separator or ",").encode())


def _as_bytes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type):
        texts = [None if each is None else LIST_SEPARATOR.join(map(str, each)) for each in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())]).cast(pa.binary())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us"), safe=False)
    return column.cast(pa.string()).cast(pa.binary())
