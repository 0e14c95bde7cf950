"""The file of finished trials as a catalog entry."""

from typing import Any

from kedro.io import AbstractDataset, DatasetError

from movie_recs.data.sources.reading import file_system_of
from movie_recs.tuning.trial_log import TrialLog


class TrialLogDataset(AbstractDataset[None, TrialLog]):
    """Loads a `TrialLog`, empty if there is no file yet; cross-validation appends to it while its trials run."""

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is a file of JSON lines."""
        self.metadata = metadata
        self._fs, self._path = file_system_of(filepath)

    def _load(self) -> TrialLog:
        return TrialLog(self._fs, self._path)

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("cross-validation itself appends finished trials")

    def _exists(self) -> bool:
        return True  # without a file, no trial is finished

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path}
