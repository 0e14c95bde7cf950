"""Whatever is written in the place of a parameter, it is accepted, or one sentence says what is wrong with it."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from movie_recs.errors import UserError
from movie_recs.parameters import Parameters, check_parameters
from movie_recs.runtime.config import ConfigLoader
from movie_recs.settings import CONFIG_LOADER_ARGS

SHIPPED = ConfigLoader(str(ROOT / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})["parameters"]
KEYS = st.text(max_size=8) | st.integers() | st.sampled_from(["rank", "grid", "file", "seed", "some", "all", "csv", ""])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**30), 10**30),
    st.none().map(lambda _: 16**5_000),  # as YAML reads 0xfff..., and no text can show
    st.floats(),
    st.text(max_size=20),
    st.text("0123456789 ,.-e", max_size=20),
    st.binary(max_size=4),
    st.dates(),  # which YAML has, too
    st.sampled_from(
        ["nan", "inf", "1e400", "9" * 5000, "all", "grid", "true", "null", "5 10", "{}", "\u2028", "٣", "\ud800"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def places(block: dict[str, Any], *before: str) -> Iterator[tuple[str, ...]]:
    """The path of every parameter and of every block of them."""
    for name, value in block.items():
        yield (*before, name)
        if isinstance(value, dict):
            yield from places(value, *before, name)


SOURCE = {
    "source": {
        "format": "csv",
        "ratings": {"file": "a", "user": "u", "item": "i", "rating": "r", "time": "t"},
        "items": {"file": "b", "item": "i", "title": "n", "flags": {"Drama": 3}},
        "tags": {"file": "c", "user": "u", "item": "i", "tag": "t"},
        "links": {"file": "d", "item": "i", "imdb": "m", "tmdb": "t"},
        "scale": {"least": 1, "most": 10, "step": 1, "liked": 8},
    },
    "recommend": {"new_users": [], "filters": {"genres": [], "first_year": 1990}, "new_user_ratings": "a.csv"},
}
FULL = {**SHIPPED, **{name: {**SHIPPED.get(name, {}), **part} for name, part in SOURCE.items()}}
PLACES = sorted({*places(FULL), ("recommend", "new_users"), ("split", "given"), ("dataset",)})


def changed(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    """All parameters, with this value at a place."""
    parameters = copy.deepcopy(FULL)
    block = parameters
    for name in place[:-1]:
        block = block[name]
    block[place[-1]] = value
    return parameters


def assert_accepted_or_one_sentence(parameters: dict[Any, Any]) -> None:
    try:
        assert isinstance(check_parameters(parameters), Parameters)
    except UserError as error:
        said = str(error)
        assert said.startswith("Wrong parameters: ")
        assert said.endswith(".")
        assert len(said.splitlines()) == 1
        assert len(said) < 2_000


@pytest.mark.parametrize("parameters", [SHIPPED, FULL], ids=["shipped", "full"])
def test_what_the_fuzzing_begins_with_is_accepted(parameters):
    assert isinstance(check_parameters(parameters), Parameters)


@given(place=st.sampled_from(PLACES), value=VALUES)
@settings(max_examples=1_500, derandomize=True, database=None, deadline=None)
def test_any_value_of_a_parameter_is_accepted_or_refused_in_a_sentence(place, value):
    assert_accepted_or_one_sentence(changed(place, value))


@given(place=st.sampled_from(PLACES), key=KEYS, value=VALUES)
@settings(max_examples=250, derandomize=True, database=None, deadline=None)
def test_any_other_key_is_refused_in_a_sentence(place, key, value):
    assert_accepted_or_one_sentence(changed(place, {key: value}))
    assert_accepted_or_one_sentence(changed((*place[:-1], key), value))


@given(parameters=st.dictionaries(st.sampled_from(sorted(SHIPPED)) | KEYS, VALUES, max_size=4))
@settings(max_examples=250, derandomize=True, database=None, deadline=None)
def test_any_parameters_are_refused_in_a_sentence(parameters):
    assert_accepted_or_one_sentence(parameters)
