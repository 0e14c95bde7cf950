"""The origin of a run's data: its name, whether it is synthetic, and the SHA-256 of each raw file."""

import hashlib
from typing import Any

import fsspec
from kedro.io import AbstractDataset, DatasetError

from movie_recs.data.schemas import RAW_HEADERS

SYNTHETIC_MARKER = "synthetic.json"


class RawFilesDataset(AbstractDataset[None, dict[str, Any]]):
    """`{name, synthetic, sha256: {file: hex}}` of a folder of raw CSV files; a file's parts are hashed in order."""

    def __init__(self, *, filepath: str, name: str, metadata: dict[str, Any] | None = None) -> None:
        """`filepath` is the folder, `name` the name of the data set."""
        self.metadata = metadata
        self._name = name
        self._fs, self._path = fsspec.core.url_to_fs(filepath.replace("s3a://", "s3://"))

    def _load(self) -> dict[str, Any]:
        return {
            "name": self._name,
            "synthetic": self._fs.exists(f"{self._path}/{SYNTHETIC_MARKER}"),
            "sha256": {f"{file}.csv": self._sha256(f"{self._path}/{file}.csv") for file in RAW_HEADERS},
        }

    def _save(self, data: None) -> None:  # noqa: ARG002 - required by the base class
        raise DatasetError("raw files are read-only")

    def _exists(self) -> bool:
        return self._fs.isdir(self._path)

    def _sha256(self, path: str) -> str:
        digest = hashlib.sha256()
        for part in sorted(self._fs.glob(f"{path}/*.csv")) or [path]:
            with self._fs.open(part, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._path, "name": self._name}
