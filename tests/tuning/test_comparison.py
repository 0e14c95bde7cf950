"""The permutation test by every sign, against scipy, and on models that are equally good."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from scipy import stats

from movie_recs.tuning import comparison
from movie_recs.tuning.comparison import holm, pairs_of, permutation_p, standard_errors, sums_by_user


def test_p_is_the_share_of_signs_that_make_as_large_a_sum():
    """3 + 2 + 1 - 0.5 is reached by these signs, by those with + 0.5, and by the opposites: 4 of 16."""
    differences = np.array([[3.0], [2.0], [1.0], [-0.5]])
    sums = [np.dot(signs, differences[:, 0]) for signs in product([1, -1], repeat=4)]
    assert np.mean(np.abs(sums) >= 5.5) == 4 / 16
    assert permutation_p(differences) == pytest.approx(4 / 16, abs=0.02)


def test_p_is_that_of_scipy():
    rng = np.random.default_rng(1)
    differences = rng.normal(0.15, 1, (60, 4))
    theirs = stats.permutation_test(
        (differences,), lambda values, axis: values.sum(axis=axis), permutation_type="samples", vectorized=True, rng=2
    )
    assert permutation_p(differences) == pytest.approx(theirs.pvalue, abs=0.02)
    assert permutation_p(differences, seed=1) == pytest.approx(permutation_p(differences, seed=2), abs=0.02)


def test_of_equally_good_models_one_in_twenty_pairs_seems_to_differ():
    p = permutation_p(np.random.default_rng(3).normal(0, 1, (80, 200)))
    assert stats.binomtest(int((p < 0.05).sum()), 200, 0.05).pvalue > 0.01
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_a_real_difference_is_found_and_none_is_none():
    rng = np.random.default_rng(4)
    real, none = rng.normal(0.5, 1, 200), np.zeros(200)
    assert permutation_p(np.column_stack([real, none])).tolist() == [1 / 10_000, 1]


def test_holm_by_hand():
    """Smallest first: 4 x 0.01, 3 x 0.02, then 2 x 0.025 = 0.05, which may not be below 0.06; 1 x 0.9."""
    assert holm(np.array([0.025, 0.01, 0.9, 0.02])) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm(np.array([0.6, 0.7])).tolist() == [1, 1]


def test_every_pair_once_in_the_order_of_the_table():
    assert pairs_of(["a", "b", "c"]) == [("a", "b"), ("a", "c"), ("b", "c")]


@pytest.fixture
def rows(spark):
    rng = np.random.default_rng(5)
    users = rng.integers(1, 400, 3000)
    return spark.createDataFrame(pd.DataFrame({"user_id": users, "value": rng.normal(users % 7, 1)})).cache()


def test_more_users_than_groups_are_summed_in_groups(spark, rows, monkeypatch):
    by_user = sums_by_user(rows, {"value": F.sum("value"), "rows": F.count("*")})
    table = rows.toPandas()
    assert by_user["value"].to_numpy() == pytest.approx(table.groupby("user_id")["value"].sum().to_numpy())
    assert (by_user["users"] == 1).all()
    monkeypatch.setattr(comparison, "GROUPS", 100)
    by_group = sums_by_user(rows, {"value": F.sum("value"), "rows": F.count("*")})
    assert 90 < len(by_group) <= 100
    assert by_group["users"].sum() == len(by_user)
    assert by_group[["value", "rows"]].sum().to_numpy() == pytest.approx(by_user[["value", "rows"]].sum().to_numpy())
    mean = table["value"].mean()
    errors = [
        standard_errors((each[["value"]] - each[["rows"]].to_numpy() * mean).to_numpy(), 3000)[0]
        for each in (by_user, by_group)
    ]
    assert errors[1] == pytest.approx(errors[0], rel=0.25)


def test_one_user_has_no_standard_error():
    assert np.isnan(standard_errors(np.ones((1, 2)), 5)).all()
