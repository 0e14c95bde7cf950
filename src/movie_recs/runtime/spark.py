"""Where Spark runs: inside the process, on a cluster, or behind a Spark Connect server."""

import functools
import importlib.util
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any
from weakref import WeakSet

from pyspark.sql import SparkSession, is_remote

from movie_recs.errors import UserError
from movie_recs.runtime.class_archive import archive_options
from movie_recs.runtime.java import LOG4J, find_java, wrap_java
from movie_recs.runtime.native_algebra import algebra_options
from movie_recs.scratch import scratch_folder

logger = logging.getLogger(__name__)

JAVA_OPTIONS = "spark.driver.extraJavaOptions"
WORKER_DAEMON = "movie_recs.runtime.worker_daemon"
UNIX_SOCKET = "spark.python.unix.domain.socket.enabled"
LONGEST_FOLDER = 60  # characters: a Unix socket's path, with 42 for its name, may have 104
SECRET = re.compile(
    r"secret|password|token|access[.]?key", re.IGNORECASE
)  # in the names of properties, as in Spark's own
SERVER_SECONDS = 30  # to wait for a Spark Connect server; PySpark itself would try for ten minutes

_lock = Lock()  # a thread runner loads several datasets at a time
_connect_options: dict[str, bool | float | int | str | None] = {}  # of the Connect session that `spark_session` creates
_supplied_sessions = WeakSet[SparkSession]()  # Connect sessions whose workers have this package


def configure_spark(options: dict[str, Any], conf_dir: Path) -> None:
    """Sets the options of the SparkSession that this process will start; starts none.

    A session that already exists (in a notebook, on Databricks) keeps its own options.

    Args:
        options: Spark properties as in conf/<env>/spark.yml; null leaves a property to Spark. With the key
            `spark.remote` the session is one of that Spark Connect server, and gets the `spark.sql.*` options only.
        conf_dir: The folder of log4j2.properties for Spark inside the process, unless `SPARK_CONF_DIR` is set.

    Raises:
        UserError: A key is not a Spark property, the address of the cluster or server is missing, or there is no Java.
    """
    for key, value in options.items():
        if not key.startswith("spark.") or isinstance(value, dict | list):
            raise UserError(
                f"conf/*/spark.yml: {key!r} is not a Spark property; write them flat, as spark.driver.memory: 4g."
            )
    if SparkSession.getActiveSession() is not None:
        logger.info("Using the Spark session that already exists; conf/*/spark.yml is not applied to it")
        return
    given = {key: _text(value) for key, value in options.items() if value is not None}
    _connect_options.clear()
    if "spark.remote" in options:
        _configure_connect(given)
    else:
        _configure_classic(given, conf_dir)


def runs_here(options: dict[str, Any]) -> bool:
    """Whether Spark with these options of `configure_spark` runs inside this process."""
    is_local = str(options.get("spark.master")).startswith("local")
    return is_local and not options.get("spark.remote") and not is_remote()


def spark_session() -> SparkSession:
    """The current SparkSession; the first call starts it. Over Spark Connect, its workers have this package.

    Raises:
        UserError: The Spark Connect server does not answer.
    """
    with _lock:
        session = SparkSession.getActiveSession()
        if session is None:
            if (address := os.environ.get("SPARK_REMOTE", "")).startswith("sc://"):
                _wait_for_server(address)
            with _interrupt_afterwards():
                session = SparkSession.builder.config(map=_connect_options).getOrCreate()
        if is_remote() and _is_package_sent() and session not in _supplied_sessions:
            session.addArtifacts(_package_archive(), pyfile=True)
            _supplied_sessions.add(session)
    return session


@contextmanager
def _interrupt_afterwards() -> Iterator[None]:
    """Ctrl-C waits until Java has started, the second one does not.

    Otherwise Java prints a traceback, as PySpark removes a folder that it needs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    earlier = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is remember:  # else PySpark has set its own, which stops Spark's jobs
            signal.signal(signal.SIGINT, earlier)
    if pressed:
        raise KeyboardInterrupt


def _configure_classic(options: dict[str, str], conf_dir: Path) -> None:
    if "spark.master" not in options:
        raise UserError("Which Spark cluster? Set SPARK_MASTER_URL to its master's address, as spark://host:7077.")
    if options["spark.master"].startswith("local"):
        java = options.get(JAVA_OPTIONS, "")
        options[JAVA_OPTIONS] = " ".join([java, algebra_options(java), archive_options(), _logging(conf_dir)])
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # without a network the host name may not resolve
        for name in ("SPARK_HOME", "PYSPARK_PYTHON"):  # of another Spark, or of a Python without these packages
            if (value := os.environ.pop(name, None)) not in (None, sys.executable):
                logger.info("%s=%s is ignored: Spark inside this process uses its own", name, value)
        if len(str(scratch_folder())) > LONGEST_FOLDER:
            options[UNIX_SOCKET] = "false"
    else:
        if options.get("spark.python.daemon.module") == WORKER_DAEMON:
            del options["spark.python.daemon.module"]  # this package reaches a worker after its daemon has started
        if _is_package_sent():
            own_files = options.get("spark.submit.pyFiles")
            options["spark.submit.pyFiles"] = f"{own_files},{_package_archive()}" if own_files else _package_archive()
        _check_secret(options)
    if os.environ.pop("SPARK_REMOTE", None):  # PySpark would prefer it to the master
        logger.warning("SPARK_REMOTE is ignored: this run uses %s (--env=connect uses it)", options["spark.master"])
    secrets = {key: options.pop(key) for key in list(options) if SECRET.search(key)}
    arguments = [f"--conf {shlex.quote(f'{key}={value}')}" for key, value in options.items()]
    if secrets:  # an argument is seen by all users of this machine
        arguments.append(f"--load-spark-defaults --properties-file {shlex.quote(_private_file(secrets))}")
    os.environ["PYSPARK_SUBMIT_ARGS"] = " ".join([*arguments, "pyspark-shell"])
    os.environ["JAVA_HOME"] = str(wrap_java(find_java().home))
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    _silence_accumulators()


def _logging(conf_dir: Path) -> str:
    """Java's option for log4j2.properties. SPARK_CONF_DIR would do, but forbids an archive of classes."""
    file = conf_dir / LOG4J
    is_own = "SPARK_CONF_DIR" not in os.environ and file.exists()
    return f"-Dlog4j2.configurationFile={file.resolve().as_uri()}" if is_own else ""


def _silence_accumulators() -> None:
    """Without PySpark's traceback when Java, which sends accumulators' values, ends before this process."""
    from pyspark import accumulators

    for server in (accumulators.AccumulatorTCPServer, accumulators.AccumulatorUnixServer):
        server.handle_error = lambda *_: None  # type: ignore[method-assign]


def _check_secret(options: dict[str, str]) -> None:
    is_wanted = options["spark.master"].startswith("spark:") and options.get("spark.authenticate", "").lower() == "true"
    if is_wanted and not options.get("spark.authenticate.secret"):
        raise UserError(
            "Which secret does the cluster have? Set SPARK_AUTH_SECRET to spark.authenticate.secret of its master and "
            "workers, or SPARK_AUTHENTICATE=false if they have none."
        )


def _private_file(properties: dict[str, str]) -> str:
    """The path of a file with these properties, which this user alone can read; removed when this process ends."""
    path = scratch_folder() / "spark.properties"
    escaped = {key: value.replace("\\", "\\\\") for key, value in properties.items()}
    path.write_text("".join(f"{key}={value}\n" for key, value in escaped.items()), encoding="utf-8")
    return str(path)


def _configure_connect(options: dict[str, str]) -> None:
    address = options.get("spark.remote", "")
    if not address.startswith("sc://"):
        raise UserError("Which Spark Connect server? Set SPARK_REMOTE to its address, as sc://host:15002.")
    if importlib.util.find_spec("grpc") is None:
        raise UserError('Spark Connect needs gRPC: pip install "pyspark[connect]".')
    os.environ["SPARK_REMOTE"] = address  # PySpark and kedro-datasets read it
    _connect_options.update({key: value for key, value in options.items() if key.startswith("spark.sql.")})


def _wait_for_server(address: str) -> None:
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder

    builder = DefaultChannelBuilder(address)
    logger.info("Spark Connect at %s", builder.endpoint)  # the address may hold a token
    with builder.toChannel() as channel:
        try:
            grpc.channel_ready_future(channel).result(SERVER_SECONDS)
        except grpc.FutureTimeoutError as error:
            raise UserError(
                f"No Spark Connect server answers at {builder.endpoint}: start it, or correct SPARK_REMOTE."
            ) from error


def _is_package_sent() -> bool:
    """False if workers have the package installed: they keep the machine code of its loops from run to run."""
    return os.environ.get("MOVIE_RECS_SEND_PACKAGE", "yes") != "no"


@functools.cache
def _package_archive() -> str:
    """The path of this package as a zip file.

    Spark sends it to workers, which need not have the package: their functions are pickled by reference.
    """
    folder = scratch_folder() / "package"
    package = Path(__file__).parents[1]
    shutil.copytree(package, folder / "source" / package.name, ignore=shutil.ignore_patterns("__pycache__"))
    return shutil.make_archive(f"{folder}/{package.name}", "zip", folder / "source")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
