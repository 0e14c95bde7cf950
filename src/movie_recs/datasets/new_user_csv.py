"""One person's ratings from a CSV file, if a parameter names one: GroupLens', IMDb's or Letterboxd's."""

import io
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from movie_recs.data.rating_exports import GROUPLENS, recognise
from movie_recs.errors import UserError

MOST_BYTES = 50_000_000  # of a file in an archive
MEMBER = "ratings.csv"  # of Letterboxd's archive
HEADERS = "IMDb's (Const,Your Rating), Letterboxd's (Name,Year,Rating) or GroupLens' files (movieId,rating,timestamp)"


class NewUserCsv(AbstractDataset[None, pd.DataFrame]):
    """(name, and the columns of its layout that the file has), all text; no rows if there is no file.

    The name is that of the file, without its suffix. Letterboxd's zip archive will do as well as the file in it.
    """

    def __init__(self, *, filepath: str | None, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is a CSV file with a header, or None."""
        self.metadata = metadata
        self._filepath = filepath

    def _load(self) -> pd.DataFrame:
        if not self._filepath:
            return pd.DataFrame({name: pd.Series(dtype=str) for name in ("name", *GROUPLENS.columns)})
        try:
            with fsspec.open(self._filepath, "rb") as file:
                content = file.read()
            text = (_unzip(content) if content.startswith(b"PK\x03\x04") else content).decode("utf-8-sig")
            table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        except (OSError, ValueError, zipfile.BadZipFile, RuntimeError, EOFError, zlib.error) as error:
            raise UserError(f"recommend.new_user_ratings: {self._filepath} cannot be read: {error}") from error
        layout = recognise(table.columns)
        if layout is None:
            raise UserError(
                f"recommend.new_user_ratings: {self._filepath} has the columns {', '.join(table.columns)}: write one "
                f"of the headers of {HEADERS}."
            )
        table.insert(0, "name", PurePosixPath(self._filepath).stem)
        return table[[name for name in ("name", *layout.columns) if name in table]]

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


def _unzip(content: bytes) -> bytes:
    """The ratings in Letterboxd's archive.

    Raises:
        ValueError: It has none, or they are too large.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if MEMBER not in archive.namelist():
            raise ValueError(f"there is no {MEMBER} in it")
        with archive.open(MEMBER) as file:
            ratings = file.read(MOST_BYTES + 1)
    if len(ratings) > MOST_BYTES:
        raise ValueError(f"{MEMBER} in it is larger than {MOST_BYTES // 10**6} MB")
    return ratings
