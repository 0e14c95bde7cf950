"""Fits on planted truths, and their factors as entries of a model's vectors."""

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from movie_recs.als.parameters import AlsParameters, ImplicitAlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.als.spark_ml import add_factors, blocks_for, factor_model, fit_als, fit_implicit_als, prepare_fit
from movie_recs.model.factor_model import FactorModel
from movie_recs.model.scoring import score, score_models

NOISE = 0.1
TWO = AlsParameters(rank=2, reg_param=0.005, max_iter=15)


@pytest.fixture(scope="module")
def planted() -> pd.DataFrame:
    """Half of the pairs of 80 users and 60 movies: a rank-2 truth and noise; one in five is held out."""
    rng = np.random.default_rng(5)
    truth = rng.uniform(0.5, 1.5, (80, 2)) @ rng.uniform(0.5, 1.5, (60, 2)).T
    users, movies = np.nonzero(rng.random(truth.shape) < 0.5)
    rating = truth[users, movies] + rng.normal(0, NOISE, len(users))
    frame = pd.DataFrame(
        {"user_id": users + 1, "movie_id": movies + 1, "rating": rating, "held_out": rng.random(len(users)) < 0.2}
    )
    return frame.astype({"user_id": "int32", "movie_id": "int32", "rating": "float32"})


@pytest.fixture(scope="module")
def ratings(spark, planted):
    return spark.createDataFrame(planted).cache()


@pytest.fixture(scope="module")
def fitted(ratings):
    return fit_als(prepare_fit(ratings.filter("not held_out")), TWO, seed=1)


def vectors(als_model) -> tuple[np.ndarray, np.ndarray]:
    return tuple(
        np.array(table.orderBy("id").toPandas()["features"].to_list())
        for table in (als_model.userFactors, als_model.itemFactors)
    )


def test_a_planted_low_rank_truth_is_recovered_down_to_its_noise(ratings, fitted):
    held_out = score(factor_model(fitted, 0.1), ratings.filter("held_out")).toPandas()
    rmse = np.sqrt(((held_out["rating"] - held_out["score"]) ** 2).mean())
    assert NOISE * 0.85 < rmse < NOISE * 1.25


def test_the_same_ratings_give_the_same_model_however_they_come(ratings, fitted):
    shuffled = ratings.filter("not held_out").repartition(5, "movie_id").sortWithinPartitions("rating")
    fit_input = prepare_fit(shuffled)
    pairs = [(row["user_id"], row["movie_id"]) for row in fit_input.ratings.collect()]
    assert pairs == sorted(pairs)  # the order of the sums of a fit
    again = fit_als(fit_input, TWO, seed=1)
    for one, other in zip(vectors(fitted), vectors(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_starts_elsewhere(ratings, fitted):
    short = TWO.model_copy(update={"max_iter": 1})
    fit_input = prepare_fit(ratings.filter("not held_out"))
    one, other = (vectors(fit_als(fit_input, short, seed))[0] for seed in (1, 2))
    assert not np.allclose(one, other)


def test_a_fit_has_the_rank_asked_for_and_a_row_a_known_id(planted, fitted):
    users, items = vectors(fitted)
    train = planted[~planted["held_out"]]
    assert users.shape == (train["user_id"].nunique(), 2)
    assert items.shape == (train["movie_id"].nunique(), 2)


def test_scores_are_those_of_spark_mls_model(ratings, fitted):
    scored = fitted.transform(score(factor_model(fitted, 0.1), ratings)).toPandas()
    assert len(scored) == ratings.count()
    np.testing.assert_allclose(scored["score"], scored["prediction"], atol=1e-5)


def test_sixty_iterations_do_not_overflow_the_stack(spark):
    few = spark.createDataFrame([(1, 1, 4.0), (1, 2, 2.0), (2, 1, 3.0)], "user_id int, movie_id int, rating float")
    model = fit_als(prepare_fit(few), AlsParameters(rank=1, reg_param=0.1, max_iter=60), seed=1)
    assert model.itemFactors.count() == 2


def test_blocks_grow_with_the_ratings(ratings, monkeypatch):
    monkeypatch.setattr("movie_recs.als.spark_ml.RATINGS_PER_BLOCK", 1000)
    fit_input = prepare_fit(ratings)
    assert fit_input.blocks == -(-ratings.count() // 1000)
    assert fit_input.ratings.count() == ratings.count()
    assert prepare_fit(ratings.limit(0)).blocks == 1


def test_long_factors_have_two_blocks_and_the_same_model_however_the_ratings_came(ratings):
    assert blocks_for(ratings, 31) == 1
    assert blocks_for(ratings, 32) == 2
    parameters = ImplicitAlsParameters(rank=32, reg_param=0.1, max_iter=2, alpha=2)
    models = [fit_implicit_als(prepare_fit(each, 2), parameters, 1) for each in (ratings, ratings.repartition(7))]
    one, other = (np.stack(model.itemFactors.toPandas().sort_values("id")["features"]) for model in models)
    np.testing.assert_array_equal(one, other)


def test_the_users_follow_from_one_ridge_regression_whose_pull_grows_with_their_ratings(fitted):
    assert factor_model(fitted, 0.1).rule == RidgeRule((Ridge(2, 0.1, per_rating=True),))


@pytest.fixture(scope="module")
def base(spark) -> FactorModel:
    """Random biases and 3 features of users 1-82 and movies 1-62, the last two of whom nobody has rated."""
    rng = np.random.default_rng(6)

    def table(rows: int):
        bias, features = rng.normal(size=rows).tolist(), rng.normal(size=(rows, 3)).tolist()
        ids = range(1, rows + 1)
        return spark.createDataFrame(
            list(zip(ids, bias, features, strict=True)), "id int, bias float, features array<float>"
        ).cache()

    return FactorModel(3.5, table(82), table(62), RidgeRule((Ridge(3, 8.0, bias_damping=5.0),)))


@pytest.fixture(scope="module")
def composed(base, fitted) -> FactorModel:
    return add_factors(base, fitted, 0.1)


class TestAddFactors:
    def test_a_score_is_the_bases_and_what_spark_mls_model_predicts(self, ratings, fitted, base, composed):
        scored = fitted.transform(score(composed, ratings)).toPandas()
        users, items = (table.toPandas().set_index("id") for table in (base.users, base.items))
        u, i = users.loc[scored["user_id"]], items.loc[scored["movie_id"]]
        products = (np.array(u["features"].to_list()) * np.array(i["features"].to_list())).sum(axis=1)
        by_hand = 3.5 + u["bias"].to_numpy() + i["bias"].to_numpy() + products + scored["prediction"].to_numpy()
        assert len(scored) == ratings.count()
        np.testing.assert_allclose(scored["score"], by_hand, atol=1e-4)

    def test_whom_als_does_not_know_has_the_bases_score(self, spark, base, composed):
        pairs = spark.createDataFrame([(1, 61), (80, 62), (81, 1), (82, 62)], "user_id int, movie_id int")
        scored = score(composed, score(base, pairs, "base")).toPandas()
        np.testing.assert_allclose(scored["score"], scored["base"], atol=1e-12)

    def test_factors_are_one_more_part_and_the_first_part_is_the_base(self, ratings, base, composed):
        assert composed.rule == RidgeRule((*base.rule.ridges, Ridge(2, 0.1, per_rating=True)))
        scored = score_models(score(base, ratings, "base"), [(composed, {"first": 1})]).toPandas()
        np.testing.assert_array_equal(scored["first"], scored["base"])

    def test_factors_follow_biases_alone(self, ratings, fitted, base):
        biases = base._replace(
            users=base.users.withColumn("features", F.slice("features", 1, 0)),
            items=base.items.withColumn("features", F.slice("features", 1, 0)),
            rule=RidgeRule((Ridge(0, 0.0, bias_damping=5.0),)),
        )
        scored = fitted.transform(score(add_factors(biases, fitted, 0.1), score(biases, ratings, "biases"))).toPandas()
        np.testing.assert_allclose(scored["score"], scored["biases"] + scored["prediction"], atol=1e-4)

    def test_a_model_whose_users_are_no_ridge_regressions_cannot_be_followed(self, fitted, base):
        with pytest.raises(TypeError, match="ridge regressions"):
            add_factors(base._replace(rule=None), fitted, 0.1)
