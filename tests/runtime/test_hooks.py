"""Errors that the user can correct are shown as one sentence."""

import pytest
from click import ClickException
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline

from movie_recs.datasets.new_user_csv import NewUserCsv
from movie_recs.errors import UserError
from movie_recs.runtime.failures import LOG
from movie_recs.runtime.hooks import ProjectHooks


def test_a_nodes_error_is_shown_as_its_sentence():
    with pytest.raises(ClickException, match=r"^no ratings$"):
        ProjectHooks().on_pipeline_error(UserError("no ratings"))


def test_so_is_a_datasets_which_dataset_and_catalog_wrap(tmp_path):
    catalog = DataCatalog({"person": NewUserCsv(filepath=str(tmp_path / "none.csv"))})
    with pytest.raises(DatasetError) as wrapped:
        catalog.load("person")
    with pytest.raises(ClickException, match=r"^recommend\.new_user_ratings: .* cannot be read"):
        ProjectHooks().on_pipeline_error(wrapped.value)


def test_so_is_any_other_error(monkeypatch, tmp_path):
    monkeypatch.setenv(LOG, str(tmp_path / "log"))
    with pytest.raises(ClickException, match=r"^ZeroDivisionError: division by zero The full error is in .*log\.$"):
        ProjectHooks().on_pipeline_error(ZeroDivisionError("division by zero"))


def test_a_persons_file_is_read_before_anything_starts(tmp_path):
    catalog = DataCatalog({"new_user_ratings": NewUserCsv(filepath=str(tmp_path / "none.csv"))})
    pipeline = Pipeline([Node(lambda rows: rows, "new_user_ratings", "lists", name="recommend")])
    with pytest.raises(ClickException, match=r"^recommend\.new_user_ratings: .* cannot be read"):
        ProjectHooks().before_pipeline_run(pipeline, catalog)
