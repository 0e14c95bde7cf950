"""Fits in memory against the same fits by Spark."""

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.recommendation import ALS

from movie_recs.als.compiled import EXPLICIT, collect_interactions, fit_factors, fit_model, select_seen
from movie_recs.model.factor_model import arrays
from movie_recs.als.parameters import AlsParameters
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.biases import fit_baseline
from movie_recs.rating.features import Catalogue
from movie_recs.rating.candidate import RatingCandidate

USERS, MOVIES, HELD_OUT = 200, 150, 0


@pytest.fixture(scope="module")
def table():
    """Planted factors of rank 2 and noise, in five folds; users rate more of what they like."""
    rng = np.random.default_rng(4)
    products = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, MOVIES))
    user, movie = np.nonzero(rng.random((USERS, MOVIES)) < np.where(products > 0, 0.6, 0.05))
    truth = 3 + products / 2
    stars = np.clip(np.round(2 * (truth[user, movie] + rng.normal(0, 0.4, len(user)))) / 2, 0.5, 5)
    frame = pd.DataFrame({"user_id": user + 1, "movie_id": 10 * movie + 10, "rating": stars})
    frame["fold"] = rng.integers(0, 5, len(frame))
    return frame.astype({"user_id": "int32", "movie_id": "int32", "rating": "float32", "fold": "int32"})


@pytest.fixture(scope="module")
def ratings(spark, table):
    return spark.createDataFrame(table).cache()


@pytest.fixture(scope="module")
def interactions(ratings):
    return collect_interactions(ratings)


@pytest.fixture(scope="module")
def seen(interactions):
    return select_seen(interactions, HELD_OUT)


def fit_by_spark(ratings, parameters: AlsParameters, **options) -> tuple[np.ndarray, np.ndarray]:
    """Spark ML's factors of users and of movies on all folds but one."""
    als = ALS(
        userCol="user_id", itemCol="movie_id", ratingCol="rating", rank=parameters.rank, regParam=parameters.reg_param,
        maxIter=parameters.max_iter, numUserBlocks=1, numItemBlocks=1, seed=1, **options,
    )  # fmt: skip
    model = als.fit(ratings.filter(f"fold <> {HELD_OUT}"))
    return tuple(
        np.stack(factors.toPandas().sort_values("id")["features"].to_list()).astype(np.float32)
        for factors in (model.userFactors, model.itemFactors)
    )


def held_out_rmse(factors: tuple[np.ndarray, np.ndarray], table: pd.DataFrame, target) -> float:
    users, items = factors
    rows = table[table["fold"] == HELD_OUT]
    scores = (users[rows["user_id"] - 1] * items[rows["movie_id"] // 10 - 1]).sum(axis=1)
    return float(np.sqrt(np.mean((scores - target(rows)) ** 2)))


class TestParityWithSparkML:
    @pytest.mark.parametrize(
        ("rank", "reg_param", "alpha"),
        [(1, 0.3, None), (5, 0.1, None), (10, 0.02, None), (1, 0.05, 1.0), (4, 0.3, 10.0), (10, 0.05, 2.0)],
    )
    def test_from_the_same_first_values_the_models_are_the_same(self, ratings, table, seen, rank, reg_param, alpha):
        options = {} if alpha is None else {"implicitPrefs": True, "alpha": alpha}
        parameters = AlsParameters(rank=rank, reg_param=reg_param, max_iter=6)
        start, _ = fit_by_spark(ratings, parameters.model_copy(update={"max_iter": 0}), **options)
        sparks = fit_by_spark(ratings, parameters, **options)
        (ours,) = fit_factors(
            seen, seen.ratings.astype(np.float32), parameters, [6], 1, EXPLICIT if alpha is None else alpha, start
        )
        for our_side, sparks_side in zip(ours, sparks, strict=True):
            np.testing.assert_allclose(our_side, sparks_side, atol=2e-3)
        errors = [
            held_out_rmse(factors, table, lambda rows: rows["rating"] if alpha is None else 1.0)
            for factors in (ours, sparks)
        ]
        assert errors[0] == pytest.approx(errors[1], rel=1e-4)

    def test_first_values_are_spread_alike(self, ratings, seen):
        als = ALS(userCol="user_id", itemCol="movie_id", rank=4, maxIter=0, seed=1)
        sparks = np.stack(als.fit(ratings).userFactors.toPandas()["features"].to_list())
        parameters = AlsParameters(rank=4, reg_param=0.1, max_iter=1)
        ((ours, _),) = fit_factors(seen, np.ones(len(seen.users), np.float32), parameters, [0], 1)
        for factors in (sparks, ours):
            np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1, atol=1e-6)
            assert np.abs(factors.mean(axis=0)).max() < 0.12  # 0.5 / sqrt(200) = 0.035 each: both signs alike
            np.testing.assert_allclose(factors.var(axis=0), 1 / 4, atol=0.06)


def test_a_longer_fit_goes_through_the_shorter_one(seen):
    parameters = AlsParameters(rank=3, reg_param=0.1, max_iter=5)
    values = seen.ratings.astype(np.float32)
    both = list(fit_factors(seen, values, parameters, [2, 5], 1))
    for iterations, factors in zip((2, 5), both, strict=True):
        (alone,) = fit_factors(seen, values, parameters, [iterations], 1)
        for one, other in zip(alone, factors, strict=True):
            np.testing.assert_array_equal(one, other)


def test_singular_normal_equations_are_an_error(seen):
    parameters = AlsParameters(rank=60, reg_param=0, max_iter=1)
    with pytest.raises(ArithmeticError, match="raise reg_param"):
        list(fit_factors(seen, seen.ratings.astype(np.float32), parameters, [1], 1))


class TestInteractions:
    def test_their_order_does_not_depend_on_how_they_came(self, ratings, table, interactions):
        shuffled = collect_interactions(ratings.repartition(5, "movie_id").orderBy("rating"))
        for one, other in zip(interactions, shuffled, strict=True):
            np.testing.assert_array_equal(one, other)
        ordered = table.sort_values(["user_id", "movie_id"])
        np.testing.assert_array_equal(interactions.user_ids[interactions.users], ordered["user_id"])
        np.testing.assert_array_equal(interactions.movie_ids[interactions.movies], ordered["movie_id"])
        np.testing.assert_array_equal(interactions.ratings, ordered["rating"])

    @pytest.mark.parametrize("known", [[10, 20], [9999]])
    def test_a_rated_movie_that_is_not_in_the_catalogue_is_an_error(self, ratings, known):
        with pytest.raises(ValueError, match="not in the catalogue"):
            collect_interactions(ratings, np.array(known, np.int32))


@pytest.mark.parametrize("taste", [{}, {"taste_reg": 4, "prior_reg": 3}], ids=["bias", "taste"])
def test_a_baseline_is_that_of_the_passes_over_the_ratings(ratings, taste):
    ids = np.arange(10, 10 * MOVIES + 20, 10, dtype=np.int32)  # and a movie that nobody has rated
    features = np.random.default_rng(2).random((len(ids), 3))
    weights = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0)
    candidate = RatingCandidate(model="any", user_damping=5, movie_damping=3, **taste)
    catalogue = Catalogue(ids, features, weights)
    ours, theirs = fit_model(ratings, catalogue, candidate, 1), fit_baseline(ratings, catalogue, candidate.baseline)
    assert ours.intercept == pytest.approx(theirs.intercept, abs=1e-9)
    assert ours.ridges == theirs.ridges
    for one, other in ((ours.users, theirs.users), (ours.items, theirs.items)):
        for our_array, their_array in zip(arrays(one), arrays(other), strict=True):
            np.testing.assert_allclose(our_array, their_array, atol=1e-5)
