"""Top-N lists and similar movies of small models whose answers are known, by hand or by brute force."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.model import top_n as retrieval
from movie_recs.model.factor_model import FactorModel
from movie_recs.model.scoring import score
from movie_recs.model.top_n import similar_items, top_n

FACTORS, PAIRS = "id int, bias float, features array<float>", "user_id int, movie_id int"
RANK, N_USERS, N_ITEMS = 4, 12, 40


def table(spark, rows, schema):
    """A table that is in the plan itself; one from a list of rows would be a Python job."""
    return spark.createDataFrame(pd.DataFrame(rows, columns=[field.split()[0] for field in schema.split(", ")]), schema)


def factors(spark, rows):
    return table(spark, rows, FACTORS)


@pytest.fixture(scope="module")
def tiny(spark) -> FactorModel:
    """mu 3; users 1 and 2, movies 10, 20, 30 and 40."""
    users = factors(spark, [(1, 0.5, [1.0, 0.0]), (2, -0.5, [0.0, 2.0])])
    items = [(10, 0.25, [1.0, 1.0]), (20, -0.25, [2.0, 0.0]), (30, 0.75, [0.0, -1.0]), (40, 0.5, [0.0, 0.0])]
    return FactorModel(3.0, users, factors(spark, items))


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
    return FactorModel(3.0, *(spark.createDataFrame(random_factors[side], FACTORS) for side in ("users", "items")))


SEEN = [(user, movie) for user in range(1, 7) for movie in range(3, 121, 3) if (user * movie) % 5 == 0]
SEEN += [(7, movie) for movie in range(3, 121, 3)]  # everything
SEEN += [(8, movie) for movie in range(3, 115, 3)]  # all but 117 and 120
SEEN += [(9, 1000), (99, 3), (10, 3), (10, 3)]  # neither in the model; and twice the same


def ask(spark, *users: int):
    return table(spark, users, "user_id int")


def ask_movies(spark, *movies: int):
    return table(spark, movies, "movie_id int")


def rows(frame, *columns: str) -> list[tuple]:
    return sorted(tuple(row) for row in frame.select(*(columns or frame.columns)).collect())


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
    return table(spark, SEEN, PAIRS)


@pytest.fixture(scope="module")
def nothing(spark):
    return table(spark, [], PAIRS)


def test_lists_and_their_scores(spark, tiny):
    """Scores by hand; user 1 has seen the best of her list."""
    best = top_n(tiny, ask(spark, 1, 2), table(spark, [(1, 20)], PAIRS), 2)
    assert best.dtypes == [("user_id", "int"), ("rank", "int"), ("movie_id", "int"), ("score", "double")]
    assert rows(best) == [
        (1, 1, 10, 3 + 0.5 + 0.25 + 1),
        (1, 2, 30, 3 + 0.5 + 0.75 + 0),
        (2, 1, 10, 3 - 0.5 + 0.25 + 2),
        (2, 2, 40, 3 - 0.5 + 0.5 + 0),
    ]


@pytest.mark.parametrize(("n", "block"), [(5, retrieval.BLOCK), (5, (2, 7)), (1000, (1, 1))])
def test_top_n_is_what_brute_force_finds(spark, random_model, random_factors, seen, monkeypatch, n, block):
    """All kinds of users at once; more than there are; and the same from small blocks."""
    monkeypatch.setattr(retrieval, "BLOCK", block)
    best = top_n(random_model, ask(spark, *range(1, N_USERS + 1), 99), seen, n)
    found = rows(best, "user_id", "rank", "movie_id")
    assert found == brute_force_top_n(random_factors, n)
    assert [row for row in found if row[0] == 7] == []
    assert len([row for row in found if row[0] == 8]) == 2
    assert 99 not in {row[0] for row in found}


def test_partitions_and_blocks_do_not_change_a_bit(spark, random_model, seen, monkeypatch):
    users = ask(spark, *range(1, N_USERS + 1))
    expected = rows(top_n(random_model, users, seen, 6))
    monkeypatch.setattr(retrieval, "BLOCK", (3, 5))
    users_apart = random_model._replace(users=random_model.users.repartition(5), items=random_model.items.coalesce(1))
    monkeypatch.setattr(retrieval, "tasks_at_a_time", lambda spark: 5)
    assert rows(top_n(users_apart, users.repartition(4), seen.repartition(3), 6)) == expected


def test_scores_of_a_list_are_those_of_its_pairs(spark, random_model, seen):
    best = top_n(random_model, ask(spark, 1, 8), seen, 3)
    scored = score(random_model, best.select("user_id", "movie_id", best.score.alias("listed")))
    listed, by_itself = zip(*((row["listed"], row["score"]) for row in scored.collect()), strict=True)
    assert len(listed) == 5
    np.testing.assert_allclose(listed, by_itself, rtol=1e-12)


def test_candidates_are_all_that_a_list_may_have(spark, tiny, nothing):
    """40 before 20 for user 2; 99 is not in the model, and one comes twice."""
    candidates = [20, 40, 99, 20]
    expected = [(1, 20), (1, 40), (2, 20), (2, 40)]
    for given in (np.array(candidates), ask_movies(spark, *candidates)):
        best = top_n(tiny, ask(spark, 1, 2), nothing, 10, candidates=given)
        assert rows(best, "user_id", "movie_id") == expected
    assert rows(best.filter("rank = 1"), "user_id", "movie_id") == [(1, 20), (2, 40)]


def test_without_users_or_candidates_or_movies_there_are_no_lists(spark, tiny, nothing):
    users = ask(spark, 1, 2)
    assert rows(top_n(tiny, ask(spark), nothing, 5)) == []
    assert rows(top_n(tiny, users, nothing, 5, candidates=np.array([], int))) == []
    assert rows(top_n(tiny._replace(items=factors(spark, [])), users, nothing, 5)) == []
    assert rows(similar_items(tiny, ask_movies(spark, 99), 5)) == []


def test_ties_go_to_the_lower_movie_id_also_at_the_end_of_the_list(spark):
    items = factors(spark, [(movie, 0.0, [1.0 if movie % 50 == 0 else 0.5]) for movie in range(200, 0, -10)])
    tied = FactorModel(0.0, factors(spark, [(1, 0.0, [2.0])]), items)
    first_seen = table(spark, [(1, 10)], PAIRS)
    best = [(movie, 2.0) for movie in (50, 100, 150, 200)]
    next_best = [(movie, 1.0) for movie in (20, 30, 40, 60, 70, 80, 90, 110, 120, 130, 140, 160, 170)]
    found = rows(top_n(tied, ask(spark, 1), first_seen, 17), "rank", "movie_id", "score")
    assert [row[1:] for row in found] == best + next_best


def test_a_user_without_features_gets_the_movies_by_their_biases_however_small(spark, nothing):
    """As an implicit model's user who has rated nothing: popularity, in millionths, breaks the tie."""
    popularity = np.random.default_rng(5).permutation(300)
    items = [(movie, float(1e-6 * popularity[movie]), [5.0 * movie, -7.0]) for movie in range(300)]
    flat = FactorModel(0.0, factors(spark, [(1, 0.0, [0.0, 0.0])]), factors(spark, items))
    best = rows(top_n(flat, ask(spark, 1), nothing, 300), "rank", "movie_id")
    assert [movie for _, movie in best] == np.argsort(-popularity).tolist()


def test_scores_that_are_no_numbers_are_never_recommended(spark, nothing):
    nan, inf = float("nan"), float("inf")
    users = [(1, 0.0, [1.0]), (2, nan, [1.0]), (3, 0.0, [inf]), (4, -inf, [1.0]), (5, None, [1.0])]
    items = [(10, 0.0, [nan]), (20, inf, [1.0]), (30, 0.0, [1.0]), (40, 0.0, [-inf]), (50, 1.0, [2.0])]
    broken = FactorModel(0.0, *(spark.createDataFrame(side, FACTORS) for side in (users, items)))
    assert rows(top_n(broken, ask(spark, 1, 2, 3, 4, 5), nothing, 5)) == [(1, 1, 50, 3.0), (1, 2, 30, 1.0)]
    assert rows(top_n(broken._replace(intercept=nan), ask(spark, 1), nothing, 5)) == []


def test_a_model_without_factors_lists_by_its_biases(spark, nothing):
    biases = FactorModel(
        3.5, factors(spark, [(1, 0.5, [])]), factors(spark, [(10, -0.25, []), (20, 0.25, []), (30, 0.25, [])])
    )
    assert rows(top_n(biases, ask(spark, 1), nothing, 2)) == [(1, 1, 20, 4.25), (1, 2, 30, 4.25)]


@pytest.mark.parametrize(("n", "block"), [(6, retrieval.BLOCK), (1000, (2, 7))])
def test_similar_items_are_what_brute_force_finds(spark, random_model, random_factors, monkeypatch, n, block):
    """Of two movies with the same factors each is the other's nearest, and for all others the lower id comes first."""
    monkeypatch.setattr(retrieval, "BLOCK", block)
    asked = [3, 33, 48, 90, 120]
    similar = similar_items(random_model, ask_movies(spark, *asked, 4), n)
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


def test_distances_by_hand(spark, tiny):
    """Movies (1, 1), (2, 0), (0, -1) and (0, 0), seen from 20 and from 40."""
    asked = ask_movies(spark, 20, 40)
    l2, cosine = similar_items(tiny, asked, 3), similar_items(tiny, asked, 3, metric="cosine")
    assert cosine.dtypes == [("movie_id", "int"), ("rank", "int"), ("similar_movie_id", "int"), ("distance", "double")]
    assert rows(l2) == [
        (20, 1, 10, np.sqrt(2)),
        (20, 2, 40, 2.0),
        (20, 3, 30, np.sqrt(5)),
        (40, 1, 30, 1.0),
        (40, 2, 10, np.sqrt(2)),
        (40, 3, 20, 2.0),
    ]
    assert [row[:3] for row in rows(cosine)] == [
        (20, 1, 10), (20, 2, 30), (20, 3, 40), (40, 1, 10), (40, 2, 20), (40, 3, 30)
    ]  # fmt: skip
    distances = [row[3] for row in rows(cosine)]
    np.testing.assert_allclose(distances, [1 - np.sqrt(0.5), 1, 1, 1, 1, 1], rtol=1e-15)


def test_similar_items_may_be_confined_to_candidates(spark, tiny):
    nearest = similar_items(tiny, ask_movies(spark, 20), 5, candidates=np.array([20, 30, 40]))
    assert rows(nearest, "rank", "similar_movie_id", "distance") == [(1, 40, 2.0), (2, 30, np.sqrt(5))]


def test_an_unknown_metric_is_named(spark, tiny):
    with pytest.raises(ValueError, match="metric is 'L1' but should be one of l2, cosine"):
        similar_items(tiny, ask_movies(spark, 20), 5, metric="L1")
