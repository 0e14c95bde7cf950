"""Which ranking candidate wins, which of equal ones is the simpler, and which share a fit."""

import pytest

from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.search import WINNERS
from movie_recs.tuning.cross_validation import best_candidate, summarise
from movie_recs.tuning.trial import Outcome

PLAIN = {"rank": 2, "reg_param": 0.1, "max_iter": 5, "alpha": 1.0}
AGE = {"half_life": 5.0, "old_weight": 0.1}


def candidate(model: str, **values) -> RankingCandidate:
    return RankingCandidate(model=model, **values)


EASE = candidate("ease", ease_reg=5, star_weight=0)
ALS = candidate("implicit_als", **PLAIN)


@pytest.mark.parametrize(
    ("richer", "simplest"),
    [
        (ALS.model_copy(update={"rank": 3}), ALS),
        (ALS, ALS.model_copy(update={"reg_param": 0.2})),
        (ALS, ALS.model_copy(update={"alpha": 0.5})),
        (EASE, EASE.model_copy(update={"ease_reg": 9.0})),
        (EASE.model_copy(update={"star_weight": 0.2}), EASE),
        (EASE.model_copy(update=AGE), EASE),
        (EASE.model_copy(update=AGE), EASE.model_copy(update={**AGE, "old_weight": 0.5})),
        (EASE.model_copy(update=AGE), EASE.model_copy(update={**AGE, "half_life": 9.0})),
        (candidate("recent_als", **PLAIN, star_weight=0.2, **AGE), candidate("recent_als", **PLAIN, star_weight=0.2)),
        (candidate("recent_als", **PLAIN, star_weight=0), ALS),
        (candidate("blend", **PLAIN, ease_reg=5, star_weight=0, als_weight=0.5), EASE),
        (candidate("blend", **PLAIN, ease_reg=5, star_weight=0, als_weight=0.5), ALS),
    ],
    ids=[
        "lower rank",
        "more regularisation",
        "lower alpha",
        "more regularisation of EASE",
        "stars count less",
        "age does not count",
        "age counts less",
        "age counts later",
        "age does not count in ALS",
        "the users as fitted",
        "EASE alone",
        "ALS alone",
    ],
)
def test_a_tie_goes_to_the_simpler_candidate(richer, simplest):
    for order in ([richer, simplest], [simplest, richer]):
        results = summarise(order, [[Outcome({"ndcg": 0.4 + 5e-7 * (each == richer)}, 0.0)] for each in order])
        assert best_candidate(results, RankingCandidate, *WINNERS) == simplest


def test_of_all_models_the_highest_ndcg_wins():
    table = summarise([EASE, ALS], [[Outcome({"ndcg": 0.4}, 0.0)], [Outcome({"ndcg": 0.41}, 0.0)]])
    assert best_candidate(table, RankingCandidate, *WINNERS) == ALS
    assert best_candidate(table, RankingCandidate, "ease") == EASE


def test_whatever_is_done_with_the_factors_of_one_fit_shares_it():
    blend = candidate("blend", **PLAIN, ease_reg=5, star_weight=0.2, als_weight=0.5)
    assert len({each.fit_key for each in (ALS, candidate("recent_als", **PLAIN, star_weight=0.2), blend)}) == 1
    assert ALS.model_copy(update={"max_iter": 9}).fit_key == ALS.fit_key
    for other in ({"rank": 3}, {"reg_param": 0.2}, {"alpha": 2.0}):
        assert ALS.model_copy(update=other).fit_key != ALS.fit_key
    assert EASE.model_copy(update={"ease_reg": 9.0}).fit_key == EASE.fit_key != ALS.fit_key
