"""Both models in few bytes a movie: for the page, in whose scripts the same rules make lists.

EASE keeps its largest singular vectors, and features are quantised. `expand` gives ordinary models again, so that what
the page answers is what the models' own rules answer.
"""

from typing import NamedTuple

import numpy as np

from movie_recs.model.factor_model import Arrays, ItemSide, Rule, with_zeros
from movie_recs.model.quantised import Quantised, quantise
from movie_recs.ranking.ease import largest_features
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items


class CompactModel(NamedTuple):
    """A model without its users: as `ItemSide`, its features quantised; `bias` (m,) float32."""

    intercept: float
    bias: np.ndarray
    features: Quantised
    rule: Rule


class Compact(NamedTuple):
    """Both models of the same movies.

    Args:
        ids: (m,) int32, ascending.
        ranking: The ranking model, without predicted stars.
        stars: The rating model whose predicted stars are a part of its score; None if there are none.
        stars_weight: Their weight.
        rating: The model of predicted stars; None for events. The same object as `stars` where they are equal.
    """

    ids: np.ndarray
    ranking: CompactModel
    stars: CompactModel | None
    stars_weight: float
    rating: CompactModel | None


def compact(ranking: ItemSide, rating: ItemSide | None, ease_rank: int) -> Compact:
    """The models in few bytes.

    Args:
        ranking: The ranking model's movies.
        rating: The rating model's, the same movies; None for events.
        ease_rank: The largest number of singular vectors that EASE keeps.
    """
    ids, predicted = ranking.items.ids, None if rating is None else _compact(rating)
    if not isinstance(ranking.rule, StarsRule):
        return Compact(ids, _compact(_with_largest(ranking, ease_rank)), None, 0.0, predicted)
    rule = ranking.rule
    own, of_stars = rule.split(ranking.items)
    stars = _compact(ItemSide(of_stars, rule.intercept, rule.rating))
    stars = predicted if predicted is not None and _is_same(stars, predicted) else stars
    preference = _compact(_with_largest(ItemSide(own, ranking.intercept, rule.preference), ease_rank))
    return Compact(ids, preference, stars, rule.weight, predicted)


def expand(models: Compact) -> tuple[ItemSide, ItemSide | None]:
    """The ranking model and the rating model that the compact ones are."""
    ranking, rating = _expand(models.ids, models.ranking), models.rating and _expand(models.ids, models.rating)
    if models.stars is None or not isinstance(ranking.rule, PreferenceRule):
        return ranking, rating
    stars = _expand(models.ids, models.stars)
    rule = StarsRule(ranking.rule, stars.rule, stars.intercept, models.stars_weight)
    items = with_zeros(models.ids, models.ranking.bias, join_items(models.ranking.features.features, stars))
    return ItemSide(items, ranking.intercept, rule), rating


def _with_largest(side: ItemSide, ease_rank: int) -> ItemSide:
    """The model with at most so many features of EASE."""
    rule, items = side.rule, side.items
    if not isinstance(rule, PreferenceRule) or rule.ease_size <= ease_rank:
        return side
    factors, own, following = rule.split(items.features[:-1])
    largest = largest_features(own, ease_rank, rule.ease_diagonal)
    features = np.hstack([factors, largest, following[:, -ease_rank:]])
    return ItemSide(
        with_zeros(items.ids, items.bias[:-1], features), side.intercept, rule._replace(ease_size=ease_rank)
    )


def _compact(side: ItemSide) -> CompactModel:
    bias, features = (part[:-1].astype(np.float32) for part in (side.items.bias, side.items.features))
    return CompactModel(side.intercept, bias, quantise(features), side.rule)


def _expand(ids: np.ndarray, model: CompactModel) -> ItemSide:
    items: Arrays = with_zeros(ids, model.bias.astype(float), model.features.features)
    return ItemSide(items, model.intercept, model.rule)


def _is_same(one: CompactModel, other: CompactModel) -> bool:
    if one.intercept != other.intercept or one.rule != other.rule:
        return False
    pairs = zip((one.bias, *one.features), (other.bias, *other.features), strict=True)
    return all(np.array_equal(*pair) for pair in pairs)
