"""What a page says of the run that made it: when it began, when it was read, and what it ran on."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from kedro.io import AbstractDataset, DatasetError, Version

PACKAGES = ("movie_recs", "kedro", "pyspark", "numpy", "pandas", "plotly")
SESSION_FORMAT = "%Y-%m-%dT%H.%M.%S.%fZ"  # of Kedro's save versions, which are a session's start


class RunFacts(AbstractDataset[None, dict[str, Any]]):
    """`{versions: {name: version}, started: datetime or None, now: datetime}`, times in UTC.

    `started` is when the Kedro session began, which `kedro run` makes first of all; None outside a session.
    """

    def __init__(self, *, version: Version | None = None, metadata: dict[str, Any] | None = None) -> None:
        """`version` is given by Kedro to what is `versioned: true` in the catalog."""
        self.metadata = metadata
        self._version = version

    def _load(self) -> dict[str, Any]:
        return {
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "started": self._started(),
            "now": datetime.now(UTC),
        }

    def _started(self) -> datetime | None:
        try:
            return datetime.strptime(self._version.save, SESSION_FORMAT).replace(tzinfo=UTC)
        except (AttributeError, TypeError, ValueError):
            return None

    def _save(self, data: None) -> None:  # noqa: ARG002 - a dataset must have it
        raise DatasetError("the facts of a run are only read")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"packages": PACKAGES}
