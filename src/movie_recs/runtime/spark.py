"""How Spark is configured: inside the process, or on a cluster."""

import atexit
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from movie_recs.errors import UserError
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
