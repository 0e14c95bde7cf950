"""Saved models without Spark: which version is the newest complete one, and what `model.json` holds.

A version is a folder `<name>/<version>/<name>`, written in parts; the marker is written last. `datasets.models` writes
them, and reads them into Spark.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.model.factor_model import Arrays, Rule, feature_matrix, read_arrays
from movie_recs.ranking.rerank.lambdamart import Reranker
from movie_recs.ranking.rules import read_rule

MARKER = "_SUCCESS"
SINCE_FIT = "since_fit"  # key of `data_summary` and of `model.json`: ratings that are new or changed since the fit
TREES, SETTINGS = "trees.txt", "reranker.json"  # of a second stage
ROWS_AT_A_TIME = 2**14


class Version(NamedTuple):
    """A complete version of a model: its `name`, the time when its run began, and its folder."""

    name: str
    folder: Path


class FactorTables(NamedTuple):
    """A `FactorModel` as it is saved: `model.json`, and the tables (id, bias, features) of users and of items."""

    numbers: dict[str, Any]
    users: pa.Table
    items: pa.Table


class SavedModel(NamedTuple):
    """All but the users of a `FactorModel`, in memory; `since_fit` ratings are new or changed since it was fitted."""

    intercept: float
    items: Arrays
    rule: Rule | None
    since_fit: int = 0


def newest_version(folder: Path) -> Version | None:
    """The newest complete version of the model in this folder; None if there is none."""
    found = sorted(folder.glob(f"*/{folder.name}/{MARKER}"), reverse=True)
    return Version(found[0].parents[1].name, found[0].parent) if found else None


def read_model(folder: Path) -> SavedModel:
    """The model in the folder of a version; its movies in float32, as they are saved."""
    numbers = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    items = read_factors(parts(folder / "item_factors"))
    return SavedModel(numbers["intercept"], items, read_rule(numbers), numbers.get(SINCE_FIT, 0))


def parts(table: Path) -> list[Path]:
    """The Parquet files of a table, in order."""
    return sorted(table.glob("*.parquet"))


def read_factors(files: Sequence[Path], zeros: Callable[..., np.ndarray] = np.zeros) -> Arrays:
    """The rows (id, bias, features) in Parquet files, in any order, as `read_arrays` has them; features in float32.

    They are read a batch at a time into their places, which is several times faster than whole.

    Args:
        files: The files.
        zeros: Makes the array of features, from its shape and type.
    """
    ids = np.concatenate([pq.read_table(file, columns=["id"])["id"].to_numpy() for file in files])
    order, rank = np.argsort(ids), None
    places = np.empty(len(ids), np.int64)
    places[order] = np.arange(len(ids))
    bias, features, first = np.zeros(len(ids) + 1), zeros((len(ids) + 1, 0), np.float32), 0
    for file in files:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(ROWS_AT_A_TIME, columns=["bias", "features"]):
                values = feature_matrix(batch["features"])
                if rank is None and len(values):
                    rank = values.shape[1]
                    features = zeros((len(ids) + 1, rank), np.float32)
                rows = places[first : first + len(values)]
                first += len(values)
                if len(rows):
                    features[rows], bias[rows] = values, batch["bias"].to_numpy(zero_copy_only=False)
    if len(ids):
        features[-1], bias[-1] = features[:-1].mean(axis=0, dtype=float), bias[:-1].mean()
    return Arrays(ids[order], bias, features)


def read_reranker(folder: Path) -> Reranker:
    """The second stage in the folder of a version."""
    trees, settings = ((folder / name).read_text(encoding="utf-8") for name in (TREES, SETTINGS))
    return Reranker(trees, **json.loads(settings))


def read_als_items(folder: Path) -> Arrays:
    """The movies of a version of an `ALSModel`, with biases of 0."""
    factors = pq.read_table(folder / "itemFactors", columns=["id", "features"])
    return read_arrays(factors.append_column("bias", pa.array(np.zeros(len(factors), np.float32))), np.float32)
