"""Both models in few bytes: what they lose, and what they do not."""

import numpy as np
import pytest
from report.pages import make_side
from scipy.sparse import csr_array

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import ItemSide, with_zeros
from movie_recs.ranking.compact import compact, expand
from movie_recs.ranking.ease import Spectrum, ease_features, largest_features
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items

IDS = np.arange(1, 41, dtype=np.int32)
RATING = make_side(RidgeRule((Ridge(2, 1.5, bias_damping=4.0),)), IDS, 3.5, seed=1)
PREFERENCE = PreferenceRule(2, 6, "all", RatingWeights(star_weight=0.2), reg_param=0.3, alpha=4.0, ease_diagonal=0.1)


def spectrum() -> Spectrum:
    matrix = csr_array(np.random.default_rng(2).random((20, 12)) < 0.4).toarray().astype(float)
    squares, vectors = np.linalg.eigh(matrix.T @ matrix)
    return Spectrum(vectors, np.maximum(squares, 0))


@pytest.mark.parametrize("diagonal", [0.0, 0.3])
@pytest.mark.parametrize("rank", [3, 12])
def test_the_largest_features_are_those_of_ease_with_fewer_singular_vectors(rank, diagonal):
    found = largest_features(ease_features(spectrum(), 2.0, diagonal), rank, diagonal)
    assert found == pytest.approx(ease_features(spectrum().largest(rank), 2.0, diagonal), abs=1e-5)


def with_stars() -> ItemSide:
    own = make_side(PREFERENCE, IDS, 0.0, seed=3)
    items = with_zeros(IDS, own.items.bias[:-1], join_items(own.items.features[:-1], RATING))
    return ItemSide(items, 0.0, StarsRule(PREFERENCE, RATING.rule, RATING.intercept, 0.1))


def test_expanded_models_are_the_models_but_for_rounding():
    ranking, rating = expand(compact(with_stars(), RATING, ease_rank=6))
    assert ranking.rule == with_stars().rule
    for found, given in ((ranking, with_stars()), (rating, RATING)):
        assert found.intercept == given.intercept
        assert found.items.bias[:-1] == pytest.approx(given.items.bias[:-1])
        largest = np.abs(given.items.features).max(axis=0)
        assert np.all(np.abs(found.items.features[:-1] - given.items.features[:-1]) <= largest / 254 * 1.001)


def test_the_rating_model_is_kept_once_where_the_ranking_model_has_the_same():
    models = compact(with_stars(), RATING, ease_rank=6)
    assert models.stars is models.rating
    other = compact(with_stars(), RATING._replace(intercept=3.0), ease_rank=6)
    assert other.stars is not other.rating
    assert other.stars.intercept == 3.5


def test_ease_keeps_no_more_singular_vectors_than_are_asked_for():
    models = compact(make_side(PREFERENCE, IDS, 0.0, seed=3), None, ease_rank=4)
    assert models.ranking.rule.sizes == (2, 4)
    assert models.ranking.features.values.shape == (6, 40)
    assert (models.stars, models.rating) == (None, None)


def test_nor_does_what_is_added_to_ease_which_keeps_the_same_ones():
    rule = PREFERENCE._replace(sequential_weight=1.5)
    side = make_side(rule, IDS, 0.0, seed=3)
    found, _ = expand(compact(side, None, ease_rank=4))
    assert found.rule == rule._replace(ease_size=4)
    kept = side.items.features[:-1, 2 + 6 + 2 :]
    assert np.abs(found.items.features[:-1, 2 + 4 :] - kept).max() <= np.abs(kept).max() / 254 * 1.001
