"""Users from their ratings: the same as the fit's own last step, as numpy's, and what a new user gets; and reasons."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.als.spark_ml import factor_model, fit_als, prepare_fit
from movie_recs.model.factor_model import FactorModel, Ridge, score
from movie_recs.model.top_n import top_n
from movie_recs.model.users import explain, fold_in, solve_ridge
from movie_recs.als.parameters import AlsParameters
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.features import Catalogue, describe_movies
from movie_recs.rating.fit import fit_candidate
from movie_recs.rating.candidate import RatingCandidate

FACTORS, RATINGS = "id int, bias float, features array<float>", "user_id int, movie_id int, rating float"
USERS, MOVIES = 30, 20
FACTORS_ONLY = AlsParameters(rank=3, reg_param=0.1, max_iter=5)
TWO_PARTS = (Ridge(2, 1.5, bias_damping=4.0), Ridge(3, 0.2, per_rating=True))


def vectors(users) -> dict[int, tuple[float, ...]]:
    """Bias and features by id, in ascending order."""
    return {row["id"]: (row["bias"], *row["features"]) for row in users.orderBy("id").collect()}


def assert_same_scores(one: FactorModel, other: FactorModel, pairs) -> None:
    scored = score(other, score(one, pairs, "one"), "other").toPandas()
    np.testing.assert_allclose(scored["one"], scored["other"], atol=1e-4)


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """About half of the pairs of users 1-30 and movies 1-20, and random stars."""
    rng = np.random.default_rng(4)
    users, movies = np.nonzero(rng.random((USERS, MOVIES)) < 0.5)
    stars = rng.integers(1, 11, len(users)) / 2
    return pd.DataFrame({"user_id": users + 1, "movie_id": movies + 1, "rating": stars})


@pytest.fixture(scope="module")
def ratings(spark, rated):
    return spark.createDataFrame(rated, RATINGS).cache()


@pytest.fixture(scope="module")
def two_parts(spark) -> FactorModel:
    """Movies 1-20 with random biases and features, and no users; a part of bias and features, and one of factors."""
    rng = np.random.default_rng(5)
    ids, bias, features = range(1, MOVIES + 1), rng.normal(0, 0.5, MOVIES), rng.normal(size=(MOVIES, 5))
    items = spark.createDataFrame(list(zip(ids, bias.tolist(), features.tolist(), strict=True)), FACTORS).cache()
    return FactorModel(3.2, items.limit(0), items, TWO_PARTS)


@pytest.fixture(scope="module")
def catalogue(spark) -> Catalogue:
    """Movies 1-20: every third is a drama, every fourth a comedy; with their popularity that is 3 features."""
    rows = [(m, None, [g for g, step in (("Drama", 3), ("Comedy", 4)) if m % step == 0]) for m in range(1, MOVIES + 1)]
    movies = spark.createDataFrame(rows, "movie_id int, year int, genres array<string>")
    return describe_movies(movies, FeatureWeights(genres=1.0, year=0.0, popularity=0.5, audience=0.0))


def ridge_by_least_squares(features: np.ndarray, targets: np.ndarray, pulls: list[float]) -> np.ndarray:
    """A pull is one more row, which is wanted to be 0."""
    rows = np.vstack([features, np.diag(np.sqrt(pulls))])
    return np.linalg.lstsq(rows, np.append(targets, np.zeros(len(pulls))), rcond=None)[0]


def test_each_of_several_ridge_regressions_has_its_own_targets_and_pulls():
    rng = np.random.default_rng(6)
    features, targets, pulls = rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), np.array([[1, 2, 3], [0.1, 4, 0.5]])
    expected = [ridge_by_least_squares(features, targets[:, c], pulls[c]) for c in range(2)]
    np.testing.assert_allclose(solve_ridge(features, targets, pulls), expected, atol=1e-12)


class TestFoldIn:
    # What mu = 3 leaves of her ratings of movies 1 and 2, whose features are 1 and 2, is y = (1, -1).
    @pytest.mark.parametrize(
        ("ridge", "bias", "features"),
        [
            (Ridge(1, 0.5), 0, [(1 - 2) / (1 + 4 + 0.5)]),
            (Ridge(1, 0.5, per_rating=True), 0, [(1 - 2) / (1 + 4 + 0.5 * 2)]),
            # (2 + 1) b + 3 p = 0 and 3 b + (5 + 1) p = -1
            (Ridge(1, 1.0, bias_damping=1.0), 1 / 3, [-1 / 3]),
            # (2 + 2) b + 3 p = 0 and 3 b + (5 + 4) p = -1
            (Ridge(1, 2.0, bias_damping=1.0, per_rating=True), 1 / 9, [-4 / 27]),
        ],
    )
    def test_a_ridge_regression_by_hand(self, spark, ridge, bias, features):
        items = spark.createDataFrame([(1, 0.0, [1.0]), (2, 0.0, [2.0])], FACTORS)
        ratings = spark.createDataFrame([(7, 1, 4.0), (7, 2, 2.0)], RATINGS)
        folded = vectors(fold_in(FactorModel(3.0, items, items, (ridge,)), ratings))
        assert folded == {7: pytest.approx((bias, *features))}

    def test_a_bias_alone_is_the_damped_mean_of_what_the_movies_biases_leave(self, spark):
        items = spark.createDataFrame([(1, 0.5, []), (2, -0.5, []), (3, 9.0, [])], FACTORS)
        ratings = spark.createDataFrame([(7, 1, 5.0), (7, 2, 4.0), (8, 1, 3.0)], RATINGS)
        folded = fold_in(FactorModel(3.0, items, items, (Ridge(0, 0.0, bias_damping=2.0),)), ratings)
        assert vectors(folded) == {7: ((1.5 + 1.5) / (2 + 2),), 8: (pytest.approx(-0.5 / (1 + 2)),)}

    def test_without_a_pull_fewer_ratings_than_features_are_met_exactly(self, spark, two_parts):
        free = two_parts._replace(ridges=(Ridge(5, 0.0),))
        ratings = spark.createDataFrame([(1, 1, 5.0), (2, 1, 1.0), (2, 2, 4.0)], RATINGS)
        scored = score(free._replace(users=fold_in(free, ratings)), ratings).toPandas()
        np.testing.assert_allclose(scored["score"], scored["rating"], atol=1e-4)

    def test_a_train_users_own_ratings_give_her_factors_and_scores_back(self, ratings):
        """The last step of Spark ML's ALS solves the users."""
        model = factor_model(fit_als(prepare_fit(ratings), FACTORS_ONLY, seed=1), FACTORS_ONLY.reg_param)
        again = model._replace(users=fold_in(model, ratings))
        fitted, folded = vectors(model.users), vectors(again.users)
        assert folded.keys() == fitted.keys()
        np.testing.assert_allclose(list(folded.values()), list(fitted.values()), atol=1e-4)
        assert_same_scores(model, again, ratings)

    def test_a_train_users_own_ratings_give_her_scores_back_where_factors_follow_a_taste(self, ratings, catalogue):
        baseline = {"user_damping": 5, "movie_damping": 3, "taste_reg": 8, "prior_reg": 10}
        candidate = RatingCandidate(model="taste_als", **baseline, **FACTORS_ONLY.model_dump())
        model = fit_candidate(ratings, catalogue, candidate, seed=1).factor_model
        assert [ridge.size for ridge in model.ridges] == [3, 3]
        assert_same_scores(model, model._replace(users=fold_in(model, ratings)), ratings)

    def test_each_part_explains_what_those_before_it_leave(self, two_parts, rated, ratings):
        items = two_parts.items.orderBy("id").toPandas()
        movie_bias, movie_features = items["bias"].to_numpy(float), np.array(items["features"].to_list(), dtype=float)
        expected = []
        for _, own in rated.groupby("user_id"):
            rows = own["movie_id"].to_numpy() - 1
            left, features = own["rating"].to_numpy() - 3.2 - movie_bias[rows], movie_features[rows]
            first = np.column_stack([np.ones(len(rows)), features[:, :2]])
            bias_and_taste = ridge_by_least_squares(first, left, [4.0, 1.5, 1.5])
            left = left - first @ bias_and_taste
            factors = ridge_by_least_squares(features[:, 2:], left, [0.2 * len(rows)] * 3)
            expected.append([*bias_and_taste, *factors])
        np.testing.assert_allclose(list(vectors(fold_in(two_parts, ratings)).values()), expected, atol=1e-5)

    def test_new_users_get_first_what_they_like_and_never_what_they_have_rated(self, spark, catalogue):
        """Half of the users love the odd movies, the others the even ones, which nobody tells the model."""
        rng = np.random.default_rng(8)
        planted = [
            (user, movie, 4.5 if user % 2 == movie % 2 else 1.5)
            for user in range(1, 31)
            for movie in range(1, MOVIES + 1)
            if rng.random() < 0.5
        ]
        ratings = spark.createDataFrame(planted, RATINGS)
        candidate = RatingCandidate(
            model="bias_als", user_damping=5, movie_damping=3, rank=2, reg_param=0.05, max_iter=10
        )
        model = fit_candidate(ratings, catalogue, candidate, seed=1).factor_model

        loves_odd = [(100, 1, 5.0), (100, 3, 4.0), (100, 5, 4.5), (100, 2, 1.0), (100, 4, 0.5)]
        loves_even = [(200, 2, 5.0), (200, 4, 5.0), (200, 6, 5.0), (200, 8, 5.0), (200, 1, 2.0)]
        new = spark.createDataFrame([*loves_odd, *loves_even], RATINGS)
        with_new = model._replace(users=fold_in(model, new))
        best = top_n(with_new, new.select("user_id").distinct(), new, n=100).orderBy("user_id", "rank").toPandas()
        lists = best.groupby("user_id")["movie_id"].apply(list)
        assert sorted(lists[100]) == list(range(6, 21))
        assert sorted(lists[200]) == [3, 5, 7, *range(9, 21)]
        assert [movie % 2 for movie in lists[100]] == [1] * 7 + [0] * 8
        assert [movie % 2 for movie in lists[200]] == [0] * 6 + [1] * 9

    def test_ratings_of_unknown_movies_say_nothing(self, spark, two_parts, ratings):
        unknown = spark.createDataFrame([(1, 0, 5.0), (1, 99, 0.5), (2, 21, 5.0)], RATINGS)
        assert vectors(fold_in(two_parts, ratings.union(unknown))) == vectors(fold_in(two_parts, ratings))

    def test_a_user_whose_movies_are_all_unknown_has_zeros(self, spark, two_parts):
        unknown = spark.createDataFrame([(50, 99, 5.0), (50, 98, 4.0)], RATINGS)
        assert vectors(fold_in(two_parts, unknown)) == {50: (0.0,) * 6}

    def test_neither_the_order_nor_the_partitions_of_the_ratings_change_a_bit(self, two_parts, ratings):
        expected = vectors(fold_in(two_parts, ratings))
        assert len(expected) == USERS
        for other in (
            ratings.orderBy("rating", "movie_id").coalesce(1),
            ratings.repartition(7, "movie_id").sortWithinPartitions("rating"),
        ):
            assert vectors(fold_in(two_parts, other)) == expected

    def test_other_users_do_not_change_a_bit(self, two_parts, ratings):
        alone = vectors(fold_in(two_parts, ratings.filter("user_id = 3")))
        assert alone == {3: vectors(fold_in(two_parts, ratings))[3]}

    def test_without_ratings_there_are_no_users(self, two_parts, ratings):
        folded = fold_in(two_parts, ratings.limit(0))
        assert folded.dtypes == [("id", "int"), ("bias", "float"), ("features", "array<float>")]
        assert folded.collect() == []


# The rated movies' features lie on the axes, so X^T X + C is diagonal: for user 1, lambda n = 0.5 * 4 = 2, the diagonal
# is (3, 3, 6), and rated movie j adds to the score of a movie with features f, by its feature: f1 2/3, f2 1/3, f3 -2/3.
ITEMS = [
    (1, 0.0, [1.0, 0.0, 0.0]),
    (2, 0.0, [0.0, 1.0, 0.0]),
    (3, 0.0, [0.0, 0.0, 2.0]),
    (4, 0.0, [0.0, 0.0, 0.0]),
    (10, 0.0, [1.0, 3.0, 1.0]),  # 2/3, 1, -2/3
    (11, 0.0, [3.0, 1.0, -2.0]),  # 2, 1/3, 4/3: the last because she gave movie 3 one star
    (12, 0.0, [-1.0, -1.0, 1.0]),  # none adds anything
    (13, 0.0, [1.0, 2.0, 0.0]),  # 2/3, 2/3: a tie
    (14, 0.0, [-1.0, 1.0, 0.0]),  # -2/3, 1/3
]
RATED = [
    (1, 1, 5.0),
    (1, 2, 4.0),
    (1, 3, 1.0),
    (1, 4, 2.0),
    (2, 1, 5.0),
    (3, 2, 4.0),
    (3, 1, 4.0),
    (4, 99, 5.0),
    (5, 1, 4.0),
    (5, 2, 1.0),
    (5, 99, 5.0),
    (9, 1, 1.0),
]
REASONS = {
    (1, 10): [2, 1],
    (1, 11): [1, 2],
    (1, 12): [],
    (1, 13): [1, 2],
    (1, 14): [2],
    (2, 10): [],  # one rating is its own mean
    (3, 10): [],  # she gives 4 stars to everything
    (4, 10): [],  # the model knows nothing that she has rated
    (5, 13): [1],  # 4 stars are above her mean of what the model knows
}


class TestExplain:
    @pytest.mark.parametrize("reasons", [3, 1])
    def test_reasons_are_the_high_ratings_that_add_most_strongest_first(self, spark, reasons):
        items = spark.createDataFrame(ITEMS, FACTORS)
        ratings = spark.createDataFrame(RATED, RATINGS)
        asked = spark.createDataFrame(list(REASONS), "user_id int, movie_id int")
        model = FactorModel(0.0, items, items, (Ridge(3, 0.5, per_rating=True),))
        explained = explain(model, asked, ratings, reasons)
        found = {(row["user_id"], row["movie_id"]): row["because_movie_ids"] for row in explained.collect()}
        assert found == {pair: because[:reasons] for pair, because in REASONS.items()}

    def test_a_high_rating_of_a_movie_that_all_like_adds_less(self, spark):
        """By their stars movie 1 comes first; less the movies' biases they are 0.5, 1.5 and -0.5: their mean is 0.5."""
        items = spark.createDataFrame([(1, 4.5, [1.0]), (2, 2.5, [1.0]), (3, 1.5, [0.0]), (4, 0.0, [1.0])], FACTORS)
        ratings = spark.createDataFrame([(1, 1, 5.0), (1, 2, 4.0), (1, 3, 1.0)], RATINGS)
        asked = spark.createDataFrame([(1, 4)], "user_id int, movie_id int")
        (row,) = explain(FactorModel(0.0, items, items, (Ridge(1, 1.0),)), asked, ratings, 3).collect()
        assert row["because_movie_ids"] == [2]

    @pytest.mark.parametrize("ridges", [TWO_PARTS, (*TWO_PARTS[:1], Ridge(1, 0.7), Ridge(2, 0.1, per_rating=True))])
    def test_the_terms_are_what_a_raised_rating_adds_and_sum_up_to_the_score(self, spark, two_parts, ridges):
        """User 0 has these ratings, and user j the same but for rating j, which is a star higher."""
        model = two_parts._replace(ridges=ridges)
        movie_ids, stars = np.arange(1, 11), np.array([5, 0.5, 3, 4, 4.5, 1, 2, 3.5, 5, 2.5])
        raised = np.vstack([stars, stars + np.eye(len(stars))])
        rows = [(u, int(m), float(s)) for u, own in enumerate(raised) for m, s in zip(movie_ids, own, strict=True)]
        ratings = spark.createDataFrame(rows, RATINGS)
        asked_ids = range(11, MOVIES + 1)
        asked = spark.createDataFrame(
            [(u, m) for u in range(len(raised)) for m in asked_ids], "user_id int, movie_id int"
        )
        scored = score(model._replace(users=fold_in(model, ratings)), asked).toPandas()
        scores = scored.pivot_table(index="user_id", columns="movie_id", values="score").to_numpy()
        influence = (scores[1:] - scores[0]).T

        bias = np.array([row["bias"] for row in model.items.orderBy("id").collect()])
        targets = stars - 3.2 - bias[:10]
        np.testing.assert_allclose(influence @ targets, scores[0] - 3.2 - bias[10:], atol=1e-5)

        terms = influence * (targets - targets.mean())
        expected = [
            [int(movie_ids[j]) for j in np.argsort(-row) if row[j] > 0 and stars[j] > stars.mean()] for row in terms
        ]
        explained = explain(model, asked.filter("user_id = 0"), ratings, reasons=10).orderBy("movie_id").collect()
        assert [row["because_movie_ids"] for row in explained] == expected
        assert len({tuple(because) for because in expected}) > 5
