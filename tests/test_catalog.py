"""The catalog as kedro-viz shows it: every dataset has a layer, and all that can be shown has a preview."""

from functools import partial

import pytest
from conftest import ROOT
from kedro.io import AbstractDataset, DataCatalog, MemoryDataset

from movie_recs.datasets.models import ALSModelDataset, FactorModelDataset
from movie_recs.datasets.source_table import SourceTable
from movie_recs.datasets.spark_table import SparkTable
from movie_recs.pipeline_registry import register_pipelines
from movie_recs.pipelines import evaluation, recommend, tuning
from movie_recs.runtime.config import ConfigLoader
from movie_recs.settings import CONFIG_LOADER_ARGS

LAYERS = ["raw", "intermediate", "primary", "model_input", "models", "model_output", "reporting"]
WITHOUT_PREVIEW = {
    "source",
    "raw_files",
    "run_facts",
    "report_html",
    "model_card",
    "rating.finished_trials",
    "ranking.finished_trials",
    "plain_ratings",
    "plain_movies",
    "plain_links",
    "snapshot",
}
PIPELINE = register_pipelines()["__default__"]
REFRESH = register_pipelines()["refresh"]


@pytest.fixture(scope="module")
def datasets() -> dict[str, AbstractDataset]:
    loader = ConfigLoader(str(ROOT / "conf"), runtime_params={"dataset": "sample"}, **CONFIG_LOADER_ARGS)
    catalog = DataCatalog.from_config(loader["catalog"])
    names = PIPELINE.datasets() | REFRESH.datasets()
    return {name: catalog.get(name) for name in sorted(names) if not name.startswith("param")}


def layer(dataset: AbstractDataset) -> str | None:
    return (dataset.metadata or {}).get("kedro-viz", {}).get("layer")


def test_every_dataset_has_a_layer(datasets):
    assert {name: layer(dataset) for name, dataset in datasets.items() if layer(dataset) not in LAYERS} == {}


def test_no_node_leads_back_to_an_earlier_layer(datasets):
    for node in [*PIPELINE.nodes, *REFRESH.nodes]:
        before, after = (
            [LAYERS.index(layer(datasets[name])) for name in names if name in datasets]
            for names in (node.inputs, node.outputs)
        )
        assert max(before) <= min(after), node.name


def test_no_box_of_a_pipeline_leads_back_to_an_earlier_layer(datasets):
    """As kedro-viz shows a pipeline that is folded: all that it reads before all that it makes."""
    before, after = (
        [LAYERS.index(layer(datasets[name])) for name in names if name in datasets]
        for names in (REFRESH.inputs(), REFRESH.all_outputs())
    )
    assert max(before) <= min(after)


def test_every_table_figure_and_summary_has_a_preview(datasets):
    not_shown = {name for name, dataset in datasets.items() if not hasattr(dataset, "preview")}
    expected = {name for name in datasets if isinstance(datasets[name], MemoryDataset | ALSModelDataset)}
    assert not_shown == expected | WITHOUT_PREVIEW


def test_a_refresh_reads_and_writes_without_spark(datasets):
    used = [datasets[name] for name in REFRESH.datasets() if name in datasets]
    assert len(used) > 20
    assert [each for each in used if isinstance(each, SparkTable | SourceTable | FactorModelDataset)] == []


def test_a_refresh_writes_where_the_pipelines_read(datasets):
    """Each of its outputs is where the other pipelines and the service have the dataset of that name."""
    places = {
        name: str(getattr(dataset, "_filepath", None) or getattr(dataset, "_path", ""))
        for name, dataset in datasets.items()
    }
    for name in ("movies", "user_ids", "movie_ids", "ratings", "data_summary", "recommendations"):
        assert places[f"refreshed.{name}"] == places[name]
        assert places[f"known.{name}"] == places[name]
    for objective in ("ranking", "rating"):
        for kind in ("known", "refreshed"):
            assert places[f"{kind}.{objective}_model"] == places[f"{objective}.factor_model"]
    assert places["refreshed.recommendations_csv"] == places["recommendations_csv"]
    assert places["known.set_aside"] == places["set_aside"]


def test_the_graph_folds_into_one_box_per_objective_and_pipeline():
    assert {node.namespace.split(".")[0] for node in PIPELINE.nodes} == {
        *("data_processing", "eda", "rating", "ranking", "metrics", "recommend", "reporting")
    }
    for objective in ("rating", "ranking"):
        inner = {node.namespace for node in PIPELINE.only_nodes_with_namespaces([objective]).nodes}
        assert inner == {f"{objective}.tuning", f"{objective}.evaluation"}


@pytest.mark.parametrize("has_ratings", [True, False])
def test_a_second_stage_adds_one_fit_and_its_model_to_what_lists_need(has_ratings):
    for create in (partial(tuning.create_pipeline, "ranking"), evaluation.create_pipeline, recommend.create_pipeline):
        plain, reranked = create(has_ratings), create(has_ratings, True)
        added = {node.name for node in reranked.nodes} - {node.name for node in plain.nodes}
        fits = {"ranking.tuning.fit_second_stage"}
        assert added == (fits if fits <= {node.name for node in reranked.nodes} else set())
        assert "ranking.reranker" in reranked.datasets() - plain.datasets()


def test_the_second_stages_model_has_a_layer_and_a_preview():
    loader = ConfigLoader(str(ROOT / "conf"), runtime_params={"dataset": "sample"}, **CONFIG_LOADER_ARGS)
    reranker = DataCatalog.from_config(loader["catalog"]).get("ranking.reranker")
    assert layer(reranker) == "models"
    assert hasattr(reranker, "preview")
