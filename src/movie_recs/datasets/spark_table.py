"""A Spark table that only a complete one replaces; it is found and previewed without Spark."""

from typing import Any

import pandas as pd
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils.databricks_utils import to_spark_path
from kedro_datasets._utils.spark_utils import get_spark_filesystem
from kedro_datasets.spark import SparkDatasetV2
from pyspark.sql import DataFrame

from movie_recs.datasets.previews import preview_table
from movie_recs.datasets.whole_folders import beside, move_whole
from movie_recs.runtime.spark import spark_session


class SparkTable(SparkDatasetV2):
    """`SparkDatasetV2` that writes to a temporary place and then moves the table to its own.

    Spark's overwrite deletes the old table before it computes the new one, so a run that dies in between loses both.
    Here the old table stays until the new one is complete.

    The schema of what was saved or loaded last is kept, so that the next load needs no Spark job to find it.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._fs = get_spark_filesystem(self._protocol, self._credentials)
        self._staged, self._replaced = beside(self._path)

    def _load(self) -> DataFrame:
        spark_session()  # the base class uses the session that exists
        if not self._fs.exists(self._path) and self._fs.exists(self._replaced):
            return self._beside(self._replaced).load()
        table = super()._load()
        self._schema = table.schema
        return table

    def _save(self, data: DataFrame | pd.DataFrame) -> None:
        spark_session()
        self._beside(self._staged).save(data)
        self._schema = data.schema if isinstance(data, DataFrame) else None
        move_whole(self._fs, self._staged, self._path)

    def _exists(self) -> bool:
        # A run that dies between the two moves of a save leaves the old table under its other name.
        return self._fs.exists(self._path) or self._fs.exists(self._replaced)

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, for kedro-viz; read without Spark."""
        return preview_table(self._path, self._fs, self._file_format, nrows)

    def _beside(self, path: str) -> SparkDatasetV2:
        return SparkDatasetV2(
            filepath=to_spark_path(self._protocol, path),
            file_format=self._file_format,
            save_args={**self._save_args, "mode": "overwrite"},
            credentials=self._credentials,
        )
