"""Each metric by hand, NDCG against scikit-learn's, and all of them against plain loops over random lists."""

import math
from statistics import mean, stdev

import numpy as np
import pytest
from ranking.tables import Tables
from sklearn.metrics import ndcg_score

from movie_recs.data.scale import EVENTS, HALF_STARS, Scale
from movie_recs.ranking.metrics import (
    accuracy_gains,
    best_gains,
    binary_gains,
    gains_of,
    measure_rankings,
    ndcg_of_lists,
)

ACCURACY = ["ndcg", "ndcg_liked", "ndcg_graded", "recall", "precision", "map", "mrr", "hit_rate"]
BEYOND_ACCURACY = ["coverage", "novelty", "diversity", "popularity_lift", "below_mean"]
COUNTS = ["n_users", "n_users_liked", "users_without_held_out", "users_without_list"]
SECOND = 1 / math.log2(3)  # what a hit at rank 2 gains


def by_model(measured) -> dict[str, dict]:
    rows = [row.asDict() for row in measured.collect()]
    assert len({row["model"] for row in rows}) == len(rows)
    return {row["model"]: row for row in rows}


# Train ratings: movie 1 has 3, movies 2 and 3 have one each, and the others none. User 3 has nothing held out.
TRAIN = [(1, 1), (1, 2), (2, 1), (2, 3), (3, 1)]
HELD_OUT = [(1, 3, 5.0), (1, 4, 3.0), (2, 2, 4.0), (2, 5, 4.5)]
MOVIES = {1: ["Comedy"], 2: ["Comedy", "Drama"], 3: ["Drama"], 4: [], 5: [], 6: ["War"]}
LISTS = {
    "by_hand": {1: [4, 5, 3], 2: [1, 2]},
    "perfect": {1: [3, 4], 2: [5, 2, 1]},
    "none": {1: [6, 5], 2: [6, 4, 3, 2]},  # a hit at rank 4 is beyond k = 3
    "only_user_1": {1: [4, 5, 3]},
    "only_user_3": {3: [2]},
}


@pytest.fixture(scope="module")
def measured_by_hand(spark):
    return measure_rankings(*Tables(LISTS, HELD_OUT, TRAIN, MOVIES).in_spark(spark), k=3)


@pytest.fixture(scope="module")
def by_hand(measured_by_hand) -> dict[str, dict]:
    return by_model(measured_by_hand)


class TestByHand:
    def test_columns_and_their_types(self, measured_by_hand):
        accuracy = [name for metric in ACCURACY for name in (metric, f"{metric}_se")]
        assert measured_by_hand.dtypes == [
            ("model", "string"),
            ("k", "int"),
            *((name, "double") for name in accuracy + BEYOND_ACCURACY),
            *((name, "bigint") for name in COUNTS),
        ]

    def test_every_metric_of_two_users(self, by_hand):
        of_users = {
            "ndcg": ((1 + 1 / 2) / (1 + SECOND), SECOND / (1 + SECOND)),
            "ndcg_liked": (1 / 2, SECOND / (1 + SECOND)),  # user 1 likes movie 3 alone
            "ndcg_graded": (
                (7 + 31 / 2) / (31 + 7 * SECOND),  # movies of 3 stars and of 5 at ranks 1 and 3
                15 * SECOND / (2**4.5 - 1 + 15 * SECOND),
            ),
            "recall": (2 / 2, 1 / 2),
            "precision": (2 / 3, 1 / 3),
            "map": ((1 / 1 + 2 / 3) / 2, (1 / 2) / 2),
            "mrr": (1, 1 / 2),
            "hit_rate": (1, 1),
        }
        errors = {f"{name}_se": abs(a - b) / 2 for name, (a, b) in of_users.items()}  # sd / sqrt(2) of two numbers
        assert by_hand["by_hand"] == pytest.approx(
            {
                "model": "by_hand",
                "k": 3,
                **{name: (a + b) / 2 for name, (a, b) in of_users.items()},
                **errors,
                "coverage": 5 / 6,
                "novelty": ((2 + 2 + 1) / 3 + (0 + 1) / 2) / 2,  # -log2 of 1/4, 1/4, 2/4 and of 4/4, 2/4
                "diversity": ((0 + 1 + 1) / 3 + 1 / 2) / 2,
                "popularity_lift": ((1 / 3) / 2 - 1 + 2 / 2 - 1) / 2,  # both profiles have 2 ratings a movie
                "below_mean": None,
                "n_users": 2,
                "n_users_liked": 2,
                "users_without_held_out": 1,
                "users_without_list": 0,
            }
        )

    def test_the_perfect_order_is_one_but_for_precision(self, by_hand):
        expected = dict.fromkeys(ACCURACY, 1) | {"precision": 2 / 3}
        assert {name: by_hand["perfect"][name] for name in ACCURACY} == pytest.approx(expected)
        assert all(by_hand["perfect"][f"{name}_se"] == 0 for name in ACCURACY)

    def test_lists_without_a_hit_up_to_k_are_zero(self, by_hand):
        assert all(by_hand["none"][name] == by_hand["none"][f"{name}_se"] == 0 for name in ACCURACY)

    def test_ranks_beyond_k_are_in_no_metric(self, by_hand):
        assert by_hand["none"]["coverage"] == 4 / 6  # movie 2 stands at rank 4
        assert by_hand["none"]["novelty"] == pytest.approx((2 + (2 + 2 + 1) / 3) / 2)

    def test_a_user_without_a_list_counts_as_zero_in_accuracy_alone(self, by_hand):
        row = by_hand["only_user_1"]
        assert (row["n_users"], row["users_without_list"]) == (2, 1)
        assert (row["recall"], row["recall_se"]) == (0.5, 0.5)
        assert row["ndcg"] == pytest.approx((1 + 1 / 2) / (1 + SECOND) / 2)
        assert row["novelty"] == pytest.approx(5 / 3)
        assert row["diversity"] == pytest.approx(2 / 3)
        assert row["popularity_lift"] == pytest.approx(-5 / 6)

    def test_a_user_with_nothing_held_out_is_counted_apart_and_in_no_mean_of_accuracy(self, by_hand):
        row = by_hand["only_user_3"]
        assert [row[name] for name in COUNTS] == [2, 2, 1, 2]
        assert all(row[name] == 0 for name in ACCURACY)
        assert row["coverage"] == pytest.approx(1 / 6)
        assert row["novelty"] == 1
        assert row["diversity"] is None  # one movie is no pair
        assert row["popularity_lift"] == pytest.approx(1 / 3 - 1)


@pytest.fixture(scope="module")
def one_new_user(spark) -> dict:
    """Of a user without train ratings, whose one relevant movie is not liked and stands in the table twice."""
    tables = Tables({"m": {9: [1, 2]}}, [(9, 2, 3.5)] * 2, TRAIN, MOVIES)
    return by_model(measure_rankings(*tables.in_spark(spark), k=2))["m"]


class TestOddTables:
    def test_a_user_who_is_new_counts_in_accuracy_and_has_no_lift(self, one_new_user):
        assert (one_new_user["mrr"], one_new_user["novelty"], one_new_user["popularity_lift"]) == (0.5, 0.5, None)
        assert [one_new_user[name] for name in COUNTS] == [1, 0, 3, 0]

    def test_one_user_has_no_standard_error(self, one_new_user):
        assert all(one_new_user[f"{name}_se"] is None for name in ACCURACY)

    def test_without_liked_movies_there_is_no_ndcg_of_them(self, one_new_user):
        assert one_new_user["ndcg_liked"] is None

    def test_what_is_held_out_twice_counts_once(self, one_new_user):
        assert (one_new_user["recall"], one_new_user["map"]) == (1, 0.5)
        assert one_new_user["ndcg"] == pytest.approx(SECOND)

    def test_with_nothing_held_out_accuracy_is_null(self, spark):
        tables = Tables({"m": {1: [1]}}, [], TRAIN, MOVIES)
        row = by_model(measure_rankings(*tables.in_spark(spark), k=5))["m"]
        assert all(row[name] is row[f"{name}_se"] is None for name in ACCURACY)
        assert row["coverage"] == pytest.approx(1 / 6)
        assert [row[name] for name in COUNTS] == [0, 0, 3, 0]


def in_plain_loops(tables: Tables, model: str, k: int, users: set[int] | None = None) -> dict:
    """All columns as their definitions read, a user after the other."""
    asked_for = (lambda user: True) if users is None else users.__contains__
    relevant, liked, profile, raters, gains = {}, {}, {}, {}, {}
    for user, movie, stars in tables.held_out:
        if asked_for(user):
            relevant.setdefault(user, set()).add(movie)
            gains.setdefault(user, {})[movie] = math.pow(2, stars) - 1
            if stars >= HALF_STARS.liked:
                liked.setdefault(user, set()).add(movie)
    for user, movie in tables.train:
        profile.setdefault(user, []).append(movie)
        raters.setdefault(movie, set()).add(user)
    ratings = {movie: len(raters.get(movie, ())) for movie in tables.movies}
    lists = {user: listed[:k] for user, listed in tables.lists[model].items() if listed and asked_for(user)}

    def ndcg(listed: list[int], wanted: set[int]) -> float:
        gain = ideal = 0.0
        for place in range(k):
            if place < len(listed) and listed[place] in wanted:
                gain += math.log(2) / math.log(place + 2)
            if place < len(wanted):
                ideal += math.log(2) / math.log(place + 2)
        return gain / ideal

    values = {name: [] for name in ACCURACY}
    for user, wanted in relevant.items():
        listed = lists.get(user, [])
        hits, precisions, first = 0, [], 0.0
        for place, movie in enumerate(listed, 1):
            if movie in wanted:
                hits += 1
                precisions.append(hits / place)
                first = first or 1 / place
        values["ndcg"].append(ndcg(listed, wanted))
        values["recall"].append(hits / len(wanted))
        values["precision"].append(hits / k)
        values["map"].append(sum(precisions) / min(k, len(wanted)))
        values["mrr"].append(first)
        values["hit_rate"].append(float(hits > 0))
    for user, of_user in gains.items():
        gain = sum(of_user.get(m, 0) / math.log2(place + 2) for place, m in enumerate(lists.get(user, [])))
        best = sorted(of_user.values(), reverse=True)[:k]
        values["ndcg_graded"].append(gain / sum(each / math.log2(place + 2) for place, each in enumerate(best)))
    values["ndcg_liked"] = [ndcg(lists.get(user, []), wanted) for user, wanted in liked.items()]

    novelty, diversity, lift = [], [], []
    for user, listed in lists.items():
        novelty.append(mean(-math.log2((ratings[movie] + 1) / (len(profile) + 1)) for movie in listed))
        apart = []
        for place, movie in enumerate(listed):
            for other in listed[:place]:
                either = {*tables.movies[movie], *tables.movies[other]}
                both = [genre for genre in either if genre in tables.movies[movie] and genre in tables.movies[other]]
                apart.append(1 - len(both) / len(either) if either else 0)
        if apart:
            diversity.append(mean(apart))
        if user in profile:
            lift.append(mean(ratings[m] for m in listed) / mean(ratings[m] for m in profile[user]) - 1)
    row = {
        "k": k,
        **{name: mean(of_users) for name, of_users in values.items()},
        **{f"{name}_se": stdev(of_users) / len(of_users) ** 0.5 for name, of_users in values.items()},
        "coverage": len({movie for listed in lists.values() for movie in listed}) / len(tables.movies),
        "novelty": mean(novelty),
        "diversity": mean(diversity) if diversity else None,
        "popularity_lift": mean(lift),
        "below_mean": None,
        "n_users": len(relevant),
        "n_users_liked": len(liked),
        "users_without_held_out": sum(asked_for(user) and user not in relevant for user in profile),
        "users_without_list": sum(user not in lists for user in relevant),
    }
    return {"model": model} | {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in row.items()
    }


@pytest.fixture(scope="module")
def at_random() -> Tables:
    """2,000 users and 80 movies, of which nobody rated 10.

    Of the users 200 have no train ratings and 400 nothing held out, and lists have 0 to 12 movies; `hopeful` holds
    relevant movies more often than not.
    """
    rng = np.random.default_rng(3)
    genres = np.array(["Action", "Comedy", "Drama", "Horror", "War"])
    movies = {movie: genres[rng.random(5) < 0.3].tolist() for movie in range(1, 81)}
    train, held_out, lists = [], [], {"whole": {}, "half": {}, "hopeful": {}}
    for user in range(1, 2001):
        order = (1 + rng.permutation(80)).tolist()
        if user > 200:
            rated = [movie for movie in order[:30] if movie <= 70]
            train += [(user, movie) for movie in rated[: rng.integers(2, 20)]]
        relevant = order[30 : 30 + rng.integers(1, 15)] if user % 5 else []
        held_out += [(user, movie, float(rng.integers(1, 11) / 2)) for movie in relevant]
        lists["whole"][user] = rng.permutation(order[30:])[: rng.integers(0, 13)].tolist()
        if user % 2:
            lists["half"][user] = rng.permutation(order[:40])[: rng.integers(0, 13)].tolist()
        lists["hopeful"][user] = rng.permutation(relevant + order[70:75])[: rng.integers(0, 13)].tolist()
    return Tables(lists, held_out, train, movies)


@pytest.fixture(scope="module")
def measured_at_random(spark, at_random) -> dict[str, dict]:
    return by_model(measure_rankings(*at_random.in_spark(spark), k=10))


def test_folded_in_users_alone_are_measured_by_the_popularity_in_train(spark):
    """User 4 has rated movies 1 and 2, with 3 and 1 train ratings; user 5 only movie 4, which has none."""
    lists, held_out, train, movies = Tables({"m": {1: [3], 4: [3, 1], 5: [1]}}, HELD_OUT, TRAIN, MOVIES).in_spark(spark)
    fold_in = spark.createDataFrame([(4, 1, 3.0), (4, 2, 3.0), (5, 4, 3.0)], "user_id int, movie_id int, rating float")
    held_out = held_out.union(spark.createDataFrame([(4, 3, 5.0)], "user_id int, movie_id int, rating float"))
    row = by_model(measure_rankings(lists, held_out, train, movies, 2, fold_in=fold_in))["m"]
    assert [row[name] for name in COUNTS] == [1, 1, 1, 0]
    assert row["ndcg"] == row["recall"] == 1
    assert row["coverage"] == pytest.approx(2 / 6)
    assert row["novelty"] == pytest.approx(((1 + 0) / 2 + 0) / 2)  # of three train users
    assert row["popularity_lift"] == pytest.approx(((1 + 3) / 2) / ((3 + 1) / 2) - 1)  # of user 4 alone


class TestAtRandom:
    def test_all_columns_are_those_of_plain_loops(self, measured_at_random, at_random):
        assert set(measured_at_random) == set(at_random.lists)
        for model, row in measured_at_random.items():
            assert row == in_plain_loops(at_random, model, 10)

    def test_only_users_asked_for_are_measured_but_all_train_ratings_are_popularity(self, spark, at_random):
        users = [*range(150, 400), 5000]  # nobody has heard of user 5000
        asked_for = spark.createDataFrame([(user,) for user in [*users, 150]], "user_id int")
        found = by_model(measure_rankings(*at_random.in_spark(spark), k=4, users=asked_for))
        assert set(found) == set(at_random.lists)
        for model, row in found.items():
            assert row == in_plain_loops(at_random, model, 4, {*users})

    def test_ndcg_of_lists_is_that_by_spark_and_of_scikit_learn(self, measured_at_random, at_random):
        k = 10
        relevant = {}
        for user, movie, _ in at_random.held_out:
            relevant.setdefault(user, set()).add(movie)
        for model, lists in at_random.lists.items():
            hits = np.zeros((len(relevant), k), dtype=bool)
            # After its movies, a list is filled up with k that are irrelevant; then come all movies that are not in it.
            is_relevant, scores = np.zeros((len(relevant), 81 + k)), np.zeros((len(relevant), 81 + k))
            scores[:, 81:] = 1
            for row, (user, wanted) in enumerate(relevant.items()):
                is_relevant[row, list(wanted)] = 1
                for place, movie in enumerate(lists.get(user, [])[:k]):
                    hits[row, place] = movie in wanted
                    scores[row, movie] = 100 - place
            found = ndcg_of_lists(hits, binary_gains(np.array([len(wanted) for wanted in relevant.values()]), k))
            assert found.mean() == pytest.approx(measured_at_random[model]["ndcg"], abs=1e-12)
            assert found.mean() == pytest.approx(ndcg_score(is_relevant, scores, k=k, ignore_ties=True), abs=1e-12)
            for row in range(0, len(relevant), 10):
                of_user = ndcg_score(is_relevant[row : row + 1], scores[row : row + 1], k=k, ignore_ties=True)
                assert found[row] == pytest.approx(of_user, abs=1e-12)


def test_ndcg_of_lists_of_few_and_many_relevant_movies():
    hits = np.array([[True, True], [True, False], [True, False], [False, True], [False, False]])
    found = ndcg_of_lists(hits, binary_gains(np.array([5, 5, 1, 2, 0]), 2))
    assert found == pytest.approx([1, 1 / (1 + SECOND), 1, SECOND / (1 + SECOND), 0])


def test_ndcg_of_lists_with_graded_gains_is_that_of_scikit_learn():
    rng = np.random.default_rng(4)
    stars, scores = rng.integers(0, 11, (30, 12)) / 2, rng.random((30, 12))
    gains = np.where(stars > 0, gains_of(stars, "graded", HALF_STARS), 0)
    order = np.argsort(-scores, axis=1)[:, :5]
    users, movies = np.nonzero(gains)
    best = best_gains(np.searchsorted(users, np.arange(31)), gains[users, movies], 5)
    found = ndcg_of_lists(np.take_along_axis(gains, order, axis=1), best)
    expected = [ndcg_score(gains[[row]], scores[[row]], k=5) for row in range(30)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_what_a_held_out_movie_gains():
    stars = np.array([0.5, 3.0, 4.0, 5.0])
    assert gains_of(stars, "graded", HALF_STARS) == pytest.approx([2**0.5 - 1, 7, 15, 31])
    assert gains_of(2 * stars, "graded", Scale.make(1, 10, 1)) == pytest.approx([2**0.5 - 1, 7, 15, 31])
    assert gains_of(stars, "liked", HALF_STARS).tolist() == [0, 0, 1, 1]
    assert gains_of(stars, "all", HALF_STARS).tolist() == gains_of(stars, "graded", EVENTS).tolist() == [1, 1, 1, 1]


def test_the_share_of_recommendations_below_the_users_own_mean(spark):
    """User 1 has a mean of 3 stars, user 2 of 4; user 9 has no ratings, and so no mean."""
    lists, held_out, _, movies = Tables({}, HELD_OUT, TRAIN, MOVIES).in_spark(spark)
    train = spark.createDataFrame([(1, 1, 2.0), (1, 2, 4.0), (2, 1, 4.0)], "user_id int, movie_id int, rating float")
    rows = [("m", 1, 1, 3, 2.9), ("m", 1, 2, 4, 3.0), ("m", 2, 1, 3, 3.9), ("m", 9, 1, 3, 1.0)]
    lists = spark.createDataFrame(rows, f"{','.join(' '.join(each) for each in lists.dtypes)}, predicted_stars double")
    assert by_model(measure_rankings(lists, held_out, train, movies, 3))["m"]["below_mean"] == pytest.approx(2 / 3)


def test_gains_are_differences_of_means_with_the_error_of_paired_users(spark):
    """User 1 has hits at ranks 1 and 3 by hand, user 2 at rank 2; what user 1 likes is at rank 3 there."""
    lists, held_out, _, movies = Tables(LISTS, HELD_OUT, TRAIN, MOVIES).in_spark(spark)
    pairs = [("by_hand", "perfect"), ("only_user_1", "by_hand"), ("by_hand", "by_hand")]
    first, second = 1.5 / (1 + SECOND), SECOND / (1 + SECOND)
    expected = {
        "ndcg": [(1 - first, 1 - second), (0, second), (0, 0)],
        "ndcg_liked": [(1 - 0.5, 1 - second), (0, second), (0, 0)],
    }
    for measure, of_users in expected.items():
        found = accuracy_gains(lists, held_out, movies, 3, measure, pairs)
        assert list(zip(found["other"], found["model"], strict=True)) == pairs
        assert found["gain"].tolist() == pytest.approx([mean(each) for each in of_users])
        assert found["gain_se"].tolist() == pytest.approx([stdev(each) / 2**0.5 for each in of_users])


def test_gains_over_many_users_are_those_of_their_means(spark, at_random, measured_at_random):
    lists, held_out, _, movies = at_random.in_spark(spark)
    (row,) = accuracy_gains(lists, held_out, movies, 10, "map", [("half", "hopeful")]).to_dict("records")
    half, hopeful = measured_at_random["half"], measured_at_random["hopeful"]
    assert row["gain"] == pytest.approx(hopeful["map"] - half["map"])
    assert 0 < row["gain_se"] < half["map_se"] + hopeful["map_se"]
    assert row["p"] == 1 / 10_000
