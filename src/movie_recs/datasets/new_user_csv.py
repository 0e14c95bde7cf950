"""One person's ratings.csv, if a parameter names one."""

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
    """(name, movieId, rating, and timestamp where there is one), all text; without a file, no rows.

    The name is that of the file, without its ending.
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
                f"{', '.join(table.columns)}); write a header as GroupLens does: movieId,rating,timestamp."
            )
        table.insert(0, "name", PurePosixPath(self._filepath).stem)
        return table[[name for name in COLUMNS if name in table]]

    def _save(self, data: None) -> None:  # noqa: ARG002 - a dataset must have it
        raise DatasetError("a person's ratings are only read")

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first `nrows` ratings, as kedro-viz shows them."""
        return TablePreview(self._load().head(nrows).to_dict(orient="split"))

    def _exists(self) -> bool:
        return True  # that a file is missing is said on loading it

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
