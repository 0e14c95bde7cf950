"""Before and after a run: configures Spark, checks parameters and inputs, turns errors into sentences."""

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from click import ClickException
from kedro.config import AbstractConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import configure_logging
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.utils import find_config_file

from movie_recs.errors import UserError
from movie_recs.parameters import check_parameters
from movie_recs.ranking.rerank.lambdamart import load_lightgbm
from movie_recs.runtime.config import LONG, ConfigLoader
from movie_recs.runtime.failures import as_sentence, begin_log
from movie_recs.runtime.lock import RunLock
from movie_recs.runtime.needs import check_room
from movie_recs.runtime.objectives import Parts, use_parts
from movie_recs.runtime.runner import choose_nodes_at_a_time, run_nodes_at_a_time
from movie_recs.runtime.spark import configure_spark, runs_here
from movie_recs.threads import use_one_blas_thread

logger = logging.getLogger(__name__)

IN_MEMORY = "only in memory"


class ProjectHooks:
    """The hooks of this project, in the order in which Kedro calls them."""

    def __init__(self) -> None:
        self._lock = RunLock()
        self._config: AbstractConfigLoader | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Configures logging and Spark, and checks all parameters, before anything is read or started."""
        config = cast(ConfigLoader, context.config_loader)
        _configure_logging(config)
        try:
            parameters = check_parameters(config["parameters"])
            if parameters.ranking.rerank:
                load_lightgbm()
            source = parameters.source
            configure_spark(config["spark"], config.spark_conf_dir())
        except UserError as error:
            raise ClickException(str(error)) from error
        self._config = config
        begin_log(str(config["globals"]["data_dir"]))
        are_events = source.ratings is not None and source.ratings.are_events
        if are_events:
            logger.info("The data are events without ratings, so the objective `rating` is left out")
        use_parts(Parts(not are_events, parameters.ranking.rerank))
        is_tracked = find_spec("kedro_mlflow") is not None
        here = are_small(config), runs_here(config["spark"]), is_tracked
        run_nodes_at_a_time(choose_nodes_at_a_time(parameters.nodes_at_a_time, *here))

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Stops a run whose inputs do not exist, or whose outputs cannot be written, before Spark starts."""
        try:
            for name in sorted(pipeline.inputs()):
                getattr(catalog.get(name), "check", lambda: None)()
        except UserError as error:
            raise ClickException(str(error)) from error
        missing = [
            name for name in sorted(pipeline.inputs()) if not name.startswith("param") and not catalog.exists(name)
        ]
        if missing:
            places = ", ".join(f"{name} ({_place(catalog, name)})" for name in missing)
            raise ClickException(
                f"Missing: {places}. The raw files come with the data set (make data); "
                "everything else is made by earlier pipelines: run `kedro run` first, with the same data set."
            )

        try:
            if self._config is not None:
                places = self._config["globals"]
                if "://" not in str(places["data_dir"]):
                    folders = [Path(_place(catalog, name)).parent for name in _saved(pipeline, catalog)]
                    check_room(folders, [node.name for node in pipeline.nodes], places.get("ratings_bytes", 0))
                self._lock.take(str(places["data_dir"]), str(places.get("dataset")))
                if are_small(self._config):
                    use_one_blas_thread()
        except UserError as error:
            raise ClickException(str(error)) from error

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Another run may use the results now."""
        self._lock.free()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Shows an error as one sentence, without a traceback, whatever the session."""
        self._lock.free()
        raise as_sentence(error) from error


def are_small(config: AbstractConfigLoader) -> bool:
    """Whether the ratings are known to be so few that a run takes minutes at most."""
    return 0 < config["globals"].get("ratings_bytes", 0) < LONG


def _configure_logging(config: ConfigLoader) -> None:
    """Applies the logging.yml of a configuration that is not in the working folder, where Kedro looks for it."""
    is_found_by_kedro = os.environ.get("KEDRO_LOGGING_CONFIG") or find_config_file("conf/logging")
    if not is_found_by_kedro and (settings := config.logging()):
        configure_logging(settings)


def _saved(pipeline: Pipeline, catalog: CatalogProtocol) -> list[str]:
    """The outputs that are not only in memory."""
    return [name for name in pipeline.all_outputs() if _place(catalog, name) != IN_MEMORY]


def _place(catalog: CatalogProtocol, name: str) -> str:
    return str(getattr(catalog.get(name), "_filepath", None) or getattr(catalog.get(name), "_path", IN_MEMORY))
