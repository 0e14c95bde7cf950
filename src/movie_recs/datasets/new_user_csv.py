"""One person's ratings from a CSV file, if a parameter names one."""

from pathlib import PurePosixPath
from typing import Any

import fsspec
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from movie_recs.errors import UserError

NEEDED = ("movieId", "rating")
COLUMNS = ("name", *NEEDED, "timestamp")


class NewUserCsv(AbstractDataset[None, pd.DataFrame]):
    """(name, movieId, rating, and timestamp if the file has it), all text; no rows if there is no file.

    The name is that of the file, without its suffix.
    """

    def __init__(self, *, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is a CSV file with a header, or None."""
        self.metadata = metadata
        self._filepath = filepath

    def _load(self) -> pd.DataFrame:
        if not self._filepath:
            return pd.DataFrame({name: pd.Series(dtype=str) for name in COLUMNS})
        try:
            with fsspec.open(self._filepath, "r", encoding="utf-8-sig") as file:
                table = pd.read_csv(file, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise UserError(f"recommend.new_user_ratings: {self._filepath} cannot be read: {error}") from error
        if missing := [name for name in NEEDED if name not in table]:
            raise UserError(
                f"recommend.new_user_ratings: {self._filepath} has no column {' and no '.join(missing)} (it has "
                f"{', '.join(table.columns)}); write the header of GroupLens' files: movieId,rating,timestamp."
            )
        table.insert(0, "name", PurePosixPath(self._filepath).stem)
        return table[[name for name in COLUMNS if name in table]]

    def check(self) -> None:
        """Reads the file, so that a wrong one is reported before anything starts.

        Raises:
            UserError: It cannot be read, or lacks a column.
        """
        self._load()

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("a person's ratings are read-only")

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` ratings, for kedro-viz."""
        return TablePreview(self._load().head(nrows).to_dict(orient="split"))

    def _exists(self) -> bool:
        return True  # loading reports a missing file

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
