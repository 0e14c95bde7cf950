"""Rating candidates: their parts, their names, and which of them share a fit."""

import pytest

from movie_recs.als.parameters import AlsParameters
from movie_recs.bayes.parameters import BayesParameters
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.parameters import BaselineParameters

BIASES = BaselineParameters(user_damping=5, movie_damping=2.5)
TASTE = BaselineParameters(user_damping=5, movie_damping=2.5, taste_reg=8, prior_reg=10)
FACTORS = AlsParameters(rank=20, reg_param=0.15, max_iter=10)


def combined(*parts) -> RatingCandidate:
    return RatingCandidate(model="rung", **{name: value for part in parts for name, value in part.model_dump().items()})


@pytest.mark.parametrize(
    ("baseline", "als", "name"),
    [
        (BIASES, None, "rung, user_damping 5, movie_damping 2.5"),
        (TASTE, None, "rung, user_damping 5, movie_damping 2.5, taste_reg 8, prior_reg 10"),
        (None, FACTORS, "rung, rank 20, reg_param 0.15, max_iter 10"),
        (BIASES, FACTORS, "rung, user_damping 5, movie_damping 2.5, rank 20, reg_param 0.15, max_iter 10"),
        (None, None, "rung"),
    ],
)
def test_a_candidate_is_named_by_its_rung_and_what_it_has_and_gives_its_parts_back(baseline, als, name):
    candidate = combined(*(part for part in (baseline, als) if part))
    assert candidate.baseline == baseline
    assert candidate.als == als
    assert str(candidate) == name


def test_candidates_that_differ_in_max_iter_alone_share_a_fit():
    candidate = combined(TASTE, FACTORS)
    assert candidate.model_copy(update={"max_iter": 3}).fit_key == candidate.fit_key
    others = [{"rank": 5}, {"reg_param": 0.2}, {"taste_reg": 9}, {"prior_reg": 9}, {"user_damping": 9}]
    keys = {candidate.model_copy(update=other).fit_key for other in others}
    assert len(keys) == len(others)
    assert candidate.fit_key not in keys


def test_factors_without_a_reg_param_are_those_of_a_bayesian_model():
    candidate = combined(BayesParameters(rank=10, max_iter=20))
    assert candidate.bayes == BayesParameters(rank=10, max_iter=20)
    assert (candidate.als, candidate.baseline, candidate.has_taste) == (None, None, True)
    assert str(candidate) == "rung, rank 10, max_iter 20"
    assert [combined(*parts).bayes for parts in ([BIASES], [FACTORS], [TASTE, FACTORS])] == [None] * 3
    assert [combined(part).has_taste for part in (BIASES, TASTE, FACTORS)] == [False, True, False]


def test_without_factors_a_candidate_is_its_baseline():
    assert combined(TASTE, FACTORS).without_factors == combined(TASTE)
