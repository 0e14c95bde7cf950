"""A pandas table in one Parquet file, whose preview may hold lists."""

from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from movie_recs.datasets.previews import preview_table


class PandasTable(ParquetDataset):
    """`ParquetDataset` with a preview of text: a list in a cell of its own preview ends `kedro viz build`."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, as kedro-viz shows them."""
        return preview_table(str(self._get_load_path()), self._fs, "parquet", nrows)
