"""A pandas table in one Parquet file, with a preview that can show lists."""

from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from movie_recs.datasets.previews import preview_table


class PandasTable(ParquetDataset):
    """`ParquetDataset` with a preview as text: with its own, a list in a cell makes `kedro viz build` fail."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, for kedro-viz."""
        return preview_table(str(self._get_load_path()), self._fs, "parquet", nrows)
