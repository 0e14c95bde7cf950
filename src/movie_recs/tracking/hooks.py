"""What a run logs to the MLflow run that kedro-mlflow opens and closes: parameters, metrics, figures, page, models."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
from kedro.config import AbstractConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

from movie_recs.report.page import flatten
from movie_recs.saved_models import newest_version
from movie_recs.serve.places import OBJECTIVES, Places
from movie_recs.tracking.recommender import log_recommender

logger = logging.getLogger(__name__)

LONGEST = 6_000  # characters of a parameter's value
PEOPLE = "recommend.new_users"  # whose ratings are nobody else's concern
TEXTS = {"report_html": "report.html", "model_card": "model_card.md"}
FIGURE = "_plot"  # end of a figure's name in the catalog


class TrackingHooks(MlflowHook):
    """kedro-mlflow's hooks, which open and close the MLflow run, and what this project logs to it."""

    _config: AbstractConfigLoader
    _project: Path

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Opens the tracking, by default a database in the data folder, and keeps what names parameters and folders."""
        self._config, self._project = context.config_loader, Path(context.project_path)
        data_dir = str(self._config["globals"]["data_dir"])
        if "://" not in data_dir:
            (self._project / data_dir).mkdir(parents=True, exist_ok=True)
        super().after_context_created(context)

    @hook_impl(trylast=True)  # after the checks of what a run needs
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Opens the run, and logs all parameters by their names with dots."""
        super().before_pipeline_run(run_params, pipeline, catalog)
        if mlflow.active_run():
            parameters = {**self._config["parameters"], "dataset": self._config["globals"]["dataset"]}
            mlflow.log_params({name: text[:LONGEST] for name, text in flatten(parameters) if name != PEOPLE})

    @hook_impl
    def before_node_run(self) -> None:
        """Logs nothing, as all parameters are logged already."""

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Logs the metrics of both objectives, each figure, the page and the model card."""
        if not mlflow.active_run():
            return
        if dataset_name == "metrics":
            mlflow.log_metrics(dict(_measures(data)))
            mlflow.log_dict(data, "metrics.json")
        elif dataset_name in TEXTS:
            mlflow.log_text(data, TEXTS[dataset_name])
        elif dataset_name.endswith(FIGURE):
            mlflow.log_figure(data, f"figures/{dataset_name.removesuffix(FIGURE)}.html")

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Logs the models that this run has fitted, as one that answers without Spark, and closes the run."""
        self._log_models(pipeline)
        super().after_pipeline_run(run_params, pipeline, catalog)

    def _log_models(self, pipeline: Pipeline) -> None:
        made = {f"{objective}.factor_model" for objective in OBJECTIVES} & pipeline.all_outputs()
        if not mlflow.active_run() or not made:
            return
        data_dir = str(self._config["globals"]["data_dir"])
        if "://" in data_dir:
            logger.warning("The models are not logged to MLflow: their folder %s is remote", data_dir)
            return
        places = Places(self._project / data_dir, str(self._config["globals"]["dataset"]))
        if newest_version(places.model("ranking")):
            log_recommender(places)


def _measures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """`rating/rmse` and the like of the winners, and `rating/<model>/rmse` of each model."""
    for objective in (name for name in OBJECTIVES if name in metrics):
        winner = metrics[objective]["best_params"]["model"]
        for row in metrics[objective]["models"]:
            for name, value in row.items():
                if isinstance(value, int | float):
                    yield f"{objective}/{row['model']}/{name}", value
                    if row["model"] == winner:
                        yield f"{objective}/{name}", value
