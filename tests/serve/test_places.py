"""The service looks where the catalog puts things, and starts without Spark."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from movie_recs.serve.places import Places


@pytest.fixture(scope="module")
def catalog() -> dict[str, str]:
    """The path of each entry, with variables."""
    entries: dict[str, dict] = {}
    for path in sorted((ROOT / "conf" / "base").glob("catalog*.yml")):
        entries |= yaml.safe_load(path.read_text(encoding="utf-8"))
    variables = {name: value for name, value in entries.items() if name.startswith("_") and isinstance(value, str)}
    found = {
        name: value["filepath"] for name, value in entries.items() if isinstance(value, dict) and "filepath" in value
    }
    for name, path in found.items():
        for variable, value in variables.items():
            path = path.replace(f"${{{variable}}}", value)
        found[name] = path.replace("${globals:data_dir}", "data").replace("${globals:dataset}", "small")
    return found


def test_places_are_those_of_the_catalog(catalog):
    places = Places(Path("data"), "small")
    expected = {
        "ratings": places.table("ratings"),
        "movies": places.table("movies"),
        "data_summary": places.data_summary,
        "report_html": places.report,
        **{
            f"{objective}.{model}": places.model(objective, model)
            for objective in ("rating", "ranking")
            for model in ("factor_model", "als_model")
        },
    }
    assert {name: Path(catalog[name]) for name in expected} == expected
    assert Path(catalog["{side}_ids"].replace("{side}", "user")) == places.table("user_ids")


def test_the_service_needs_neither_spark_nor_kedro():
    code = "import sys, movie_recs.__main__, movie_recs.serve.web.app, movie_recs.serve.warm\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "fastapi"} <= set(loaded)
    packages = {module.split(".")[0] for module in loaded}
    assert packages & {"pyspark", "py4j", "kedro", "kedro_datasets", "plotly", "optuna"} == set()
