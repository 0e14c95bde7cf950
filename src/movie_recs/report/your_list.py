"""Models for the page's own list, as JSON: compact ones, deflated and in base64, and what its scripts need to know.

`fold_in.js` makes users' vectors, scores and reasons of them by the models' rules.
"""

import base64
import json
import zlib
from typing import Any

import numpy as np

from movie_recs.als.ridge import LEAST_PULL
from movie_recs.bayes.rule import TOLERANCE
from movie_recs.data.parameters import FilterParameters
from movie_recs.model.arrangement import BY_SCORE, Arrangement
from movie_recs.model.quantised import Quantised
from movie_recs.model.reasons import MOST_USES
from movie_recs.ranking.compact import Compact, CompactModel
from movie_recs.ranking.preferences import LEAST_WEIGHT
from movie_recs.ranking.rules import describe_rule, read_rule

LENGTH = 10  # of the list
REASONS = 3  # of the person's own movies, shown with a recommendation


def pack(models: Compact, filters: FilterParameters, name: str, arrangement: Arrangement = BY_SCORE) -> dict[str, Any]:
    """What the page holds of the models, as plain JSON.

    Args:
        models: Both models, of the movies of the page's explorer.
        filters: Those with which the list begins.
        name: Of the data set, under which a browser keeps a person's ratings.
        arrangement: The order of the list; the series, if there are any, are those of the movies of the models.

    Returns:
        `name`; `models`: each {intercept, rule, bias, steps, values}; `ranking`, `stars` and `rating`: their places
        among the models, None where there is none; `stars_weight`; `constants` of the formulas; `diversity`, `series`
        (a number a movie, or none) and `candidates`, how many the list is made of; `filters`.
    """
    packed: list[CompactModel] = []
    places = {name: _place(getattr(models, name), packed) for name in ("ranking", "stars", "rating")}
    return {
        "name": name,
        "models": [_pack(model) for model in packed],
        **places,
        "stars_weight": models.stars_weight,
        "constants": {
            **{"least_weight": LEAST_WEIGHT, "least_pull": LEAST_PULL, "tolerance": TOLERANCE},
            **{"length": LENGTH, "reasons": REASONS, "most_uses": MOST_USES},
        },
        "diversity": arrangement.diversity,
        "series": arrangement.series.tolist(),
        "candidates": arrangement.candidates(LENGTH),
        "filters": filters.model_dump(),
    }


def unpack(packed: dict[str, Any], ids: np.ndarray) -> Compact:
    """The models that `pack` has packed; `ids` (m,) are those of their movies."""
    models = [_unpack(model) for model in packed["models"]]
    ranking, stars, rating = (
        None if packed[name] is None else models[packed[name]] for name in ("ranking", "stars", "rating")
    )
    if ranking is None:
        raise ValueError("There is no ranking model.")
    return Compact(ids, ranking, stars, packed["stars_weight"], rating)


def _place(model: CompactModel | None, packed: list[CompactModel]) -> int | None:
    """The place of a model among the packed ones, to which it is added if it is not there."""
    if model is None:
        return None
    if not any(each is model for each in packed):
        packed.append(model)
    return next(place for place, each in enumerate(packed) if each is model)


def _pack(model: CompactModel) -> dict[str, Any]:
    rule = json.loads(json.dumps(describe_rule(model.rule)))
    values, steps = model.features
    parts = {"bias": _deflate(model.bias.astype("<f4")), "steps": steps.tolist(), "values": _deflate(values)}
    return {"intercept": model.intercept, "rule": rule, **parts}


def _unpack(packed: dict[str, Any]) -> CompactModel:
    rule, steps = read_rule(packed["rule"]), np.array(packed["steps"])
    if rule is None:
        raise ValueError("A model has no rule.")
    bias = np.frombuffer(_inflate(packed["bias"]), "<f4")
    values = np.frombuffer(_inflate(packed["values"]), np.int8).reshape(len(steps), len(bias))
    return CompactModel(packed["intercept"], bias, Quantised(values, steps), rule)


def _deflate(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 9)).decode("ascii")


def _inflate(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
