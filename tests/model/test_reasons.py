"""A reason's share of a score: its term over the score that the model itself gives, whatever the rule."""

import numpy as np
import pytest

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.interactions import Interactions, read_interactions
from movie_recs.model.factor_model import ItemSide, Rule, with_zeros
from movie_recs.model.pairs import score_pairs, take_vectors
from movie_recs.model.reasons import Reasons
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items
from movie_recs.serve.histories import rating_rows

IDS = np.arange(100, 120, dtype=np.int32)
RATED, ASKED = IDS[:6], IDS[6:]
STARS = np.array([5, 4.5, 1, 3, 4, 2], np.float32)
WEIGHTS = RatingWeights(star_weight=0.3, half_life=3, old_weight=0.2)
EASE = PreferenceRule(0, 4, "all", WEIGHTS, ease_diagonal=0.2)
BLEND = PreferenceRule(2, 4, "above_mean", WEIGHTS, als_weight=0.4, reg_param=0.2, alpha=3.0)
RIDGES = RidgeRule((Ridge(2, 1.5, bias_damping=4.0), Ridge(3, 0.2, per_rating=True)))


@pytest.fixture(scope="module")
def own() -> Interactions:
    return read_interactions(rating_rows(1, RATED, STARS, np.arange(6)), IDS)


def side(rule: Rule, intercept: float = 0.0) -> ItemSide:
    """Random movies, half of whose biases are below zero."""
    rng = np.random.default_rng(11)
    return ItemSide(with_zeros(IDS, rng.normal(size=20), rng.normal(size=(20, sum(rule.sizes)))), intercept, rule)


def with_stars() -> ItemSide:
    preferences, stars = side(EASE), side(RIDGES, 0.4)
    items = with_zeros(IDS, preferences.items.bias[:-1], join_items(preferences.items.features[:-1], stars))
    return ItemSide(items, 0.0, StarsRule(EASE, RIDGES, 0.4, weight=0.5))


@pytest.mark.parametrize("model", [side(BLEND), side(RIDGES, -0.5), with_stars()], ids=["blend", "ridges", "stars"])
def test_a_share_is_the_term_over_the_models_score_where_that_is_positive(model, own):
    items, intercept, rule = model
    rows = items.rows_of(ASKED)
    users = take_vectors(rule.user_vectors(own, items, intercept), np.zeros(len(rows), int))
    scores = score_pairs(intercept, users, take_vectors(items, rows))
    assert 2 < (scores > 0).sum() < len(scores) - 2
    rated, terms, _ = rule.explainer(items, intercept)(own, rows)
    place_of = {movie: place for place, movie in enumerate(items.ids[rated].tolist())}
    for for_people in (False, True):
        reasons = Reasons(rule, items, intercept, most=len(RATED), for_people=for_people)(own, ASKED)
        assert sum(map(len, reasons)) > 4
        for score, row, named in zip(scores, terms, reasons, strict=True):
            for movie, share in named:
                assert share == (None if score <= 0 else pytest.approx(row[place_of[movie]] / score, rel=1e-5))


def test_the_shares_of_all_her_ratings_sum_to_one(own):
    """Of a score that all of them add to, and that has no other part."""
    features = np.abs(np.random.default_rng(12).normal(size=(20, 4)))
    reasons = Reasons(EASE, with_zeros(IDS, np.zeros(20), features), 0.0, most=len(RATED))(own, ASKED)
    for named in reasons:
        assert {movie for movie, _ in named} == set(RATED.tolist())
        assert sum(share for _, share in named) == pytest.approx(1)
