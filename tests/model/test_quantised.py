"""Vectors in a byte a number."""

import numpy as np

from movie_recs.model.quantised import quantise


def test_each_number_is_at_most_half_a_step_from_what_it_was():
    features = np.random.default_rng(1).normal(size=(50, 3)) * [1.0, 100.0, 1e-6]
    found = quantise(features)
    assert found.values.dtype == np.int8
    assert found.values.shape == (3, 50)
    assert np.all(np.abs(found.features - features) <= found.steps / 2 * (1 + 1e-9))
    assert np.abs(found.values).max(axis=1).tolist() == [127, 127, 127]


def test_a_feature_of_zeros_stays_zero_and_no_movie_or_feature_is_no_error():
    assert quantise(np.zeros((4, 2))).features.tolist() == np.zeros((4, 2)).tolist()
    assert quantise(np.zeros((0, 2))).features.shape == (0, 2)
    assert quantise(np.zeros((4, 0))).features.shape == (4, 0)
