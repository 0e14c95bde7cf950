"""Tables of a source as rows of text: one column for each role, and what is needed to say why a row is bad."""

import codecs
import csv
import logging
import re
from collections.abc import Iterator
from typing import Any

import fsspec
from fsspec import AbstractFileSystem
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType

from movie_recs.data.schemas import RAW_HEADERS, TIME, RawFile
from movie_recs.data.sources.description import Column, ItemsDescription, Table, TableDescription
from movie_recs.data.sources.layouts import OWN, Source
from movie_recs.data.spark_tables import no_rows
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

MALFORMED = "malformed"  # of a text file: the whole line if it has too many or too few fields
RECORD, REASON = "record", "reason"
ROLES: dict[Table, tuple[str, ...]] = {
    "ratings": ("user", "item", "rating", "time"),
    "items": ("item", "title", "year", "genres", "imdb", "tmdb"),
    "tags": ("user", "item", "tag", "time"),
    "links": ("item", "imdb", "tmdb"),
}
NEEDED: tuple[Table, ...] = ("ratings", "items")  # an empty file of another table is one without rows
GROUPLENS_NAMES: dict[Table, RawFile] = {"ratings": "ratings", "items": "movies", "tags": "tags", "links": "links"}
LIST_SEPARATOR = "|"  # between the genres of a row
HEAD_BYTES = 1 << 16  # of a file's beginning, in which its first line ends
ENCODING_BYTES = 1 << 26  # of a file, from which its encoding is found
MOST_FIELDS = 1_000_000  # of a line; Spark's reader stops the run at a line of more than its own limit, 20,480
LINE_END = re.compile(r"\r\n|\n|\r")  # as Spark reads; str.splitlines has others, which a title may contain
NO_QUOTE = "\uffff"  # no character; Spark's own choice, NUL, is lost where a damaged file has it
FALLBACK = "ISO-8859-1"  # every byte is a character in it


def file_system_of(path: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a path or URL as Spark writes it, and the path in it."""
    return fsspec.core.url_to_fs(path.replace("s3a://", "s3://"))


def file_name(source: Source, name: Table) -> str:
    """The name of a table's file for messages."""
    table = source.description.table(name)
    return name if table is None or table.file is None else table.file


def read_table(spark: SparkSession, folder: str, source: Source, name: Table, file: str | None = None) -> DataFrame:
    """A table of the source as its file has it, all fields as text; without such a table no rows.

    Args:
        spark: The session.
        folder: The data set's folder, a path or URL that both Spark and fsspec can open.
        source: The source.
        name: Which of its tables.
        file: Another file that is written like it.

    Returns:
        The columns of the file, of a text file without a header `_1`, `_2` ..., and of text files `malformed`.

    Raises:
        UserError: The file is needed and empty, cannot be read, or its first line is not the header of GroupLens' file.
    """
    table = source.description.table(name)
    if table is None or (file or table.file) is None:
        return no_rows(spark, ", ".join(f"`{role}` string" for role in ROLES[name]))
    path = f"{folder}/{file or table.file}"
    if source.description.format == "parquet":
        _check_parquet(path, file or table.file)
        return spark.read.parquet(path)
    if source.description.format == "json":
        fields = ", ".join(f"`{column}` string" for column in table.columns().values())
        return spark.read.json(path, schema=f"{fields}, {MALFORMED} string", columnNameOfCorruptRecord=MALFORMED)
    names, encoding = columns_of(path, table, source, name), encoding_of(path, table)
    quote = table.quote or NO_QUOTE
    options: dict[str, Any] = {
        "sep": table.separator, "header": table.header, "encoding": encoding, "maxColumns": MOST_FIELDS,
        "quote": quote, "escape": quote, "charToEscapeQuoteEscaping": quote,
        "columnNameOfCorruptRecord": MALFORMED, "columnPruning": False,
    }  # fmt: skip
    schema = ", ".join(f"`{column.replace('`', '``')}` string" for column in (*names, MALFORMED))
    return spark.read.schema(schema).options(**options).csv(path)


def read_rows(folder: str, source: Source, name: Table, rows: int) -> dict[str, list[Any]]:
    """{index, columns, data} of the first rows of a table, read without Spark."""
    table = source.description.table(name)
    if table is None or table.file is None:
        return {"index": [], "columns": list(ROLES[name]), "data": []}
    path = f"{folder}/{table.file}"
    if source.description.format == "csv":
        head = (
            b"".join(_blocks(path, HEAD_BYTES))
            .decode(encoding_of(path, table), errors="replace")
            .removeprefix("\ufeff")
        )
        lines = [_split(line, table) for line in LINE_END.split(head)[: rows + 1] if line]
        columns = lines.pop(0) if table.header and lines else list(table.columns())
        data = lines[:rows]
    else:
        from pyarrow import dataset

        filesystem, place = file_system_of(path)
        found = dataset.dataset(place, filesystem=filesystem, format=source.description.format).head(rows)
        columns, data = found.column_names, [[str(each) for each in row.values()] for row in found.to_pylist()]
    return {"index": list(range(len(data))), "columns": columns, "data": data}


def text_rows(raw: DataFrame, source: Source, name: Table) -> DataFrame:
    """The rows with a text column for each role of the table, null where the source has none; `record`; `reason`.

    `record` is the row as it was written, `reason` why it cannot be read, null if it can.

    Args:
        raw: Result of `read_table`, or any table with the described columns.
        source: The source.
        name: Which of its tables.

    Raises:
        UserError: A described column is not there.
    """
    table = source.description.table(name)
    if table is None:
        roles = [F.lit(None).cast("string").alias(role) for role in (*ROLES[name], RECORD, REASON)]
        return raw.limit(0).select(*roles)
    columns = table.columns()
    if "time" in columns and table.file and source.layout != OWN and columns["time"] == TIME not in raw.columns:
        del columns["time"]  # the one column that GroupLens' files may lack
    flags = table.flags if isinstance(table, ItemsDescription) else {}
    _check_columns(raw, [*columns.values(), *flags.values()], source, name)
    texts = {role: _as_text(raw, name_of(column)) for role, column in columns.items()}
    if flags:
        chosen = (F.when(F.trim(_quoted(name_of(column))) == "1", genre) for genre, column in flags.items())
        texts["genres"] = F.concat_ws(LIST_SEPARATOR, *chosen)
    elif isinstance(table, ItemsDescription) and "genres" in texts:
        texts["genres"] = _as_list(raw, name_of(columns["genres"]), table.genre_separator)
    if table.decimal == "," and "rating" in texts:
        texts["rating"] = F.replace(texts["rating"], F.lit(","), F.lit("."))
    written = [F.coalesce(_as_text(raw, each), F.lit("")) for each in raw.columns if each != MALFORMED]
    record = F.concat_ws(table.separator or ",", *written)
    malformed = F.col(MALFORMED) if MALFORMED in raw.columns else F.lit(None).cast("string")
    return raw.select(
        *(texts.get(role, F.lit(None).cast("string")).alias(role) for role in ROLES[name]),
        F.coalesce(malformed, record).alias(RECORD),
        F.when(malformed.isNotNull(), f"the row has not {len(written)} fields").alias(REASON),
    )


def column_names(source: Source, name: Table) -> dict[str, str]:
    """The column of each role that the table has, for messages."""
    table = source.description.table(name)
    columns = {} if table is None else table.columns()
    return {role: f"column {column}" if isinstance(column, int) else column for role, column in columns.items()}


def find_encoding(path: str) -> str:
    """UTF-8, or ISO-8859-1 for a file whose bytes beyond ASCII are mostly not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    good = bad = 0
    for block in _blocks(path, ENCODING_BYTES):
        if block.isascii():
            continue
        text = decoder.decode(block)
        wrong = text.count("\ufffd")
        bad, good = bad + wrong, good + len(text) - sum(map(str.isascii, text)) - wrong
    return FALLBACK if bad > good else "UTF-8"


def encoding_of(path: str, table: TableDescription) -> str:
    """The encoding of a text file: as described, else found, which is logged if it is not UTF-8."""
    if table.encoding:
        return table.encoding
    found = find_encoding(path)
    if found != "UTF-8":
        logger.info("%s is not UTF-8, so it is read as %s.", table.file, found)
    return found


def _blocks(path: str, most: int) -> Iterator[bytes]:
    """The first bytes of a file, or of the files in a folder."""
    filesystem, place = file_system_of(path)
    parts = sorted(filesystem.glob(f"{place}/[!_.]*")) if filesystem.isdir(place) else [place]
    for part in parts:
        with filesystem.open(part, "rb", compression="infer") as file:
            while most > 0 and (block := file.read(min(most, 1 << 20))):
                most -= len(block)
                yield block


def _check_parquet(path: str, name: str | None) -> None:
    """Raises a UserError for what is no Parquet file, of which Spark's error is hundreds of lines long."""
    from pyarrow import ArrowException, dataset

    filesystem, place = file_system_of(path)
    try:
        dataset.dataset(place, filesystem=filesystem, format="parquet")
    except (ArrowException, OSError) as error:
        raise UserError(f"{name} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def columns_of(path: str, table: TableDescription, source: Source, name: Table) -> list[str]:
    """The names of a text file's columns.

    Raises:
        UserError: It is needed and empty, or its first line is not the header of GroupLens' file.
    """
    try:
        head = b"".join(_blocks(path, HEAD_BYTES))
        first = head.decode(table.encoding or "utf-8", errors="replace").removeprefix("\ufeff").lstrip("\r\n")
    except (LookupError, OSError, EOFError) as error:
        raise UserError(f"{table.file} cannot be read: {error}.") from error
    line = LINE_END.split(first, 1)[0]
    if not line:
        if name in NEEDED:
            raise UserError(f"{table.file} is empty: replace it with a complete file.")
        return [name_of(column) for column in table.columns().values()]
    fields = _split(line, table)
    if not table.header:
        return [f"_{place}" for place in range(1, len(fields) + 1)]
    if source.layout != OWN:
        header = RAW_HEADERS[GROUPLENS_NAMES[name]]
        if tuple(fields) not in (header, tuple(each for each in header if each != TIME)):
            raise UserError(
                f"{table.file} begins with {line!r} instead of the header {','.join(header)!r}: check that it is "
                f"MovieLens' {table.file}, or describe your own files and columns under `source` in the parameters."
            )
    return fields


def _split(line: str, table: TableDescription) -> list[str]:
    separator = table.separator or ","
    if len(separator) > 1 or not table.quote:
        return line.split(separator)
    return next(csv.reader([line], delimiter=separator, quotechar=table.quote))


def _check_columns(raw: DataFrame, columns: list[Column], source: Source, name: Table) -> None:
    there = [column for column in raw.columns if column != MALFORMED]
    missing = [str(column) for column in columns if name_of(column) not in there]
    if not missing:
        return
    table, file = source.description.table(name), file_name(source, name)
    other = next((each for each in (";", "\t", "::", "|", ",") if each in there[0]), None) if len(there) == 1 else None
    if table is not None and other:
        raise UserError(
            f"{file} has one column, {there[0]!r}, so it is not separated by {table.separator!r}: write "
            f"source.separator: {other!r}."
        )
    shown = ", ".join(column if column.isprintable() else repr(column) for column in there)
    raise UserError(f"{file} has no column {' and no '.join(missing)}; its columns are {shown}. Correct source.{name}.")


def name_of(column: Column) -> str:
    """The name of a column in a table that was read; a place counts from 1, as `_1` does."""
    return f"_{column}" if isinstance(column, int) or str(column).isdecimal() else str(column)


def _quoted(name: str) -> SparkColumn:
    return F.col(f"`{name.replace('`', '``')}`")


def _as_text(raw: DataFrame, name: str) -> SparkColumn:
    kind: Any = raw.schema[name].dataType
    if isinstance(kind, ArrayType):
        return F.array_join(_quoted(name).cast("array<string>"), LIST_SEPARATOR)
    return _quoted(name).cast("string")


def _as_list(raw: DataFrame, name: str, separator: str) -> SparkColumn:
    """The names of a list, separated as GroupLens' are; text may also be a JSON list."""
    text = _as_text(raw, name)
    if isinstance(raw.schema[name].dataType, ArrayType):
        return text
    listed = F.array_join(F.from_json(F.trim(text), "array<string>"), LIST_SEPARATOR)
    return F.when(F.trim(text).startswith("["), listed).otherwise(
        F.replace(text, F.lit(separator), F.lit(LIST_SEPARATOR))
    )
