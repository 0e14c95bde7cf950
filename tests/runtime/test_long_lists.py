"""A long list of new users in a parameters file is what OmegaConf would have read, and overridden as ever."""

import pytest
from conftest import ROOT
from omegaconf import OmegaConf

from movie_recs.runtime import long_lists
from movie_recs.runtime.config import ConfigLoader
from movie_recs.settings import CONFIG_LOADER_ARGS

USERS = """
    - name: Ada
      ratings: {Toy Story (1995): 5, 318: 4.5, 2012-01-01: 3}
    - name: 'Grace: "H"'
      ratings:
        "1984": 1   # a title
        Léon: 0.5
"""
TEXTS = [
    f"dataset: sample\nrecommend:\n  top_n: 3\n  new_users:{USERS}\n  movie_ids: [7]\neda:\n  top: 4\n",
    f"recommend:\n  new_users:{USERS}",
    "recommend: {new_users: [{name: Ada, ratings: {318: 5}}], top_n: 3}\n",
    "recommend:\n  new_users:\n  - name: Ada\n    ratings: {}\ndataset: sample\n",
    "recommend:\n  new_users: []\n",
    "recommend:\n  new_users: null\n",
    "recommend: null\n",
    "eda: {top: 3}\n",
    "dataset: sample\nrecommend:\n  new_users:\n    - name: ${dataset}\n      ratings: {}\n",
]


@pytest.fixture
def load(tmp_path, monkeypatch):
    """The parameters of a project with this text in conf/local, and these on the command line."""
    monkeypatch.setattr(long_lists, "LONG", 0)
    for env in ("base", "local"):
        (tmp_path / env).mkdir()
    (tmp_path / "base" / "parameters.yml").write_text("recommend: {new_users: [{name: Bo, ratings: {}}], top_n: 10}\n")

    def load_text(text, **parameters) -> dict:
        (tmp_path / "local" / "parameters.yml").write_text(text, encoding="utf-8")
        return ConfigLoader(str(tmp_path), runtime_params=parameters, **CONFIG_LOADER_ARGS)["parameters"]

    return load_text


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_what_omegaconf_would_have_read(load, text):
    expected = OmegaConf.to_container(OmegaConf.create(text), resolve=True)
    found = load(text)
    for name, value in (expected["recommend"] or {}).items() if "recommend" in expected else ():
        assert found["recommend"][name] == value
    if expected.get("recommend", 0) is None:
        assert found["recommend"] is None
    assert {name: found[name] for name in expected if name != "recommend"} == {
        name: value for name, value in expected.items() if name != "recommend"
    }


def test_without_one_in_conf_local_that_of_conf_base_stays(load):
    assert load("recommend: {top_n: 3}\n")["recommend"] == {"new_users": [{"name": "Bo", "ratings": {}}], "top_n": 3}


def test_the_command_line_goes_before_it(load):
    assert load(TEXTS[0], recommend={"new_users": []})["recommend"]["new_users"] == []


def test_a_file_that_is_no_yaml_is_left_to_kedro(load):
    with pytest.raises(Exception, match="unable to read line"):
        load("recommend: {new_users: [")


def test_short_files_are_passed_on_as_they_are():
    filesystem = long_lists.LongLists(ConfigLoader(str(ROOT / "conf"), **CONFIG_LOADER_ARGS)._fs.filesystem)
    path = ROOT / "conf/base/parameters.yml"
    assert filesystem.open(str(path)).read() == path.read_bytes()
