"""What is tried next: every combination once, or draws within the ranges, the same for a seed."""

import math

import pytest

from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.parameters import RatingTuningParameters
from movie_recs.rating.search import baseline_strategy, factor_strategy
from movie_recs.tuning.cross_validation import NO_MEMORY, summarise
from movie_recs.tuning.strategies import Strategy, run_strategies
from movie_recs.tuning.trial import Outcome

BASE = RatingCandidate(model="bias", user_damping=5, movie_damping=3)
GRID = {"rank": [2, 40], "reg_param": [0.01, 1.0], "max_iter": [10]}


def tuning(search="grid", budget=24, seed=1, grid=GRID, beyond_edges=False) -> RatingTuningParameters:
    baselines = {"user_damping": [1, 5], "movie_damping": [3], "taste_reg": [2, 8], "prior_reg": [10]}
    return RatingTuningParameters(
        search=search, budget=budget, baseline_grid=baselines, grid=grid, seed=seed, beyond_edges=beyond_edges
    )


def error(candidate: RatingCandidate) -> float:
    """Lowest at reg_param 0.2."""
    return 0.8 + math.log(candidate.reg_param / 0.2) ** 2


def draw_all(strategy: Strategy, error=error) -> list[RatingCandidate]:
    drawn = []
    while asked := strategy.ask():
        values = [error(candidate) for candidate in asked]
        outcomes = [
            Outcome({"rmse": value, "rmse_warm": value}, 1.0, "fold 0: no" if value is None else "") for value in values
        ]
        strategy.tell(summarise(asked, [[outcome] * 2 for outcome in outcomes]))
        drawn += asked
    return drawn


def test_a_grid_is_every_combination_once():
    baselines = draw_all(baseline_strategy("taste", tuning()), error=lambda candidate: 0.9)
    assert [(each.user_damping, each.taste_reg) for each in baselines] == [(1, 2), (1, 8), (5, 2), (5, 8)]
    biases = draw_all(baseline_strategy("bias", tuning()), error=lambda candidate: 0.9)
    assert [(each.user_damping, each.taste_reg) for each in biases] == [(1, None), (5, None)]
    factors = draw_all(factor_strategy("bias_als", BASE, tuning()))
    assert [(each.rank, each.reg_param) for each in factors] == [(2, 1), (2, 0.01), (40, 1), (40, 0.01)]
    assert {(each.model, each.baseline) for each in factors} == {("bias_als", BASE.baseline)}


class TestBeyondTheList:
    """A list of reg_param and rank, and a made-up error."""

    def path(self, error, rank=(10,), reg_param=(0.2,)) -> list[tuple[int, float]]:
        grid = {"rank": list(rank), "reg_param": list(reg_param), "max_iter": [10]}
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(grid=grid, beyond_edges=True)), error)
        return [(each.rank, each.reg_param) for each in drawn]

    def test_it_goes_on_until_the_best_lies_inside(self):
        tried = self.path(lambda each: abs(math.log2(each.reg_param / 1.6)) / 100, rank=[10, 20], reg_param=[0.1, 0.2])
        assert tried[:4] == [(10, 0.2), (10, 0.1), (20, 0.2), (20, 0.1)]
        assert [reg for rank, reg in tried[4:] if rank == 10 and reg > 0.2] == [0.4, 0.8, 1.6, 2.0]  # 2 is the bound
        assert {rank for rank, _ in tried} == {5, 10, 20}  # 5 is no better than 10, and simpler is tried once

    def test_steps_that_gain_each_are_tried_together(self):
        tried = self.path(
            lambda each: (each.rank < 40) * 0.01 + (each.rank < 20) * 0.01 + (each.reg_param < 0.4) * 0.02
        )
        assert set(tried[1:5]) == {(5, 0.2), (20, 0.2), (10, 0.4), (10, 0.1)}
        assert tried[5] == (20, 0.4)
        assert (40, 0.4) in tried[6:]
        assert (80, 0.4) in tried[6:]
        assert len(tried) == len(set(tried))

    def test_after_a_step_the_values_beside_the_others_are_tried_again(self):
        """With fewer factors than listed, the best regularisation is another of the list."""

        def error(each):
            best_reg = 0.05 if each.rank == 5 else 0.1
            return abs(math.log2(each.rank / 5)) / 50 + abs(math.log2(each.reg_param / best_reg)) / 100

        tried = self.path(error, rank=[10, 20], reg_param=[0.05, 0.1])
        assert tried.index((5, 0.1)) < tried.index((5, 0.05))

    def test_it_stops_where_a_step_gains_less_than_what_counts(self):
        tried = self.path(lambda each: -each.rank * 1e-6 - each.reg_param * 1e-4, rank=[10, 20], reg_param=[0.1, 0.2])
        assert max(rank for rank, _ in tried) == 20
        assert max(reg for _, reg in tried) == 0.4  # from the simplest candidate, which is as good as the best

    def test_it_leaves_a_plateau_where_all_regularisations_are_too_high(self):
        tried = self.path(lambda each: 1 - 0.01 * max(0.0, math.log2(0.2 / each.reg_param)), reg_param=[0.2, 0.3])
        assert [reg for _, reg in tried if reg < 0.2] == [0.1, 0.05, 0.025, 0.0125, 0.00625, 0.005]  # the bound

    def test_a_step_that_gains_too_little_cannot_win(self):
        grid = {"rank": [10], "reg_param": [0.2], "max_iter": [10]}
        strategy = factor_strategy("bias_als", BASE, tuning(grid=grid, beyond_edges=True))
        reasons = {}
        while asked := strategy.ask():
            errors = [0.8 - 0.00002 * each.rank - 0.001 * (each.reg_param > 0.2) for each in asked]
            outcomes = [[Outcome({"rmse": each, "rmse_warm": each}, 1.0)] * 2 for each in errors]
            table = strategy.tell(summarise(asked, outcomes))
            reasons |= dict(zip(asked, table["error"], strict=True))
        too_little = "gains too little on the best before it"
        found = {(each.rank, each.reg_param): reason for each, reason in reasons.items()}
        assert found[10, 0.2] == found[10, 0.4] == ""
        assert found[20, 0.2] == found[5, 0.2] == found[10, 0.1] == found[10, 0.8] == too_little

    def test_a_step_has_to_gain_half_a_standard_error(self):
        """Two folds whose errors are 0.02 apart have a standard error of 0.01."""
        grid = {"rank": [10], "reg_param": [0.2], "max_iter": [10]}
        tried = {}
        for gain in (0.004, 0.006):
            strategy = factor_strategy("bias_als", BASE, tuning(grid=grid, beyond_edges=True))
            while asked := strategy.ask():
                means = [0.8 - gain * math.log2(each.reg_param / 0.2) for each in asked]
                folds = [[mean - 0.01, mean + 0.01] for mean in means]
                outcomes = [[Outcome({"rmse": each, "rmse_warm": each}, 1.0) for each in both] for both in folds]
                strategy.tell(summarise(asked, outcomes))
                tried[gain] = max(tried.get(gain, 0), *(each.reg_param for each in asked))
        assert tried == {0.004: 0.4, 0.006: 2.0}

    def test_more_factors_have_to_be_worth_their_time(self):
        """0.002 a doubling is more than the least gain, but less than the price of a doubling, 0.003, above rank 20."""
        tried = self.path(lambda each: 1 - 0.002 * math.log2(each.rank), rank=[10, 20], reg_param=[0.1, 0.2, 0.4])
        assert [rank for rank, _ in tried if rank > 20] == [40]
        tried = self.path(lambda each: 1 - 0.004 * math.log2(each.rank), rank=[10, 20], reg_param=[0.1, 0.2, 0.4])
        assert [rank for rank, _ in tried if rank > 20] == [40, 80, 160]

    def test_at_a_bound_it_ends_with_a_warning(self, caplog):
        tried = self.path(lambda each: -each.reg_param, reg_param=[0.5, 1.0])
        assert max(reg for _, reg in tried) == 2.0
        assert "bias_als: the best reg_param, 2, is at the bound of the search" in caplog.messages

    def test_zero_is_no_multiple_of_anything(self):
        assert self.path(lambda each: each.reg_param, reg_param=[0.0, 0.1])[:2] == [(10, 0.1), (10, 0.0)]
        assert all(reg in (0, 0.1) for _, reg in self.path(lambda each: each.reg_param, reg_param=[0.0, 0.1]))

    def test_failures_are_no_base(self):
        tried = self.path(lambda each: None if each.reg_param < 0.2 else each.reg_param, reg_param=[0.2, 0.4])
        assert [reg for _, reg in tried if reg < 0.2] == [0.1]

    def test_each_step_is_in_the_log(self, caplog):
        caplog.set_level("INFO")
        self.path(lambda each: each.reg_param, rank=[5, 10, 20], reg_param=[0.2, 0.4])
        assert "bias_als: the best reg_param, 0.2, is the last of its list; next 0.1" in caplog.messages

    def test_a_step_that_is_worse_on_the_first_fold_goes_no_further(self):
        class Measured:
            """Lower with a higher reg_param, on every fold."""

            def run(self, trials):
                for trial in trials:
                    value = 1 / trial.candidate.reg_param
                    yield trial, Outcome({"rmse": value, "rmse_warm": value}, 1.0)

        grid = {"rank": [10], "reg_param": [0.2], "max_iter": [10]}
        strategy = factor_strategy("bias_als", BASE, tuning(grid=grid, beyond_edges=True))
        results = run_strategies([strategy], 3, Measured(), NO_MEMORY, halving=False).set_index(["rank", "reg_param"])
        assert results.loc[(10, 0.4), "mean_rmse"] == 2.5
        assert results.loc[(10, 0.4), "seconds"] == 3
        worse = results.loc[(10, 0.1)]
        assert worse["seconds"] == 1
        assert math.isnan(worse["mean_rmse"])
        assert worse["error"] == "not better on the first fold than the best before it"


@pytest.mark.parametrize("search", ["random", "tpe"])
class TestDraws:
    def test_they_are_a_budget_of_different_candidates_within_the_ranges(self, search):
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search)))
        assert len(drawn) == len(set(drawn)) == 24
        assert {each.baseline for each in drawn} == {BASE.baseline}
        assert all(2 <= each.rank <= 40 and 0.01 <= each.reg_param <= 1 and each.max_iter == 10 for each in drawn)
        assert len({each.rank for each in drawn}) > 5

    def test_they_follow_from_the_seed(self, search):
        one, same, other = (
            draw_all(factor_strategy("bias_als", BASE, tuning(search, seed=seed))) for seed in (-7, -7, 8)
        )
        assert one == same
        assert one != other

    def test_a_range_of_few_values_is_drawn_from_once(self, search):
        grid = {"rank": [2, 3], "reg_param": [0.1], "max_iter": [10]}
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search, grid=grid)))
        assert {each.rank for each in drawn} == {2, 3}
        assert len(drawn) == 2

    def test_a_range_may_begin_at_zero(self, search):
        grid = {"rank": [2], "reg_param": [0.0, 0.4], "max_iter": [10]}
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search, grid=grid)), error=lambda each: 1.0)
        assert max(each.reg_param for each in drawn) > 0.2 > min(each.reg_param for each in drawn)

    def test_failures_do_not_end_the_search(self, search):
        strategy = factor_strategy("bias_als", BASE, tuning(search))
        assert len(draw_all(strategy, error=lambda each: None if each.reg_param < 0.1 else error(each))) == 24

    def test_a_budget_need_not_be_a_whole_number_of_batches(self, search):
        assert len(draw_all(factor_strategy("bias_als", BASE, tuning(search, budget=11)))) == 11

    def test_a_search_in_which_all_fails_ends(self, search):
        assert len(draw_all(factor_strategy("bias_als", BASE, tuning(search)), error=lambda each: None)) == 24

    def test_ranks_and_alternations_are_integers(self, search):
        grid = {"rank": [2, 40], "reg_param": [0.1], "max_iter": [5, 30]}
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search, grid=grid)))
        assert {type(value) for each in drawn for value in (each.rank, each.max_iter)} == {int}
        assert all(5 <= each.max_iter <= 30 for each in drawn)

    def test_taste_is_drawn_with_the_dampings_and_bias_without(self, search):
        tastes, biases = (
            draw_all(baseline_strategy(model, tuning(search)), error=lambda each: each.user_damping)
            for model in ("taste", "bias")
        )
        assert all(1 <= each.user_damping <= 5 and 2 <= each.taste_reg <= 8 for each in tastes)
        assert {(each.model, each.movie_damping, each.prior_reg, each.als) for each in tastes} == {
            ("taste", 3, 10, None)
        }
        assert {(each.model, each.movie_damping, each.taste_reg, each.prior_reg, each.als) for each in biases} == {
            ("bias", 3, None, None, None)
        }

    @pytest.mark.parametrize("values", [[0.12345], [1234.5], [0.12345, 0.12349]], ids=["one", "above 1000", "narrow"])
    def test_a_value_of_many_digits_stays_within_its_range(self, search, values):
        grid = {"rank": [2, 40], "reg_param": values, "max_iter": [10]}
        drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search, grid=grid)), error=lambda each: 1.0)
        assert all(min(values) <= each.reg_param <= max(values) for each in drawn)


def test_a_value_listed_twice_is_one_candidate():
    grid = {"rank": [2, 2], "reg_param": [0.1, 0.1], "max_iter": [10]}
    assert len(draw_all(factor_strategy("bias_als", BASE, tuning(grid=grid)))) == 1


def test_tpe_comes_nearer_to_the_best_than_chance():
    grid = {"rank": [10], "reg_param": [0.001, 100.0], "max_iter": [10]}
    late = {}
    for search in ("random", "tpe"):
        errors = []
        for seed in range(3):
            drawn = draw_all(factor_strategy("bias_als", BASE, tuning(search, budget=48, seed=seed, grid=grid)))
            errors += [error(candidate) for candidate in drawn[24:]]
        late[search] = sum(errors) / len(errors)
    assert late["tpe"] < late["random"] * 0.75
