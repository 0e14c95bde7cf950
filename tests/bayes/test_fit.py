"""The Bayesian factorisation on planted ratings: down to their noise, whatever the threads, blocks and carrier."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.bayes import turn
from movie_recs.bayes.fit import BayesFit, fit_bayes, solve_users
from movie_recs.bayes.parameters import BayesGrid, BayesParameters
from movie_recs.bayes.rule import with_ones
from movie_recs.data import blocks
from movie_recs.data.blocks import local_blocks, open_blocks
from movie_recs.data.interactions import select_seen

USERS, MOVIES, RANK, NOISE = 200, 120, 2, 0.4
LOUD = 1.2  # the noise of every fourth user
COLD_MOVIE, SILENT_USER = MOVIES - 1, 0  # neither has a rating
IDS = np.arange(1, MOVIES + 1, dtype=np.int32)


class Planted:
    """Two in five of all pairs, rated 3 + b_u + b_i + w_u . f_i + p_u . q_i + noise; the rest is held out."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.features = rng.normal(0, 0.5, (MOVIES, 2))
        tastes = rng.normal(0, 0.5, (USERS, 2))
        factors = rng.normal(0, 0.5, (USERS, RANK)), rng.normal(0, 0.8, (MOVIES, RANK))
        movie_bias = self.features @ [0.8, -0.4] + rng.normal(0, 0.2, MOVIES)
        self.truth = 3 + rng.normal(0, 0.4, (USERS, 1)) + movie_bias + tastes @ self.features.T
        self.truth += factors[0] @ factors[1].T
        self.noise = np.where(np.arange(USERS) % 4 == 0, LOUD, NOISE)
        self.is_train = rng.random(self.truth.shape) < 0.4
        self.is_train[SILENT_USER], self.is_train[:, COLD_MOVIE] = False, False
        user, movie = np.nonzero(self.is_train)
        stars = self.truth[user, movie] + self.noise[user] * rng.normal(size=len(user))
        self.table = pd.DataFrame({"user_id": user + 1, "movie_id": movie + 1, "rating": stars})


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted()


@pytest.fixture(scope="module")
def ratings(spark, planted):
    return spark.createDataFrame(planted.table, "user_id int, movie_id int, rating float").cache()


def fitted(carrier, ratings, features, iterations=25, rank=RANK, seed=1) -> tuple[BayesFit, np.ndarray, np.ndarray]:
    """The fit, and the means and taus of its users."""
    opened = open_blocks(carrier, ratings, IDS)
    try:
        seen = opened.map(select_seen)
        (fit,) = fit_bayes(seen, features, BayesParameters(rank=rank, max_iter=1), [iterations], seed)
        parts = seen.collect(lambda block: solve_users(fit, block))
    finally:
        opened.close()
    return fit, np.vstack([each.means for each in parts]), np.concatenate([each.taus for each in parts])


@pytest.fixture(scope="module")
def fit(ratings, planted):
    return fitted("local", ratings, planted.features)


def scores_of(fit: BayesFit, means: np.ndarray) -> np.ndarray:
    """(users with ratings, movies)."""
    return fit.intercept + fit.bias + means @ with_ones(fit.features).T


def test_the_planted_ratings_are_found_below_their_noise(planted, fit):
    held_out = ~planted.is_train[1:, :COLD_MOVIE]
    errors = (scores_of(*fit[:2]) - planted.truth[1:])[:, :COLD_MOVIE][held_out]
    assert np.sqrt(np.mean(errors**2)) < 0.7 * NOISE < 0.4 * planted.truth.std()


def test_each_user_has_a_noise_of_her_own(planted, fit):
    noise = fit[2] ** -0.5
    loud = planted.noise[1:] == LOUD
    assert noise[loud].min() > noise[~loud].mean()
    assert noise[~loud].mean() == pytest.approx(NOISE, abs=0.15)


def test_a_movie_without_ratings_has_the_bias_that_its_features_predict(planted, fit):
    model = fit[0]
    movie_bias = np.mean(planted.truth[1:, :COLD_MOVIE], axis=0) - 3
    design = with_ones(planted.features)
    expected = design[COLD_MOVIE] @ np.linalg.lstsq(design[:COLD_MOVIE], movie_bias, rcond=None)[0]
    assert model.intercept + model.bias[COLD_MOVIE] - 3 == pytest.approx(expected, abs=0.15)


def test_twice_as_many_factors_as_planted_do_little_harm(ratings, planted, fit):
    richer = fitted("local", ratings, planted.features, rank=2 * RANK)
    held_out = ~planted.is_train[1:, :COLD_MOVIE]
    ours, others = (
        np.sqrt(np.mean((scores_of(*each[:2]) - planted.truth[1:])[:, :COLD_MOVIE][held_out] ** 2))
        for each in (fit, richer)
    )
    assert others < 1.1 * ours


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_number_of_threads_changes_no_bit(monkeypatch, ratings, planted, threads):
    first = fitted("local", ratings, planted.features, iterations=2)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    again = fitted("local", ratings, planted.features, iterations=2)
    assert again[0].rule == first[0].rule
    np.testing.assert_array_equal(again[1], first[1])


@pytest.mark.parametrize("number", [2, 5])
def test_blocks_in_spark_give_the_same_fit(monkeypatch, ratings, planted, number):
    monkeypatch.setattr(blocks, "LEAST_BLOCKS", number)
    (ours, means, taus), (theirs, their_means, their_taus) = (
        fitted(carrier, ratings, planted.features, iterations=3) for carrier in ("local", "spark")
    )
    np.testing.assert_allclose(theirs.bias, ours.bias, rtol=0, atol=1e-9)
    np.testing.assert_allclose(theirs.features, ours.features, rtol=0, atol=1e-9)
    np.testing.assert_allclose(their_means, means, rtol=0, atol=1e-9)
    np.testing.assert_allclose(their_taus, taus, rtol=0, atol=1e-9)


def test_parts_of_a_block_are_sums_of_the_same_users(monkeypatch, ratings, planted, fit):
    monkeypatch.setattr(turn, "PARTS", 1)
    whole = fitted("local", ratings, planted.features)
    np.testing.assert_allclose(scores_of(*whole[:2]), scores_of(*fit[:2]), atol=1e-6)


def test_the_seed_decides_the_first_factors_and_all_that_follows(ratings, planted, fit):
    again, other = (fitted("local", ratings, planted.features, seed=seed) for seed in (1, 2))
    assert again[0].rule == fit[0].rule
    np.testing.assert_array_equal(again[0].features, fit[0].features)
    assert np.abs(other[0].features - fit[0].features).max() > 0.1
    np.testing.assert_allclose(scores_of(*other[:2]), scores_of(*fit[:2]), atol=0.3)  # the factors turn, scores hardly


def test_turns_go_on_from_those_before(ratings, planted):
    seen = local_blocks(ratings, IDS).map(select_seen)
    parameters = BayesParameters(rank=RANK, max_iter=1)
    two, four = fit_bayes(seen, planted.features, parameters, [2, 4], 1)
    (alone,) = fit_bayes(seen, planted.features, parameters, [4], 1)
    np.testing.assert_array_equal(four.features, alone.features)
    assert np.abs(two.features - four.features).max() > 1e-3


def test_the_unit_of_the_ratings_makes_no_difference(spark, planted, fit):
    percent = spark.createDataFrame(
        planted.table.assign(rating=20 * planted.table["rating"]), "user_id int, movie_id int, rating float"
    )
    other = fitted("local", percent, planted.features)
    np.testing.assert_allclose(scores_of(*other[:2]) / 20, scores_of(*fit[:2]), atol=1e-4)


def test_one_rating_is_enough(spark):
    one = spark.createDataFrame([(1, 1, 4.0)], "user_id int, movie_id int, rating float")
    fit, means, _ = fitted("local", one, np.ones((MOVIES, 2)), iterations=3)
    np.testing.assert_allclose(scores_of(fit, means), 4.0, atol=1e-2)


def test_ratings_that_are_all_the_same_are_predicted(spark):
    rows = [(user, movie, 4.0) for user in range(1, 6) for movie in range(1, 6) if (user + movie) % 2]
    same = spark.createDataFrame(rows, "user_id int, movie_id int, rating float")
    fit, means, _ = fitted("local", same, np.zeros((MOVIES, 0)), iterations=3)
    np.testing.assert_allclose(scores_of(fit, means), 4.0, atol=1e-2)


def test_a_grid_is_every_combination_from_the_simplest():
    grid = BayesGrid(rank="10 5", max_iter=[20], most_ratings=1)
    assert [each.rank for each in grid.candidates()] == [5, 10]
