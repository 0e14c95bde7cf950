"""Saved models without Spark: which version is the newest complete one, and what `model.json` holds.

A version is a folder `<name>/<version>/<name>`, written in parts; the marker is written last. `datasets.models` writes
them, and reads them into Spark.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.model.factor_model import Arrays, Rule, read_arrays
from movie_recs.ranking.rules import read_rule

MARKER = "_SUCCESS"


class Version(NamedTuple):
    """A complete version of a model: its `name`, the time when its run began, and its folder."""

    name: str
    folder: Path


class SavedModel(NamedTuple):
    """All but the users of a `FactorModel`, in memory."""

    intercept: float
    items: Arrays
    rule: Rule | None


def newest_version(folder: Path) -> Version | None:
    """The newest complete version of the model in this folder; None if there is none."""
    found = sorted(folder.glob(f"*/{folder.name}/{MARKER}"), reverse=True)
    return Version(found[0].parents[1].name, found[0].parent) if found else None


def read_model(folder: Path) -> SavedModel:
    """The model in the folder of a version; its movies in float32, as they are saved."""
    numbers = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    items = read_arrays(pq.read_table(folder / "item_factors"), np.float32)
    return SavedModel(numbers["intercept"], items, read_rule(numbers))


def read_als_items(folder: Path) -> Arrays:
    """The movies of a version of an `ALSModel`, with biases of 0."""
    factors = pq.read_table(folder / "itemFactors", columns=["id", "features"])
    return read_arrays(factors.append_column("bias", pa.array(np.zeros(len(factors), np.float32))), np.float32)
