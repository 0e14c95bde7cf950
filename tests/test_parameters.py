"""Parameters: the shipped ones are valid, and each wrong one is named with its value and what is allowed."""

import copy
from pathlib import Path

import pytest

from movie_recs.config import ConfigLoader
from movie_recs.errors import UserError
from movie_recs.parameters import AlsParameters, Grid, check_parameters
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
    assert AlsParameters(rank=5, reg_param=0.1, max_iter=10) in parameters.rating.tuning.grid.candidates()
    assert parameters.rating.evaluation.reference == AlsParameters(rank=5, reg_param=0.1, max_iter=10)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rating.evaluation.reference.rank", -3, "rank is -3 but should be greater than or equal to 1"),
        ("rating.tuning.grid.rank", [5, -3], "rating.tuning.grid.rank is -3 but should be greater than or equal to 1"),
        ("rating.tuning.grid.rank", [], "rating.tuning.grid.rank is [] but List should have at least 1 item"),
        ("rating.tuning.grid.max_iter", "", "rating.tuning.grid.max_iter is [] but List should have at least 1 item"),
        ("rating.tuning.grid.reg_param", [-0.1], "reg_param is -0.1 but should be greater than or equal to 0"),
        ("rating.tuning.grid.reg_param", [float("inf")], "reg_param is inf but should be a finite number"),
        ("rating.tuning.grid.reg_param", "0.1 nan", "reg_param is 'nan' but should be a finite number"),
        ("rating.evaluation.reference.reg_param", float("inf"), "reg_param is inf but should be a finite number"),
        ("rating.tuning.parallelism", "many", "rating.tuning.parallelism is 'many' but should be a valid integer"),
        ("eda.damping", float("inf"), "eda.damping is inf but should be a finite number"),
        ("eda.top", 2.5, "eda.top is 2.5 but should be a valid integer"),
        ("split.folds", 1, "split.folds is 1 but should be greater than or equal to 2"),
        ("split.test_fraction", 1.0, "split.test_fraction is 1.0 but should be less than 1"),
        ("split.test_fraction", float("nan"), "split.test_fraction is nan but should be"),
        ("data_processing.max_bad_rows", 1.5, "max_bad_rows is 1.5 but should be less than or equal to 1"),
        ("recommend.user_ids", [3_000_000_000], "is 3000000000 but should be less than or equal to 2147483647"),
        ("recommend.user_ids", "575 two", "recommend.user_ids is 'two' but should be a valid integer"),
        ("recommend.movie_ids", 0, "recommend.movie_ids is 0 but should be greater than or equal to 1"),
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
        ("splitt", "splitt is no parameter (there are dataset, data_processing, split, eda, rating, recommend)"),
        ("split.fold", "split.fold is no parameter (there are test_fraction, folds, seed)"),
        ("rating.tuning.grid.ranks", "grid.ranks is no parameter (there are rank, reg_param, max_iter)"),
    ],
)
def test_a_misspelt_key_is_named_with_the_ones_there_are(shipped, name, said):
    with pytest.raises(UserError) as error:
        check_parameters(changed(shipped, name, 1))
    assert said in str(error.value)


def test_a_missing_key_is_named(shipped):
    without = copy.deepcopy(shipped)
    del without["split"]["seed"]
    with pytest.raises(UserError, match=r"split\.seed is missing"):
        check_parameters(without)


def test_all_wrong_parameters_are_named_at_once(shipped):
    with pytest.raises(UserError, match=r"split\.folds is 1 but .*; eda\.top is 0 but .*"):
        check_parameters(changed(changed(shipped, "split.folds", 1), "eda.top", 0))


@pytest.mark.parametrize("written", ["575 232", "575,232", "575, 232", [575, 232], ["575", "232"]])
def test_identifiers_are_a_list_or_a_text_of_numbers(shipped, written):
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
