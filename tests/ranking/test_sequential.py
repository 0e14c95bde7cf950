"""The regression of users' futures on their pasts, against one by numpy user by user, and what it learns."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from movie_recs.data.blocks import LocalBlocks, open_blocks
from movie_recs.data.interactions import Interactions
from movie_recs.data.schemas import RATINGS
from movie_recs.ranking.ease import self_influence
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.sequential import CUTS, HALF_LIFE, sequence_moments, sequential_features

USERS, MOVIES, RANK, REG = 12, 9, 3, 2.0
MOVIE_IDS = np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32)
RULE = PreferenceRule(0, RANK, "all", RatingWeights(star_weight=0.3, half_life=2, old_weight=0.2), ease_diagonal=0.1)
EASE_ITEMS = np.random.default_rng(1).normal(size=(MOVIES, RANK)).astype(np.float32)


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """By user, then by movie; some of equal times. User 1 has one rating, user 2 two; nobody rated the last movie."""
    rng = np.random.default_rng(4)
    users, movies = np.nonzero(rng.random((USERS, MOVIES - 1)) < 0.7)
    table = pd.DataFrame({"user_id": users + 1, "movie_id": 10 * movies + 10})
    table["rating"] = rng.integers(1, 11, len(table)) / 2
    table["rated_at"] = [datetime(2020, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 6, len(table))]
    few = table.groupby("user_id").cumcount() < table["user_id"].map({1: 1, 2: 2}).fillna(MOVIES)
    return table[few].reset_index(drop=True)


def by_hand(rated: pd.DataFrame, preferred: str = "all") -> np.ndarray:
    """(m, r): ridge regression of rows y on rows p, one cut of one user after the other."""
    pasts, futures = [], []
    d = self_influence(EASE_ITEMS, RULE.ease_diagonal)
    for _, own in rated.groupby("user_id"):
        own = own[own["rating"] >= own["rating"].mean()] if preferred == "above_mean" else own
        ordered = own.sort_values(["rated_at", "movie_id"])
        rows, stars = ordered["movie_id"].to_numpy() // 10 - 1, ordered["rating"].to_numpy()
        for cut in CUTS:
            size = int(np.floor(cut * len(rows)))
            before, after = rows[:size], rows[size:]
            s = np.maximum(1 + 0.3 * (stars[:size] - stars[:size].mean()), 0.1) if size else np.zeros(0)
            w = s * (0.2 + 0.8 * 2.0 ** (-np.arange(size)[::-1] / 2))
            pasts.append((w / w.mean() * d[before]) @ EASE_ITEMS[before] if size else np.zeros(RANK))
            future = np.zeros(MOVIES)
            future[after] = 2.0 ** (-np.arange(len(after)) / HALF_LIFE)
            futures.append(future)
    z, y = np.array(pasts), np.array(futures)
    return np.linalg.solve(z.T @ z + REG * np.eye(RANK), z.T @ y).T


@pytest.mark.parametrize("preferred", ["all", "above_mean"])
def test_on_either_carrier_it_is_the_ridge_regression_of_futures_on_pasts(spark, carrier, rated, preferred):
    blocks = open_blocks(carrier, spark.createDataFrame(rated, RATINGS), MOVIE_IDS)
    rule = RULE._replace(als_size=2, preferred=preferred, sequential_weight=1.5)  # whose other parts do not count
    found = sequential_features(sequence_moments(blocks, rule, EASE_ITEMS), REG)
    blocks.close()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(rated, preferred), atol=1e-5)
    assert np.abs(found[:-1]).max() > 0.05
    assert not found[-1].any()


def in_order(histories: list[list[int]]) -> LocalBlocks[Interactions]:
    """Users who rated these movies one after the other."""
    rows = [(user, movie, time) for user, own in enumerate(histories) for time, movie in enumerate(own)]
    users, movies, times = np.array(sorted(rows)).T
    ids = np.arange(len(histories), dtype=np.int32)
    stars, folds = np.ones(len(rows), np.float32), np.zeros(len(rows), np.int16)
    every = Interactions(users.astype(np.int32), movies.astype(np.int32), stars, folds, times, ids, MOVIE_IDS)
    return LocalBlocks(every, ids, MOVIE_IDS)


def test_what_follows_scores_above_what_went_before():
    """All watch 0, 1, 2 and then 3, 4, 5: after 0, 1, 2 come 3, 4, 5, but 0, 1, 2 do not come after 3, 4, 5."""
    features = np.eye(MOVIES, dtype=np.float32)
    rule = PreferenceRule(0, MOVIES, "all", RatingWeights())
    targets = sequential_features(sequence_moments(in_order([list(range(6))] * 20), rule, features), 0.1)
    forward, backward = targets[3:6, :3].sum(axis=1), targets[:3, 3:6].sum(axis=1)
    assert forward.min() > 0.5
    assert backward.max() < 0.05


def test_nothing_is_learned_where_nobody_has_a_past():
    rule = PreferenceRule(0, RANK, "all", RatingWeights())
    assert not sequential_features(sequence_moments(in_order([[3], [5]]), rule, EASE_ITEMS), REG).any()
