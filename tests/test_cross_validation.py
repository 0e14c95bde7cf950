"""Cross-validation with trials that fit nothing: what is averaged, what is left out, and who wins."""

import threading
import time

import numpy as np
import pandas as pd
import pytest

from movie_recs.cross_validation import best_candidate, cross_validate, summarise
from movie_recs.errors import UserError
from movie_recs.parameters import Candidate


def als(rank: int, reg_param: float = 0.1, max_iter: int = 10) -> Candidate:
    return Candidate(model="als", rank=rank, reg_param=reg_param, max_iter=max_iter)


def taste(user_damping: float, movie_damping: float, taste_reg: float, prior_reg: float) -> Candidate:
    dampings = {"user_damping": user_damping, "movie_damping": movie_damping}
    return Candidate(model="taste", **dampings, taste_reg=taste_reg, prior_reg=prior_reg)


FIVE, TEN = als(5), als(10)


def rank_and_fold(candidate: Candidate, fold: int) -> dict:
    """An RMSE of rank / 10 + fold: rank 5 gives 0.5, 1.5, 2.5 ..."""
    return {"rmse": candidate.rank / 10 + fold, "rmse_warm": candidate.rank / 10}


def results(*rows: tuple[Candidate, float]) -> pd.DataFrame:
    """As two folds of the same error give it."""
    outcome = {"rmse_warm": 0.8, "seconds": 1.0, "error": None}
    return summarise([candidate for candidate, _ in rows], [[{"rmse": rmse, **outcome}] * 2 for _, rmse in rows])


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
    assert best_candidate(table, "als") == TEN


def test_without_any_finished_candidate_the_first_error_is_said():
    def trial(candidate, fold):
        raise ValueError(f"rank {candidate.rank} fails")

    with pytest.raises(UserError, match=r"None of the 2 candidates of als could .* fold 0: rank 5 fails"):
        best_candidate(cross_validate([FIVE, TEN], 2, trial, parallelism=1), "als")


def test_the_table_holds_the_candidates_fields_and_what_became_of_them():
    fine = {"rmse": 0.9, "rmse_warm": 0.8, "seconds": 2.0, "error": ""}
    failed = {"rmse": None, "rmse_warm": None, "seconds": 3.0, "error": "fold 1: no"}
    table = summarise([taste(5, 3, 8, 10), TEN], [[fine, fine], [fine, failed]])
    assert table.columns.tolist() == [
        "model", "user_damping", "movie_damping", "taste_reg", "prior_reg", "rank", "reg_param", "max_iter",
        "mean_rmse", "std_error", "mean_rmse_warm", "seconds", "error",
    ]  # fmt: skip
    assert table["rank"].dtype == table["max_iter"].dtype == "Int64"
    shown = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    assert shown == [
        ["taste", 5, 3, 8, 10, None, None, None, 0.9, 0, 0.8, 4, ""],
        ["als", None, None, None, None, 10, 0.1, 10, None, None, None, 5, "fold 1: no"],
    ]


def test_the_lowest_error_wins():
    assert best_candidate(results((FIVE, 0.88), (TEN, 0.87), (als(15), 0.89)), "als") == TEN


def test_only_rows_of_the_model_asked_for_are_looked_at():
    table = results((FIVE, 0.88), (taste(5, 3, 8, 10), 0.5), (TEN, 0.87), (taste(2, 3, 8, 10), 0.6))
    assert best_candidate(table, "als") == TEN
    assert best_candidate(table, "taste") == taste(5, 3, 8, 10)


def test_failures_are_counted_and_told_of_the_model_asked_for_only():
    def trial(candidate, fold):
        if candidate.model == "als":
            raise ValueError(f"rank {candidate.rank} fails")
        return {"rmse": 0.9, "rmse_warm": 0.8}

    table = cross_validate([taste(5, 3, 8, 10), FIVE], 2, trial, parallelism=1)
    assert best_candidate(table, "taste") == taste(5, 3, 8, 10)
    with pytest.raises(UserError, match=r"None of the 1 candidates of als could .* fold 0: rank 5 fails"):
        best_candidate(table, "als")


@pytest.mark.parametrize(
    ("rows", "simplest"),
    [
        ([(als(10, 0.4, 5), 0.9), (als(5, 0.1, 20), 0.9)], als(5, 0.1, 20)),
        ([(als(5, 0.1, 5), 0.9), (als(5, 0.4, 20), 0.9)], als(5, 0.4, 20)),
        ([(als(5, 0.1, 20), 0.9), (als(5, 0.1, 10), 0.9)], als(5, 0.1, 10)),
        ([(TEN, 0.9), (FIVE, 0.9 + 5e-7)], FIVE),
        ([(taste(5, 3, 8, 10), 0.9), (taste(5, 3, 12, 10), 0.9)], taste(5, 3, 12, 10)),
        ([(taste(2, 5, 8, 10), 0.9), (taste(5, 3, 8, 10), 0.9)], taste(2, 5, 8, 10)),
        ([(taste(2, 3, 8, 10), 0.9), (taste(5, 3, 8, 10), 0.9)], taste(5, 3, 8, 10)),
        ([(taste(5, 3, 8, 10), 0.9), (taste(5, 3, 8, 20), 0.9)], taste(5, 3, 8, 20)),
    ],
    ids=[
        "lower rank",
        "more regularisation",
        "fewer iterations",
        "equal but for the last digits of float32",
        "weaker taste",
        "more damping of movies before that of users",
        "more damping of users",
        "weaker prior",
    ],
)
def test_a_tie_goes_to_the_simpler_model(rows, simplest):
    assert best_candidate(results(*rows), simplest.model) == simplest
    assert best_candidate(results(*reversed(rows)), simplest.model) == simplest


def test_results_read_back_from_a_file_give_the_same_candidates(tmp_path):
    both = taste(5, 3, 8, 10).model_copy(update={"model": "both", "rank": 20, "reg_param": 0.15, "max_iter": 12})
    bias = Candidate(model="bias", user_damping=2.5, movie_damping=3)
    table = results((bias, 0.88), (taste(5, 3, 8, 10), 0.87), (FIVE, 0.9), (both, 0.86), (TEN, 1 / 3))
    table.to_csv(tmp_path / "cv_results.csv", index=False)
    read = pd.read_csv(tmp_path / "cv_results.csv")
    for model, expected in {"bias": bias, "taste": taste(5, 3, 8, 10), "als": TEN, "both": both}.items():
        for found in (best_candidate(table, model), best_candidate(read, model)):
            assert found == expected
            assert str(found) == str(expected)
            assert found.model_dump_json() == expected.model_dump_json()  # a rank is an integer


def test_the_result_does_not_depend_on_how_many_trials_run_at_a_time():
    def trial(candidate, fold):
        time.sleep(0.005 * ((candidate.rank + 2 * fold) % 3))  # finishes in another order than it started
        return rank_and_fold(candidate, fold)

    one, four = (
        cross_validate([TEN, FIVE, als(7)], 4, trial, parallelism).drop(columns="seconds") for parallelism in (1, 4)
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
