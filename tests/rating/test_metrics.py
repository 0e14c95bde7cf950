"""Errors and gains by hand, against numpy, and against a bootstrap."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from movie_recs.data.interactions import Interactions
from movie_recs.data.scale import HALF_STARS
from movie_recs.rating.metrics import BINS, count_bin, errors_by_group, rating_errors, rmse_gains
from movie_recs.rating.trial import RatingFold, ScoredBlock, _open_block, _sum_errors

SCORED = "kind string, rating float, score double, warm boolean"


def the_errors(scored) -> dict:
    (row,) = rating_errors(scored).collect()
    return row.asDict()


class TestRatingErrors:
    def test_errors_over_all_rows_and_over_warm_rows(self, spark):
        scored = spark.createDataFrame(
            [
                ("a", 4.0, 3.0, True),
                ("a", 2.0, 2.0, True),
                ("b", 5.0, 9.0, True),  # 9 is 5 stars: no error
                ("b", 0.5, -3.0, True),  # -3 is half a star: no error
                ("b", 3.0, 5.0, False),
                ("c", 1.0, 3.0, False),
                ("c", 4.0, 2.0, False),
            ],
            SCORED,
        )
        assert the_errors(scored) == pytest.approx(
            {
                "rmse": (13 / 7) ** 0.5,  # 1 + 0 + 0 + 0 + 4 + 4 + 4
                "mae": 7 / 7,
                "n": 7,
                "rmse_warm": 0.5,  # sqrt(1 / 4)
                "mae_warm": 0.25,
                "n_warm": 4,
            }
        )
        grouped = rating_errors(scored, "kind")
        assert grouped.columns == ["kind", "rmse", "mae", "n", "rmse_warm", "mae_warm", "n_warm"]
        assert sorted(tuple(row) for row in grouped.collect()) == [
            ("a", pytest.approx(0.5**0.5), 0.5, 2, pytest.approx(0.5**0.5), 0.5, 2),
            ("b", pytest.approx((4 / 3) ** 0.5), pytest.approx(2 / 3), 3, 0, 0, 2),
            ("c", 2, 2, 2, None, None, 0),
        ]

    def test_groups_are_those_of_several_columns(self, spark):
        rows = [("a", 4.0, 3.0, True), ("a", 4.0, 2.0, False), ("b", 4.0, 1.0, True), ("a", 4.0, 4.0, True)]
        found = rating_errors(spark.createDataFrame(rows, SCORED), "kind", "warm").select("kind", "warm", "mae", "n")
        expected = [("a", False, 2, 1), ("a", True, 0.5, 2), ("b", True, 3, 1)]
        assert sorted(tuple(row) for row in found.collect()) == expected

    def test_perfect_predictions_have_no_error(self, spark):
        perfect = the_errors(spark.createDataFrame([("a", 4.5, 4.5, True)], SCORED))
        assert perfect == {"rmse": 0, "mae": 0, "n": 1, "rmse_warm": 0, "mae_warm": 0, "n_warm": 1}

    def test_an_error_over_no_rows_is_null(self, spark):
        only_cold = spark.createDataFrame([("a", 4.0, 3.0, False)], SCORED)
        assert the_errors(only_cold) == {
            "rmse": 1, "mae": 1, "n": 1, "rmse_warm": None, "mae_warm": None, "n_warm": 0
        }  # fmt: skip
        assert the_errors(only_cold.limit(0)) == {
            "rmse": None, "mae": None, "n": 0, "rmse_warm": None, "mae_warm": None, "n_warm": 0
        }  # fmt: skip
        assert rating_errors(only_cold.limit(0), "kind").collect() == []

    def test_a_score_that_is_no_number_does_not_pass_for_stars(self, spark):
        errors = the_errors(spark.createDataFrame([("a", 5.0, float("nan"), True), ("a", 5.0, 5.0, True)], SCORED))
        assert all(np.isnan(errors[name]) for name in ("rmse", "mae", "rmse_warm", "mae_warm"))

    def test_errors_are_those_of_numpy(self, spark):
        rng = np.random.default_rng(2)
        frame = pd.DataFrame(
            {
                "kind": "a",
                "rating": (rng.integers(1, 11, 500) / 2).astype("float32"),
                "score": rng.normal(3.5, 1.5, 500),
                "warm": rng.random(500) < 0.7,
            }
        )
        error = (frame["rating"] - frame["score"].clip(0.5, 5)).to_numpy()
        warm = frame["warm"].to_numpy()
        assert the_errors(spark.createDataFrame(frame, SCORED)) == pytest.approx(
            {
                "rmse": np.sqrt(np.mean(error**2)),
                "mae": np.mean(np.abs(error)),
                "n": 500,
                "rmse_warm": np.sqrt(np.mean(error[warm] ** 2)),
                "mae_warm": np.mean(np.abs(error[warm])),
                "n_warm": warm.sum(),
            }
        )


def test_the_errors_of_a_trial_are_those_of_the_same_rows_by_spark(spark):
    """Users 8 and 9 and movies 18 and 19 have nothing but held-out ratings, in fold 0; some scores are cut."""
    rng = np.random.default_rng(12)
    users, movies = (each.astype(np.int32) for each in np.nonzero(rng.random((10, 20)) < 0.6))
    is_cold = (users >= 8) | (movies >= 18)
    folds = np.where(is_cold, 0, rng.integers(0, 2, len(users))).astype(np.int16)
    stars = (rng.integers(1, 11, len(users)) / 2).astype(np.float32)
    ids = np.arange(10, dtype=np.int32), np.arange(20, dtype=np.int32)
    interactions = Interactions(users, movies, stars, folds, np.zeros(len(users), np.int64), *ids)
    block, scores = _open_block(0, interactions), rng.normal(3, 2, np.count_nonzero(folds == 0))
    sums = [_sum_errors(HALF_STARS, block.seen.movie_counts, ScoredBlock(block, scores, block.seen.ratings))]
    found = RatingFold._errors(SimpleNamespace(), sums)

    held_out = folds == 0
    rows = pd.DataFrame({"kind": "a", "rating": stars[held_out], "score": scores, "warm": ~is_cold[held_out]})
    expected = the_errors(spark.createDataFrame(rows, SCORED))
    assert 0 < expected["n_warm"] < expected["n"]
    assert found.pop("rmse_se") > 0
    assert found == pytest.approx({name: expected[name] for name in ("rmse", "rmse_warm")}, rel=1e-12)


def test_a_number_of_ratings_is_in_the_bin_whose_name_says_so(spark):
    counts = {0: "0", 1: "1", 2: "2-3", 3: "2-3", 4: "4-9", 9: "4-9", 10: "10-49", 49: "10-49", 50: "50+", 1000: "50+"}
    frame = spark.createDataFrame([(count,) for count in counts], "movie_ratings int")
    found = {row[0]: row[1] for row in frame.select("movie_ratings", count_bin("movie_ratings")).collect()}
    assert found == counts
    assert tuple(dict.fromkeys(counts.values())) == BINS


def numpy_gain(users: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Gain and standard error from squared errors: the sandwich, a user a cluster."""
    (m_before, m_after), n = (np.mean(before), np.mean(after)), len(users)
    z = (before - m_before) / (2 * np.sqrt(m_before)) - (after - m_after) / (2 * np.sqrt(m_after))
    by_user = np.array([z[users == user].sum() for user in np.unique(users)])
    return np.sqrt(m_before) - np.sqrt(m_after), np.sqrt(len(by_user) / (len(by_user) - 1) * by_user @ by_user) / n


@pytest.fixture(scope="module")
def two_models() -> pd.DataFrame:
    """200 users with 1 to 40 ratings each; a user's errors hang together, and so do those of both models."""
    rng = np.random.default_rng(9)
    users = np.repeat(np.arange(200), rng.integers(1, 41, 200))
    rating = rng.integers(1, 11, len(users)) / 2
    shared = rng.normal(0, 0.6, 200)[users] + rng.normal(0, 0.5, len(users))
    before = rating + shared + rng.normal(0, 0.5, 200)[users] + rng.normal(0, 0.4, len(users))
    after = rating + 0.8 * shared + rng.normal(0, 0.3, len(users))
    return pd.DataFrame({"user_id": users, "rating": rating, "before": before, "after": after})


def the_gains(predictions, pairs) -> list[dict]:
    """gain and gain_se of each pair, None for NaN."""
    table = rmse_gains(predictions, pairs)[["gain", "gain_se"]]
    return [
        {name: None if np.isnan(value) else value for name, value in row.items()} for row in table.to_dict("records")
    ]


def squared_errors(frame: pd.DataFrame, model: str) -> np.ndarray:
    return ((frame["rating"] - frame[model].clip(0.5, 5)) ** 2).to_numpy()


class TestRmseGains:
    # Squared errors are 9 and 1 before, 1 and 0 after: rmse^2 5 and 1/2, and z is one number for one user and the same
    # with a minus for the other.
    BY_HAND = ((1, 1.0, 4.0, 2.0), (2, 3.0, 4.0, 3.0))
    COLUMNS = "user_id int, rating float, before double, after double"

    def test_a_gain_and_its_standard_error_by_hand(self, spark):
        (row,) = the_gains(spark.createDataFrame(self.BY_HAND, self.COLUMNS), [("before", "after")])
        z = (9 - 5) / (2 * 5**0.5) - (1 - 0.5) / (2 * 0.5**0.5)
        assert row == pytest.approx({"gain": 5**0.5 - 0.5**0.5, "gain_se": (2 / 1 * 2 * z**2) ** 0.5 / 2})

    def test_rows_of_one_user_are_summed_before_they_are_squared(self, spark):
        """Each user has both rows, whose z cancel out."""
        both = [(user, *row[1:]) for user in (1, 2, 3) for row in self.BY_HAND]
        (row,) = the_gains(spark.createDataFrame(both, self.COLUMNS), [("before", "after")])
        assert row == pytest.approx({"gain": 5**0.5 - 0.5**0.5, "gain_se": 0}, abs=1e-12)

    def test_gains_are_those_of_numpy_in_the_order_asked_for(self, spark, two_models):
        frame = two_models.assign(perfect=two_models["rating"])
        pairs = [("after", "before"), ("before", "perfect"), ("before", "after"), ("after", "after")]
        there_and_back = the_gains(spark.createDataFrame(frame), iter(pairs))
        users, before, after = two_models["user_id"], *(squared_errors(two_models, m) for m in ("before", "after"))
        gain, gain_se = numpy_gain(users.to_numpy(), before, after)
        assert [row["gain"] for row in there_and_back] == pytest.approx([-gain, before.mean() ** 0.5, gain, 0])
        assert [row["gain_se"] for row in there_and_back] == [pytest.approx(gain_se), None, pytest.approx(gain_se), 0]

    def test_the_standard_error_is_that_of_a_bootstrap_over_users(self, spark, two_models):
        (row,) = the_gains(spark.createDataFrame(two_models), [("before", "after")])
        errors = two_models.assign(n=1, **{m: squared_errors(two_models, m) for m in ("before", "after")})
        by_user = errors.groupby("user_id")[["n", "before", "after"]].sum().to_numpy()
        rng = np.random.default_rng(10)
        sums = by_user[rng.integers(0, 200, (2000, 200))].sum(axis=1)
        gains = np.sqrt(sums[:, 1] / sums[:, 0]) - np.sqrt(sums[:, 2] / sums[:, 0])
        assert row["gain_se"] == pytest.approx(gains.std(ddof=1), rel=0.15)
        # Were every rating a cluster of its own, it would be too small by far.
        _, by_rating = numpy_gain(np.arange(len(errors)), errors["before"].to_numpy(), errors["after"].to_numpy())
        assert by_rating < 0.6 * row["gain_se"]

    def test_a_model_gains_nothing_on_itself(self, spark):
        predictions = spark.createDataFrame(self.BY_HAND, self.COLUMNS)
        assert the_gains(predictions, [("before", "before")]) == [{"gain": 0, "gain_se": 0}]

    def test_scores_beyond_the_stars_count_as_the_nearest(self, spark):
        rows = [(1, 5.0, 9.0, 5.0), (2, 0.5, -4.0, 0.5), (3, 3.0, 4.0, 4.0)]
        (row,) = the_gains(spark.createDataFrame(rows, self.COLUMNS), [("before", "after")])
        assert row == {"gain": 0, "gain_se": 0}

    def test_one_user_has_no_standard_error(self, spark):
        one_user = [(1, *row[1:]) for row in self.BY_HAND]
        (row,) = the_gains(spark.createDataFrame(one_user, self.COLUMNS), [("before", "after")])
        assert row == {"gain": pytest.approx(5**0.5 - 0.5**0.5), "gain_se": None}

    @pytest.mark.parametrize(("pair", "gain"), [(("before", "rating"), 5**0.5), (("rating", "rating"), 0)])
    def test_a_perfect_model_has_no_standard_error(self, spark, pair, gain):
        (row,) = the_gains(spark.createDataFrame(self.BY_HAND, self.COLUMNS), [pair])
        assert row == {"gain": pytest.approx(gain), "gain_se": None}

    def test_without_rows_there_is_no_gain(self, spark):
        nothing = spark.createDataFrame([], self.COLUMNS)
        assert the_gains(nothing, [("before", "after")]) == [{"gain": None, "gain_se": None}]


class TestErrorsByGroup:
    def test_each_group_has_its_errors_and_a_standard_error_by_users(self, spark):
        rng = np.random.default_rng(7)
        table = pd.DataFrame({"user_id": rng.integers(1, 9, 80), "rating": rng.integers(1, 6, 80).astype(float)})
        table["predicted_stars"] = np.clip(table["rating"] + rng.normal(0, 1, 80), 0.5, 5)
        table["parity"] = np.where(np.arange(80) % 4, "even", "odd")
        groups = {"all": F.lit("all"), "parity": F.col("parity")}
        rows = errors_by_group(spark.createDataFrame(table), groups).collect()
        assert {(row["kind"], row["group"]) for row in rows} == {("all", "all"), ("parity", "odd"), ("parity", "even")}
        for row in rows:
            part = table if row["kind"] == "all" else table[table["parity"] == row["group"]]
            error = part["rating"] - part["predicted_stars"]
            rmse = np.sqrt((error**2).mean())
            sums = ((error**2 - rmse**2) / (2 * rmse)).groupby(part["user_id"]).sum()
            users = len(sums)
            assert (row["n"], row["n_users"]) == (len(part), users)
            assert row["rmse"] == pytest.approx(rmse)
            assert row["mae"] == pytest.approx(error.abs().mean())
            assert row["rmse_se"] == pytest.approx(np.sqrt(users / (users - 1) * (sums**2).sum()) / len(part))

    @pytest.mark.parametrize("rows", [[(1, 4.0, 3.0), (1, 2.0, 2.0)], [(1, 4.0, 4.0), (2, 2.0, 2.0)]])
    def test_one_user_or_no_error_has_no_standard_error(self, spark, rows):
        scored = spark.createDataFrame(rows, "user_id int, rating float, predicted_stars double")
        (row,) = errors_by_group(scored, {"all": F.lit("all")}).collect()
        assert row["rmse_se"] is None
