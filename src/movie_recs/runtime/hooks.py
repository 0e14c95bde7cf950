"""What happens around a run: Spark is configured, parameters and inputs are checked, errors become sentences."""

import atexit
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from click import ClickException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from movie_recs.errors import UserError
from movie_recs.parameters import check_parameters
from movie_recs.runtime.java import find_java, wrap_java

WORKER_DAEMON = "movie_recs.runtime.worker_daemon"


def configure_spark(options: dict[str, Any], conf_dir: Path) -> None:
    """Makes every SparkSession that this process starts have these options; starts none.

    Args:
        options: Spark's configuration properties, as conf/<env>/spark.yml has them; null leaves one to Spark.
        conf_dir: The folder of log4j2.properties, for Spark inside the process; a `SPARK_CONF_DIR` goes before it.

    Raises:
        UserError: A key is no property of Spark, no master is named, or there is no Java.
    """
    for key, value in options.items():
        if not key.startswith("spark.") or isinstance(value, dict | list):
            raise UserError(
                f"conf/*/spark.yml: {key!r} is no Spark property; write them flat, as spark.driver.memory: 4g."
            )
    options = {key: value for key, value in options.items() if value is not None}
    if "spark.master" not in options:
        raise UserError("Which Spark cluster? Set SPARK_MASTER_URL to its master's address, as spark://host:7077.")
    if str(options["spark.master"]).startswith("local"):
        os.environ.setdefault("SPARK_CONF_DIR", str(conf_dir))  # a cluster has a configuration of its own
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # the machine's name may lead nowhere without a network
    else:
        if options.get("spark.python.daemon.module") == WORKER_DAEMON:
            del options["spark.python.daemon.module"]  # this package reaches a worker after its daemon has started
        own_files = options.get("spark.submit.pyFiles")
        options["spark.submit.pyFiles"] = f"{own_files},{_package_archive()}" if own_files else _package_archive()
    arguments = [f"--conf {shlex.quote(f'{key}={_text(value)}')}" for key, value in options.items()]
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join([*arguments, "pyspark-shell"])
    os.environ["JAVA_HOME"] = str(wrap_java(find_java().home))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)


def _package_archive() -> str:
    """This package as a zip file, gone with this process: what Spark sends to workers, which need not have it.

    Functions that run there name it by reference, and so do the values that they share.
    """
    folder = tempfile.mkdtemp(prefix="movie_recs-package-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    package = Path(__file__).parents[1]
    return shutil.make_archive(f"{folder}/{package.name}", "zip", package.parent, package.name)


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
            raise ClickException(str(error)) from error

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Stops a run whose inputs are not there, before Spark starts."""
        missing = [
            name for name in sorted(pipeline.inputs()) if not name.startswith("param") and not catalog.exists(name)
        ]
        if missing:
            places = ", ".join(f"{name} ({_place(catalog, name)})" for name in missing)
            raise ClickException(
                f"Missing: {places}. The raw files come with the data set (make data); "
                "all else is made by the pipelines before this one: run `kedro run` first, with the same dataset."
            )

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """Shows an error that the user can mend as its sentence, without a traceback."""
        if isinstance(error, UserError):
            raise ClickException(str(error)) from error


def _place(catalog: CatalogProtocol, name: str) -> str:
    return str(getattr(catalog.get(name), "_filepath", None) or getattr(catalog.get(name), "_path", "only in memory"))
