"""The origin of a run's data: its name, whether it is synthetic, and the SHA-256 of each raw file."""

import hashlib
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from movie_recs.data.sources.reading import file_system_of
from movie_recs.datasets.source_table import Described, find_source

SYNTHETIC_MARKER = "synthetic.json"


class RawFilesDataset(AbstractDataset[None, dict[str, Any]]):
    """`{name, synthetic, sha256: {file: hex}}` of the files of a source; a file's parts are hashed in order."""

    def __init__(
        self, *, filepath: str, name: str, description: Described, metadata: dict[str, Any] | None = None
    ) -> None:
        """`filepath` is the folder, `name` the name of the data set, `description` the parameter `source`."""
        self.metadata = metadata
        self._name, self._folder, self._description = name, filepath, description
        self._fs, self._path = file_system_of(filepath)

    def _load(self) -> dict[str, Any]:
        description = find_source(self._folder, self._description).description
        tables = (description.table(name) for name in ("ratings", "items", "tags", "links"))
        return {
            "name": self._name,
            "synthetic": self._fs.exists(f"{self._path}/{SYNTHETIC_MARKER}"),
            "sha256": {
                table.file: self._sha256(f"{self._path}/{table.file}") for table in tables if table and table.file
            },
        }

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("raw files are read-only")

    def _exists(self) -> bool:
        return True  # loading says what is missing

    def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        for part in sorted(self._fs.glob(f"{path}/[!_.]*")) or [path]:
            with self._fs.open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path, "name": self._name}
