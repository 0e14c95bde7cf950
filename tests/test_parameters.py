"""Parameters: those of conf/base are valid, and each wrong one is named with its value and what is allowed."""

import copy
from pathlib import Path

import pytest

from movie_recs.als.parameters import AlsParameters, Grid
from movie_recs.errors import UserError
from movie_recs.parameters import check_parameters
from movie_recs.rating.parameters import BaselineGrid
from movie_recs.rating.search import THERE, first_values
from movie_recs.runtime.config import ConfigLoader
from movie_recs.settings import CONFIG_LOADER_ARGS

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="module")
def shipped() -> dict:
    return ConfigLoader(str(CONF), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})["parameters"]


def changed(parameters: dict, name: str, value) -> dict:
    """A copy with another value at a dotted name."""
    result = copy.deepcopy(parameters)
    *blocks, key = name.split(".")
    block = result
    for part in blocks:
        block = block[part]
    block[key] = value
    return result


def test_the_shipped_parameters_are_valid(shipped):
    parameters = check_parameters(shipped)
    tuning = parameters.rating.tuning
    assert all((tuning.baseline_grid.bias_candidates(), tuning.baseline_grid.taste_candidates()))
    assert first_values(tuning, THERE).grid.candidates()
    assert parameters.rating.evaluation.reference == AlsParameters(rank=5, reg_param=0.1, max_iter=10)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rating.evaluation.reference.rank", -3, "rank is -3 but should be greater than or equal to 1"),
        ("rating.tuning.grid.rank", [5, -3], "rating.tuning.grid.rank is -3 but should be greater than or equal to 1"),
        ("rating.tuning.bayes.rank", 0, "rating.tuning.bayes.rank is 0 but should be greater than or equal to 1"),
        ("rating.tuning.bayes.most_ratings", -1, "most_ratings is -1 but should be greater than or equal to 0"),
        ("rating.tuning.grid.rank", [], "rating.tuning.grid.rank is [] but List should have at least 1 item"),
        ("rating.tuning.grid.max_iter", "", "rating.tuning.grid.max_iter is [] but List should have at least 1 item"),
        ("rating.tuning.grid.reg_param", [-0.1], "reg_param is -0.1 but should be greater than or equal to 0"),
        ("rating.tuning.grid.reg_param", [], "reg_param is [] but should be auto, or have a value at least"),
        ("rating.tuning.grid.reg_param", [float("inf")], "reg_param is inf but should be a finite number"),
        ("rating.tuning.grid.reg_param", "0.1 nan", "reg_param is 'nan' but should be a finite number"),
        ("rating.evaluation.reference.reg_param", float("inf"), "reg_param is inf but should be a finite number"),
        ("rating.tuning.baseline_grid.taste_reg", [5, 0], "baseline_grid.taste_reg is 0 but should be greater than 0"),
        ("rating.tuning.baseline_grid.prior_reg", "10 0", "baseline_grid.prior_reg is '0' but should be greater than"),
        ("rating.tuning.baseline_grid.user_damping", -1, "user_damping is -1 but should be greater than 0"),
        ("rating.tuning.baseline_grid.movie_damping", [], "movie_damping is [] but List should have at least 1 item"),
        ("rating.tuning.baseline_grid.movie_damping", [2e9], "but should be less than or equal to 1000000000"),
        ("rating.tuning.baseline_grid.prior_reg", [float("inf")], "prior_reg is inf but should be"),
        ("rating.tuning.baseline_grid.taste_reg", None, "taste_reg is None but should be a valid number"),
        ("rating.features.genres", -0.5, "genres is -0.5 but should be greater than or equal to 0"),
        ("rating.features.audience", -1, "audience is -1 but should be greater than or equal to 0"),
        ("rating.features.year", 101, "rating.features.year is 101 but should be less than or equal to 100"),
        ("rating.features.popularity", "much", "rating.features.popularity is 'much' but should be a valid number"),
        ("rating.evaluation.reference.max_iter", 0, "max_iter is 0 but should be greater than or equal to 1"),
        ("rating.tuning.search", "all", "rating.tuning.search is 'all' but should be 'grid', 'random' or 'tpe'"),
        ("carrier", "gpu", "carrier is 'gpu' but should be 'auto', 'local' or 'spark'"),
        ("nodes_at_a_time", 0, "nodes_at_a_time is 0 but should be greater than or equal to 1"),
        ("rating.tuning.budget", 0, "rating.tuning.budget is 0 but should be greater than or equal to 1"),
        ("rating.tuning.budget", 10_001, "rating.tuning.budget is 10001 but should be less than or equal to 10000"),
        ("rating.tuning.halving", "perhaps", "rating.tuning.halving is 'perhaps' but should be true or false"),
        ("eda.damping", float("inf"), "eda.damping is inf but should be a finite number"),
        ("eda.top", 2.5, "eda.top is 2.5 but should be a valid integer"),
        ("split.folds", 1, "split.folds is 1 but should be greater than or equal to 2"),
        ("split.strategy", "by time", "split.strategy is 'by time' but should be 'random', 'temporal', 'new_users' or"),
        ("split.fold_in_fraction", 1, "split.fold_in_fraction is 1 but should be less than 1"),
        ("split.test_fraction", 1.0, "split.test_fraction is 1.0 but should be less than 1"),
        ("split.test_fraction", float("nan"), "split.test_fraction is nan but should be"),
        ("data_processing.max_bad_rows", 1.5, "max_bad_rows is 1.5 but should be less than or equal to 1"),
        ("recommend.user_ids", [3.5], "recommend.user_ids is 3.5 but should be an id"),
        ("recommend.movie_ids", [""], "recommend.movie_ids is '' but should be an id"),
        ("recommend.top_n", True, "recommend.top_n is True but should not be true or false"),
        ("rating.tuning.grid.rank", [5, True], "rating.tuning.grid.rank is [5, True] but should not be true or false"),
        ("split.test_fraction", False, "split.test_fraction is False but should not be true or false"),
        (
            "recommend.new_users",
            [{"name": "Ada", "ratings": {"Heat": True}}],
            "ratings is {'Heat': True} but should not",
        ),
        ("rating.tuning.halving", 1, "rating.tuning.halving is 1 but should be true or false"),
        ("keep_versions", 0, "keep_versions is 0 but should be greater than or equal to 1"),
        ("recommend.top_n", None, "recommend.top_n is None but should be a valid integer"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(shipped, name, value, said):
    with pytest.raises(UserError) as error:
        check_parameters(changed(shipped, name, value))
    assert name in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("splitt", "splitt is no parameter (there are dataset, source, carrier, nodes_at_a_time, keep_versions,"),
        (
            "split.fold",
            "split.fold is no parameter (there are strategy, given, test_fraction, fold_in_fraction,",
        ),
        ("rating.feature", "rating.feature is no parameter (there are features, tuning, evaluation)"),
        ("rating.features.genre", "rating.features.genre is no parameter (there are genres, year, popularity"),
        (
            "rating.tuning.grids",
            "grids is no parameter (there are search, budget, halving, beyond_edges, "
            "final_fit, one_fold_from, most_ratings, seed, baseline_grid, grid, bayes)",
        ),
        (
            "rating.tuning.baseline_grid.user_reg",
            "user_reg is no parameter (there are user_damping, movie_damping, taste_reg, prior_reg)",
        ),
        # Parameters of earlier versions, in the place of which is `carrier`.
        (
            "rating.tuning.engine",
            "rating.tuning.engine is no parameter (there are search, budget, halving, beyond_edges",
        ),
        (
            "ranking.tuning.engine",
            "ranking.tuning.engine is no parameter (there are search, budget, halving, beyond_edges",
        ),
        ("rating.tuning.parallelism", "rating.tuning.parallelism is no parameter (there are search, budget, halving"),
        ("rating.evaluation.reference.alpha", "reference.alpha is no parameter (there are rank, reg_param, max_iter)"),
        ("rating.tuning.grid.ranks", "grid.ranks is no parameter (there are rank, reg_param, max_iter)"),
    ],
)
def test_a_misspelt_key_is_named_with_the_ones_there_are(shipped, name, said):
    with pytest.raises(UserError) as error:
        check_parameters(changed(shipped, name, 1))
    assert said in str(error.value)


@pytest.mark.parametrize("carrier", ["auto", "local", "spark"])
def test_one_carrier_is_that_of_both_objectives(shipped, carrier):
    assert check_parameters(changed(shipped, "carrier", carrier)).carrier == carrier


def test_a_missing_key_is_named(shipped):
    without = copy.deepcopy(shipped)
    del without["split"]["seed"]
    with pytest.raises(UserError, match=r"split\.seed is missing"):
        check_parameters(without)


@pytest.mark.parametrize("search", ["grid", "random"])
def test_halving_works_with_searches_that_do_not_learn(shipped, search):
    halved = changed(changed(shipped, "rating.tuning.halving", True), "rating.tuning.search", search)
    assert check_parameters(halved).rating.tuning.halving is True


def test_halving_with_tpe_is_refused_and_the_allowed_searches_named(shipped):
    halved = changed(changed(shipped, "rating.tuning.halving", True), "rating.tuning.search", "tpe")
    with pytest.raises(UserError, match=r"rating\.tuning is .* but halving goes with search: grid or random"):
        check_parameters(halved)


def test_a_weight_of_0_leaves_a_kind_of_feature_out(shipped):
    assert check_parameters(changed(shipped, "rating.features.year", 0)).rating.features.year == 0


def test_all_wrong_parameters_are_named_at_once(shipped):
    with pytest.raises(UserError, match=r"split\.folds is 1 but .*; eda\.top is 0 but .*"):
        check_parameters(changed(changed(shipped, "split.folds", 1), "eda.top", 0))


@pytest.mark.parametrize("written", ["575 232", "575,232", "575, 232", [575, 232], ["575", "232"]])
def test_identifiers_are_a_list_or_a_string_of_numbers(shipped, written):
    assert check_parameters(changed(shipped, "recommend.user_ids", written)).recommend.user_ids == [575, 232]


def test_a_single_number_is_a_list_of_one(shipped):
    parameters = check_parameters(changed(changed(shipped, "recommend.user_ids", 575), "rating.tuning.grid.rank", 7))
    assert parameters.recommend.user_ids == [575]
    assert parameters.rating.tuning.grid.rank == [7]


def test_grid_combines_each_value_once_from_the_simplest_model_to_the_richest():
    grid = Grid(rank="10 5 10", reg_param=[0.1, 0.4, 0.1], max_iter=[20, 10])
    assert [(c.rank, c.max_iter, c.reg_param) for c in grid.candidates()] == [
        (5, 10, 0.4),
        (5, 10, 0.1),
        (5, 20, 0.4),
        (5, 20, 0.1),
        (10, 10, 0.4),
        (10, 10, 0.1),
        (10, 20, 0.4),
        (10, 20, 0.1),
    ]


def test_baseline_grid_combines_each_damping_once_in_the_order_given():
    grid = BaselineGrid(user_damping="5 2 5", movie_damping=[3, 4, 3.0], taste_reg=8, prior_reg=[10])
    found = [(c.user_damping, c.movie_damping, c.taste_reg, c.prior_reg) for c in grid.bias_candidates()]
    assert found == [(5, 3, None, None), (5, 4, None, None), (2, 3, None, None), (2, 4, None, None)]


def test_baseline_grid_combines_each_damping_and_taste_once_in_the_order_given():
    grid = BaselineGrid(user_damping=[5, 2], movie_damping=3, taste_reg=[8, 12, 8], prior_reg="20 10 20")
    found = [(c.user_damping, c.movie_damping, c.taste_reg, c.prior_reg) for c in grid.taste_candidates()]
    assert found == [
        (5, 3, 8, 20),
        (5, 3, 8, 10),
        (5, 3, 12, 20),
        (5, 3, 12, 10),
        (2, 3, 8, 20),
        (2, 3, 8, 10),
        (2, 3, 12, 20),
        (2, 3, 12, 10),
    ]
