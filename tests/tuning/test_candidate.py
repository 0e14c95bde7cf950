"""Candidates as text, as rows of results and as what a fit serves."""

import pandas as pd
import pytest
from pydantic import ValidationError

from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.candidate import Measure, sortable

ALS = RatingCandidate(model="als", rank=5, reg_param=0.1, max_iter=10)
BIAS = RatingCandidate(model="bias", user_damping=2.5, movie_damping=3)


def test_it_is_written_as_its_model_and_what_it_has():
    assert str(ALS) == "als, rank 5, reg_param 0.1, max_iter 10"
    assert str(BIAS) == "bias, user_damping 2.5, movie_damping 3"


@pytest.mark.parametrize("candidate", [ALS, BIAS])
def test_a_row_of_results_gives_it_back(candidate):
    rows = pd.DataFrame([{**each.model_dump(), "mean_rmse": 0.9, "error": ""} for each in (ALS, BIAS)])
    row = rows[rows["model"] == candidate.model].iloc[0]
    assert RatingCandidate.from_row(row) == candidate


def test_it_cannot_be_changed_and_has_no_other_hyperparameters():
    with pytest.raises(ValidationError):
        ALS.rank = 6
    with pytest.raises(ValidationError):
        RatingCandidate(model="als", ranks=5)


def test_less_is_better_of_a_loss_whatever_the_measure():
    error, gain = Measure("rmse", is_error=True, least_gain=0), Measure("ndcg", is_error=False, least_gain=0)
    assert (error.loss(0.9), gain.loss(0.3)) == (0.9, -0.3)
    assert (error.mean, gain.mean) == ("mean_rmse", "mean_ndcg")


def test_what_is_missing_comes_first():
    values = [(0.0, 2), (None, 3), (5, None), (0.0, None)]
    assert sorted(values, key=sortable) == [(None, 3), (0.0, None), (0.0, 2), (5, None)]
