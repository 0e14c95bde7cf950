"""Scores, top-N lists and neighbours of small models whose answers are known, by hand or by brute force."""

import numpy as np
import pandas as pd
import pytest

from movie_recs import model
from movie_recs.model import FactorModel, Ridge, score, score_parts, similar_items, to_stars, top_n

FACTORS = "id int, bias float, features array<float>"
RANK, N_USERS, N_ITEMS = 4, 12, 40


def factors(spark, rows):
    return spark.createDataFrame(rows, FACTORS)


@pytest.fixture(scope="module")
def tiny(spark) -> FactorModel:
    """mu 3; users 1 and 2, movies 10, 20 and 30."""
    users = factors(spark, [(1, 0.5, [1.0, 0.0]), (2, -0.5, [0.0, 2.0])])
    items = factors(spark, [(10, 0.25, [1.0, 1.0]), (20, -0.25, [2.0, 0.0]), (30, 0.75, [0.0, -1.0])])
    return FactorModel(3.0, users.cache(), items.cache())


def test_a_score_is_the_mean_and_both_biases_and_the_dot_product(spark, tiny):
    pairs = spark.createDataFrame(
        [(1, 20, "a"), (2, 30, "b"), (1, 99, "c"), (77, 20, "d"), (77, 99, "e"), (1, 20, "a")],
        "user_id int, movie_id int, note string",
    )
    scored = score(tiny, pairs)
    assert scored.columns == ["user_id", "movie_id", "note", "score"]
    # The average user has bias 0 and features (0.5, 1), the average movie bias 0.25 and features (1, 0).
    assert sorted(tuple(row) for row in scored.collect()) == [
        (1, 20, "a", 3 + 0.5 - 0.25 + 2),
        (1, 20, "a", 3 + 0.5 - 0.25 + 2),  # a pair that comes twice leaves twice
        (1, 99, "c", 3 + 0.5 + 0.25 + 1),
        (2, 30, "b", 3 - 0.5 + 0.75 - 2),
        (77, 20, "d", 3 + 0.0 - 0.25 + 1),
        (77, 99, "e", 3 + 0.0 + 0.25 + 0.5),
    ]


def test_scores_of_several_models_stand_side_by_side(spark, tiny):
    pairs = spark.createDataFrame([(1, 10), (2, 20)], "user_id int, movie_id int")
    scored = score(tiny._replace(intercept=4.0), score(tiny, pairs, "three"), "four")
    assert scored.dtypes == [("user_id", "int"), ("movie_id", "int"), ("three", "double"), ("four", "double")]
    assert sorted(tuple(row) for row in scored.collect()) == [(1, 10, 4.75, 5.75), (2, 20, 2.25, 3.25)]


def test_without_pairs_there_are_no_scores(spark, tiny):
    assert score(tiny, spark.createDataFrame([], "user_id int, movie_id int")).collect() == []


def test_a_model_without_factors_scores_by_its_biases(spark):
    biases = FactorModel(3.5, factors(spark, [(1, 0.5, [])]), factors(spark, [(10, -0.25, []), (20, 0.25, [])]))
    pairs = spark.createDataFrame([(1, 10), (2, 30)], "user_id int, movie_id int")
    assert sorted(row["score"] for row in score(biases, pairs).collect()) == [3.5 + 0.5 - 0.25, 3.5 + 0.5 + 0.0]


BIAS_AND_ONE, ONE_MORE = Ridge(1, 8.0, bias_damping=5.0), Ridge(1, 0.1, per_rating=True)


def test_the_first_parts_score_without_those_after_them(spark, tiny):
    """Features are (1, 0) . (2, 0), (0, 2) . (1, 1), and for the unknown user the average (0.5, 1) . (0, -1)."""
    model = tiny._replace(ridges=(BIAS_AND_ONE, ONE_MORE))
    pairs = spark.createDataFrame([(1, 20), (2, 10), (77, 30)], "user_id int, movie_id int")
    scored = score_parts(model, pairs, {"none": 0, "one": 1, "two": 2, "all": None}).orderBy("user_id", "movie_id")
    whole = [3 + 0.5 - 0.25 + 2, 3 - 0.5 + 0.25 + 0 + 2, 3 + 0.0 + 0.75 + 0 - 1]
    expected = {"none": [3.0] * 3, "one": [3 + 0.5 - 0.25 + 2, 3 - 0.5 + 0.25 + 0, 3 + 0.0 + 0.75 + 0]}
    assert scored.columns == ["user_id", "movie_id", "none", "one", "two", "all"]
    assert scored.drop("user_id", "movie_id").toPandas().to_dict("list") == {**expected, "two": whole, "all": whole}


def test_stars_are_scores_within_half_a_star_and_five(spark):
    frame = spark.createDataFrame([(-1.0,), (0.5,), (3.3,), (5.0,), (7.0,)], "score double")
    assert [row[0] for row in frame.select(to_stars("score")).collect()] == [0.5, 0.5, 3.3, 5.0, 5.0]


def test_a_score_that_is_no_number_gives_no_stars(spark):
    (row,) = spark.sql("select double('NaN') score").select(to_stars("score").alias("stars")).collect()
    assert np.isnan(row["stars"])


@pytest.fixture(scope="module")
def random_factors() -> dict[str, pd.DataFrame]:
    """Users 1-12 and movies 3, 6 ... 120 in random order; movies 3-30 and 33-60 have the same factors, in pairs."""
    rng = np.random.default_rng(0)
    frames = {}
    for side, ids in (("users", np.arange(1, N_USERS + 1)), ("items", 3 * np.arange(1, N_ITEMS + 1))):
        bias, features = rng.normal(size=len(ids)), rng.normal(size=(len(ids), RANK))
        if side == "items":
            bias[10:20], features[10:20] = bias[:10], features[:10]
        frame = pd.DataFrame({"id": ids, "bias": bias.astype("float32"), "features": list(features.astype("float32"))})
        frames[side] = frame.sample(frac=1, random_state=1).reset_index(drop=True)
    return frames


@pytest.fixture(scope="module")
def random_model(spark, random_factors) -> FactorModel:
    tables = (spark.createDataFrame(random_factors[side], FACTORS).cache() for side in ("users", "items"))
    return FactorModel(3.0, *tables)


SEEN = [(user, movie) for user in range(1, 7) for movie in range(3, 121, 3) if (user * movie) % 5 == 0]
SEEN += [(7, movie) for movie in range(3, 121, 3)]  # everything
SEEN += [(8, movie) for movie in range(3, 115, 3)]  # all but 117 and 120
SEEN += [(9, 1000), (99, 3)]  # neither in the model


def ask(spark, *users: int):
    return spark.createDataFrame([(user,) for user in users], "user_id int")


def rows(frame, *columns: str) -> list[tuple]:
    return sorted(tuple(row) for row in frame.select(*columns).collect())


def brute_force_top_n(frames: dict[str, pd.DataFrame], n: int) -> list[tuple[int, int, int]]:
    result = []
    for user in frames["users"].itertuples():
        scores = [
            (-(3.0 + float(user.bias) + float(item.bias) + np.dot(user.features.astype(float), item.features)), item.id)
            for item in frames["items"].itertuples()
            if (user.id, item.id) not in SEEN
        ]
        best = sorted((round(value, 9), movie_id) for value, movie_id in scores)[:n]
        result += [(user.id, rank, movie_id) for rank, (_, movie_id) in enumerate(best, start=1)]
    return sorted(result)


@pytest.fixture(scope="module")
def seen(spark):
    return spark.createDataFrame(SEEN, "user_id int, movie_id int").cache()


@pytest.mark.parametrize(("n", "block_scores"), [(5, model.BLOCK_SCORES), (5, 100), (1000, 1)])
def test_top_n_is_what_brute_force_finds(spark, random_model, random_factors, seen, monkeypatch, n, block_scores):
    """All kinds of users at once; more than there are; and the same from blocks of 2 users and of 1."""
    monkeypatch.setattr(model, "BLOCK_SCORES", block_scores)
    best = top_n(random_model, ask(spark, *range(1, N_USERS + 1), 99), seen, n)
    found = rows(best, "user_id", "rank", "movie_id")
    assert found == brute_force_top_n(random_factors, n)
    assert [row for row in found if row[0] == 7] == []
    assert len([row for row in found if row[0] == 8]) == 2
    assert 99 not in {row[0] for row in found}


def test_scores_of_a_list_are_those_of_its_pairs(spark, random_model, seen):
    best = top_n(random_model, ask(spark, 1, 8), seen, 3)
    scored = score(random_model, best.select("user_id", "movie_id", best.score.alias("listed")))
    listed, by_itself = zip(*((row["listed"], row["score"]) for row in scored.collect()), strict=True)
    assert len(listed) == 5
    np.testing.assert_allclose(listed, by_itself, rtol=1e-12)


def test_a_user_who_has_seen_everything_alone_gets_an_empty_list(spark, random_model, seen):
    assert rows(top_n(random_model, ask(spark, 7), seen, 5), "movie_id") == []


def test_ties_go_to_the_lower_movie_id_also_at_the_end_of_the_list(spark):
    items = factors(spark, [(movie, 0.0, [1.0 if movie % 50 == 0 else 0.5]) for movie in range(200, 0, -10)])
    tied = FactorModel(0.0, factors(spark, [(1, 0.0, [2.0])]), items)
    nothing = spark.createDataFrame([(1, 10)], "user_id int, movie_id int")
    best = [(movie, 2.0) for movie in (50, 100, 150, 200)]
    next_best = [(movie, 1.0) for movie in (20, 30, 40, 60, 70, 80, 90, 110, 120, 130, 140, 160, 170)]
    assert [row[1:] for row in rows(top_n(tied, ask(spark, 1), nothing, 17), "rank", "movie_id", "score")] == (
        best + next_best
    )


@pytest.mark.parametrize(("n", "block_scores"), [(6, model.BLOCK_SCORES), (1000, 50)])
def test_similar_items_are_what_brute_force_finds(spark, random_model, random_factors, monkeypatch, n, block_scores):
    """Of two movies with the same factors each is the other's nearest, and for all others the lower id comes first."""
    monkeypatch.setattr(model, "BLOCK_SCORES", block_scores)
    asked = [3, 33, 48, 90, 120]
    similar = similar_items(random_model, spark.createDataFrame([(m,) for m in [*asked, 4]], "movie_id int"), n)
    by_id = {item.id: item.features.astype(float) for item in random_factors["items"].itertuples()}
    expected = []
    for movie in asked:
        others = sorted(
            (np.linalg.norm(by_id[movie] - by_id[other]).round(9), other) for other in by_id if other != movie
        )
        expected += [(movie, rank, other, value) for rank, (value, other) in enumerate(others[:n], start=1)]
    found = rows(similar, "movie_id", "rank", "similar_movie_id", "distance")
    assert [row[:3] for row in found] == [row[:3] for row in sorted(expected)]
    np.testing.assert_allclose([row[3] for row in found], [row[3] for row in sorted(expected)], atol=1e-9)
    assert {row for row in found if row[0] in (3, 33) and row[1] == 1} == {(3, 1, 33, 0.0), (33, 1, 3, 0.0)}


def test_equal_movies_are_equally_far_to_the_last_bit(spark):
    """Through |a|^2 + |b|^2 - 2ab some of them would not be."""
    features = np.random.default_rng(3).normal(size=10).astype("float32").tolist()
    items = factors(spark, [(movie, 0.0, features) for movie in range(1, 201)])
    similar = similar_items(FactorModel(0.0, items, items), spark.createDataFrame([(100,)], "movie_id int"), 250)
    others = [movie for movie in range(1, 201) if movie != 100]
    assert rows(similar, "rank", "similar_movie_id", "distance") == [(r, m, 0.0) for r, m in enumerate(others, start=1)]
