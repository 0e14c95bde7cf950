"""The notebook, executed on the results of a whole run."""

from html import unescape

import nbformat
import pandas as pd
from conftest import ROOT
from nbclient import NotebookClient
from runs.project import LADDER, RANKINGS, RAW


def test_the_notebook_shows_all_results_from_the_catalog(sample_run, monkeypatch):
    monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(sample_run))
    monkeypatch.setenv("MOVIELENS_DIR", str(RAW))
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    notebook = nbformat.read(ROOT / "notebooks" / "explore.ipynb", as_version=4)
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"] * 10 + ["markdown"]
    code = notebook.cells[1::2]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    assert {output.get("name") for cell in code for output in cell.outputs} <= {None, "stdout"}
    bundles = [[output.data for output in cell.outputs if "data" in output] for cell in code]
    shown = [" ".join(data.get("text/html", "") for data in each) for each in bundles]
    assert ["application/vnd.plotly.v1+json" in data for each in bundles for data in each].count(True) == 8
    assert "SYNTHETIC" in shown[0]
    assert ">sample<" in shown[1]
    assert all(f">{model}<" in shown[5] for model in LADDER)
    assert all(f">{model}<" in shown[6] for model in RANKINGS)
    lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
    assert lists["title"].map(lambda title: f">{title}<" in unescape(shown[7])).all()
    assert "999999" in shown[8]
    assert (sample_run / "08_reporting/sample/report.html").as_uri() in code[9].outputs[0].text
