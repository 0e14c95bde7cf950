"""What a group thinks of movies, by hand."""

import numpy as np
import pytest

from movie_recs.model.factor_model import Arrays, Vectors
from movie_recs.model.group import group_scores, member_scores


def test_scores_of_members_are_intercept_biases_and_product():
    items = Arrays(np.array([4, 9]), np.array([0.5, 1.0, 0.0]), np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    members = Vectors(np.array([0.25, -1.0]), np.array([[1.0, 1.0], [3.0, -1.0]]))
    assert member_scores(2.0, members, items).tolist() == [[3.75, 5.25], [4.5, 0.0]]


def test_the_mean_and_the_least_pleased_of_standardised_scores():
    """The second likes the opposite, with scores a hundred times as large; neither counts more."""
    found = group_scores(np.array([[1.0, 2.0, 3.0], [300.0, 200.0, 100.0]]))
    one = 1.5**0.5  # 1 over the standard deviation of 1, 2, 3
    assert found["mean"] == pytest.approx(np.zeros(3))
    assert found["least_misery"] == pytest.approx([-one, 0, -one])


def test_one_member_has_her_own_order():
    scores = np.array([[0.3, -2.0, 5.0]])
    for found in group_scores(scores).values():
        assert np.argsort(found).tolist() == np.argsort(scores[0]).tolist()


def test_a_member_who_does_not_care_changes_nothing():
    found = group_scores(np.array([[1.0, 2.0, 3.0], [7.0, 7.0, 7.0]]))
    assert np.argsort(found["mean"]).tolist() == [0, 1, 2]
    assert group_scores(np.zeros((2, 0)))["mean"].tolist() == []
