"""A source as it was described, and each of its tables as rows of text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from pyspark.sql import DataFrame

from movie_recs.data.sources.description import SourceDescription, Table
from movie_recs.data.sources.layouts import Source, resolve
from movie_recs.data.sources.plain import PlainTable
from movie_recs.data.sources.reading import file_system_of, read_rows, read_table
from movie_recs.errors import UserError
from movie_recs.runtime.spark import spark_session

Described = Mapping[str, Any]
Loaded = TypeVar("Loaded")


def find_source(folder: str, description: Described) -> Source:
    """The source in a folder, a path or URL; its files are listed, not read."""
    filesystem, path = file_system_of(folder)
    files = filesystem.ls(path, detail=False) if filesystem.isdir(path) else []
    return resolve(SourceDescription.model_validate(description), {file.rsplit("/", 1)[-1] for file in files})


class SourceDataset(AbstractDataset[None, Source]):
    """The `Source` in a folder: its tables, their files and columns."""

    def __init__(self, *, filepath: str, description: Described, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is the folder, `description` the parameter `source`."""
        self.metadata = metadata
        self._filepath, self._description = filepath, description

    def _load(self) -> Source:
        return find_source(self._filepath, self._description)

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("a source is read-only")

    def _exists(self) -> bool:
        return True  # loading says what is missing

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "description": self._description}


class _TableDataset(AbstractDataset[None, Loaded]):
    """A table of a source, which is only read."""

    def __init__(
        self,
        *,
        filepath: str,
        table: Table,
        description: Described,
        file: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """`filepath` is the folder; `file` another file that is written like the table's own."""
        self.metadata = metadata
        self._filepath, self._table, self._description, self._file = filepath, table, description, file

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("raw files are read-only")

    def _exists(self) -> bool:
        return True  # loading says what is missing, and a table may be

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "table": self._table, "description": self._description, "file": self._file}


class SourceTable(_TableDataset[DataFrame]):
    """A table of a source with the columns of its file, all text; without rows if the source has no such table."""

    def _load(self) -> DataFrame:
        source = find_source(self._filepath, self._description)
        return read_table(spark_session(), self._filepath, source, self._table, self._file)

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, for kedro-viz; read without Spark."""
        source = find_source(self._filepath, self._description)
        return TablePreview(read_rows(self._filepath, source, self._table, nrows))


class PlainTableDataset(_TableDataset[PlainTable]):
    """A table of a source, to be read without Spark; arguments as of `SourceTable`, but that `file` is a path."""

    def _load(self) -> PlainTable:
        source = find_source(self._filepath, self._description)
        table = source.description.table(self._table)
        own = f"{self._filepath}/{table.file}" if table and table.file else None
        return PlainTable(self._file or own, source, self._table)

    def check(self) -> None:
        """Looks for the file, so that a missing one is reported before anything starts.

        Raises:
            UserError: There is none.
        """
        if self._file and not Path(self._file).exists():
            raise UserError(f"refresh.ratings: there is no file {self._file}.")
