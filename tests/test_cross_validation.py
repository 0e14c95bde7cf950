"""Cross-validation with trials that fit nothing: what is averaged, what is left out, and who wins."""

import threading
import time

import numpy as np
import pandas as pd
import pytest

from movie_recs.cross_validation import best_candidate, cross_validate
from movie_recs.errors import UserError
from movie_recs.parameters import AlsParameters


def candidate(rank: int, reg_param: float = 0.1, max_iter: int = 10) -> AlsParameters:
    return AlsParameters(rank=rank, reg_param=reg_param, max_iter=max_iter)


FIVE, TEN = candidate(5), candidate(10)


def rank_and_fold(candidate: AlsParameters, fold: int) -> dict:
    """An RMSE of rank / 10 + fold: rank 5 gives 0.5, 1.5, 2.5 ..."""
    return {"rmse": candidate.rank / 10 + fold, "rmse_warm": candidate.rank / 10}


def results(*rows: tuple[int, float, int, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["rank", "reg_param", "max_iter", "mean_rmse"]).assign(error="")


def test_mean_and_standard_error_over_the_folds():
    table = cross_validate([FIVE, TEN], 3, rank_and_fold, parallelism=2)
    # 0.5, 1.5, 2.5: mean 1.5, sample variance (1 + 0 + 1) / 2 = 1, so 1 / sqrt(3)
    assert table["rank"].tolist() == [5, 10]
    np.testing.assert_allclose(table["mean_rmse"], [1.5, 2.0])
    np.testing.assert_allclose(table["std_error"], [1 / 3**0.5] * 2)
    np.testing.assert_allclose(table["mean_rmse_warm"], [0.5, 1.0])
    assert table["error"].tolist() == ["", ""]


def test_each_candidate_is_tried_once_on_each_fold():
    calls = []
    cross_validate([FIVE, TEN], 3, lambda *call: calls.append(call) or rank_and_fold(*call), parallelism=3)
    assert sorted((c.rank, fold) for c, fold in calls) == [(rank, fold) for rank in (5, 10) for fold in range(3)]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ValueError("singular matrix\n  at dppsv"), "fold 1: singular matrix"),
        (MemoryError(), "fold 1: MemoryError"),
        (float("nan"), "fold 1: its RMSE is nan"),
        (float("inf"), "fold 1: its RMSE is inf"),
        (None, "fold 1: its RMSE is None"),
        (
            RuntimeError(
                "An error occurred while calling o1.fit.\n: SparkException: matrix is singular\n\tat Foo.scala"
            ),
            "fold 1: SparkException: matrix is singular",
        ),
    ],
)
def test_a_failed_trial_is_recorded_and_its_candidate_not_chosen(failure, said):
    def trial(candidate, fold):
        if (candidate, fold) != (FIVE, 1):
            return rank_and_fold(candidate, fold)
        if isinstance(failure, Exception):
            raise failure
        return {"rmse": failure, "rmse_warm": failure}

    table = cross_validate([FIVE, TEN], 3, trial, parallelism=2)
    assert table["error"].tolist() == [said, ""]
    assert np.isnan(table["mean_rmse"][0])
    assert table["mean_rmse"][1] == 2.0
    assert best_candidate(table) == TEN


def test_without_any_finished_candidate_the_first_error_is_said():
    def trial(candidate, fold):
        raise ValueError(f"rank {candidate.rank} fails")

    with pytest.raises(UserError, match=r"None of the 2 candidates .* fold 0: rank 5 fails"):
        best_candidate(cross_validate([FIVE, TEN], 2, trial, parallelism=1))


def test_the_lowest_error_wins():
    assert best_candidate(results((5, 0.1, 10, 0.88), (10, 0.1, 10, 0.87), (15, 0.1, 10, 0.89))) == TEN


@pytest.mark.parametrize(
    ("rows", "simplest"),
    [
        ([(10, 0.4, 5, 0.9), (5, 0.1, 20, 0.9)], candidate(5, 0.1, 20)),
        ([(5, 0.1, 5, 0.9), (5, 0.4, 20, 0.9)], candidate(5, 0.4, 20)),
        ([(5, 0.1, 20, 0.9), (5, 0.1, 10, 0.9)], candidate(5, 0.1, 10)),
        ([(10, 0.1, 10, 0.9), (5, 0.1, 10, 0.9 + 5e-7)], FIVE),  # equal but for the last digits of float32
    ],
    ids=["lower rank", "more regularisation", "fewer iterations", "last digits"],
)
def test_a_tie_goes_to_the_simpler_model(rows, simplest):
    assert best_candidate(results(*rows)) == simplest
    assert best_candidate(results(*reversed(rows))) == simplest


def test_the_result_does_not_depend_on_how_many_trials_run_at_a_time():
    def trial(candidate, fold):
        time.sleep(0.005 * ((candidate.rank + 2 * fold) % 3))  # finishes in another order than it started
        return rank_and_fold(candidate, fold)

    one, four = (
        cross_validate([TEN, FIVE, candidate(7)], 4, trial, parallelism).drop(columns="seconds")
        for parallelism in (1, 4)
    )
    pd.testing.assert_frame_equal(one, four)


def test_seconds_are_summed_over_the_trials():
    table = cross_validate([FIVE], 2, lambda *call: time.sleep(0.05) or rank_and_fold(*call), parallelism=2)
    assert 0.1 <= table["seconds"][0] < 1


def test_an_interrupt_does_not_run_the_trials_that_have_not_begun():
    begun = []

    def trial(candidate, fold):
        begun.append(fold)
        if fold == 0:
            raise KeyboardInterrupt
        time.sleep(0.1)
        return rank_and_fold(candidate, fold)

    with pytest.raises(KeyboardInterrupt):
        cross_validate([FIVE], 50, trial, parallelism=1)
    for thread in threading.enumerate():
        if thread.name.startswith("trial"):
            thread.join(5)
    assert len(begun) <= 3
