"""Previews of tables for kedro-viz: the first rows as text, read without Spark."""

from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem
from kedro_datasets._typing import TablePreview


def preview_table(path: str, filesystem: AbstractFileSystem, file_format: str, rows: int) -> TablePreview:
    """The first `rows` rows of a file or a folder of files, in any format that Arrow can read."""
    from pyarrow import dataset

    table = dataset.dataset(path, filesystem=filesystem, format=file_format).head(rows)
    data = [[_text(value) for value in row.values()] for row in table.to_pylist()]
    return TablePreview({"index": list(range(len(data))), "columns": table.column_names, "data": data})


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(round(value, 6) if isinstance(value, float) else value)
