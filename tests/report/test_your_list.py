"""The page's models as JSON."""

import json

import numpy as np
import pytest
from report.pages import make_models

from movie_recs.data.parameters import FilterParameters
from movie_recs.report.your_list import pack, unpack

IDS = np.arange(1, 31, dtype=np.int32)


def test_what_is_packed_as_json_is_unpacked_to_the_bit():
    models = make_models(IDS)
    found = unpack(json.loads(json.dumps(pack(models, FilterParameters(), "small"))), IDS)
    assert found.stars_weight == models.stars_weight
    for name in ("ranking", "stars", "rating"):
        one, other = getattr(found, name), getattr(models, name)
        assert (one.intercept, one.rule) == (other.intercept, other.rule)
        for mine, given in zip((one.bias, *one.features), (other.bias, *other.features), strict=True):
            assert np.array_equal(mine, given)


def test_equal_models_are_packed_once():
    packed = pack(make_models(IDS), FilterParameters(), "small")
    assert len(packed["models"]) == 2
    assert packed["stars"] == packed["rating"] == 1


def test_without_a_ranking_model_there_is_nothing_to_unpack():
    packed = pack(make_models(IDS), FilterParameters(), "small")
    with pytest.raises(ValueError, match="no ranking model"):
        unpack({**packed, "ranking": None}, IDS)
