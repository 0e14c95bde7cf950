"""A table that Spark has written, or will read, without Spark."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from movie_recs.data.sources.reading import file_system_of
from movie_recs.datasets.previews import preview_table
from movie_recs.datasets.whole_folders import beside, move_whole, remove
from movie_recs.saved_models import MARKER


def write_folder(filesystem: AbstractFileSystem, path: str, table: pa.Table) -> None:
    """Makes a folder with the table in one Parquet file."""
    filesystem.makedirs(path)
    pq.write_table(table, f"{path}/part-00000.parquet", filesystem=filesystem)


class ArrowTable(AbstractDataset[pa.Table, pa.Table]):
    """A folder of Parquet files as one table in memory; as a `SparkTable`, it is replaced only by a whole one.

    Spark reads times of type `timestamp[us, UTC]` as its own.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is the folder, a path or URL."""
        self.metadata = metadata
        self._fs, self._path = file_system_of(filepath)
        self._staged, self._replaced = beside(self._path)

    def _load(self) -> pa.Table:
        folder = self._path if self._fs.exists(self._path) else self._replaced
        return pq.read_table(folder, filesystem=self._fs, coerce_int96_timestamp_unit="us")

    def _save(self, data: pa.Table) -> None:
        remove(self._fs, self._staged)
        write_folder(self._fs, self._staged, data)
        self._fs.touch(f"{self._staged}/{MARKER}")
        move_whole(self._fs, self._staged, self._path)

    def _exists(self) -> bool:
        return self._fs.exists(self._path) or self._fs.exists(self._replaced)

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, for kedro-viz."""
        return preview_table(self._path, self._fs, "parquet", nrows)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}
