"""Which data set a run is on, and where its raw files are, from any folder."""

import pytest
from click import ClickException
from conftest import ROOT

from movie_recs.runtime.config import ConfigLoader, java_sizes
from movie_recs.settings import CONFIG_LOADER_ARGS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOVIELENS_DIR", raising=False)
    monkeypatch.delenv("MOVIE_RECS_DATA_DIR", raising=False)


def catalog(**parameters) -> dict:
    return ConfigLoader(str(ROOT / "conf"), runtime_params=parameters, **CONFIG_LOADER_ARGS)["catalog"]


def fill(folder):
    folder.mkdir(parents=True)
    for file in ("ratings.csv", "movies.csv", "tags.csv", "links.csv"):
        (folder / file).touch()


@pytest.mark.parametrize("data_dir", [None, "/nowhere/data"])
def test_the_sample_is_found_from_any_folder(monkeypatch, data_dir):
    if data_dir:
        monkeypatch.setenv("MOVIE_RECS_DATA_DIR", data_dir)
    found = catalog(dataset="sample")
    assert found["raw_ratings"]["filepath"] == str(ROOT / "data/01_raw/sample")
    assert found["ratings"]["filepath"] == f"{data_dir or 'data'}/03_primary/sample/ratings"


def test_auto_prefers_movielens(monkeypatch, tmp_path):
    fill(tmp_path / "sets" / "ml-latest-small")
    monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path / "sets"))
    assert catalog()["raw_files"]["name"] == "ml-latest-small"


def test_auto_falls_back_to_the_sample_with_a_warning(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr("movie_recs.runtime.config.PROJECT", tmp_path)
    fill(tmp_path / "data" / "01_raw" / "sample")
    assert catalog()["raw_files"]["name"] == "sample"
    assert "SYNTHETIC" in caplog.text
    assert "make data" in caplog.text


def test_a_data_set_that_is_not_there_is_an_error_that_says_how_to_get_it():
    with pytest.raises(ClickException, match="run `make data DATASET=ml-32m` or set MOVIELENS_DIR"):
        catalog(dataset="ml-32m")


def test_a_remote_data_folder_needs_a_named_data_set(monkeypatch):
    monkeypatch.setenv("MOVIE_RECS_DATA_DIR", "s3a://bucket/data")
    with pytest.raises(ClickException, match="Name it"):
        catalog()
    assert catalog(dataset="ml-32m")["raw_movies"]["filepath"] == "s3a://bucket/data/01_raw/ml-32m"


class TestJavaSizes:
    GIB = 2**30

    def test_small_data_have_one_compiler_a_simple_collector_and_4_gb(self):
        options = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:InitialRAMPercentage=5 -XX:MetaspaceSize=256m"
        assert java_sizes(0, 24 * self.GIB) == {"driver_memory": "4096m", "java_options": options}

    def test_memory_grows_with_the_file_up_to_half_of_the_machine(self):
        sizes = [
            int(java_sizes(megabytes * 2**20, 24 * self.GIB)["driver_memory"][:-1]) for megabytes in (128, 640, 9999)
        ]
        assert sizes == [4096, 8192, 12288]
        assert java_sizes(0, 4 * self.GIB)["driver_memory"] == "2048m"
        assert java_sizes(0, self.GIB)["driver_memory"] == "1024m"

    def test_a_million_ratings_have_both_compilers(self):
        assert java_sizes(25 * 10**6, 24 * self.GIB)["java_options"] == ""

    def test_a_folder_of_parts_is_as_large_as_they_are(self, monkeypatch, tmp_path):
        fill(tmp_path / "sets" / "parts")
        (tmp_path / "sets" / "parts" / "ratings.csv").unlink()
        (tmp_path / "sets" / "parts" / "ratings.csv").mkdir()
        for name in ("part-0.csv", "part-1.csv"):
            (tmp_path / "sets" / "parts" / "ratings.csv" / name).write_bytes(b"x" * 1000)
        monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path / "sets"))
        loader = ConfigLoader(str(ROOT / "conf"), runtime_params={"dataset": "parts"}, **CONFIG_LOADER_ARGS)
        assert loader["spark"]
        assert loader["globals"]["ratings_bytes"] == 2000

    @pytest.mark.parametrize(("dataset", "compilers"), [("sample", 1), ("large", 0), ("missing", 1)])
    def test_they_follow_the_data_set_of_the_run(self, monkeypatch, tmp_path, dataset, compilers):
        fill(tmp_path / "sets" / "large")
        with (tmp_path / "sets" / "large" / "ratings.csv").open("wb") as file:
            file.truncate(2**30)  # takes no space
        monkeypatch.setenv("MOVIELENS_DIR", str(tmp_path / "sets"))
        options = ConfigLoader(str(ROOT / "conf"), runtime_params={"dataset": dataset}, **CONFIG_LOADER_ARGS)["spark"]
        assert options["spark.driver.extraJavaOptions"].count("TieredStopAtLevel") == compilers
        memory = int(options["spark.driver.memory"].removesuffix("m"))
        assert memory > 4096 if dataset == "large" else memory <= 4096


def test_parameters_that_differ_from_the_defaults_are_known_but_for_new_users():
    users = [{"name": "Ada", "ratings": {1: 5}}]
    given = {"dataset": "sample", "split": {"seed": 7}, "recommend": {"new_users": users}}
    loader = ConfigLoader(str(ROOT / "conf"), runtime_params=given, **CONFIG_LOADER_ARGS)
    assert loader["catalog"]["run_facts"]["changed"] == {"dataset": "sample", "split.seed": 7}


def test_on_databricks_data_are_in_a_volume():
    loader = ConfigLoader(
        str(ROOT / "conf"), env="databricks", runtime_params={"dataset": "sample"}, **CONFIG_LOADER_ARGS
    )
    assert loader["catalog"]["ratings"]["filepath"] == "/Volumes/main/default/movie_recs/03_primary/sample/ratings"
