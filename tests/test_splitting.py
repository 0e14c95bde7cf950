"""The split: decided by each pair and the seed alone, of the sizes asked for, without a pattern."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.splitting import split_by_hash

PAIRS = [(user, movie) for user in range(1, 101) for movie in range(1, 101)]


def places(ratings, test_fraction: float = 0.2, folds: int = 5, seed: int = 42) -> pd.Series:
    """By (user_id, movie_id): the fold of a train rating, -1 for a test rating; every row of both tables."""
    train, test = split_by_hash(ratings, test_fraction, folds, seed)
    assert train.columns == [*ratings.columns, "fold"]
    assert test.columns == ratings.columns
    frame = pd.concat([train.toPandas(), test.toPandas().assign(fold=-1)])
    return frame.set_index(["user_id", "movie_id"])["fold"].sort_index()


@pytest.fixture(scope="module")
def ratings(spark):
    return spark.createDataFrame(pd.DataFrame(PAIRS, columns=["user_id", "movie_id"])).cache()


@pytest.fixture(scope="module")
def split(ratings) -> pd.Series:
    return places(ratings)


def test_every_rating_is_in_train_or_in_test_once(split):
    assert split.index.tolist() == PAIRS


def test_the_test_set_has_the_share_asked_for(split):
    assert (split == -1).mean() == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 10_000) ** 0.5)


def test_folds_are_about_equal_and_none_is_missing(split):
    shares = split[split >= 0].value_counts(normalize=True)
    assert sorted(shares.index) == [0, 1, 2, 3, 4]
    assert shares.to_numpy() == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 8_000) ** 0.5)


def test_each_user_and_each_movie_is_split_alike(split):
    for side in ("user_id", "movie_id"):
        shares = (split == -1).groupby(side).mean()
        assert shares.std() == pytest.approx((0.2 * 0.8 / 100) ** 0.5, rel=0.35)


def test_the_split_does_not_depend_on_partitions_or_order(ratings, split):
    shuffled = ratings.repartition(7, "movie_id").sortWithinPartitions("user_id", ascending=False)
    pd.testing.assert_series_equal(places(shuffled), split)


def test_ratings_that_come_or_go_move_no_other(ratings, split):
    half = ratings.filter("user_id % 2 = 0")
    pd.testing.assert_series_equal(places(half), split[split.index.get_level_values("user_id") % 2 == 0])


def test_another_seed_gives_another_split(ratings, split):
    other = places(ratings, seed=43)
    assert ((other == -1) & (split == -1)).mean() == pytest.approx(0.2 * 0.2, abs=0.01)


def test_folds_are_the_same_whatever_the_test_share_so_they_do_not_hang_on_it(ratings, split):
    whole = places(ratings, test_fraction=1e-12)
    assert whole[split >= 0].equals(split[split >= 0])
    in_test = whole[split == -1].value_counts(normalize=True)
    np.testing.assert_allclose(in_test[range(5)], 0.2, atol=4 * (0.2 * 0.8 / 2_000) ** 0.5)
