"""What happens around a run: Spark is configured, parameters and inputs are checked, errors become sentences."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from kedro.framework.cli.utils import KedroCliError
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from movie_recs.errors import UserError
from movie_recs.java import find_java
from movie_recs.parameters import check_parameters


def configure_spark(options: dict[str, Any], conf_dir: Path) -> None:
    """Makes every SparkSession that this process starts have these options; starts none.

    Args:
        options: Spark's configuration properties, as conf/<env>/spark.yml has them.
        conf_dir: The folder of log4j2.properties; a `SPARK_CONF_DIR` that is set goes before it.

    Raises:
        UserError: A key is no property of Spark, or there is no Java.
    """
    for key, value in options.items():
        if not key.startswith("spark.") or isinstance(value, dict | list):
            raise UserError(
                f"conf/*/spark.yml: {key!r} is no Spark property; write them flat, as spark.driver.memory: 4g."
            )
    arguments = [f"--conf {shlex.quote(f'{key}={_text(value)}')}" for key, value in options.items()]
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join([*arguments, "pyspark-shell"])
    os.environ.setdefault("SPARK_CONF_DIR", str(conf_dir))
    os.environ["JAVA_HOME"] = str(find_java().home)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class ProjectHooks:
    """The hooks of this project, in the order in which they run."""

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Checks all parameters and configures Spark, before anything is read or started."""
        try:
            check_parameters(context.config_loader["parameters"])
            configure_spark(context.config_loader["spark"], Path(context.config_loader.conf_source) / "base")
        except UserError as error:
            raise KedroCliError(str(error)) from error

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Stops a run whose inputs are not there, before Spark starts."""
        missing = [
            name for name in sorted(pipeline.inputs()) if not name.startswith("param") and not catalog.exists(name)
        ]
        if missing:
            places = ", ".join(f"{name} ({_place(catalog, name)})" for name in missing)
            raise KedroCliError(
                f"There is no {places}. Files of 01_raw come with the data set (make data); "
                "all else is made by the pipelines before this one: run `kedro run` first, with the same dataset."
            )

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Shows an error that the user can mend as its sentence, without a traceback."""
        if isinstance(error, UserError):
            raise KedroCliError(str(error)) from error


def _place(catalog: CatalogProtocol, name: str) -> str:
    return str(
        getattr(catalog.get(name), "_filepath", None) or getattr(catalog.get(name), "_path", "not in the catalog")
    )
