"""What the service would answer from now: the newest models and tables, read without Spark."""

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from movie_recs.errors import UserError
from movie_recs.project import PROJECT
from movie_recs.serve.places import Places
from movie_recs.serve.snapshot import Snapshot, load_snapshot


class SnapshotDataset(AbstractDataset[None, Snapshot]):
    """A `Snapshot` of a data set, read when it is loaded."""

    def __init__(self, *, data_dir: str, dataset: str, metadata: dict[str, Any] | None = None) -> None:
        """`data_dir` is the root of what runs write, a local folder."""
        self.metadata = metadata
        self._data_dir, self._dataset = data_dir, dataset

    def _load(self) -> Snapshot:
        self.check()
        return load_snapshot(Places(PROJECT / self._data_dir, self._dataset))

    def check(self) -> None:
        """Stops a run that could not load it.

        Raises:
            UserError: The folder is remote.
        """
        if "://" in self._data_dir:
            raise UserError(f"refresh needs a local or mounted folder of results, and not {self._data_dir}.")

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("a snapshot is read-only")

    def _exists(self) -> bool:
        return Path(PROJECT / self._data_dir).exists()

    def _describe(self) -> dict[str, Any]:
        return {"data_dir": self._data_dir, "dataset": self._dataset}
