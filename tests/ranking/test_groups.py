"""Groups of users against the measures of all users, and groups of movies by hand."""

import pytest
from pyspark.sql import functions as F
from ranking.tables import Tables

from movie_recs.ranking.groups import accuracy_by_group, exposure_by_group
from movie_recs.ranking.metrics import measure_rankings


def test_shares_and_recall_of_groups_of_movies(spark):
    movies = [(1, 1994), (2, 1995), (3, 2001), (4, None)]
    train = [(user, 1) for user in range(12)] + [(1, 2), (2, 2), (3, 2), (4, 3)]
    held_out = [(1, 3), (2, 3), (2, 1), (3, 1), (9, 2)]
    lists = [(1, 1, 3), (1, 2, 2), (2, 1, 1), (3, 1, 3), (3, 2, 2), (3, 3, 1)]  # the last is beyond k = 2
    rows = exposure_by_group(
        spark.createDataFrame(lists, "user_id int, rank int, movie_id int"),
        spark.createDataFrame(held_out, "user_id int, movie_id int"),
        spark.createDataFrame(train, "user_id int, movie_id int"),
        spark.createDataFrame(movies, "movie_id int, year int"),
        k=2,
    ).collect()
    names = ("movies", "held_out", "train_share", "list_share", "recall")
    assert {(row["kind"], row["group"]): tuple(row[name] for name in names) for row in rows} == {
        ("movies_by_ratings", "10-19"): (1, 2, 12 / 16, 1 / 5, 1 / 2),
        ("movies_by_ratings", "1-9"): (2, 3, 4 / 16, 4 / 5, 1 / 3),
        ("movies_by_ratings", "0"): (1, 0, 0.0, 0.0, None),
        ("movies_by_decade", "1990s"): (2, 3, 15 / 16, 3 / 5, 1 / 3),
        ("movies_by_decade", "2000s"): (1, 2, 1 / 16, 2 / 5, 1 / 2),
        ("movies_by_decade", "unknown"): (1, 0, 0.0, 0.0, None),
    }


def test_without_lists_nothing_has_a_share(spark):
    nothing = spark.createDataFrame([], "user_id int, rank int, movie_id int")
    movies = spark.createDataFrame([(1, 1994)], "movie_id int, year int")
    rows = exposure_by_group(nothing, nothing, nothing, movies, k=2).collect()
    shares = {(row["group"], row["train_share"], row["list_share"], row["recall"]) for row in rows}
    assert shares == {("0", None, None, None), ("1990s", None, None, None)}


class TestAccuracyByGroup:
    MEASURES = ("n_users", "ndcg", "ndcg_se", "ndcg_graded", "ndcg_graded_se", "hit_rate", "hit_rate_se")

    @pytest.fixture
    def tables(self, spark):
        """Users 1 to 6 with one, or with ten, train ratings each; user 6 has no list, and user 7 nothing held out."""
        train = [(user, movie) for user in range(1, 8) for movie in range(1, 2 + 9 * (user % 2))]
        held_out = [(user, 11 + (user + step) % 4, 2.0 + step) for user in range(1, 7) for step in range(2)]
        lists = {"model": {user: [11 + user % 3, 12 + user % 3, 15] for user in (1, 2, 3, 4, 5, 7)}}
        listed, *others = Tables(lists, held_out, train, {movie: ["War"] for movie in range(1, 16)}).in_spark(spark)
        return listed.withColumn("predicted_stars", F.lit(3.0)), *others

    def test_a_group_has_the_measures_of_its_users(self, spark, tables):
        rows = {row["group"]: row for row in accuracy_by_group(*tables, k=3).collect()}
        assert {group: row["n_users"] for group, row in rows.items()} == {"1-9": 3, "10-19": 3}
        for group, users in (("1-9", (2, 4, 6)), ("10-19", (1, 3, 5))):
            of_group = spark.createDataFrame([(user,) for user in users], "user_id int")
            (expected,) = measure_rankings(*tables, k=3, users=of_group).collect()
            for name in (*self.MEASURES, "popularity_lift"):
                assert rows[group][name] == pytest.approx(expected[name]), (group, name)

    def test_new_users_are_grouped_by_the_ratings_that_fold_them_in(self, spark, tables):
        lists, held_out, train, movies = tables
        fold_in = train.where("user_id < 3").withColumn("user_id", F.col("user_id") + 100)
        moved = [
            frame.withColumn("user_id", frame["user_id"] + 100).where("user_id < 103") for frame in (lists, held_out)
        ]
        rows = accuracy_by_group(*moved, train, movies, k=3, fold_in=fold_in).collect()
        assert {(row["group"], row["n_users"]) for row in rows} == {("1-9", 1), ("10-19", 1)}
        assert all(row["ndcg_se"] is None for row in rows)
