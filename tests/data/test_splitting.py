"""The split, by a hash of each pair and the seed, by time or by user: its sizes, and what it does not depend on."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from movie_recs.data.identifiers import OWN_NUMBERS
from movie_recs.data.parameters import SplitParameters
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.schemas import RATINGS
from movie_recs.data.sources.layouts import LAYOUTS, Source
from movie_recs.data.sources.profile import Profile
from movie_recs.data.splitting import hold_out_last, split_by_hash, split_by_time, split_by_user
from movie_recs.errors import UserError
from movie_recs.pipelines.data_processing.nodes import split_ratings

FOLD_IN = -2
PAIRS = [(user, movie) for user in range(1, 101) for movie in range(1, 101)]


def places(ratings, test_fraction: float = 0.2, folds: int = 5, seed: int = 42, split_by=split_by_hash) -> pd.Series:
    """By (user_id, movie_id): the fold of a train rating, -1 for test or `FOLD_IN`; every row of all tables."""
    train, test, fold_in = split_by(ratings, test_fraction, folds, seed)
    assert train.columns == [*ratings.columns, "fold"]
    assert test.columns == fold_in.columns == ratings.columns
    frame = pd.concat([train.toPandas(), test.toPandas().assign(fold=-1), fold_in.toPandas().assign(fold=FOLD_IN)])
    return frame.set_index(["user_id", "movie_id"])["fold"].sort_index()


@pytest.fixture(scope="module")
def ratings(spark):
    return spark.createDataFrame(pd.DataFrame(PAIRS, columns=["user_id", "movie_id"])).cache()


@pytest.fixture(scope="module")
def split(ratings) -> pd.Series:
    return places(ratings)


def test_every_rating_is_in_train_or_in_test_once(split):
    assert split.index.tolist() == PAIRS


def test_the_test_set_has_the_requested_share(split):
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


def test_added_or_removed_ratings_move_no_other(ratings, split):
    half = ratings.filter("user_id % 2 = 0")
    pd.testing.assert_series_equal(places(half), split[split.index.get_level_values("user_id") % 2 == 0])


def test_another_seed_gives_another_split(ratings, split):
    other = places(ratings, seed=43)
    assert ((other == -1) & (split == -1)).mean() == pytest.approx(0.2 * 0.2, abs=0.01)


def test_folds_do_not_depend_on_the_test_share(ratings, split):
    whole = places(ratings, test_fraction=1e-12)
    assert whole[split >= 0].equals(split[split >= 0])
    in_test = whole[split == -1].value_counts(normalize=True)
    np.testing.assert_allclose(in_test[range(5)], 0.2, atol=4 * (0.2 * 0.8 / 2_000) ** 0.5)


@pytest.fixture(scope="module")
def timed(spark):
    """A function from rows (user, movie, seconds or None) to ratings."""

    def table(*rows: tuple):
        frame = spark.createDataFrame(list(rows), "user_id int, movie_id int, rated_at long")
        return frame.withColumn("rated_at", frame.rated_at.cast("timestamp"))

    return table


def held_out(ratings, test_fraction: float) -> list[tuple[int, int]]:
    split = places(ratings, test_fraction, split_by=split_by_time)
    return split[split == -1].index.tolist()


def test_by_time_the_last_ratings_of_each_user_are_in_test(timed):
    ratings = timed(
        (1, 10, 500), (1, 20, 100), (1, 30, 400), (1, 40, 200), (1, 50, 300),
        (2, 10, 1), (2, 20, 2), (2, 30, 3), (2, 40, 4), (2, 50, 5),
    )  # fmt: skip
    assert held_out(ratings, 0.4) == [(1, 10), (1, 30), (2, 40), (2, 50)]


def test_among_ratings_of_the_same_time_the_higher_movie_id_is_later(timed):
    ratings = timed((1, 9, 100), (1, 30, 100), (1, 20, 100), (1, 99, 50))
    assert held_out(ratings, 0.25) == [(1, 30)]
    assert held_out(ratings, 0.5) == [(1, 20), (1, 30)]
    assert held_out(ratings, 0.75) == [(1, 9), (1, 20), (1, 30)]


def test_a_user_with_too_few_ratings_for_the_test_has_all_in_train(timed):
    ratings = timed(*[(user, movie, movie) for user, n in ((1, 1), (2, 4), (3, 5)) for movie in range(1, n + 1)])
    assert held_out(ratings, 0.2) == [(3, 5)]


@pytest.fixture(scope="module")
def timed_ratings(spark):
    """User n has the movies 1 to n, all at one time, so that the last k are those of the k highest numbers."""
    return spark.sql(
        "select cast(u.id as int) user_id, cast(m.id as int) movie_id, timestamp'2000-01-01' rated_at "
        "from range(1, 101) u join range(1, 101) m on m.id <= u.id"
    ).cache()


@pytest.mark.parametrize("percent", [1, 7, 10, 20, 28, 29, 30, 57, 70, 99])  # 0.57 * 100 is 56.99999999999999
def test_by_time_the_share_is_the_floor_without_rounding_errors(timed_ratings, percent):
    expected = {n: n * percent // 100 for n in range(1, 101)}
    test = pd.DataFrame(held_out(timed_ratings, percent / 100), columns=["user_id", "movie_id"])
    assert test.groupby("user_id").size().to_dict() == {n: k for n, k in expected.items() if k}
    assert (test["movie_id"] > test["user_id"] - test["user_id"].map(expected)).all()


def test_by_time_every_rating_is_in_train_or_in_test_once(timed_ratings):
    split = places(timed_ratings, split_by=split_by_time)
    assert split.index.tolist() == [(user, movie) for user in range(1, 101) for movie in range(1, user + 1)]


def test_the_split_by_time_does_not_depend_on_partitions_or_order(timed_ratings):
    shuffled = timed_ratings.repartition(7, "movie_id").sortWithinPartitions("user_id", ascending=False)
    split = places(timed_ratings, split_by=split_by_time)
    pd.testing.assert_series_equal(places(shuffled, split_by=split_by_time), split)


def test_by_time_the_seed_moves_folds_only_and_folds_are_those_of_the_split_by_hash(timed_ratings):
    split, other = (places(timed_ratings, seed=seed, split_by=split_by_time) for seed in (42, 43))
    assert ((split == -1) == (other == -1)).all()
    assert (split == other)[split >= 0].mean() == pytest.approx(1 / 5, abs=0.03)
    by_hash = places(timed_ratings)
    in_both = (split >= 0) & (by_hash >= 0)
    assert split[in_both].equals(by_hash[in_both])


def test_ratings_without_times_cannot_be_split_by_time(timed):
    ratings = timed((1, 10, 100), (1, 20, None), (2, 10, None), (2, 20, 50))
    with pytest.raises(UserError, match=r"^2 of the 4 ratings have no time, .*: set split\.strategy=random\.$"):
        split_by_time(ratings, 0.5, 5, 42)


def test_a_split_by_time_that_leaves_no_test_rating_is_refused(timed):
    with pytest.raises(UserError, match=r"^split\.test_fraction=0\.2 of any user's ratings is less than one"):
        split_by_time(timed((1, 10, 1), (1, 20, 2), (2, 10, 3)), 0.2, 5, 42)


@pytest.fixture(scope="module")
def by_user(ratings) -> pd.Series:
    return places(ratings, split_by=split_by_user)


def test_by_user_every_rating_is_in_one_part_and_no_test_user_is_in_train(by_user):
    assert by_user.index.tolist() == PAIRS
    parts = (by_user >= 0).groupby("user_id").mean()
    assert set(parts) == {0, 1}
    assert 1 - parts.mean() == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / 100) ** 0.5)
    assert sorted(by_user[by_user >= 0].unique()) == [0, 1, 2, 3, 4]


def test_by_user_each_new_user_is_folded_in_by_the_requested_share(ratings, by_user):
    for fraction in (0.8, 0.5):
        split = places(ratings, split_by=lambda *given, share=fraction: split_by_user(*given, fold_in_fraction=share))
        assert (split >= 0).equals(by_user >= 0)
        shares = (split[split < 0] == FOLD_IN).groupby("user_id").mean()
        assert shares.mean() == pytest.approx(fraction, abs=4 * (fraction * (1 - fraction) / 100 / len(shares)) ** 0.5)
        assert shares.between(0.3, 0.95).all()


def test_by_user_a_new_user_always_has_a_rating_to_be_folded_in_by(timed_ratings):
    """User 1 has one rating, user 2 two: at a share of next to nothing each has one in fold_in and the rest in test."""
    split = places(timed_ratings, 0.9, split_by=lambda *given: split_by_user(*given, fold_in_fraction=1e-9))
    parts = split[split < 0].groupby("user_id").value_counts().unstack(fill_value=0)
    assert len(parts) > 70
    assert (parts[FOLD_IN] == 1).all()
    assert (parts.sum(axis=1) == parts.index).all()


def test_the_split_by_user_does_not_depend_on_partitions_order_or_other_users(ratings, by_user):
    shuffled = ratings.repartition(7, "movie_id").sortWithinPartitions("user_id", ascending=False)
    pd.testing.assert_series_equal(places(shuffled, split_by=split_by_user), by_user)
    half = places(ratings.filter("user_id % 2 = 0"), split_by=split_by_user)
    pd.testing.assert_series_equal(half, by_user[by_user.index.get_level_values("user_id") % 2 == 0])


def test_by_user_another_seed_holds_out_others_and_folds_are_those_of_the_split_by_hash(ratings, split, by_user):
    other = places(ratings, seed=43, split_by=split_by_user)
    assert ((other < 0) & (by_user < 0)).mean() < 0.15
    in_both = (split >= 0) & (by_user >= 0)
    assert split[in_both].equals(by_user[in_both])


def parameters(**values) -> SplitParameters:
    return SplitParameters(**{"test_fraction": 0.2, "folds": 5, "seed": 42, **values})


def split_by_node(ratings, chosen: SplitParameters, given: str = "false"):
    """The split of the node; `given` says which ratings are in the test set that came with the data."""
    raw_test = ratings.filter(given).selectExpr(
        "string(user_id) as userId", "string(movie_id) as movieId", "'4' as rating", "'1' as timestamp"
    )
    none = ratings.sparkSession.createDataFrame([], OWN_NUMBERS)
    profile = Profile(True, True, "seconds", HALF_STARS).to_json()
    return split_ratings(ratings, raw_test, Source(LAYOUTS["csv"], "csv"), profile, none, none, chosen)


def test_the_test_set_that_came_with_the_data_is_the_test_set(ratings):
    train, test, fold_in = split_by_node(ratings, parameters(strategy="given"), "movie_id % 3 = 0")
    assert test.filter("movie_id % 3 <> 0").isEmpty()
    assert train.filter("movie_id % 3 = 0").isEmpty()
    assert train.count() + test.count() == ratings.count()
    assert train.columns == [*ratings.columns, "fold"]
    assert fold_in.isEmpty()


@pytest.mark.parametrize(
    ("chosen", "split_by"),
    [
        ({}, split_by_hash),
        ({"strategy": "random"}, split_by_hash),
        ({"strategy": "temporal"}, split_by_time),
        ({"strategy": "new_users"}, split_by_user),
    ],
)
def test_the_strategy_chooses_the_split_and_is_random_by_default(timed_ratings, chosen, split_by):
    found = places(timed_ratings, split_by=lambda ratings, *_: split_by_node(ratings, parameters(**chosen)))
    pd.testing.assert_series_equal(found, places(timed_ratings, split_by=split_by))


@pytest.mark.parametrize(("test_fraction", "empty"), [(1e-12, "test"), (1 - 1e-12, "train")])
@pytest.mark.parametrize("strategy", ["random", "new_users"])
def test_a_split_that_leaves_a_side_without_a_rating_is_refused(ratings, test_fraction, empty, strategy):
    with pytest.raises(UserError, match=f"^The split leaves no rating in the {empty} set: choose another split.test_"):
        split_by_node(ratings, parameters(test_fraction=test_fraction, strategy=strategy))


def test_the_last_share_of_each_users_train_ratings_is_fold_0_and_the_rest_fold_1(spark):
    """Half of user 1's four; of user 2's three one, the higher of two movies of the same time; none of user 3's."""
    rows = [
        (1, movie, 4.0, datetime(2020, 1, 1) + timedelta(days=day), 2)
        for movie, day in ((1, 9), (2, 1), (3, 5), (4, 3))
    ]
    rows += [(2, movie, 3.0, datetime(2020, 1, 1) + timedelta(days=day), 0) for movie, day in ((1, 4), (2, 4), (3, 1))]
    rows += [(3, 1, 5.0, datetime(2020, 1, 1), 1)]
    train = spark.createDataFrame(rows, f"{RATINGS}, fold int")
    found = hold_out_last(train, 0.5, seed=1)
    assert found.dtypes == train.dtypes
    table = found.orderBy("user_id", "movie_id").collect()
    assert [tuple(row)[:4] for row in table] == [row[:4] for row in rows]
    assert [row["fold"] for row in table] == [0, 1, 0, 1, 1, 0, 1, 1]
