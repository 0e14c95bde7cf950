"""A small first stage, and ratings of its movies."""

import numpy as np
import pytest

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.interactions import Interactions
from movie_recs.data.movie_filters import MovieFacts
from movie_recs.errors import UserError
from movie_recs.model.exact_search import DOT, Items, prepare_items
from movie_recs.model.factor_model import ItemSide, with_zeros
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.rerank.features import FirstStage, Known
from movie_recs.ranking.rerank.lambdamart import load_lightgbm
from movie_recs.ranking.stars import StarsRule, join_items

try:
    load_lightgbm()
    MISSING = ""
except UserError as error:
    MISSING = str(error)
needs_lightgbm = pytest.mark.skipif(bool(MISSING), reason=MISSING)

MOVIES, ALS, EASE, RANK, DAY = 40, 3, 5, 2, 86_400_000_000
IDS = np.arange(10, 10 + MOVIES, dtype=np.int32)
PREFERENCE = PreferenceRule(
    ALS, EASE, "all", RatingWeights(star_weight=0.3), als_weight=0.5, reg_param=0.1, alpha=2.0, ease_diagonal=0.2
)
RATING = RidgeRule((Ridge(RANK, 2.0, bias_damping=3.0),))
GENRES = {"Comedy": np.arange(0, 30), "Drama": np.arange(20, 40), "War": np.arange(0, 40, 7)}


def facts() -> MovieFacts:
    """Movie 3 has no year."""
    rng = np.random.default_rng(4)
    years = rng.integers(1950, 2020, MOVIES).astype(float)
    years[3] = np.nan
    return MovieFacts(IDS, years, rng.integers(0, 50, MOVIES), GENRES)


def sums() -> np.ndarray:
    """The sum of each movie's ratings."""
    return facts().rated * np.random.default_rng(5).uniform(2, 5, MOVIES)


def first_stage(with_stars: bool = True) -> FirstStage:
    """Without stars, a rating model is neither a part of its score nor beside it."""
    rng = np.random.default_rng(1)
    own = rng.normal(size=(MOVIES, ALS + EASE)).astype(np.float32) / 3
    known = Known.of(IDS, facts(), sums() if with_stars else None)
    if not with_stars:
        return FirstStage(ItemSide(with_zeros(IDS, np.zeros(MOVIES), own), 0.0, PREFERENCE), None, known)
    stars = ItemSide(with_zeros(IDS, rng.normal(size=MOVIES) / 3, rng.normal(size=(MOVIES, RANK)) / 3), 3.5, RATING)
    rule = StarsRule(PREFERENCE, RATING, 3.5, 0.1)
    return FirstStage(ItemSide(with_zeros(IDS, np.zeros(MOVIES), join_items(own, stars)), 0.0, rule), stars, known)


def ratings(users: int = 30, seed: int = 2) -> Interactions:
    """A fifth of the pairs, in three folds; the last user has no ratings, and the first no times."""
    rng = np.random.default_rng(seed)
    rated = rng.random((users, MOVIES)) < 0.2
    rated[:, :2] |= rng.random((users, 2)) < 0.5
    rated[-1] = False
    who, which = (each.astype(np.int32) for each in np.nonzero(rated))
    stars = (rng.integers(1, 11, len(who)) / 2).astype(np.float32)
    times = rng.integers(0, 1000 * DAY, len(who))
    times[who == 0] = np.iinfo(np.int64).min
    folds = rng.integers(0, 3, len(who)).astype(np.int16)
    return Interactions(who, which, stars, folds, times, np.arange(1, users + 1, dtype=np.int32) * 3, IDS)


def items_of(stage: FirstStage) -> Items:
    items = stage.ranking.items
    return prepare_items(items.ids, items.bias[:-1], items.features[:-1], DOT)
