"""Fits on planted truths, and explanations by hand."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.als import explain, factor_model, fit_als, prepare_fit
from movie_recs.model import FactorModel, score
from movie_recs.parameters import AlsParameters

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
    assert scored["user_known"].all()
    np.testing.assert_allclose(scored["score"], scored["prediction"], atol=1e-5)


def test_sixty_iterations_do_not_overflow_the_stack(spark):
    few = spark.createDataFrame([(1, 1, 4.0), (1, 2, 2.0), (2, 1, 3.0)], "user_id int, movie_id int, rating float")
    model = fit_als(prepare_fit(few), AlsParameters(rank=1, reg_param=0.1, max_iter=60), seed=1)
    assert model.itemFactors.count() == 2


def test_blocks_grow_with_the_ratings(ratings, monkeypatch):
    monkeypatch.setattr("movie_recs.als.RATINGS_PER_BLOCK", 1000)
    fit_input = prepare_fit(ratings)
    assert fit_input.blocks == -(-ratings.count() // 1000)
    assert fit_input.ratings.count() == ratings.count()
    assert prepare_fit(ratings.limit(0)).blocks == 1


# The rated movies' features lie on the axes, so A is diagonal: for user 1, lambda n = 0.5 * 4 = 2, A = diag(3, 3, 6),
# and rated movie j adds f . A^-1 q_j (r_j - 3) to the score of a movie with features f: f1 2/3, f2 1/3 and f3 -2/3.
ITEMS = [
    (1, 0.0, [1.0, 0.0, 0.0]),
    (2, 0.0, [0.0, 1.0, 0.0]),
    (3, 0.0, [0.0, 0.0, 2.0]),
    (4, 0.0, [0.0, 0.0, 0.0]),
    (10, 0.0, [1.0, 3.0, 1.0]),  # 2/3, 1, -2/3
    (11, 0.0, [3.0, 1.0, -2.0]),  # 2, 1/3, 4/3
    (12, 0.0, [-1.0, -1.0, 1.0]),  # none adds anything
    (13, 0.0, [1.0, 2.0, 0.0]),  # 2/3, 2/3: a tie
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
    (9, 1, 1.0),
]
REASONS = {
    (1, 10): [2, 1],
    (1, 11): [1, 3, 2],
    (1, 12): [],
    (1, 13): [1, 2],
    (2, 10): [],  # one rating is its own mean
    (3, 10): [],  # she gives 4 stars to everything
    (4, 10): [],  # the model knows nothing that she has rated
}


@pytest.mark.parametrize("reasons", [3, 2])
def test_reasons_are_the_ratings_that_add_most_strongest_first(spark, reasons):
    items = spark.createDataFrame(ITEMS, "id int, bias float, features array<float>")
    ratings = spark.createDataFrame(RATED, "user_id int, movie_id int, rating float")
    asked = spark.createDataFrame(list(REASONS), "user_id int, movie_id int")
    explained = explain(FactorModel(0.0, items, items, reg_param=0.5), asked, ratings, reasons)
    found = {(row["user_id"], row["movie_id"]): row["because_movie_ids"] for row in explained.collect()}
    assert found == {pair: because[:reasons] for pair, because in REASONS.items()}
