"""Saved models, each a folder that is ignored until it is complete.

A version of a model is written in parts; the marker `_SUCCESS` is written last, and a version without it is ignored.
So a run that dies while it saves leaves the earlier version in use, on any file system.
"""

import json
from pathlib import PurePosixPath
from typing import Any, TypeVar

from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import JSONPreview
from kedro_datasets._utils.databricks_utils import parse_spark_filepath, to_spark_path
from kedro_datasets._utils.spark_utils import get_spark_filesystem
from pyspark.ml.recommendation import ALSModel

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.als.spark_ml import AlsFactors
from movie_recs.bayes.rule import PosteriorRule
from movie_recs.model.factor_model import FactorModel, Rule
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.runtime.spark import spark_session

MARKER = "_SUCCESS"
Model = TypeVar("Model")


class _ModelDataset(AbstractVersionedDataset[Model, Model]):
    _SINGLE_PROCESS = True

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """`filepath` is a folder that both Spark and fsspec can access; `credentials` are for fsspec."""
        self.metadata = metadata
        self._protocol, path = parse_spark_filepath(filepath)
        self._fs = get_spark_filesystem(self._protocol, credentials)
        super().__init__(
            filepath=PurePosixPath(path),
            version=version,
            exists_function=self._is_complete,
            glob_function=self._fs.glob,
        )

    def _load(self) -> Model:
        return self._read(to_spark_path(self._protocol, str(self._get_load_path())))

    def _save(self, model: Model) -> None:
        path = str(self._get_save_path())
        if self._fs.exists(path):
            self._fs.rm(path, recursive=True)
        self._write(model, to_spark_path(self._protocol, path))
        self._fs.touch(f"{path}/{MARKER}")

    def _exists(self) -> bool:
        try:
            return self._is_complete(str(self._get_load_path()))
        except DatasetError:
            return False

    def _is_complete(self, path: str) -> bool:
        return self._fs.exists(f"{path}/{MARKER}")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}

    def _read(self, path: str) -> Model:
        raise NotImplementedError

    def _write(self, model: Model, path: str) -> None:
        raise NotImplementedError


class ALSModelDataset(_ModelDataset[ALSModel | AlsFactors]):
    """An `ALSModel`, in Spark ML's own format: `ALSModel.load(path)` reads it without this project."""

    def _read(self, path: str) -> ALSModel:
        spark_session()  # Spark ML uses the active session
        return ALSModel.load(path)

    def _write(self, model: ALSModel | AlsFactors, path: str) -> None:
        model.save(path)


class FactorModelDataset(_ModelDataset[FactorModel]):
    """A `FactorModel`: Parquet tables `user_factors` and `item_factors`, and the rest in `model.json`."""

    def preview(self) -> JSONPreview:
        """Everything but the vectors, for kedro-viz."""
        return JSONPreview(json.dumps(self._read_numbers()))

    def _read(self, path: str) -> FactorModel:
        spark = spark_session()
        numbers = self._read_numbers()
        users, items = (spark.read.parquet(f"{path}/{side}_factors") for side in ("user", "item"))
        return FactorModel(numbers["intercept"], users, items, _read_rule(numbers))

    def _read_numbers(self) -> dict[str, Any]:
        with self._fs.open(f"{self._get_load_path()}/model.json") as file:
            return json.load(file)

    def _write(self, model: FactorModel, path: str) -> None:
        model.users.write.parquet(f"{path}/user_factors")
        model.items.write.parquet(f"{path}/item_factors")
        with self._fs.open(f"{self._get_save_path()}/model.json", "w") as file:
            json.dump({"intercept": model.intercept, **_describe_rule(model.rule)}, file)


def _describe_rule(rule: Rule | None) -> dict[str, Any]:
    """The rule as JSON: `ridges` in their order, `posterior` of a Bayesian model, or `folding` of a ranking model."""
    if isinstance(rule, PosteriorRule):
        return {"posterior": rule._asdict()}
    if isinstance(rule, PreferenceRule):
        return {"folding": {**rule._asdict(), "weights": rule.weights.model_dump()}}
    return {"ridges": [ridge._asdict() for ridge in rule.ridges] if isinstance(rule, RidgeRule) else []}


def _read_rule(numbers: dict[str, Any]) -> Rule | None:
    if posterior := numbers.get("posterior"):
        nested = {name: tuple(map(tuple, posterior[name])) for name in ("precision", "weights", "spread")}
        return PosteriorRule(**{**posterior, **nested})
    if folding := numbers.get("folding"):
        return PreferenceRule(**{**folding, "weights": RatingWeights(**folding["weights"])})
    return RidgeRule(tuple(Ridge(**ridge) for ridge in numbers["ridges"])) if numbers["ridges"] else None
