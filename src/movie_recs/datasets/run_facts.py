"""Facts of the run for the HTML page and the model card: its times, its machine, and the versions of its packages."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from kedro.io import AbstractDataset, DatasetError, Version

from movie_recs.runtime.energy import joules_since, read_energy
from movie_recs.runtime.needs import describe_peak

PACKAGES = ("movie_recs", "kedro", "pyspark", "numpy", "pandas", "plotly")
SESSION_FORMAT = "%Y-%m-%dT%H.%M.%S.%fZ"  # of Kedro's save versions, which are the time when the session began


class RunFacts(AbstractDataset[None, dict[str, Any]]):
    """`{versions: {name: version}, started: datetime or None, now: datetime, ...}`, times in UTC.

    `started` is when the Kedro session began, which is the first thing `kedro run` does; None outside a session.
    `cores`, `machine` and `memory` are the machine's, the last as text of what the run has needed; `joules` are
    those of its processors since this dataset was made, None where they are not known; `changed` are the
    parameters that differ from the defaults, by their names with dots.
    """

    def __init__(
        self,
        *,
        changed: dict[str, Any] | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """`version` is what Kedro passes to a dataset that is `versioned: true` in the catalog."""
        self.metadata = metadata
        self._changed = changed or {}
        self._energy = read_energy()
        self._version = version

    def _load(self) -> dict[str, Any]:
        return {
            "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
            "started": self._started(),
            "now": datetime.now(UTC),
            "cores": os.cpu_count(),
            "machine": f"{platform.system()} machine, {platform.machine()}",
            "memory": describe_peak(),
            "joules": joules_since(self._energy),
            "changed": self._changed,
        }

    def _started(self) -> datetime | None:
        if self._version is None or self._version.save is None:
            return None
        try:
            return datetime.strptime(self._version.save, SESSION_FORMAT).replace(tzinfo=UTC)
        except ValueError:  # a version that the user has named
            return None

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("the facts of a run are read-only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"packages": PACKAGES}
