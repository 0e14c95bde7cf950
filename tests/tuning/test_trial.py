"""What comes of trials that are measured together, whatever fails."""

import time

import pytest

from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.trial import Outcome, Trial, attempt, failed

PATH = [Trial(RatingCandidate(model="als", rank=5, reg_param=0.1, max_iter=turns), 2) for turns in (3, 6, 9)]


def rmse(value) -> dict:
    return {"rmse": value, "rmse_warm": None}


def test_each_trial_has_the_measures_that_come_in_its_place():
    outcomes = attempt(lambda: [rmse(0.9), rmse(0.8), rmse(1)], PATH)
    assert [outcome.measures for outcome in outcomes] == [rmse(0.9), rmse(0.8), rmse(1.0)]
    assert {type(outcome.measures["rmse"]) for outcome in outcomes} == {float}
    assert {outcome.error for outcome in outcomes} == {""}


def test_those_measured_before_a_failure_are_kept_and_those_after_share_its_reason():
    def measure():
        yield rmse(0.9)
        raise ArithmeticError("singular")

    first, *others = attempt(measure, PATH)
    assert first.measures == rmse(0.9)
    assert [(each.measures, each.error) for each in others] == [({}, "fold 2: singular")] * 2


def test_what_cannot_even_begin_is_a_failure_of_all():
    def measure():
        raise MemoryError

    assert [outcome.error for outcome in attempt(measure, PATH)] == ["fold 2: MemoryError"] * 3


def test_an_interrupt_is_no_failure_of_a_trial():
    def measure():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(measure, PATH)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, "fold 2: no held-out ratings"),
        (float("nan"), "fold 2: its RMSE is nan"),
        (float("inf"), "fold 2: its RMSE is inf"),
    ],
)
def test_a_measure_that_is_no_number_is_a_failure_of_its_trial_alone(value, error):
    outcomes = attempt(lambda: [rmse(0.9), rmse(value), rmse(0.7)], PATH)
    assert [outcome.error for outcome in outcomes] == ["", error, ""]
    assert outcomes[1].measures == {}


def test_seconds_are_those_of_each_trial():
    def measure():
        for seconds in (0.0, 0.1, 0.0):
            time.sleep(seconds)
            yield rmse(0.9)

    seconds = [outcome.seconds for outcome in attempt(measure, PATH)]
    assert seconds[1] >= 0.1
    assert seconds[0] < seconds[1] > seconds[2]


def test_the_seconds_until_a_failure_are_shared_by_those_that_failed():
    def measure():
        time.sleep(0.1)
        raise ArithmeticError("singular")
        yield

    outcomes = attempt(measure, PATH)
    assert len({outcome.seconds for outcome in outcomes}) == 1
    assert sum(outcome.seconds for outcome in outcomes) >= 0.1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("first line\nsecond"), "first line"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("An error occurred while calling o1.fit.\n: SparkException: no\n\tat Foo"), "SparkException: no"),
    ],
)
def test_a_reason_is_the_first_line_that_says_something(error, reason):
    assert failed(error, 3, 1.5) == Outcome({}, 1.5, f"fold 3: {reason}")
