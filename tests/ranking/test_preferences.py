"""What ratings say of preferences by hand, users' vectors by numpy, and reasons that add up to the score."""

from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from movie_recs.data.interactions import Interactions, read_interactions
from movie_recs.data.schemas import RATINGS
from movie_recs.model.factor_model import FactorModel, arrays, factor_table
from movie_recs.model.scoring import score
from movie_recs.model.users import explain, fold_in
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import self_influence
from movie_recs.ranking.parameters import PreferenceParameters, RatingWeights
from movie_recs.ranking.preferences import PreferenceRule, are_preferred, make_rule, weigh, weigh_stars

USERS, MOVIES, ALS, EASE, SEQUENTIAL = 30, 20, 4, 6, 3
MOVIE_IDS = np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32)
DAY_ONE = datetime(2020, 1, 1)
EQUAL = RatingWeights()
RECENT = RatingWeights(star_weight=0.4, half_life=3, old_weight=0.2)
RULES = {
    "als": PreferenceRule(ALS, 0, "all", RECENT, 1.0, 0.1, 2.0),
    "ease": PreferenceRule(0, EASE, "all", RECENT),
    "blend": PreferenceRule(ALS, EASE, "all", RECENT, 0.7, 0.1, 2.0),
    "sequential": PreferenceRule(1, SEQUENTIAL, "all", RECENT, 0.7, 0.1, 2.0, sequential_weight=1.5),
}


def starts_of(*counts: int) -> np.ndarray:
    return np.append(0, np.cumsum(counts))


def weighed(stars: list[float], weights: RatingWeights, times=None, movies=None) -> np.ndarray:
    """Of one user, whose first rating is the oldest unless times say otherwise."""
    places = np.arange(len(stars))
    times, movies = (places if each is None else np.array(each) for each in (times, movies))
    return weigh(starts_of(len(stars)), np.array(stars, float), times, movies, weights)


class TestArePreferred:
    STARS = np.array([4.0, 3.5, 5.0, 1.0, 1.0, 2.0, 3.0, 3.0])
    STARTS = starts_of(3, 0, 3, 2)  # the means are 4 1/6, none, 4/3 and 3

    @pytest.mark.parametrize(
        ("preferred", "expected"),
        [
            ("all", [1, 1, 1, 1, 1, 1, 1, 1]),
            ("liked", [1, 0, 1, 0, 0, 0, 0, 0]),
            ("above_mean", [0, 0, 1, 0, 0, 1, 1, 1]),
        ],
    )
    def test_by_hand(self, preferred, expected):
        assert are_preferred(self.STARTS, self.STARS, preferred, 4.0).tolist() == [bool(each) for each in expected]


class TestWeigh:
    def test_stars_count_by_how_far_they_are_from_the_users_mean_but_never_below_a_tenth(self):
        """The means are 3, 4 and none; 1 - 0.5 * 2 is 0."""
        stars = np.array([1.0, 3.0, 5.0, 4.0])
        found = weigh_stars(starts_of(3, 1, 0), stars, 0.5)
        np.testing.assert_allclose(found, [0.1, 1, 2, 1])

    def test_weights_are_over_their_mean_of_the_user(self):
        """s is 0.1, 1 and 2: their mean is 3.1 / 3."""
        found = weighed([1, 3, 5], RatingWeights(star_weight=0.5))
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, np.array([0.1, 1, 2]) / (3.1 / 3), rtol=1e-6)

    def test_a_rating_counts_half_of_what_one_does_that_is_a_half_life_later(self):
        """Two ratings, then one, then none are later."""
        ages = np.array([0.5, 2**-0.5, 1])
        found = weighed([4, 4, 4], RatingWeights(half_life=2, old_weight=0))
        np.testing.assert_allclose(found, ages / ages.mean(), rtol=1e-6)

    def test_old_ratings_keep_the_old_weight(self):
        """(later, age): (2, 0.4 + 0.6 / 4), (1, 0.4 + 0.6 / 2), (0, 1)."""
        ages = np.array([0.55, 0.7, 1])
        found = weighed([3, 3, 3], RatingWeights(half_life=1, old_weight=0.4))
        np.testing.assert_allclose(found, ages / ages.mean(), rtol=1e-6)
        oldest = weighed([3] * 300, RatingWeights(half_life=1, old_weight=0.4))[0]
        assert oldest == pytest.approx(0.4 / ((300 * 0.4 + 0.6 * 2) / 300), rel=1e-6)

    def test_stars_and_age_are_multiplied(self):
        """s is 0.5, 1 and 1.5; the age's part 1 / 4, 1 / 2 and 1."""
        products = np.array([0.5 / 4, 1 / 2, 1.5])
        found = weighed([2, 3, 4], RatingWeights(star_weight=0.5, half_life=1, old_weight=0))
        np.testing.assert_allclose(found, products / products.mean(), rtol=1e-6)

    def test_age_is_by_time_and_of_the_same_time_the_higher_movie_is_the_later(self):
        """From the oldest: movie 5, then 7 and 9 at the same time, then 2."""
        found = weighed([3] * 4, RatingWeights(half_life=1, old_weight=0), [8, 5, 1, 5], [2, 9, 5, 7])
        ages = np.array([1, 1 / 2, 1 / 8, 1 / 4])
        np.testing.assert_allclose(found, ages / ages.mean(), rtol=1e-6)

    def test_without_a_half_life_times_do_not_matter(self):
        np.testing.assert_array_equal(weighed([3, 3, 3], EQUAL, [9, 1, 5]), [1, 1, 1])

    def test_an_old_weight_of_one_is_as_without_a_half_life(self):
        with_it = weighed([1, 4, 5], RatingWeights(star_weight=0.3, half_life=2, old_weight=1))
        np.testing.assert_array_equal(with_it, weighed([1, 4, 5], RatingWeights(star_weight=0.3)))

    def test_every_user_is_weighed_for_herself(self):
        stars, times = np.array([5, 1, 2, 4, 4, 3.5]), np.array([3, 1, 2, 9, 8, 8])
        movies, starts = np.array([1, 2, 3, 1, 2, 3]), starts_of(3, 0, 2, 1)
        together = weigh(starts, stars, times, movies, RECENT)
        alone = [
            weigh(starts_of(last - first), stars[first:last], times[first:last], movies[first:last], RECENT)
            for first, last in pairwise(starts)
        ]
        np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-6)
        means = [each.mean() for each in alone if len(each)]
        np.testing.assert_allclose(means, 1, rtol=1e-6)


class TestMakeRule:
    ALS = {"rank": 4, "reg_param": 0.1, "max_iter": 5, "alpha": 2}  # noqa: RUF012 - a constant
    PREFERENCE = PreferenceParameters(preferred="liked", star_weight=0.3)

    def test_a_model_of_als_alone_weighs_ratings_as_its_fit(self):
        candidate = RankingCandidate(model="implicit_als", **self.ALS)
        expected = PreferenceRule(4, 0, "liked", RatingWeights(star_weight=0.3), 1.0, 0.1, 2.0)
        assert make_rule(candidate, self.PREFERENCE, 4, 0) == expected

    def test_one_of_ease_alone_has_nothing_of_als(self):
        candidate = RankingCandidate(model="ease", ease_reg=5, star_weight=0.2)
        assert make_rule(candidate, self.PREFERENCE, 0, 9) == PreferenceRule(
            0, 9, "liked", RatingWeights(star_weight=0.2)
        )

    def test_one_of_both_has_all(self):
        candidate = RankingCandidate(model="blend", **self.ALS, ease_reg=5, als_weight=0.6, **RECENT.model_dump())
        assert make_rule(candidate, self.PREFERENCE, 4, 9) == PreferenceRule(4, 9, "liked", RECENT, 0.6, 0.1, 2.0)


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(MOVIES, ALS + EASE)).astype(np.float32)


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """About half of the pairs of users 1-30 and movies 10, 20 ... 200, in ten days; by user, then by movie."""
    rng = np.random.default_rng(4)
    users, movies = np.nonzero(rng.random((USERS, MOVIES)) < 0.5)
    days = [DAY_ONE + timedelta(days=int(day)) for day in rng.integers(0, 10, len(users))]
    table = {"user_id": users + 1, "movie_id": 10 * movies + 10, "rating": rng.integers(1, 11, len(users)) / 2}
    return pd.DataFrame({**table, "rated_at": days})


@pytest.fixture(scope="module")
def ratings(spark, rated):
    return spark.createDataFrame(rated, RATINGS).cache()


def parts_of(items: np.ndarray) -> dict[str, np.ndarray]:
    return {"als": items[:, :ALS], "ease": items[:, ALS:], "blend": items, "sequential": items[:, ALS - 1 :]}


@pytest.fixture(scope="module")
def models(spark, items) -> dict[str, FactorModel]:
    """Movies 10, 20 ... 200 with random vectors and biases, and no users."""
    ids, bias = MOVIE_IDS, np.random.default_rng(5).normal(size=MOVIES)
    tables = {name: factor_table(spark, ids, bias, part).cache() for name, part in parts_of(items).items()}
    return {name: FactorModel(0.0, each.limit(0), each, rule=RULES[name]) for name, each in tables.items()}


def by_user(rated: pd.DataFrame, rule: PreferenceRule) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """starts, rows of items and weights of the preferences among the movies 10, 20 ... 200."""
    counts = rated.groupby("user_id").size()
    starts, stars = starts_of(*counts), rated["rating"].to_numpy()
    kept = are_preferred(starts, stars, rule.preferred, rule.liked)
    own, counts = rated[kept], rated[kept].groupby("user_id").size().reindex(counts.index, fill_value=0)
    times, movie_ids = own["rated_at"].astype("int64").to_numpy(), own["movie_id"].to_numpy()
    weights = weigh(starts_of(*counts), own["rating"].to_numpy(), times, movie_ids, rule.weights)
    return starts_of(*counts), (movie_ids // 10 - 1).astype(np.int32), weights


def fold(
    rule: PreferenceRule, starts: np.ndarray, rows: np.ndarray, weights: np.ndarray, items: np.ndarray
) -> np.ndarray:
    return rule.fold(starts, rows, weights, rule.movies(items))


def folded(model: FactorModel, ratings) -> dict[int, tuple[float, ...]]:
    """Bias and features by id."""
    rows = fold_in(model, ratings).orderBy("id").collect()
    return {row["id"]: (row["bias"], *row["features"]) for row in rows}


class TestUserVectors:
    def test_als_solves_the_normal_equations(self, rated, items):
        rule = RULES["als"]
        starts, rows, weights = by_user(rated, rule)
        y, expected = items[:, :ALS].astype(float), []
        for first, last in pairwise(starts):
            own, w = y[rows[first:last]], weights[first:last].astype(float)
            system = y.T @ y + sum(2.0 * each * np.outer(x, x) for each, x in zip(w, own, strict=True))
            right = sum((1 + 2.0 * each) * x for each, x in zip(w, own, strict=True))
            expected.append(np.linalg.solve(system + 0.1 * (last - first) * np.eye(ALS), right))
        found = fold(rule, starts, rows, weights, items[:, :ALS])
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_ease_adds_up_the_rated_movies(self, rated, items):
        starts, rows, weights = by_user(rated, RULES["ease"])
        f = items[:, ALS:].astype(float)
        d = 2 / (1 + np.sqrt(1 + 4 * (f**2).sum(axis=1)))
        expected = [
            sum(weights[n] * d[rows[n]] * f[rows[n]] for n in range(first, last)) for first, last in pairwise(starts)
        ]
        found = fold(RULES["ease"], starts, rows, weights, items[:, ALS:])
        np.testing.assert_allclose(found, expected, atol=1e-4)

    def test_the_parts_stand_side_by_side_als_times_its_weight(self, rated, items):
        starts, rows, weights = by_user(rated, RULES["blend"])
        als = fold(RULES["als"], starts, rows, weights, items[:, :ALS])
        ease = fold(RULES["ease"], starts, rows, weights, items[:, ALS:])
        both = fold(RULES["blend"], starts, rows, weights, items)
        np.testing.assert_allclose(both, np.hstack([0.7 * als, ease]), rtol=1e-6)

    def test_the_sequential_part_is_eases_once_more_times_its_weight(self, rated, items):
        rule = RULES["sequential"]
        assert rule.sizes == (1, SEQUENTIAL, SEQUENTIAL)
        arguments = by_user(rated, rule)
        plain = fold(rule._replace(sequential_weight=0.0), *arguments, items[:, ALS - 1 : ALS + SEQUENTIAL])
        found = fold(rule, *arguments, items[:, ALS - 1 :])
        np.testing.assert_allclose(found, np.hstack([plain, 1.5 * plain[:, 1:]]), rtol=1e-6)

    def test_who_has_no_preference_has_zeros(self, items):
        found = fold(RULES["blend"], np.array([0, 0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), items)
        assert found.shape == (2, ALS + EASE)
        assert not found[0].any()
        assert found[1].all()

    def test_a_singular_system_is_an_error(self):
        """One movie does not determine two factors without a pull."""
        rule = PreferenceRule(2, 0, "all", EQUAL, 1.0, 0.0, 1.0)
        one = np.array([[1, 2]], np.float32)
        with pytest.raises(ArithmeticError, match="singular"):
            fold(rule, np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.float32), one)


class TestFoldIn:
    @pytest.mark.parametrize("name", RULES)
    def test_in_spark_it_is_user_vectors_of_the_users_preferences(self, models, rated, ratings, items, name):
        rule = RULES[name]
        expected = fold(rule, *by_user(rated, rule), parts_of(items)[name])
        found = folded(models[name], ratings)
        assert list(found) == list(range(1, USERS + 1))
        np.testing.assert_allclose(
            np.array(list(found.values())), np.hstack([np.zeros((USERS, 1)), expected]), rtol=1e-6
        )

    @pytest.mark.parametrize("preferred", ["liked", "above_mean"])
    def test_only_what_is_preferred_counts(self, models, rated, ratings, items, preferred):
        rule = RULES["blend"]._replace(preferred=preferred)
        starts, rows, weights = by_user(rated, rule)
        assert len(rows) < len(rated)
        found = folded(models["blend"]._replace(rule=rule), ratings)
        expected = fold(rule, starts, rows, weights, items)
        np.testing.assert_allclose(np.array(list(found.values()))[:, 1:], expected, rtol=1e-6)

    def test_neither_the_order_nor_the_partitions_nor_other_users_change_a_bit(self, models, ratings):
        expected = folded(models["blend"], ratings)
        assert folded(models["blend"], ratings.orderBy("rating", "movie_id").coalesce(1)) == expected
        spread = ratings.repartition(7, "movie_id").sortWithinPartitions("rating")
        assert folded(models["blend"], spread) == expected
        assert folded(models["blend"], ratings.filter("user_id = 3")) == {3: expected[3]}

    def test_a_new_user_with_a_known_ones_ratings_gets_her_vector(self, models, ratings):
        copied = ratings.filter("user_id = 5").selectExpr("900 as user_id", "movie_id", "rating", "rated_at")
        found = folded(models["blend"], ratings.union(copied))
        assert found[900] == found[5]

    def test_ratings_of_unknown_movies_say_nothing(self, spark, models, ratings):
        """Between, before and after the known ones; movie 15 is not one star more or less to the weights."""
        unknown = [(3, 15, 5.0, DAY_ONE), (3, 1, 0.5, None), (3, 2**31 - 1, 5.0, DAY_ONE), (4, 205, 3.0, DAY_ONE)]
        with_them = folded(models["blend"], ratings.union(spark.createDataFrame(unknown, RATINGS)))
        assert with_them == folded(models["blend"], ratings)

    def test_who_knows_only_unknown_movies_or_prefers_none_has_zeros(self, spark, models):
        """The highest id of all is there as well."""
        rows = [(50, 15, 5.0, DAY_ONE), (50, 1000, 4.0, None), (51, 10, 3.0, DAY_ONE), (52, 10, 4.0, DAY_ONE)]
        rows += [(2**31 - 1, 20, 4.0, DAY_ONE)]
        model = models["blend"]._replace(rule=RULES["blend"]._replace(preferred="liked"))
        found = folded(model, spark.createDataFrame(rows, RATINGS))
        assert found[50] == found[51] == (0.0,) * (1 + ALS + EASE)
        assert np.array(found[52])[1:].all()
        assert np.array(found[2**31 - 1])[1:].all()

    def test_a_rating_without_a_time_is_older_than_all_with_one(self, spark, models):
        days = {1: (3, None, 4), 2: (-9000, -9999, 40), 3: (3, 3, 4), 4: (None, None, None), 5: (7, 7, 7)}
        rows = [
            (user, 10 * place, 2.0 + place, None if day is None else DAY_ONE + timedelta(days=day))
            for user, own in days.items()
            for place, day in enumerate(own, 1)
        ]
        found = folded(models["ease"], spark.createDataFrame(rows, RATINGS))
        assert found[1] == found[2] != found[3]
        assert found[4] == found[5]

    def test_without_ratings_there_are_no_users(self, models, ratings):
        assert folded(models["blend"], ratings.limit(0)) == {}


def interactions_of(rated: pd.DataFrame) -> Interactions:
    """In the order of `rated`: by user, then by movie."""
    columns = {
        "user_id": pa.array(rated["user_id"], pa.int32()),
        "movie_id": pa.array(rated["movie_id"], pa.int32()),
        "rating": pa.array(rated["rating"], pa.float32()),
        "fold": pa.array(np.zeros(len(rated)), pa.int16()),
        "time": pa.array(rated["rated_at"].astype("datetime64[us]").astype("int64"), pa.int64()),
    }
    return read_interactions(pa.table(columns), MOVIE_IDS)


class TestContributions:
    @pytest.mark.parametrize("preferred", ["all", "above_mean"])
    @pytest.mark.parametrize("name", RULES)
    def test_they_sum_up_to_the_score(self, models, ratings, rated, name, preferred):
        model = models[name]._replace(rule=RULES[name]._replace(preferred=preferred))
        asked_ids = np.arange(200, 90, -10)
        pairs = [(user, int(movie)) for user in (1, 2, 3) for movie in asked_ids]
        asked = model.items.sparkSession.createDataFrame(pairs, "user_id int, movie_id int")
        scored = score(model._replace(users=fold_in(model, ratings)), asked).toPandas()
        items = arrays(model.items)
        rows_asked = items.rows_of(asked_ids)
        starts, rows, _ = by_user(rated, model.rule)
        for user in (1, 2, 3):
            own = interactions_of(rated[rated["user_id"] == user])
            movies, terms, _ = model.rule.explainer(items, model.intercept)(own, rows_asked)
            assert movies.tolist() == rows[starts[user - 1] : starts[user]].tolist()
            assert terms.shape == (len(asked_ids), len(movies))
            scores = scored[scored["user_id"] == user]["score"] - items.bias[rows_asked]
            np.testing.assert_allclose(terms.sum(axis=1), scores, atol=1e-4)  # users' vectors are float32

    def test_of_ease_each_is_weight_times_influence_times_dot_product(self, models, rated):
        """Movie 45 is not known, and has no term."""
        items, rule, asked = arrays(models["ease"].items), RULES["ease"], np.array([0, 7, 9])
        own = pd.DataFrame({"user_id": 1, "movie_id": [20, 45, 60], "rating": [2.0, 5.0, 4.0], "rated_at": DAY_ONE})
        movies, terms, _ = rule.explainer(items, 0.0)(interactions_of(own), asked)
        assert movies.tolist() == [1, 5]
        f, weights = items.features[:-1], weighed([2.0, 4.0], RECENT)
        d = self_influence(f)
        expected = [[w * d[j] * float(f[i] @ f[j]) for j, w in zip(movies, weights, strict=True)] for i in asked]
        np.testing.assert_allclose(terms, expected, rtol=1e-5)

    @pytest.mark.parametrize("name", RULES)
    def test_without_preferences_there_are_none(self, models, name):
        own = pd.DataFrame({"user_id": [1], "movie_id": [45], "rating": [5.0], "rated_at": [DAY_ONE]})
        explain = RULES[name].explainer(arrays(models[name].items), 0.0)
        movies, terms, _ = explain(interactions_of(own), np.array([1, 2]))
        assert movies.shape == (0,)
        assert terms.shape == (2, 0)


# Every |f|^2 is 2, so d = 1/2, and with equal weights rated movie j adds f_i . f_j / 2.
A, B, C = [1.0, 1, 0, 0], [0.0, 0, 1, 1], [1.0, 0, 0, -1]
TASTES = {1: A, 2: B, 3: A, 4: C, 10: A, 11: [1.0, 0, 1, 0], 12: [-1.0, 0, 0, 1], 13: [0.0, 1, 0, 1]}
RATED = {
    1: {1: 5.0, 2: 5.0, 4: 5.0},
    2: {2: 1.0, 3: 4.0, 1: 4.0},
    3: {99: 5.0},
    5: {1: 3.0, 4: 3.0, 99: 5.0},
}
REASONS = {
    (1, 10): [1, 4],  # 1 and 1/2; 2 adds 0
    (1, 11): [1, 2, 4],  # 1/2 each
    (1, 12): [2],  # 1/2; 1 takes 1/2 away and 4 takes 1
    (1, 13): [1, 2],  # 1/2 each; 4 takes 1/2 away
    (2, 10): [1, 3],  # 1 each
    (2, 11): [1, 2, 3],  # 1/2 each
    (3, 10): [],  # the model does not know what she has rated
    (4, 10): [],  # she has rated nothing
    (5, 10): [1, 4],
}
SHARES = {
    (1, 10): [2 / 3, 1 / 3],
    (1, 11): [1 / 3] * 3,
    (1, 12): [None],  # of a score of -1
    (1, 13): [1, 1],  # of 1/2
    (2, 10): [1 / 2] * 2,
    (2, 11): [1 / 3] * 3,
    (3, 10): [],
    (4, 10): [],
    (5, 10): [2 / 3, 1 / 3],
}


class TestExplain:
    @pytest.mark.parametrize("reasons", [3, 1])
    def test_reasons_are_what_adds_most_strongest_first_and_of_equal_ones_the_lower_movie(self, spark, reasons):
        items = factor_table(spark, np.array(list(TASTES)), np.zeros(len(TASTES)), np.array(list(TASTES.values())))
        rows = [(user, movie, stars, None) for user, own in RATED.items() for movie, stars in own.items()]
        asked = spark.createDataFrame(list(REASONS), "user_id int, movie_id int")
        model = FactorModel(0.0, None, items, rule=PreferenceRule(0, 4, "all", EQUAL))
        explained = explain(model, asked, spark.createDataFrame(rows, RATINGS), reasons)
        assert explained.columns == ["user_id", "movie_id", "because_movie_ids", "because_shares"]
        found = {(row["user_id"], row["movie_id"]): row for row in explained.collect()}
        because = {pair: row["because_movie_ids"] for pair, row in found.items()}
        assert because == {pair: because[:reasons] for pair, because in REASONS.items()}
        for pair, shares in SHARES.items():
            assert found[pair]["because_shares"] == pytest.approx(shares[:reasons])

    @pytest.mark.parametrize("name", RULES)
    def test_they_follow_from_the_contributions(self, models, ratings, rated, name):
        model = models[name]._replace(rule=RULES[name]._replace(preferred="above_mean"))
        own = interactions_of(rated[rated["user_id"] == 7])
        movies, terms, _ = model.rule.explainer(arrays(model.items), 0.0)(own, np.arange(MOVIES))
        expected = {
            10 * movie + 10: [int(10 * movies[j] + 10) for j in np.argsort(-row) if row[j] > 0]
            for movie, row in enumerate(terms)
        }
        assert len({tuple(because) for because in expected.values()}) > 5
        assert any(len(because) < len(movies) for because in expected.values())
        pairs = [(7, movie) for movie in expected]
        asked = model.items.sparkSession.createDataFrame(pairs, "user_id int, movie_id int")
        explained = explain(model, asked, ratings, reasons=MOVIES).collect()
        assert {row["movie_id"]: row["because_movie_ids"] for row in explained} == expected
