"""Datasets of one file that a save replaces only by a whole one: a run that dies, or a full disk, leaves the old file.

The file is written beside its place, as `<name>.part`, and moved there when it is complete, which is one step of a
local file system. What a run that died has left beside it is written over by the next.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pandas as pd
from fsspec import AbstractFileSystem
from kedro.io import DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset, ParquetDataset
from kedro_datasets.plotly import JSONDataset as PlotlyJSONDataset
from kedro_datasets.text import TextDataset

from movie_recs.datasets.damage import damaged
from movie_recs.datasets.previews import preview_table
from movie_recs.errors import UserError

# A text that a spreadsheet would run; behind apostrophes too, so that loading takes exactly one away again.
FORMULA, NEUTRALISED = r"^('*[=+\-@\t\r])", r"^'('*[=+\-@\t\r])"


class WholeFiles:
    """A file system whose files, opened to be written, appear when they are complete."""

    def __init__(self, filesystem: AbstractFileSystem):
        self.filesystem = filesystem

    def __getattr__(self, name: str) -> Any:
        """All else is the file system's own."""
        if name == "filesystem" or name.startswith("__"):  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self.filesystem, name)

    @contextmanager
    def open(self, path: str, mode: str = "rb", **options: Any) -> Iterator[IO]:
        """The file, for a `with` statement; an error in it leaves the file as it was."""
        if "w" not in mode:
            with self.filesystem.open(path, mode, **options) as file:
                yield file
            return
        beside = f"{path}.part"
        try:
            with self.filesystem.open(beside, mode, **options) as file:
                yield file
            self.filesystem.mv(beside, path)
        except BaseException:
            if self.filesystem.exists(beside):
                self.filesystem.rm(beside)
            raise


class WholeFile:
    """A mixin before one of Kedro's datasets of one file, which open it by their `_fs`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._fs: Any = WholeFiles(self._fs)

    def load(self) -> Any:
        """What was saved.

        Raises:
            UserError: The file is damaged, by a broken disk or by hand.
        """
        try:
            return super().load()  # type: ignore[misc]
        except DatasetError as error:
            cause = error.__cause__
            if isinstance(cause, ValueError) or (isinstance(cause, OSError) and cause.errno is None):
                raise UserError(damaged(str(self._filepath), cause)) from error  # type: ignore[attr-defined]
            raise


class WholeJson(WholeFile, JSONDataset):
    """`json.JSONDataset`."""


class WholeFigure(WholeFile, PlotlyJSONDataset):
    """`plotly.JSONDataset`."""


class WholeText(WholeFile, TextDataset):
    """`text.TextDataset`."""


class WholeParquet(WholeFile, ParquetDataset):
    """`pandas.ParquetDataset` with a preview as text: with its own, a list in a cell makes `kedro viz build` fail."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` rows, for kedro-viz."""
        return preview_table(str(self._get_load_path()), self._fs.filesystem, "parquet", nrows)


class WholeCsv(WholeFile, CSVDataset):
    """`pandas.CSVDataset`, of whose texts none is a formula in the file.

    A text that begins with one of `= + - @`, a tab or a carriage return gets an apostrophe before it, as OWASP advises
    (CSV Injection).
    """

    def save(self, data: pd.DataFrame) -> None:
        """Writes the table; its texts are neutralised in the file alone."""
        super().save(_replace(data, FORMULA, r"'\1"))

    def load(self) -> pd.DataFrame:
        """The table with its texts as they were."""
        return _replace(super().load(), NEUTRALISED, r"\1")


def _replace(table: pd.DataFrame, pattern: str, by: str) -> pd.DataFrame:
    texts = [str(name) for name in table.select_dtypes(["object", "string"])]
    return table.assign(**{name: table[name].replace(pattern, by, regex=True) for name in texts})
