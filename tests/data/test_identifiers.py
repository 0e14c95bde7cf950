"""Ids of any kind get the same numbers whatever the partitioning, and are themselves again in every output."""

from pyspark.testing import assertDataFrameEqual

from movie_recs.data.identifiers import (
    IDS,
    OWN_NUMBERS,
    number_ids,
    numbers_of,
    originals_of,
    to_numbers,
    to_originals,
    with_originals,
)


def test_numbers_follow_the_order_of_the_ids_whatever_the_partitioning(spark):
    texts = spark.createDataFrame([("b",), (" a ",), ("b",), ("",), (None,), ("ü",), ("10",)], "user string")
    expected = spark.createDataFrame([(1, "10"), (2, "a"), (3, "b"), (4, "ü")], IDS)
    for partitions in (1, 5):
        assertDataFrameEqual(number_ids(texts.repartition(partitions)), expected)


def test_ids_are_numbers_and_themselves_again(spark):
    ids = spark.createDataFrame([(1, "x"), (2, "y")], IDS)
    table = spark.createDataFrame([("y", "x", 0.5), ("z", "y", 0.1)], "movie_id string, other string, score double")
    numbered = to_numbers(table, ids, "movie_id", "other")
    assert numbered.columns == table.columns
    assert sorted(map(tuple, numbered.collect()), key=str) == [(2, 1, 0.5), (None, 2, 0.1)]
    again = to_originals(numbered.filter("movie_id is not null"), ids, "movie_id", "other")
    assert [tuple(row) for row in again.collect()] == [("y", "x", 0.5)]


def test_ids_that_are_their_own_numbers_stay(spark):
    none = spark.createDataFrame([], OWN_NUMBERS)
    table = spark.createDataFrame([(7,)], "user_id int")
    assert to_originals(table, none, "user_id").collect() == table.collect()
    assert to_numbers(table, none, "user_id").collect() == table.collect()


def test_requested_ids_are_looked_up_as_they_are_written(spark):
    ids = spark.createDataFrame([(1, "007"), (2, "12"), (3, "ada")], IDS)
    assert numbers_of(["ada", "007", 7, 12, "bob"], ids) == {"ada": 3, "007": 1, 12: 2}
    assert originals_of([3, 1], ids) == {1: "007", 3: "ada"}
    none = spark.createDataFrame([], OWN_NUMBERS)
    assert numbers_of([7, "8", "ada", 0, 2**40], none) == {7: 7, "8": 8}
    assert originals_of([7], none) == {7: 7}


def test_original_ids_stand_beside_their_numbers_whatever_the_order_of_the_rows(spark):
    ids = spark.createDataFrame([(number, f"id {number}") for number in range(1, 200)], IDS)
    table = spark.range(1, 200).selectExpr("int(200 - id) as movie_id", "string(200 - id) as title").repartition(7)
    rows = with_originals(table, ids, "movie_id").collect()
    assert len(rows) == 199
    assert all(row["original"] == f"id {row['movie_id']}" == f"id {row['title']}" for row in rows)
