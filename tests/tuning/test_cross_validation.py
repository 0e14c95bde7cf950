"""Cross-validation with trials that fit nothing: what is averaged, what is left out, and who wins."""

import logging

import numpy as np
import pandas as pd
import pytest

from movie_recs.errors import UserError
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning import cross_validation
from movie_recs.tuning.cross_validation import Memory, best_candidate, summarise
from movie_recs.tuning.trial import Outcome, Trial, attempt


def als(rank: int, reg_param: float = 0.1, max_iter: int = 10) -> RatingCandidate:
    return RatingCandidate(model="als", rank=rank, reg_param=reg_param, max_iter=max_iter)


def taste(user_damping: float, movie_damping: float, taste_reg: float, prior_reg: float) -> RatingCandidate:
    dampings = {"user_damping": user_damping, "movie_damping": movie_damping}
    return RatingCandidate(model="taste", **dampings, taste_reg=taste_reg, prior_reg=prior_reg)


def outcome(rmse: float, rmse_warm: float, seconds: float = 1.0) -> Outcome:
    return Outcome({"rmse": rmse, "rmse_warm": rmse_warm}, seconds)


FIVE, TEN = als(5), als(10)


class Inline:
    """A runner that calls a function a trial, one after the other, in the order given or the other way round."""

    def __init__(self, errors, backwards=False):
        self.errors, self.backwards, self.begun, self.is_closed = errors, backwards, [], False

    def run(self, trials):
        try:
            for trial in trials[::-1] if self.backwards else trials:
                self.begun.append(trial)
                yield trial, attempt(lambda trial=trial: [self.errors(*trial)], [trial])[0]
        finally:
            self.is_closed = True


def cross_validate(candidates, folds, errors, **options) -> pd.DataFrame:
    return cross_validation.cross_validate(candidates, folds, Inline(errors), **options)


def rank_and_fold(candidate: RatingCandidate, fold: int) -> dict:
    """An RMSE of rank / 10 + fold: rank 5 gives 0.5, 1.5, 2.5 ..."""
    return {"rmse": candidate.rank / 10 + fold, "rmse_warm": candidate.rank / 10}


def results(*rows: tuple[RatingCandidate, float]) -> pd.DataFrame:
    """As two folds of the same error give it."""
    return summarise([candidate for candidate, _ in rows], [[outcome(rmse, 0.8)] * 2 for _, rmse in rows])


def test_mean_and_standard_error_over_the_folds():
    table = cross_validate([FIVE, TEN], 3, rank_and_fold)
    # 0.5, 1.5, 2.5: mean 1.5, sample variance (1 + 0 + 1) / 2 = 1, so 1 / sqrt(3)
    assert table["rank"].tolist() == [5, 10]
    np.testing.assert_allclose(table["mean_rmse"], [1.5, 2.0])
    np.testing.assert_allclose(table["std_error"], [1 / 3**0.5] * 2)
    np.testing.assert_allclose(table["mean_rmse_warm"], [0.5, 1.0])
    assert table["error"].tolist() == ["", ""]


def test_each_candidate_is_tried_once_on_each_fold():
    calls = []
    cross_validate([FIVE, TEN], 3, lambda *call: calls.append(call) or rank_and_fold(*call))
    assert sorted((c.rank, fold) for c, fold in calls) == [(rank, fold) for rank in (5, 10) for fold in range(3)]


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ValueError("singular matrix\n  at dppsv"), "fold 1: singular matrix"),
        (MemoryError(), "fold 1: MemoryError"),
        (float("nan"), "fold 1: its RMSE is nan"),
        (float("inf"), "fold 1: its RMSE is inf"),
        (None, "fold 1: no held-out ratings"),
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

    table = cross_validate([FIVE, TEN], 3, trial)
    assert table["error"].tolist() == [said, ""]
    assert np.isnan(table["mean_rmse"][0])
    assert table["mean_rmse"][1] == 2.0
    assert best_candidate(table, RatingCandidate, "als") == TEN


def test_without_any_finished_candidate_the_first_error_is_said():
    def trial(candidate, fold):
        raise ValueError(f"rank {candidate.rank} fails")

    with pytest.raises(UserError, match=r"None of the 2 candidates of als could .* fold 0: rank 5 fails"):
        best_candidate(cross_validate([FIVE, TEN], 2, trial), RatingCandidate, "als")


def test_the_table_holds_the_candidates_fields_and_what_became_of_them():
    fine, failed = outcome(0.9, 0.8, 2.0), Outcome({}, 3.0, "fold 1: no")
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
    assert best_candidate(results((FIVE, 0.88), (TEN, 0.87), (als(15), 0.89)), RatingCandidate, "als") == TEN


def test_only_rows_of_the_model_asked_for_are_looked_at():
    table = results((FIVE, 0.88), (taste(5, 3, 8, 10), 0.5), (TEN, 0.87), (taste(2, 3, 8, 10), 0.6))
    assert best_candidate(table, RatingCandidate, "als") == TEN
    assert best_candidate(table, RatingCandidate, "taste") == taste(5, 3, 8, 10)


def test_failures_are_counted_and_told_of_the_model_asked_for_only():
    def trial(candidate, fold):
        if candidate.model == "als":
            raise ValueError(f"rank {candidate.rank} fails")
        return {"rmse": 0.9, "rmse_warm": 0.8}

    table = cross_validate([taste(5, 3, 8, 10), FIVE], 2, trial)
    assert best_candidate(table, RatingCandidate, "taste") == taste(5, 3, 8, 10)
    with pytest.raises(UserError, match=r"None of the 1 candidates of als could .* fold 0: rank 5 fails"):
        best_candidate(table, RatingCandidate, "als")


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
    assert best_candidate(results(*rows), RatingCandidate, simplest.model) == simplest
    assert best_candidate(results(*reversed(rows)), RatingCandidate, simplest.model) == simplest


def test_results_read_back_from_a_file_give_the_same_candidates(tmp_path):
    both = taste(5, 3, 8, 10).model_copy(update={"model": "both", "rank": 20, "reg_param": 0.15, "max_iter": 12})
    bias = RatingCandidate(model="bias", user_damping=2.5, movie_damping=3)
    table = results((bias, 0.88), (taste(5, 3, 8, 10), 0.87), (FIVE, 0.9), (both, 0.86), (TEN, 1 / 3))
    table.to_csv(tmp_path / "cv_results.csv", index=False)
    read = pd.read_csv(tmp_path / "cv_results.csv")
    for model, expected in {"bias": bias, "taste": taste(5, 3, 8, 10), "als": TEN, "both": both}.items():
        for found in (best_candidate(table, RatingCandidate, model), best_candidate(read, RatingCandidate, model)):
            assert found == expected
            assert str(found) == str(expected)
            assert found.model_dump_json() == expected.model_dump_json()  # a rank is an integer


def test_the_result_does_not_depend_on_the_order_in_which_trials_end():
    candidates = [TEN, FIVE, als(7)]
    one, other = (
        cross_validation.cross_validate(candidates, 4, Inline(rank_and_fold, backwards)).drop(columns="seconds")
        for backwards in (False, True)
    )
    pd.testing.assert_frame_equal(one, other)


def test_an_interrupt_closes_the_runner_and_runs_no_other_trial():
    def interrupted(candidate, fold):
        raise KeyboardInterrupt

    runner = Inline(interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_validation.cross_validate([FIVE], 50, runner)
    assert len(runner.begun) == 1
    assert runner.is_closed


class TestMemory:
    def test_a_known_trial_is_not_run_and_a_new_one_is_added(self, caplog):
        known = {Trial(FIVE, 0): outcome(0.5, 0.5), Trial(TEN, 1): outcome(2.0, 1.0)}
        added, runner = {}, Inline(rank_and_fold)
        with caplog.at_level(logging.INFO, cross_validation.__name__):
            table = cross_validation.cross_validate([FIVE, TEN], 2, runner, Memory(known.get, added.__setitem__))
        assert caplog.messages[0] == "4 trials of als; 2 known from an earlier run"
        assert runner.begun == list(added) == [Trial(FIVE, 1), Trial(TEN, 0)]
        without = cross_validate([FIVE, TEN], 2, rank_and_fold)
        pd.testing.assert_frame_equal(table.drop(columns="seconds"), without.drop(columns="seconds"))

    def test_when_all_is_known_the_runner_is_not_called(self):
        table = cross_validation.cross_validate([FIVE], 2, None, Memory(lambda trial: outcome(0.9, 0.8)))
        assert table["mean_rmse"].tolist() == [0.9]


class TestHalving:
    CANDIDATES = (als(5), als(7), als(8), als(9), als(10), taste(5, 3, 8, 10), taste(5, 3, 16, 10))

    @staticmethod
    def errors(candidate, fold):
        """Rank 5 is best on the first fold, rank 7 on all others; the first taste on all."""
        if candidate.model == "taste":
            return {"rmse": candidate.taste_reg, "rmse_warm": 1.0}
        return {"rmse": {5: 0.1 if fold == 0 else 0.9, 7: 0.2, 8: 0.3, 9: 0.4, 10: 0.5}[candidate.rank], "rmse_warm": 1}

    def test_the_better_half_of_each_model_goes_on_after_one_fold_and_after_two(self):
        runner = Inline(self.errors)
        table = cross_validation.cross_validate(list(self.CANDIDATES), 5, runner, halving=True)
        measured = {
            candidate: sum(trial.candidate == candidate for trial in runner.begun) for candidate in self.CANDIDATES
        }
        # of five: three, then two; on the first two folds rank 5 has a mean of 0.5, ranks 7 and 8 of 0.2 and 0.3
        assert list(measured.values()) == [2, 5, 5, 1, 1, 5, 1]
        assert best_candidate(table, RatingCandidate, "als") == als(7)
        assert table["mean_rmse"].notna().tolist() == [False, True, True, False, False, True, False]
        assert table["error"][0] == "not among the better half after 2 of 5 folds"
        assert table["error"][3] == "not among the better half after 1 of 5 folds"

    def test_a_candidate_that_fails_does_not_go_on(self):
        def errors(candidate, fold):
            if candidate == als(5):
                raise ArithmeticError("singular")
            return self.errors(candidate, fold)

        table = cross_validate([als(5), als(7), als(8)], 3, errors, halving=True)
        assert table["error"].tolist() == ["fold 0: singular", "", "not among the better half after 2 of 3 folds"]


def test_what_cannot_win_does_not_though_it_was_measured():
    table = results((FIVE, 0.8), (TEN, 0.79))
    assert best_candidate(table, RatingCandidate, "als") == TEN
    table["error"] = ["", "gains too little on the best before it"]
    assert best_candidate(table, RatingCandidate, "als") == FIVE
    table["error"] = [None, "as read from a file"]
    assert best_candidate(table, RatingCandidate, "als") == FIVE


class TestProgress:
    def test_it_says_how_far_it_is_what_is_best_and_what_has_failed(self, caplog, monkeypatch):
        monkeypatch.setattr(cross_validation, "SECONDS_BETWEEN_REPORTS", 0)

        def errors(candidate, fold):
            if candidate == als(7):
                raise ArithmeticError("singular")
            return rank_and_fold(candidate, fold)

        with caplog.at_level(logging.INFO, cross_validation.__name__):
            cross_validate([TEN, FIVE, als(7)], 2, errors)
        said = [record.getMessage() for record in caplog.records]
        assert said[0] == "6 trials of als"
        assert said[1].startswith("1 of 6 done, about ")
        assert "best" not in said[1]  # no candidate has been measured on both folds
        assert said[2].endswith("; best RMSE so far 1.5000")
        assert said[4].endswith("; best RMSE so far 1.0000")
        assert said[5] == "als, rank 7, reg_param 0.1, max_iter 10 failed and is left out: fold 0: singular"
        assert said[-1].startswith("6 of 6 done in ")
        assert said[-1].endswith("; best RMSE 1.0000 by als")

    def test_a_long_fit_counts_for_more_of_the_time_left(self, caplog, monkeypatch):
        """Ranks 10 to 80, one after the other, each of which takes what it costs."""
        clock = [0.0]
        monkeypatch.setattr(cross_validation, "SECONDS_BETWEEN_REPORTS", 0)
        monkeypatch.setattr(cross_validation.time, "perf_counter", lambda: clock[0])

        def errors(candidate, fold):
            clock[0] += 1 + candidate.fit_cost
            return rank_and_fold(candidate, fold)

        candidates = [als(rank) for rank in range(10, 90, 10)]
        with caplog.at_level(logging.INFO, cross_validation.__name__):
            cross_validate(candidates, 1, errors)
        said = [int(message.split("about ")[1].split(" s")[0]) for message in caplog.messages if "about" in message]
        left = [sum(1 + each.fit_cost for each in candidates[done:]) for done in range(1, 8)]
        assert said[1:] == [round(seconds) for seconds in left[1:]]

    def test_it_does_not_say_so_at_every_trial(self, caplog):
        with caplog.at_level(logging.INFO, cross_validation.__name__):
            cross_validate([als(rank) for rank in range(1, 101)], 5, rank_and_fold)
        assert len(caplog.records) < 10
