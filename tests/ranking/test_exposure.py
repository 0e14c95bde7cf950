"""Which groups of movies are recommended and found, by hand."""

from movie_recs.ranking.exposure import exposure_by_group


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
