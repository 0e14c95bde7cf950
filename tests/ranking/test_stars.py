"""Predicted stars in a ranking score: the sum of both models' scores, whose reasons add up."""

import numpy as np
import pytest

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, ItemSide, with_zeros
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items, predicted_stars, rating_vectors

MOVIES, OWN, RANK, WEIGHT, INTERCEPT = 12, 4, 3, 0.2, 3.5
IDS = np.arange(10, 10 + MOVIES, dtype=np.int32)
PREFERENCE = PreferenceRule(0, OWN, "above_mean", RatingWeights(star_weight=0.3), ease_diagonal=0.2)
RATING = RidgeRule((Ridge(RANK, 2.0, bias_damping=3.0),))
RULE = StarsRule(PREFERENCE, RATING, INTERCEPT, WEIGHT)


@pytest.fixture(scope="module")
def own() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(MOVIES, OWN)).astype(np.float32)


@pytest.fixture(scope="module")
def stars() -> ItemSide:
    rng = np.random.default_rng(2)
    return ItemSide(with_zeros(IDS, rng.normal(size=MOVIES), rng.normal(size=(MOVIES, RANK))), INTERCEPT, RATING)


@pytest.fixture(scope="module")
def both(own, stars) -> Arrays:
    return with_zeros(IDS, np.zeros(MOVIES, np.float32), join_items(own, stars))


@pytest.fixture(scope="module")
def ratings() -> Interactions:
    """Of three users, the last of whom has none."""
    movies = np.array([0, 2, 5, 7, 1, 2, 9], np.int32)
    values = np.array([5, 2, 4, 3, 1, 4, 4.5], np.float32)
    users, nothing = np.array([0, 0, 0, 0, 1, 1, 1], np.int32), np.zeros(7, np.int64)
    return Interactions(users, movies, values, nothing.astype(np.int16), nothing, np.array([3, 4, 8], np.int32), IDS)


def test_a_score_is_that_of_the_ranking_model_plus_the_weighted_predicted_stars(own, stars, both, ratings):
    found = RULE.user_vectors(ratings, both, 0.0)
    alone = PREFERENCE.user_vectors(ratings, with_zeros(IDS, np.zeros(MOVIES), own), 0.0)
    users = rating_vectors(stars, ratings)
    assert users is not None
    predicted = predicted_stars(users, stars, np.tile(np.arange(MOVIES), (3, 1)))
    expected = alone.features @ own.T + WEIGHT * predicted
    scores = found.bias[:, None] + found.features @ both.features[:-1].T
    np.testing.assert_allclose(scores[:2], expected[:2], atol=1e-5)
    assert np.ptp(predicted[0]) > 1


def test_a_user_without_ratings_has_a_vector_of_zeros(both, ratings):
    found = RULE.user_vectors(ratings, both, 0.0)
    assert found.bias[2] == 0
    assert not found.features[2].any()
    assert RULE.sizes == (0, OWN, RANK, 1)


def test_the_reasons_are_all_that_her_ratings_add(stars, both, ratings):
    found = RULE.user_vectors(ratings, both, 0.0)
    first = ratings._replace(
        **{name: getattr(ratings, name)[:4] for name in ("users", "movies", "ratings", "folds", "times")},
        user_ids=ratings.user_ids[:1],
    )
    movies, terms, rest = RULE.explainer(both, 0.0)(first, np.arange(MOVIES))
    assert movies.tolist() == [0, 2, 5, 7]  # of the preference, those above her mean alone; of the stars, all
    scores = found.bias[0] + found.features[0] @ both.features[:-1].T
    np.testing.assert_allclose(rest, WEIGHT * (INTERCEPT + stars.items.bias[:-1]), atol=1e-6)
    np.testing.assert_allclose(terms.sum(axis=1) + rest, scores, atol=1e-5)


def test_movies_that_the_rating_model_does_not_know_have_its_means(stars):
    some = stars.of_movies(np.array([3, 11, 21], np.int32))
    np.testing.assert_array_equal(some.items.features[1], stars.items.features[1])
    np.testing.assert_array_equal(some.items.features[0], stars.items.features[-1])
    assert len(some.items.features) == 4
