"""A Spark table that is replaced only by a complete one, is looked for without a JVM, and has a preview."""

from typing import Any

import pandas as pd
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils.spark_utils import get_spark_filesystem
from kedro_datasets.spark import SparkDatasetV2
from pyspark.sql import DataFrame


class SparkTable(SparkDatasetV2):
    """`SparkDatasetV2`, written beside its place and then moved there.

    Spark's own overwrite deletes the old table before it computes the new one, so that a run that dies in between
    leaves none. Here the old table stands until the new one is complete.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fs = get_spark_filesystem(self._protocol, self._credentials)

    def _load(self) -> DataFrame:
        self._restore()
        return super()._load()

    def _save(self, data: DataFrame | pd.DataFrame) -> None:
        self._restore()
        staged, replaced = f"{self._path}.staged", f"{self._path}.replaced"
        SparkDatasetV2(
            filepath=f"{self._original_filepath}.staged",
            file_format=self._file_format,
            save_args={**self._save_args, "mode": "overwrite"},
            credentials=self._credentials,
        ).save(data)
        self._remove(replaced)
        if self._fs.exists(self._path):
            self._fs.mv(self._path, replaced, recursive=True)
        self._fs.mv(staged, self._path, recursive=True)
        self._remove(replaced)

    def _exists(self) -> bool:
        self._restore()
        return self._fs.exists(self._path)

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows of a Parquet table, read without Spark, as kedro-viz shows them."""
        from pyarrow import dataset

        table = dataset.dataset(self._path, filesystem=self._fs, format=self._file_format)
        return TablePreview(table.head(nrows).to_pandas().astype(str).to_dict(orient="split"))

    def _restore(self) -> None:
        """Puts the old table back where a run died after it had moved it away, and before the new one was moved in."""
        replaced = f"{self._path}.replaced"
        if not self._fs.exists(self._path) and self._fs.exists(replaced):
            self._fs.mv(replaced, self._path, recursive=True)

    def _remove(self, path: str) -> None:
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
