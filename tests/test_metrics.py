"""Errors and counts by hand, and against numpy."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.metrics import cold_counts, rating_errors

SCORED = "user_id int, movie_id int, rating float, score double, user_known boolean, movie_known boolean"


def test_errors_over_all_rows_and_over_warm_rows(spark):
    scored = spark.createDataFrame(
        [
            (1, 10, 4.0, 3.0, True, True),
            (1, 20, 2.0, 2.0, True, True),
            (2, 10, 5.0, 9.0, True, True),  # 9 is 5 stars: no error
            (2, 20, 0.5, -3.0, True, True),  # -3 is half a star: no error
            (3, 10, 3.0, 5.0, False, True),
            (3, 30, 1.0, 3.0, False, False),
            (1, 30, 4.0, 2.0, True, False),
        ],
        SCORED,
    )
    assert rating_errors(scored) == pytest.approx(
        {
            "rmse": (13 / 7) ** 0.5,  # 1 + 0 + 0 + 0 + 4 + 4 + 4
            "mae": 7 / 7,
            "n": 7,
            "rmse_warm": 0.5,  # sqrt(1 / 4)
            "mae_warm": 0.25,
            "n_warm": 4,
        }
    )
    assert cold_counts(scored) == {"cold_users": 1, "cold_movies": 1, "n_cold": 3}


def test_perfect_predictions_have_no_error(spark):
    perfect = rating_errors(spark.createDataFrame([(1, 1, 4.5, 4.5, True, True)], SCORED))
    assert perfect == {"rmse": 0, "mae": 0, "n": 1, "rmse_warm": 0, "mae_warm": 0, "n_warm": 1}


def test_an_error_over_no_rows_is_none(spark):
    only_cold = spark.createDataFrame([(1, 1, 4.0, 3.0, False, True)], SCORED)
    assert rating_errors(only_cold) == {
        "rmse": 1, "mae": 1, "n": 1, "rmse_warm": None, "mae_warm": None, "n_warm": 0
    }  # fmt: skip
    assert rating_errors(only_cold.limit(0)) == {
        "rmse": None, "mae": None, "n": 0, "rmse_warm": None, "mae_warm": None, "n_warm": 0
    }  # fmt: skip
    assert cold_counts(only_cold.limit(0)) == {"cold_users": 0, "cold_movies": 0, "n_cold": 0}


def test_a_score_that_is_no_number_does_not_pass_for_stars(spark):
    errors = rating_errors(spark.createDataFrame([(1, 1, 5.0, float("nan"), True, True)], SCORED))
    assert np.isnan(errors["rmse"])


def test_errors_are_those_of_numpy(spark):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(1, 30, 500).astype("int32"),
            "movie_id": rng.integers(1, 30, 500).astype("int32"),
            "rating": (rng.integers(1, 11, 500) / 2).astype("float32"),
            "score": rng.normal(3.5, 1.5, 500),
        }
    )
    frame["user_known"], frame["movie_known"] = frame["user_id"] > 5, frame["movie_id"] > 3
    scored = spark.createDataFrame(frame, SCORED)
    error = (frame["rating"] - frame["score"].clip(0.5, 5)).to_numpy()
    warm = (frame["user_known"] & frame["movie_known"]).to_numpy()
    assert rating_errors(scored) == pytest.approx(
        {
            "rmse": np.sqrt(np.mean(error**2)),
            "mae": np.mean(np.abs(error)),
            "n": 500,
            "rmse_warm": np.sqrt(np.mean(error[warm] ** 2)),
            "mae_warm": np.mean(np.abs(error[warm])),
            "n_warm": warm.sum(),
        }
    )
    assert cold_counts(scored) == {"cold_users": 5, "cold_movies": 3, "n_cold": (~warm).sum()}
