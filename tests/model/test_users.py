"""Users from their ratings: the same as the fit's own last step, and what a new user gets; and reasons."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import AlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.als.spark_ml import factor_model, fit_als, prepare_fit
from movie_recs.data.blocks import open_blocks
from movie_recs.data.interactions import select_seen
from movie_recs.model import users
from movie_recs.model.factor_model import FACTORS, FactorModel, factor_table
from movie_recs.model.scoring import score
from movie_recs.model.top_n import top_n
from movie_recs.model.users import explain, fold_in

RATINGS, PAIRS = "user_id int, movie_id int, rating float", "user_id int, movie_id int"
USERS, MOVIES = 30, 20
FACTORS_ONLY = AlsParameters(rank=3, reg_param=0.1, max_iter=5)
TWO_PARTS = RidgeRule((Ridge(2, 1.5, bias_damping=4.0), Ridge(3, 0.2, per_rating=True)))


def vectors(table) -> dict[int, tuple[float, ...]]:
    """Bias and features by id, in ascending order."""
    return {row["id"]: (row["bias"], *row["features"]) for row in table.orderBy("id").collect()}


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


class TestFoldIn:
    def test_a_train_users_own_ratings_give_her_factors_and_scores_back(self, ratings):
        """The last step of Spark ML's ALS solves the users."""
        model = factor_model(fit_als(prepare_fit(ratings), FACTORS_ONLY, seed=1), FACTORS_ONLY.reg_param)
        again = model._replace(users=fold_in(model, ratings))
        fitted, folded = vectors(model.users), vectors(again.users)
        assert folded.keys() == fitted.keys()
        np.testing.assert_allclose(list(folded.values()), list(fitted.values()), atol=1e-4)
        assert_same_scores(model, again, ratings)

    def test_they_do_so_where_the_factors_are_those_of_compiled_loops(self, spark, ratings):
        ids = np.arange(1, MOVIES + 1, dtype=np.int32)
        blocks = open_blocks("local", ratings, ids)
        targets = blocks.map(select_seen).map(lambda seen: Targets(seen, seen.ratings.astype(np.float32)))
        (factors,) = fit_factors(targets, FACTORS_ONLY, [FACTORS_ONLY.max_iter], seed=1)
        items = factor_table(spark, ids, np.zeros(MOVIES), factors.items)
        model = FactorModel(0.0, items.limit(0), items, RidgeRule((Ridge(3, 0.1, per_rating=True),)))
        folded = np.array(list(vectors(fold_in(model, ratings)).values()))
        np.testing.assert_allclose(folded[:, 1:], np.concatenate(factors.users.collect(lambda block: block)), atol=1e-5)

    def test_new_users_get_first_what_they_like_and_never_what_they_have_rated(self, spark):
        """Half of the users love the odd movies, the others the even ones, which nobody tells the model."""
        rng = np.random.default_rng(8)
        planted = [
            (user, movie, 1.5 if user % 2 == movie % 2 else -1.5)
            for user in range(1, 31)
            for movie in range(1, MOVIES + 1)
            if rng.random() < 0.5
        ]
        parameters = AlsParameters(rank=2, reg_param=0.05, max_iter=10)
        als_model = fit_als(prepare_fit(spark.createDataFrame(planted, RATINGS)), parameters, seed=1)
        model = factor_model(als_model, parameters.reg_param)._replace(intercept=3.0)

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

    def test_a_model_without_a_rule_cannot_fold_users_in(self, two_parts, ratings):
        with pytest.raises(ValueError, match="no rule"):
            fold_in(two_parts._replace(rule=None), ratings)


# The rated movies' features lie on the axes, so X^T X + C is diagonal: for user 1, lambda n = 0.5 * 4 = 2, the diagonal
# is (3, 3, 6). Of her ratings mu = 3 leaves 2, 1, -2 and -1, so that to the score of a movie with features f movie 1
# adds 2/3 f1, movie 2 adds 1/3 f2, movie 3 adds -2/3 f3 and movie 4 nothing.
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
    (1, 11): [1, 3, 2],
    (1, 12): [],
    (1, 13): [1, 2],
    (1, 14): [2],
    (2, 10): [1],
    (3, 10): [2, 1],  # 1/2 and 3/2
    (4, 10): [],  # the model knows nothing that she has rated
    (5, 13): [1],  # the other is below mu, and says no
    (6, 10): [],  # she has rated nothing
}
SHARES = {  # of the score, mu = 3 and all terms
    (1, 10): [1 / 4, 1 / 6],
    (1, 11): [6 / 20, 4 / 20, 1 / 20],
    (1, 12): [],
    (1, 13): [2 / 13, 2 / 13],
    (1, 14): [1 / 8],
    (2, 10): [4 / 13],
    (3, 10): [3 / 10, 1 / 10],
    (4, 10): [],
    (5, 13): [1 / 3],  # of 3 + 1/2 - 2
    (6, 10): [],
}


class TestExplain:
    @pytest.mark.parametrize(("reasons", "explained_by_a_task"), [(3, 2), (1, 100)])
    def test_reasons_are_the_ratings_that_add_most_strongest_first_and_only_those_that_add(
        self, spark, monkeypatch, reasons, explained_by_a_task
    ):
        """However many users a task explains."""
        monkeypatch.setattr(users, "SCORES_EXPLAINED", explained_by_a_task)
        items = spark.createDataFrame(ITEMS, FACTORS)
        ratings = spark.createDataFrame(RATED, RATINGS)
        model = FactorModel(3.0, items, items, RidgeRule((Ridge(3, 0.5, per_rating=True),)))
        explained = explain(model, spark.createDataFrame(list(REASONS), PAIRS), ratings, reasons)
        kinds = {"because_movie_ids": "array<int>", "because_shares": "array<double>"}
        assert explained.dtypes == [("user_id", "int"), ("movie_id", "int"), *kinds.items()]
        found = {(row["user_id"], row["movie_id"]): row for row in explained.collect()}
        because = {pair: row["because_movie_ids"] for pair, row in found.items()}
        assert because == {pair: because[:reasons] for pair, because in REASONS.items()}
        for pair, shares in SHARES.items():
            assert found[pair]["because_shares"] == pytest.approx(shares[:reasons])

    def test_for_people_only_what_she_liked_is_a_reason_and_none_more_than_twice_in_a_list(self, spark):
        """The mean of user 1 is 3, so movie 3 is named no more; movies 11 and 13 have the most to explain."""
        items = spark.createDataFrame(ITEMS, FACTORS)
        model = FactorModel(3.0, items, items, RidgeRule((Ridge(3, 0.5, per_rating=True),)))
        asked = spark.createDataFrame([pair for pair in REASONS if pair[0] == 1], PAIRS)
        explained = explain(model, asked, spark.createDataFrame(RATED, RATINGS), 3, for_people=True)
        found = {row["movie_id"]: row["because_movie_ids"] for row in explained.collect()}
        assert found == {11: [1, 2], 13: [1, 2], 10: [], 14: [], 12: []}

    def test_a_high_rating_of_a_movie_that_all_like_adds_less(self, spark):
        """By their stars movie 1 comes first; less the movies' biases they are 0.5, 1.5 and -0.5."""
        items = spark.createDataFrame([(1, 4.5, [1.0]), (2, 2.5, [1.0]), (3, 1.5, [0.0]), (4, 0.0, [1.0])], FACTORS)
        ratings = spark.createDataFrame([(1, 1, 5.0), (1, 2, 4.0), (1, 3, 1.0)], RATINGS)
        model = FactorModel(0.0, items, items, RidgeRule((Ridge(1, 1.0),)))
        (row,) = explain(model, spark.createDataFrame([(1, 4)], PAIRS), ratings, 3).collect()
        assert row["because_movie_ids"] == [2, 1]

    def test_reasons_are_what_the_score_loses_most_by_whatever_the_parts(self, spark, two_parts, ratings):
        """A rating of exactly mu and the movie's bias adds nothing: setting one so shows what it added."""
        items = two_parts.items.orderBy("id").toPandas()
        own = ratings.filter("user_id = 3").orderBy("movie_id").toPandas()
        expected = 3.2 + items["bias"].to_numpy()[own["movie_id"] - 1]
        without = [own.assign(user_id=100 + place, rating=own["rating"].where(own.index != place, expected))
                   for place in own.index]  # fmt: skip
        asked_ids = sorted({*range(1, MOVIES + 1)} - {*own["movie_id"]})
        everyone = spark.createDataFrame(pd.concat([own, *without]), RATINGS)
        pairs = [(user, movie) for user in (3, *(100 + own.index)) for movie in asked_ids]
        folded = two_parts._replace(users=fold_in(two_parts, everyone))
        scored = score(folded, spark.createDataFrame(pairs, PAIRS)).toPandas()
        scores = scored.pivot_table(index="user_id", columns="movie_id", values="score").to_numpy()
        terms = (scores[0] - scores[1:]).T
        movies = own["movie_id"].to_numpy()
        because = [[int(movies[j]) for j in np.argsort(-row) if row[j] > 0] for row in terms]
        asked = spark.createDataFrame([(3, movie) for movie in asked_ids], PAIRS)
        explained = explain(two_parts, asked, ratings, reasons=MOVIES).orderBy("movie_id").collect()
        assert [row["because_movie_ids"] for row in explained] == because
        assert len({tuple(each) for each in because}) > 5

    def test_a_model_without_a_rule_explains_nothing(self, two_parts, ratings):
        with pytest.raises(ValueError, match="no rule"):
            explain(two_parts._replace(rule=None), ratings.select("user_id", "movie_id"), ratings, 3)
