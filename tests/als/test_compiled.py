"""Factors by compiled loops: on both carriers, against the same fits by Spark ML, and on a planted truth."""

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.recommendation import ALS

from movie_recs.als import compiled
from movie_recs.als.compiled import EXPLICIT, Factors, Targets, draw_on_sphere, fit_factors
from movie_recs.als.parameters import AlsParameters
from movie_recs.data.blocks import Blocks, LocalBlocks, open_blocks
from movie_recs.data.interactions import Interactions, select_seen

USERS, MOVIES, HELD_OUT = 200, 150, 0
CATALOGUE = np.arange(10, 10 * MOVIES + 20, 10, dtype=np.int32)  # the last is never rated


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


def local_blocks(table: pd.DataFrame) -> LocalBlocks[Interactions]:
    """All in one block, as of `open_blocks` without Spark; the rows are by user, then by movie."""
    user_ids, users = np.unique(table["user_id"], return_inverse=True)
    columns = users.astype(np.int32), (table["movie_id"].to_numpy() // 10 - 1).astype(np.int32)
    folds, times = table["fold"].to_numpy(np.int16), np.zeros(len(table), np.int64)
    block = Interactions(*columns, table["rating"].to_numpy(np.float32), folds, times, user_ids, CATALOGUE)
    return LocalBlocks(block, user_ids, CATALOGUE)


def stars_of(blocks: Blocks[Interactions], held_out: int) -> Blocks[Targets]:
    """The ratings of all other folds as targets."""

    def targets(block: Interactions) -> Targets:
        seen = select_seen(block, held_out)
        return Targets(seen, seen.ratings.astype(np.float32))

    return blocks.map(targets)


@pytest.fixture(scope="module")
def targets(table) -> Blocks[Targets]:
    return stars_of(local_blocks(table), HELD_OUT)


def collect(factors: Factors) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate(factors.users.collect(lambda block: block)), factors.items


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
        ("rank", "reg_param", "alpha"), [(1, 0.3, None), (5, 0.1, None), (10, 0.05, 2.0), (4, 0.3, 10.0)]
    )
    def test_from_the_same_first_values_the_models_are_the_same(self, ratings, table, targets, rank, reg_param, alpha):
        options = {} if alpha is None else {"implicitPrefs": True, "alpha": alpha}
        parameters = AlsParameters(rank=rank, reg_param=reg_param, max_iter=6)
        start, _ = fit_by_spark(ratings, parameters.model_copy(update={"max_iter": 0}), **options)
        sparks = fit_by_spark(ratings, parameters, **options)
        (fitted,) = fit_factors(targets, parameters, [6], 1, EXPLICIT if alpha is None else alpha, start)
        users, items = collect(fitted)
        assert not items[-1].any()  # which nobody has rated
        ours = users, items[:-1]
        for our_side, sparks_side in zip(ours, sparks, strict=True):
            np.testing.assert_allclose(our_side, sparks_side, atol=2e-3)
        errors = [
            held_out_rmse(factors, table, lambda rows: rows["rating"] if alpha is None else 1.0)
            for factors in (ours, sparks)
        ]
        assert errors[0] == pytest.approx(errors[1], rel=1e-4)

    def test_first_values_are_spread_alike(self, ratings):
        als = ALS(userCol="user_id", itemCol="movie_id", rank=4, maxIter=0, seed=1)
        sparks = np.stack(als.fit(ratings).userFactors.toPandas()["features"].to_list())
        for factors in (sparks, draw_on_sphere(0, USERS, key=[1, 4], size=4)):
            np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1, atol=1e-6)
            assert np.abs(factors.mean(axis=0)).max() < 0.12  # 0.5 / sqrt(200) = 0.035 each: both signs alike
            np.testing.assert_allclose(factors.var(axis=0), 1 / 4, atol=0.06)


@pytest.mark.parametrize("alpha", [EXPLICIT, 2.0], ids=["explicit", "implicit"])
def test_both_carriers_fit_the_same_factors(ratings, table, alpha):
    few = table[table["user_id"] <= 40].reset_index(drop=True)
    in_spark = open_blocks("spark", ratings.filter("user_id <= 40"), CATALOGUE)
    parameters = AlsParameters(rank=3, reg_param=0.1, max_iter=2)
    one, other = (
        [collect(factors) for factors in fit_factors(stars_of(blocks, 2), parameters, [1, 2], 5, alpha)]
        for blocks in (local_blocks(few), in_spark)
    )
    in_spark.close()
    assert len(one) == len(other) == 2
    for ours, theirs in zip(one, other, strict=True):
        for our_side, their_side in zip(ours, theirs, strict=True):
            assert our_side.dtype == their_side.dtype == np.float32
            np.testing.assert_allclose(our_side, their_side, atol=1e-6)


@pytest.mark.parametrize("alpha", [EXPLICIT, 2.0], ids=["explicit", "implicit"])
def test_the_number_of_threads_changes_no_bit(targets, monkeypatch, alpha):
    parameters, fitted = AlsParameters(rank=3, reg_param=0.1, max_iter=2), []
    for number in ("1", "2", "7", "1000"):  # the last are more than there are users
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        fitted += [collect(factors) for factors in fit_factors(targets, parameters, [2], 1, alpha)]
    for users, items in fitted[1:]:
        np.testing.assert_array_equal(users, fitted[0][0])
        np.testing.assert_array_equal(items, fitted[0][1])


def test_a_planted_low_rank_matrix_is_recovered_down_to_its_noise():
    rng, noise = np.random.default_rng(5), 0.1
    truth = rng.uniform(0.5, 1.5, (80, 2)) @ rng.uniform(0.5, 1.5, (60, 2)).T
    users, movies = np.nonzero(rng.random(truth.shape) < 0.5)
    rated = pd.DataFrame({"user_id": users + 1, "movie_id": 10 * movies + 10})
    rated["rating"] = truth[users, movies] + rng.normal(0, noise, len(users))
    rated["fold"] = np.where(rng.random(len(users)) < 0.2, HELD_OUT, 1)
    parameters = AlsParameters(rank=2, reg_param=0.005, max_iter=15)
    (fitted,) = fit_factors(stars_of(local_blocks(rated), HELD_OUT), parameters, [15], seed=1)
    assert noise * 0.85 < held_out_rmse(collect(fitted), rated, lambda rows: rows["rating"]) < noise * 1.25


def test_a_longer_fit_goes_through_the_shorter_one(targets):
    parameters = AlsParameters(rank=3, reg_param=0.1, max_iter=5)
    both = list(fit_factors(targets, parameters, [2, 5], 1))
    for iterations, factors in zip((2, 5), both, strict=True):
        (alone,) = fit_factors(targets, parameters, [iterations], 1)
        for one, other in zip(collect(alone), collect(factors), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_seed_gives_one_fit_and_another_seed_another(targets):
    parameters = AlsParameters(rank=3, reg_param=0.1, max_iter=1)
    one, same, other = (collect(next(fit_factors(targets, parameters, [1], seed)))[0] for seed in (1, 1, -1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.1


def test_a_user_without_a_rating_to_fit_has_zeros(table):
    rated = table[table["user_id"] <= 4].reset_index(drop=True)
    rated.loc[rated["user_id"] == 2, "fold"] = HELD_OUT
    parameters = AlsParameters(rank=2, reg_param=0.1, max_iter=1)
    (fitted,) = fit_factors(stars_of(local_blocks(rated), HELD_OUT), parameters, [1], 1, alpha=1.0)
    assert collect(fitted)[0].any(axis=1).tolist() == [True, False, True, True]


def test_singular_normal_equations_are_an_error(targets):
    parameters = AlsParameters(rank=60, reg_param=0, max_iter=1)
    with pytest.raises(ArithmeticError, match="raise reg_param"):
        list(fit_factors(targets, parameters, [1], 1))


class TestDrawing:
    def test_rows_from_a_later_start_are_those_of_the_whole_sequence(self, monkeypatch):
        whole = draw_on_sphere(0, 20, key=[3, 4], size=4)
        for at_a_time in (compiled.DRAWN_AT_A_TIME, 1, 7):
            monkeypatch.setattr(compiled, "DRAWN_AT_A_TIME", at_a_time)
            for first, count in ((0, 20), (1, 5), (7, 13), (19, 1), (20, 0)):
                np.testing.assert_array_equal(draw_on_sphere(first, count, [3, 4], 4), whole[first : first + count])

    def test_points_are_on_the_unit_sphere(self):
        drawn = draw_on_sphere(0, 50, key=1, size=3)
        assert drawn.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)

    def test_another_key_draws_another_sequence(self):
        drawn = [draw_on_sphere(0, 5, key, 3) for key in (1, 2, [1, 3], [2, 3])]
        assert len({each.tobytes() for each in drawn}) == 4
        np.testing.assert_array_equal(draw_on_sphere(0, 5, 1, 3), drawn[0])
