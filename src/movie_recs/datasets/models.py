"""Saved models, each a folder that is ignored until it is complete.

A version of a model is written in parts; the marker `_SUCCESS` is written last, and a version without it is ignored.
So a run that dies while it saves leaves the earlier version in use, on any file system. A model that is complete but
damaged, by a broken disk for example, is found when it is loaded.
"""

import errno
import json
import math
from pathlib import PurePosixPath
from typing import Any, ClassVar, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview
from kedro_datasets._utils.databricks_utils import parse_spark_filepath, to_spark_path
from kedro_datasets._utils.spark_utils import get_spark_filesystem
from pyarrow import dataset
from pyspark.ml.recommendation import ALSModel

from movie_recs.als.spark_ml import AlsFactors
from movie_recs.datasets.arrow_table import write_folder
from movie_recs.datasets.damage import damaged
from movie_recs.datasets.versions import remove_old_versions
from movie_recs.errors import UserError
from movie_recs.model.factor_model import FactorModel
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rules import describe_rule, read_rule
from movie_recs.runtime.spark import spark_session
from movie_recs.saved_models import MARKER, SETTINGS, TREES, FactorTables

Model = TypeVar("Model")


class _ModelDataset(AbstractVersionedDataset[Model, Model]):
    _SINGLE_PROCESS = True
    _TABLES: ClassVar[tuple[str, ...]]  # Parquet tables in the model's folder, of ids and finite numbers

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        keep_versions: int | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """`filepath` is a folder that both Spark and fsspec can access; `credentials` are for fsspec.

        A save leaves `keep_versions` complete versions, None all.
        """
        self.metadata, self._keep = metadata, keep_versions
        self._checked: str | None = None  # a model does not change while a run uses it
        self._protocol, path = parse_spark_filepath(filepath)
        self._fs = get_spark_filesystem(self._protocol, credentials)
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._is_complete,
            glob_function=self._fs.glob,
        )

    def _load(self) -> Model:
        path = str(self._get_load_path())
        try:
            if path != self._checked:
                for table in self._TABLES:
                    self._check_numbers(f"{path}/{table}")
            model = self._read(to_spark_path(self._protocol, path))
            self._checked = path
            return model
        except (ValueError, KeyError, TypeError, OSError) as error:
            if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                raise
            raise UserError(damaged(f"The model in {path}", error)) from error

    def _save(self, model: Model) -> None:
        path = str(self._get_save_path())
        self._checked = None
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
        self._write(model, to_spark_path(self._protocol, path))
        self._fs.touch(f"{path}/{MARKER}")
        if self._version and self._keep:
            needed = {str(each) for each in self._version if each}
            remove_old_versions(self._fs, self._filepath, MARKER, self._keep, needed)

    def _exists(self) -> bool:
        try:
            return self._is_complete(str(self._get_load_path()))
        except DatasetError:
            return False

    def _is_complete(self, path: str) -> bool:
        return self._fs.exists(f"{path}/{MARKER}")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}

    def _check_numbers(self, path: str) -> None:
        """Raises a ValueError if a number of a table is infinite, missing or none; reads it without Spark."""
        for batch in dataset.dataset(path, filesystem=self._fs, format="parquet").to_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                values = column.flatten() if pa.types.is_list(column.type) else column
                if values.null_count or not np.isfinite(values.to_numpy(zero_copy_only=False)).all():
                    raise ValueError(f"{name} in {path.rsplit('/', 1)[-1]} has a value that is no finite number")

    def _read(self, path: str) -> Model:
        raise NotImplementedError

    def _write(self, model: Model, path: str) -> None:
        raise NotImplementedError


class ALSModelDataset(_ModelDataset[ALSModel | AlsFactors]):
    """An `ALSModel`, in Spark ML's own format: `ALSModel.load(path)` reads it without this project."""

    _TABLES = ("userFactors", "itemFactors")

    def _read(self, path: str) -> ALSModel:
        spark_session()  # Spark ML uses the active session
        return ALSModel.load(path)

    def _write(self, model: ALSModel | AlsFactors, path: str) -> None:
        model.save(path)


class _FactorDataset(_ModelDataset[Model]):
    """A factor model: Parquet tables `user_factors` and `item_factors`, and the rest in `model.json`."""

    _TABLES = ("user_factors", "item_factors")

    def preview(self) -> JSONPreview:
        """Everything but the vectors, for kedro-viz."""
        return JSONPreview(json.dumps(self._read_numbers()))

    def _read_numbers(self) -> dict[str, Any]:
        with self._fs.open(f"{self._get_load_path()}/model.json") as file:
            return json.load(file)

    def _write_numbers(self, numbers: dict[str, Any]) -> None:
        with self._fs.open(f"{self._get_save_path()}/model.json", "w") as file:
            json.dump(numbers, file)


class FactorModelDataset(_FactorDataset[FactorModel]):
    """A `FactorModel` in Spark."""

    def _read(self, path: str) -> FactorModel:
        spark = spark_session()
        numbers = self._read_numbers()
        if not math.isfinite(numbers["intercept"]):
            raise ValueError("the intercept is no finite number")
        users, items = (spark.read.parquet(f"{path}/{side}_factors") for side in ("user", "item"))
        return FactorModel(numbers["intercept"], users, items, read_rule(numbers))

    def _write(self, model: FactorModel, path: str) -> None:
        model.users.write.parquet(f"{path}/user_factors")
        model.items.write.parquet(f"{path}/item_factors")
        self._write_numbers({"intercept": model.intercept, **describe_rule(model.rule)})


class FactorTablesDataset(_FactorDataset[FactorTables]):
    """What `FactorModelDataset` saves and loads, in memory and without Spark."""

    def _read(self, path: str) -> FactorTables:  # noqa: ARG002 - in the form that Spark takes
        folder = str(self._get_load_path())
        return FactorTables(
            self._read_numbers(),
            *(pq.read_table(f"{folder}/{side}_factors", filesystem=self._fs) for side in ("user", "item")),
        )

    def _write(self, model: FactorTables, path: str) -> None:  # noqa: ARG002 - in the form that Spark takes
        folder = str(self._get_save_path())
        for side, table in (("user", model.users), ("item", model.items)):
            write_folder(self._fs, f"{folder}/{side}_factors", table)
        self._write_numbers(model.numbers)


class RerankerDataset(_ModelDataset[Reranker]):
    """A `Reranker`: LightGBM's own text, `trees.txt`, and the rest in `reranker.json`."""

    _TABLES = ()

    def preview(self) -> JSONPreview:
        """Everything but the trees, for kedro-viz."""
        return JSONPreview(self._text(SETTINGS))

    def _read(self, path: str) -> Reranker:  # noqa: ARG002 - fsspec reads it
        return Reranker(self._text(TREES), **json.loads(self._text(SETTINGS)))

    def _text(self, name: str) -> str:
        with self._fs.open(f"{self._get_load_path()}/{name}", "r", encoding="utf-8") as file:
            return file.read()

    def _write(self, model: Reranker, path: str) -> None:  # noqa: ARG002 - the same
        settings = model._asdict()
        texts = {TREES: settings.pop("trees"), SETTINGS: json.dumps(settings)}
        self._fs.makedirs(str(self._get_save_path()), exist_ok=True)
        for name, text in texts.items():
            with self._fs.open(f"{self._get_save_path()}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
