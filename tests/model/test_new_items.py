"""Vectors of new movies from their known features."""

import numpy as np
import pytest

from movie_recs.model import new_items
from movie_recs.model.factor_model import with_zeros
from movie_recs.model.new_items import predict_items

IDS = np.arange(1, 41, dtype=np.int32)
ALL = np.arange(1, 44, dtype=np.int32)


def test_a_new_movie_has_what_movies_of_its_features_have():
    """Vectors that are linear in two features are found again, but for what the pull takes."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(43, 2))
    truth = np.hstack([np.ones((43, 1)), inputs]) @ rng.normal(size=(3, 5))
    items = with_zeros(IDS, truth[:40, 0], truth[:40, 1:].astype(np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_items, "PULL", 1e-9)
        found = predict_items(items, ALL, inputs)
    assert found.ids.tolist() == [41, 42, 43]
    np.testing.assert_allclose(found.bias[:-1], truth[40:, 0], atol=1e-5)
    np.testing.assert_allclose(found.features[:-1], truth[40:, 1:], atol=1e-5)


def test_one_of_a_feature_that_no_other_has_gets_the_mean_of_all():
    rng = np.random.default_rng(2)
    items = with_zeros(IDS, rng.normal(size=40), rng.normal(size=(40, 3)).astype(np.float32))
    found = predict_items(items, ALL, np.where(ALL > 40, 1.0, 0.0)[:, None])
    np.testing.assert_allclose(found.bias[:-1], np.repeat(items.bias[:-1].mean(), 3))
    np.testing.assert_allclose(found.features[:-1], np.tile(items.features[:-1].mean(axis=0), (3, 1)), atol=1e-6)


def test_a_model_of_biases_alone_gets_biases():
    items = with_zeros(IDS, np.arange(40.0), np.zeros((40, 0), np.float32))
    found = predict_items(items, ALL, np.zeros((43, 1)))
    assert found.features.shape == (4, 0)
    np.testing.assert_allclose(found.bias[:-1], 19.5)
