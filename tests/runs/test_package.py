"""The package as others install it: a wheel and an archive of the configuration, in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT
from runs.project import RAW

from movie_recs.__main__ import COMMANDS

LISTS = "07_model_output/sample/recommendations.csv"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the unpacked wheel, without the clone around it."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    site = folder / "site-packages"
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", site, source], check=True)
    take_compiled_loops(ROOT / "src", site)
    return site


def take_compiled_loops(clone: Path, site: Path) -> None:
    """What Numba has compiled of the clone serves the same files of the wheel, if they are as old."""
    for index in clone.rglob("__pycache__/*.nbi"):
        folder = site / index.parent.relative_to(clone)
        folder.mkdir(exist_ok=True)
        for file in index.parent.glob("*.nb[ci]"):
            shutil.copy(file, folder)
        module = index.parents[1] / f"{index.name.partition('.')[0]}.py"
        times = module.stat()
        os.utime(site / module.relative_to(clone), ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """The configuration as `kedro package` archives it."""
    path = tmp_path_factory.mktemp("dist") / "conf-movie_recs.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(ROOT / "conf", "conf", filter=lambda each: None if "local/" in each.name else each)
    return path


def movie_recs(site: Path, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, run by the unpacked wheel in a folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MOVIE", "KEDRO"))}
    return subprocess.run(
        [sys.executable, "-m", "movie_recs", *arguments],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(site), "COLUMNS": "1000", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def files_of(folder: Path) -> set[Path]:
    """All files but compiled code, which Python and Numba keep beside its source."""
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


def test_it_recommends_what_the_clone_does_and_writes_below_the_working_folder(
    installed, archive, sample_run, tmp_path
):
    shutil.copytree(sample_run, tmp_path / "data")
    (tmp_path / "data" / LISTS).unlink()
    before = files_of(installed)
    arguments = ["--pipeline=recommend", f"--conf-source={archive}", "--params", "dataset=sample"]
    run = movie_recs(installed, tmp_path, "run", *arguments, MOVIELENS_DIR=str(RAW))
    assert run.returncode == 0, run.stderr
    made, expected = (pd.read_csv(folder / LISTS) for folder in (tmp_path / "data", sample_run))
    pd.testing.assert_frame_equal(made, expected, rtol=1e-9)
    assert files_of(installed) == before
    assert [path.name for path in installed.parent.iterdir() if path.name not in ("source", "site-packages")] == []
    assert {path.name for path in tmp_path.iterdir()} == {"data"}
    # logging.yml and log4j2.properties are in the archive: a line a node, and no word of Spark.
    assert re.search(r"\[ *1/", run.stdout)
    assert "Using Spark's default log4j" not in run.stdout + run.stderr
    assert "Setting default log level" not in run.stdout + run.stderr
    assert "WARN" not in run.stdout + run.stderr


def test_without_a_data_set_a_sentence_names_a_command_that_the_package_has(installed, archive, tmp_path):
    run = movie_recs(installed, tmp_path, "run", f"--conf-source={archive}")
    assert run.returncode == 1
    assert run.stderr.startswith("Error: ")
    assert "run `python -m movie_recs.data.movielens ml-latest-small`" in run.stderr
    assert f"is not in {tmp_path / 'data/01_raw'}" in run.stderr


def test_a_file_may_hold_the_options(installed, archive, tmp_path):
    (tmp_path / "run.yml").write_text("run:\n  params: {dataset: sample, split: {folds: 1}}\n")
    run = movie_recs(installed, tmp_path, "run", f"--conf-source={archive}", "--config=run.yml")
    assert run.stderr == ("Error: Wrong parameters: split.folds is 1 but should be greater than or equal to 2.\n")


def test_the_service_looks_for_models_below_the_working_folder(installed, tmp_path):
    run = movie_recs(installed, tmp_path, "serve")
    assert run.returncode == 1
    assert run.stderr.startswith(f"Error: Which data set? In {tmp_path / 'data'} there are no models")


def test_the_script_is_the_module(installed):
    (entry_points,) = installed.glob("movie_recs-*.dist-info/entry_points.txt")
    assert "movie-recs = movie_recs.__main__:main" in entry_points.read_text()


def test_help_names_the_commands_and_those_their_options(installed, tmp_path):
    assert all(name in movie_recs(installed, tmp_path, "--help").stdout for name in COMMANDS)
    assert "--conf-source" in movie_recs(installed, tmp_path, "run", "--help").stdout
    assert "--port" in movie_recs(installed, tmp_path, "serve", "--help").stdout
