"""Blocks of whole users: the same from both carriers, and each user whole in one block."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from pyspark import cloudpickle
from pyspark.errors import PythonException
from pyspark.testing import assertDataFrameEqual

from movie_recs.data import blocks as carriers
from movie_recs.data.blocks import Entries, LocalBlocks, open_blocks, tasks_at_a_time

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import tests

CARRIERS = ["local", "spark"]
SCHEMA = "user_id int, movie_id int, rating float, fold int"
CATALOGUE = np.array([10, 20, 30, 40], np.int32)
RATINGS = [  # by user, then by movie; nobody has rated 40
    (3, 10, 4.0, 0),
    (3, 30, 5.0, 1),
    (5, 10, 1.0, 0),
    (7, 20, 3.0, 1),
    (8, 30, 2.5, 0),
    (11, 10, 0.5, 1),
    (11, 20, 4.5, 0),
    (11, 30, 3.5, 0),
]
USERS = [3, 5, 7, 8, 11]
# Four blocks of eight ratings: a user is where her last rating falls.
IN_SPARK = [[3], [5, 7], [8], [11]]
IN_SPARK_FIRST = [0, 1, 3, 4]


@pytest.fixture(scope="module")
def ratings(spark):
    return spark.createDataFrame(RATINGS[::-1], SCHEMA)


@pytest.fixture(scope="module", params=CARRIERS)
def blocks(request, ratings):
    opened = open_blocks(request.param, ratings, CATALOGUE)
    yield opened
    opened.close()


@pytest.fixture
def in_spark(ratings):
    opened = open_blocks("spark", ratings, CATALOGUE)
    yield opened
    opened.close()


def rows_of_block(block) -> list[tuple]:
    ids = block.user_ids[block.users], block.movie_ids[block.movies]
    columns = (column.tolist() for column in (*ids, block.ratings, block.folds))
    return list(zip(*columns, strict=True))


def user_means(block) -> np.ndarray:
    return np.bincount(block.users, block.ratings) / np.bincount(block.users)


def joined(parts: list) -> list:
    return [row for part in parts for row in part]


def test_every_rating_is_in_its_users_block_by_user_then_by_movie(blocks):
    assert blocks.user_ids.tolist() == USERS
    assert blocks.movie_ids.tolist() == CATALOGUE.tolist()
    assert joined(blocks.collect(rows_of_block)) == RATINGS


def test_a_block_knows_its_users_and_how_many_are_before_it(blocks):
    parts = blocks.collect(lambda block: (block.user_ids.tolist(), block.first_user))
    is_one = len(parts) == 1
    assert parts == ([(USERS, 0)] if is_one else list(zip(IN_SPARK, IN_SPARK_FIRST, strict=True)))
    for users, first in parts:
        assert blocks.user_ids[first : first + len(users)].tolist() == users


def test_formulas_follow_one_another(blocks):
    means = blocks.map(user_means)
    assert np.concatenate(means.collect(lambda each: each)).tolist() == [4.5, 1.0, 3.0, 2.5, pytest.approx(8.5 / 3)]
    assert sum(means.map(lambda each: each.max()).collect(lambda most: int(most > 2.9))) >= 1
    assert sum(blocks.collect(lambda block: block.ratings.sum())) == 24.0


def test_blocks_are_zipped_with_those_mapped_from_the_same(blocks):
    zipped = blocks.map(user_means).zip(blocks.map(lambda block: block.user_ids))
    pairs = joined(zipped.collect(lambda both: list(zip(both[1].tolist(), both[0].tolist(), strict=True))))
    assert pairs == [(3, 4.5), (5, 1.0), (7, 3.0), (8, 2.5), (11, pytest.approx(8.5 / 3))]


def test_a_table_has_the_rows_of_all_blocks(spark, blocks):
    def mean_rows(block) -> pa.Table:
        return pa.table({"user_id": block.user_ids, "mean": user_means(block)})

    table = blocks.table(spark, mean_rows, "user_id int, mean double")
    expected = [(3, 4.5), (5, 1.0), (7, 3.0), (8, 2.5), (11, 8.5 / 3)]
    assertDataFrameEqual(table, spark.createDataFrame(expected, "user_id int, mean double"))


def test_rows_of_users_come_to_their_blocks_and_those_of_strangers_to_none(spark, blocks):
    notes = spark.createDataFrame([(11, "a"), (3, "b"), (99, "c"), (11, "d"), (7, "e")], "id int, note string")
    with_notes = blocks.with_rows(notes, "id").map(
        lambda pair: [
            (user, sorted(row["note"] for row in pair[1].to_pylist() if row["id"] == user))
            for user in sorted({*pair[0].user_ids.tolist(), *pair[1]["id"].to_pylist()})
        ]
    )
    assert joined(with_notes.collect(lambda rows: rows)) == [(3, ["b"]), (5, []), (7, ["e"]), (8, []), (11, ["a", "d"])]


class TestKeeping:
    @staticmethod
    def counted(path, block):
        with path.open("a") as file:
            file.write("run\n")
        return user_means(block)

    def test_formulas_of_kept_blocks_have_run_once(self, blocks, tmp_path):
        path = tmp_path / "runs"
        kept = blocks.map(lambda block: TestKeeping.counted(path, block)).keep()
        try:
            for _ in range(2):
                assert np.concatenate(kept.collect(lambda means: means)).tolist()[:4] == [4.5, 1.0, 3.0, 2.5]
            assert sum(kept.zip(kept.map(np.size)).collect(lambda both: both[1])) == len(USERS)
            number = len(blocks.collect(lambda block: 0))
            assert path.read_text().count("run") == number
        finally:
            kept.close()

    def test_kept_blocks_have_the_same_places(self, blocks):
        kept = blocks.map(lambda block: block.user_ids).keep()
        try:
            assert joined(kept.collect(np.ndarray.tolist)) == USERS
            sums = kept.by_movie(lambda ids: Entries(np.arange(1), np.zeros(1, int), ids[:1].astype(np.float32)))
            sums.close()
        finally:
            kept.close()

    def test_after_closing_nothing_stays_cached(self, spark, ratings):
        def cached() -> set:
            return set(spark.sparkContext._jsc.getPersistentRDDs())

        before = cached()
        opened = open_blocks("spark", ratings.filter("rating > 0"), CATALOGUE)  # equal plans would share what is cached
        kept = opened.map(user_means).keep()
        entries = opened.by_movie(entries_of)
        kept.collect(np.size)
        entries.solve(opened.map(user_vectors), describe)
        assert len(cached() - before) == 3
        for each in (entries, kept, opened):
            each.close()
        assert cached() == before


def entries_of(block) -> Entries:
    return Entries(block.users + np.int32(block.first_user), block.movies, block.ratings)


def user_vectors(block) -> np.ndarray:
    """A user's id and its square."""
    return np.column_stack([block.user_ids, block.user_ids**2]).astype(np.float32)


def describe(starts, users, values, vectors) -> np.ndarray:
    """Of each movie the sum of its values, that of its users' vectors times them, and 1st + 2 * 2nd + ... value."""
    described = np.zeros((len(starts) - 1, 4), np.float32)
    for movie in range(len(described)):
        own = slice(starts[movie], starts[movie + 1])
        places = np.arange(1, 1 + starts[movie + 1] - starts[movie])
        described[movie] = values[own].sum(), *(values[own] @ vectors[users[own]]), places @ values[own]
    return described


class TestByMovie:
    def test_a_formula_sees_all_entries_of_a_movie_by_user_and_the_vectors_of_all_users(self, blocks):
        entries = blocks.by_movie(entries_of)
        try:
            described = entries.solve(blocks.map(user_vectors), describe)
            doubled = entries.solve(blocks.map(user_vectors).map(lambda vectors: 2 * vectors), describe)
        finally:
            entries.close()
        assert described.dtype == np.float32
        assert described.tolist() == [
            [5.5, 4 * 3 + 1 * 5 + 0.5 * 11, 4 * 9 + 1 * 25 + 0.5 * 121, 4 + 2 * 1 + 3 * 0.5],
            [7.5, 3 * 7 + 4.5 * 11, 3 * 49 + 4.5 * 121, 3 + 2 * 4.5],
            [11.0, 5 * 3 + 2.5 * 8 + 3.5 * 11, 5 * 9 + 2.5 * 64 + 3.5 * 121, 5 + 2 * 2.5 + 3 * 3.5],
            [0.0, 0.0, 0.0, 0.0],
        ]
        np.testing.assert_array_equal(doubled, described * [1, 2, 2, 1])

    def test_without_entries_every_movie_has_zeros_as_long_as_the_vectors(self, blocks):
        nothing = Entries(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
        entries = blocks.by_movie(lambda block: nothing)
        try:
            solved = entries.solve(
                blocks.map(user_vectors), lambda starts, *_: np.zeros((len(starts) - 1, 2), np.float32)
            )
        finally:
            entries.close()
        assert solved.tolist() == [[0.0, 0.0]] * len(CATALOGUE)

    def test_vectors_of_the_other_carrier_are_refused(self, ratings, in_spark):
        local = open_blocks("local", ratings, CATALOGUE)
        with pytest.raises(TypeError, match="not in Spark"):
            in_spark.by_movie(entries_of).solve(local.map(user_vectors), describe)
        with pytest.raises(TypeError, match="not in this process"):
            local.by_movie(entries_of).solve(in_spark.map(user_vectors), describe)


def test_blocks_of_different_ratings_are_not_zipped(ratings, in_spark):
    other = open_blocks("spark", ratings, CATALOGUE)
    with pytest.raises(ValueError, match="mapped from the same"):
        in_spark.zip(other)
    with pytest.raises(ValueError, match="mapped from the same"):
        in_spark.zip(open_blocks("local", ratings, CATALOGUE))
    other.close()


class TestPlaces:
    def test_more_ratings_make_more_blocks_with_the_same_rows(self, ratings, monkeypatch):
        monkeypatch.setattr(carriers, "RATINGS_PER_BLOCK", 1)
        opened = open_blocks("spark", ratings, CATALOGUE)
        parts = opened.collect(lambda block: (block.first_user, rows_of_block(block)))
        opened.close()
        assert [first for first, _ in parts] == [0, 1, 2, 3, 4]  # a block a user
        assert joined(rows for _, rows in parts) == RATINGS

    def test_a_user_with_most_of_the_ratings_is_whole_in_one_block(self, spark):
        rows = [
            (1, 10, 1.0, 0),
            (1, 20, 1.0, 0),
            *((2, 10 * movie, 2.0, 0) for movie in range(1, 101)),
            (3, 10, 3.0, 0),
        ]
        movies = np.arange(10, 1010, 10, dtype=np.int32)
        opened = open_blocks("spark", spark.createDataFrame(rows, SCHEMA), movies)
        parts = opened.collect(lambda block: (block.first_user, rows_of_block(block)))
        opened.close()
        assert parts == [(0, rows[:2]), (1, rows[2:])]

    def test_neither_the_order_nor_the_partitions_of_the_ratings_change_a_bit(self, ratings, blocks):
        shuffled = ratings.repartition(3, "movie_id").sortWithinPartitions("rating")
        opened = open_blocks("local" if isinstance(blocks, LocalBlocks) else "spark", shuffled, CATALOGUE)
        found = opened.collect(lambda block: (block.first_user, rows_of_block(block)))
        opened.close()
        assert found == blocks.collect(lambda block: (block.first_user, rows_of_block(block)))

    def test_the_order_of_a_movies_entries_does_not_depend_on_how_the_ratings_came(self, ratings):
        opened = open_blocks("spark", ratings.orderBy("rating").coalesce(1), CATALOGUE)
        entries = opened.by_movie(entries_of)
        weighed = entries.solve(opened.map(user_vectors), describe)[:, 3]
        entries.close()
        opened.close()
        assert weighed.tolist() == [4 + 2 * 1 + 3 * 0.5, 3 + 2 * 4.5, 5 + 2 * 2.5 + 3 * 3.5, 0]


@pytest.mark.parametrize("carrier", CARRIERS)
class TestOddData:
    @pytest.mark.parametrize("movies", [[10, 20], [9999]])
    def test_a_rated_movie_that_is_not_in_the_catalogue_is_an_error(self, ratings, carrier, movies):
        with pytest.raises((ValueError, PythonException), match="A rated movie is not in the catalogue"):  # noqa: PT012
            opened = open_blocks(carrier, ratings, np.array(movies, np.int32))
            opened.collect(rows_of_block)

    def test_without_ratings_there_are_no_users(self, spark, ratings, carrier):
        opened = open_blocks(carrier, ratings.limit(0), CATALOGUE)
        assert opened.user_ids.tolist() == []
        assert joined(opened.collect(rows_of_block)) == []
        assert sum(opened.collect(lambda block: len(block.ratings))) == 0
        table = opened.table(spark, lambda block: pa.table({"user_id": block.user_ids}), "user_id int")
        assert table.collect() == []
        opened.close()


def test_this_session_runs_a_task_a_core(spark):
    assert tasks_at_a_time(spark) == 2
