"""Saved models without Spark: which version is the newest complete one, and what `model.json` holds.

A version is a folder `<name>/<version>/<name>`, written in parts; the marker is written last. `datasets.models` writes
them, and reads them into Spark.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.bayes.rule import PosteriorRule
from movie_recs.model.factor_model import Arrays, Rule, read_arrays
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule

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


def describe_rule(rule: Rule | None) -> dict[str, Any]:
    """The rule as JSON: `ridges` in their order, `posterior` of a Bayesian model, or `folding` of a ranking model.

    The latter with `stars` where the predicted stars of a rating model are a part of the score.
    """
    if isinstance(rule, StarsRule):
        stars = {"rule": describe_rule(rule.rating), "intercept": rule.intercept, "weight": rule.weight}
        return {**describe_rule(rule.preference), "stars": stars}
    if isinstance(rule, PosteriorRule):
        return {"posterior": rule._asdict()}
    if isinstance(rule, PreferenceRule):
        return {"folding": {**rule._asdict(), "weights": rule.weights.model_dump()}}
    return {"ridges": [ridge._asdict() for ridge in rule.ridges] if isinstance(rule, RidgeRule) else []}


def read_rule(numbers: dict[str, Any]) -> Rule | None:
    """The rule that `describe_rule` has described."""
    if posterior := numbers.get("posterior"):
        nested = {name: tuple(map(tuple, posterior[name])) for name in ("precision", "weights", "spread")}
        return PosteriorRule(**{**posterior, **nested})
    if folding := numbers.get("folding"):
        preference = PreferenceRule(**{**folding, "weights": RatingWeights(**folding["weights"])})
        stars = numbers.get("stars")
        rating = read_rule(stars["rule"]) if stars else None
        return StarsRule(preference, rating, stars["intercept"], stars["weight"]) if stars and rating else preference
    return RidgeRule(tuple(Ridge(**ridge) for ridge in numbers["ridges"])) if numbers["ridges"] else None
