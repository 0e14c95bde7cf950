"""Ratings as arrays: in one order however they came, and what a fit may see of them."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from movie_recs.data.interactions import (
    Interactions,
    compact,
    group_rows,
    is_in_sample,
    read_interactions,
    rows_of,
    select_seen,
    take,
    take_users,
    users_apart,
)
from movie_recs.data.spark_interactions import interaction_columns, movie_ids

CATALOGUE = np.array([10, 20, 30, 40], np.int32)
ROWS = [  # user, movie, stars, fold, microseconds; by user, then by movie
    (3, 10, 4.0, 0, 500),
    (3, 30, 5.0, 1, 100),
    (5, 20, 1.0, 0, 300),
    (9, 10, 3.5, 1, 200),
    (9, 20, 0.5, 0, 400),
]


def table(rows: list[tuple]) -> pa.Table:
    kinds = {"user_id": pa.int32(), "movie_id": pa.int32(), "rating": pa.float32(), "fold": pa.int16()}
    schema = pa.schema({**kinds, "time": pa.int64()})
    return pa.table(dict(zip(schema.names, zip(*rows, strict=True), strict=True)), schema)


@pytest.fixture
def interactions() -> Interactions:
    return read_interactions(table(ROWS), CATALOGUE, first_user=70)


def lists(arrays) -> list:
    return [array.tolist() for array in arrays]


class TestReading:
    @pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 1, 0, 3]])
    def test_rows_are_by_user_then_by_movie_in_whatever_order_they_came(self, order):
        read = read_interactions(table([ROWS[row] for row in order]), CATALOGUE, first_user=70)
        assert lists(read[:-1]) == [
            [0, 0, 1, 2, 2],
            [0, 2, 1, 0, 1],
            [4.0, 5.0, 1.0, 3.5, 0.5],
            [0, 1, 0, 1, 0],
            [500, 100, 300, 200, 400],
            [3, 5, 9],
            [10, 20, 30, 40],
        ]
        assert read.first_user == 70

    def test_a_movie_outside_the_catalogue_has_the_number_of_its_movies(self):
        rows = [(3, 5, 4.0, 0, 0), (3, 30, 4.0, 0, 0), (3, 99, 4.0, 0, 0)]
        assert read_interactions(table(rows), CATALOGUE).movies.tolist() == [2, 4, 4]

    def test_without_rows_there_are_no_users(self):
        read = read_interactions(table(ROWS).slice(0, 0), CATALOGUE)
        assert lists(read[:-2]) == [[]] * 6
        assert read.movie_ids is CATALOGUE

    def test_arrays_have_the_types_that_compiled_loops_are_compiled_for(self, interactions):
        kinds = [array.dtype.name for array in interactions[:-1]]
        assert kinds == ["int32", "int32", "float32", "int16", "int64", "int32", "int32"]


class TestColumns:
    def test_they_are_those_of_the_arrays_and_nothing_else(self, spark):
        schema = "note string, user_id int, movie_id int, rating double, fold int, rated_at timestamp"
        when = datetime(1970, 1, 1, 0, 0, 2, 5, tzinfo=UTC)
        rows = [("a", 3, 10, 4.5, 2, when), ("b", 3, 20, 1.0, 0, None)]
        columns = interaction_columns(spark.createDataFrame(rows, schema))
        assert columns.dtypes == [
            ("user_id", "int"), ("movie_id", "int"), ("rating", "float"), ("fold", "smallint"), ("time", "bigint")
        ]  # fmt: skip
        oldest = np.iinfo(np.int64).min  # a rating without a time
        assert [tuple(row) for row in columns.collect()] == [(3, 10, 4.5, 2, 2_000_005), (3, 20, 1.0, 0, oldest)]

    def test_without_folds_and_times_all_ratings_are_of_fold_0_and_of_one_time(self, spark):
        columns = interaction_columns(spark.sql("select 3 user_id, 10 movie_id, float(4.5) rating"))
        assert tuple(columns.first()) == (3, 10, 4.5, 0, 0)

    def test_a_catalogue_is_its_ids_in_ascending_order(self, spark):
        ids = movie_ids(spark.createDataFrame([(30, "c"), (10, "a"), (20, "b")], "movie_id int, title string"))
        assert ids.tolist() == [10, 20, 30]
        assert ids.dtype == np.int32


class TestSeen:
    def test_the_ratings_of_one_fold_are_held_out(self, interactions):
        seen = select_seen(interactions, 1)
        assert lists(seen[:6]) == [
            [0, 1, 2],
            [0, 1, 1],
            [4.0, 1.0, 0.5],
            [0, 1, 2, 3],
            [0, 1, 2],
            [0, 1, 3, 3, 3],
        ]
        assert seen.ratings.dtype == np.float64
        assert seen.first_user == 70
        assert seen.movie_counts.tolist() == [1.0, 2.0, 0.0, 0.0]

    def test_without_a_fold_all_are_seen_by_user_and_by_movie(self, interactions):
        seen = select_seen(interactions)
        assert seen.users.tolist() == [0, 0, 1, 2, 2]
        assert seen.user_starts.tolist() == [0, 2, 3, 5]
        assert seen.by_movie.tolist() == [0, 3, 2, 4, 1]  # movie 10 by users 3 and 9, then 20, then 30
        assert seen.movie_starts.tolist() == [0, 2, 4, 5, 5]

    def test_a_user_without_a_seen_rating_stays_and_is_told_apart(self, interactions):
        alone = take(interactions, interactions.folds == 1)
        seen = select_seen(alone)
        assert seen.user_ids.tolist() == [3, 5, 9]
        assert seen.user_starts.tolist() == [0, 1, 1, 2]
        assert seen.rated_users.tolist() == [True, False, True]


@pytest.mark.parametrize("rows", [np.array([1, 4]), np.array([False, True, False, False, True])])
def test_rows_are_taken_by_place_or_by_mask_and_all_users_stay(interactions, rows):
    taken = take(interactions, rows)
    assert lists(taken[:5]) == [[0, 2], [2, 1], [5.0, 0.5], [1, 0], [100, 400]]
    assert taken.user_ids.tolist() == [3, 5, 9]
    assert taken.first_user == 70


def test_unknown_ids_have_the_number_of_the_known_ones():
    assert rows_of(np.array([20, 5, 40, 41, 10, -1]), CATALOGUE).tolist() == [1, 4, 3, 4, 0, 4]
    assert rows_of(np.array([20, -1]), CATALOGUE[:0]).tolist() == [0, 0]


def test_rows_are_grouped_in_the_order_they_came():
    keys = np.array([3, 0, 3, 1, 0, 3], np.int32)
    starts, order = group_rows(keys, 5)
    assert starts.tolist() == [0, 2, 3, 3, 6, 6]
    assert order.tolist() == [1, 4, 3, 0, 2, 5]


def test_many_rows_are_grouped_as_a_stable_sort_does():
    keys = np.random.default_rng(3).integers(0, 300, 1000, dtype=np.int32)
    starts, order = group_rows(keys, 400)
    np.testing.assert_array_equal(order, np.argsort(keys, kind="stable"))
    np.testing.assert_array_equal(np.diff(starts), np.bincount(keys, minlength=400))


class TestSample:
    IDS = np.arange(1, 100_001, dtype=np.int32)

    def test_it_has_about_the_share(self):
        for share in (0.0, 0.1, 0.5, 1.0):
            assert is_in_sample(self.IDS, share, 42).mean() == pytest.approx(share, abs=0.005)
        assert is_in_sample(self.IDS, 1e9, 42).all()

    def test_an_id_is_in_it_or_not_whatever_the_others(self):
        whole = is_in_sample(self.IDS, 0.3, 42)
        np.testing.assert_array_equal(is_in_sample(self.IDS[::-7], 0.3, 42), whole[::-7])

    def test_a_larger_share_has_more_and_another_seed_others(self):
        some, more = (is_in_sample(self.IDS, share, -(2**63)) for share in (0.2, 0.4))
        assert (more | ~some).all()
        other = is_in_sample(self.IDS, 0.2, 5)
        assert (some & other).mean() == pytest.approx(0.04, abs=0.005)


def test_the_ratings_of_some_users_are_theirs_alone():
    users, movies = np.array([0, 0, 1, 3, 3, 3], np.int32), np.array([4, 5, 6, 4, 6, 7], np.int32)
    ids = np.array([10, 20, 30, 40], np.int32), np.arange(8, dtype=np.int32)
    zeros = np.zeros(6, np.int16), np.zeros(6, np.int64)
    whole = Interactions(users, movies, np.arange(6, dtype=np.float32), *zeros, *ids)
    own = take_users(whole, np.array([2, 3]))
    assert own.user_ids.tolist() == [30, 40]
    assert own.users.tolist() == [1, 1, 1]
    assert own.movies.tolist() == [4, 6, 7]
    assert own.ratings.tolist() == [3, 4, 5]


def test_rows_that_occur_have_places_among_themselves():
    occurs, places = compact(np.array([3, 1, 3, 4], np.int32), 6)
    assert occurs.tolist() == [False, True, False, True, True, False]
    assert (places.tolist(), places.dtype) == ([1, 0, 1, 2], np.int32)
    assert compact(np.zeros(0, np.int32), 2)[1].tolist() == []


def test_users_apart_are_as_each_would_be_read_alone(interactions):
    apart = list(users_apart(interactions))
    alone = [read_interactions(table([row for row in ROWS if row[0] == user]), CATALOGUE) for user in (3, 5, 9)]
    assert [lists(each[:-1]) for each in apart] == [lists(each[:-1]) for each in alone]
    assert list(users_apart(take_users(interactions, np.zeros(0, int)))) == []
