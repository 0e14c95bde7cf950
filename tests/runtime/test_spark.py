"""The configuration that Spark starts with, without starting it."""

import os
import shlex
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from movie_recs.errors import UserError
from movie_recs.runtime import spark
from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.spark import WORKER_DAEMON, configure_spark, spark_session
from movie_recs.settings import CONFIG_LOADER_ARGS

DAEMON = "spark.python.daemon.module"
BASE = ROOT / "conf" / "base"


@pytest.fixture(autouse=True)
def no_session(monkeypatch):
    """As in a new process, whatever the other tests have started."""
    monkeypatch.setattr(spark.SparkSession, "getActiveSession", lambda: None)
    monkeypatch.setattr(spark, "_connect_options", {})
    monkeypatch.setattr(os, "environ", {**os.environ})
    for name in ("SPARK_REMOTE", "PYSPARK_SUBMIT_ARGS"):
        os.environ.pop(name, None)


@pytest.fixture
def no_java(monkeypatch):
    def refuse():
        raise AssertionError("Java was looked for")

    monkeypatch.setattr(spark, "find_java", refuse)


def options_of(env: str) -> dict:
    return ConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)["spark"]


@pytest.mark.parametrize(
    ("master", "daemon", "is_named"),
    [
        ("local[2]", WORKER_DAEMON, True),
        ("spark://host:7077", WORKER_DAEMON, False),  # the package reaches a worker after its daemon has started
        ("spark://host:7077", "site.daemon", True),
    ],
)
def test_workers_have_this_packages_daemon_only_where_it_is_installed(master, daemon, is_named):
    configure_spark({"spark.master": master, DAEMON: daemon}, BASE)
    assert (f"{DAEMON}={daemon}" in os.environ["PYSPARK_SUBMIT_ARGS"]) == is_named


@pytest.mark.parametrize("options", [{"sprak.master": "local"}, {"spark.sql": {"ansi.enabled": True}}])
def test_a_key_that_spark_does_not_know_is_an_error(options):
    with pytest.raises(UserError, match=r"is not a Spark property; write them flat"):
        configure_spark(options, BASE)


def test_a_cluster_without_an_address_is_an_error():
    with pytest.raises(UserError, match="Set SPARK_MASTER_URL"):
        configure_spark(options_of("cluster"), BASE)


def test_a_standalone_cluster_has_a_secret_or_is_said_to_have_none():
    os.environ["SPARK_MASTER_URL"] = "spark://host:7077"
    with pytest.raises(UserError, match=r"Set SPARK_AUTH_SECRET .* or SPARK_AUTHENTICATE=false"):
        configure_spark(options_of("cluster"), BASE)
    os.environ["SPARK_AUTHENTICATE"] = "false"
    configure_spark(options_of("cluster"), BASE)
    assert "spark.authenticate=false" in os.environ["PYSPARK_SUBMIT_ARGS"]


def test_a_secret_is_in_a_file_of_this_user_alone_and_no_argument():
    os.environ |= {"SPARK_MASTER_URL": "spark://host:7077", "SPARK_AUTH_SECRET": "back\\slash"}
    configure_spark(options_of("cluster"), BASE)
    arguments = shlex.split(os.environ["PYSPARK_SUBMIT_ARGS"])
    assert not [argument for argument in arguments if "slash" in argument]
    assert {"spark.authenticate=true", "spark.network.crypto.enabled=true", "spark.io.encryption.enabled=true"} <= {
        *arguments
    }
    path = Path(arguments[arguments.index("--properties-file") + 1])
    assert path.read_text() == "spark.authenticate.secret=back\\\\slash\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_spark_inside_this_process_answers_nobody_else():
    configure_spark(options_of("base"), BASE)
    assert "spark.authenticate=true" in os.environ["PYSPARK_SUBMIT_ARGS"]


@pytest.mark.parametrize("folder", [None, "/etc/spark"])
def test_spark_logs_by_the_projects_configuration_unless_another_is_named(monkeypatch, folder):
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    if folder is not None:
        os.environ["SPARK_CONF_DIR"] = folder
    configure_spark({"spark.master": "local[2]"}, BASE)
    assert ((BASE / "log4j2.properties").as_uri() in os.environ["PYSPARK_SUBMIT_ARGS"]) == (folder is None)


def test_spark_remote_is_ignored_where_there_is_a_master(caplog):
    os.environ["SPARK_REMOTE"] = "sc://host/;token=secret"
    configure_spark({"spark.master": "local[2]"}, BASE)
    assert "SPARK_REMOTE" not in os.environ
    assert caplog.messages == ["SPARK_REMOTE is ignored: this run uses local[2] (--env=connect uses it)"]


@pytest.mark.parametrize(("master", "is_own"), [("local[2]", True), ("spark://host:7077", False)])
def test_spark_inside_this_process_uses_its_own_home_and_python(master, is_own):
    os.environ |= {"SPARK_HOME": "/opt/spark", "PYSPARK_PYTHON": "/usr/bin/python2"}
    configure_spark({"spark.master": master}, BASE)
    assert ("SPARK_HOME" not in os.environ) == is_own
    assert (os.environ["PYSPARK_PYTHON"] == sys.executable) == is_own


@pytest.mark.parametrize(("times", "steps"), [(1, ["pressed", "Java"]), (2, ["pressed"])])
def test_ctrl_c_waits_until_java_has_started_unless_pressed_again(times, steps):
    before, done = signal.getsignal(signal.SIGINT), []

    def start():
        with spark._interrupt_afterwards():
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
                done.append("pressed")
            done.append("Java")

    with pytest.raises(KeyboardInterrupt):
        start()
    assert done == steps
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("folder", "has_sockets"), [("/tmp/movie_recs-a", True), (f"/{'long' * 20}", False)])
def test_where_the_temporary_folders_path_is_too_long_for_unix_sockets_there_are_none(monkeypatch, folder, has_sockets):
    monkeypatch.setattr(spark, "scratch_folder", lambda: folder)
    configure_spark({"spark.master": "local[2]", spark.UNIX_SOCKET: True}, BASE)
    assert f"{spark.UNIX_SOCKET}={str(has_sockets).lower()}" in os.environ["PYSPARK_SUBMIT_ARGS"]


class TestConnect:
    def test_a_session_gets_the_sql_options_only_and_no_java_is_looked_for(self, no_java):
        os.environ["SPARK_REMOTE"] = "sc://host:15002"
        configure_spark(options_of("connect"), BASE)
        assert spark._connect_options == {
            "spark.sql.legacy.parquet.nanosAsLong": "true",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "8",
            "spark.sql.adaptive.coalescePartitions.parallelismFirst": "false",
            "spark.sql.execution.arrow.pyspark.enabled": "true",
            "spark.sql.ansi.enabled": "true",
        }
        assert "PYSPARK_SUBMIT_ARGS" not in os.environ

    @pytest.mark.parametrize("address", [None, "", "spark://host:7077"])
    def test_a_missing_address_is_an_error(self, no_java, address):
        if address is not None:
            os.environ["SPARK_REMOTE"] = address
        with pytest.raises(UserError, match="Set SPARK_REMOTE to its address, as sc://host:15002"):
            configure_spark(options_of("connect"), BASE)

    def test_missing_packages_are_an_error(self, monkeypatch):
        monkeypatch.setattr(spark.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UserError, match="needs gRPC: pip install"):
            configure_spark({"spark.remote": "sc://host:15002"}, BASE)

    def test_a_server_that_does_not_answer_is_an_error(self, monkeypatch):
        pytest.importorskip("grpc")
        monkeypatch.setattr(spark, "SERVER_SECONDS", 0.5)
        with socket.socket() as unused:  # bound, but nobody listens
            unused.bind(("127.0.0.1", 0))
            endpoint = f"127.0.0.1:{unused.getsockname()[1]}"
            configure_spark({"spark.remote": f"sc://{endpoint}"}, BASE)
            with pytest.raises(UserError, match=f"No Spark Connect server answers at {endpoint}: start it"):
                spark_session()


class TestExistingSession:
    @pytest.fixture(autouse=True)
    def session(self, monkeypatch, caplog):
        monkeypatch.setattr(spark.SparkSession, "getActiveSession", lambda: object())
        caplog.set_level("INFO", spark.__name__)

    def test_it_is_used_as_it_is(self, no_java, caplog):
        before, options = dict(os.environ), options_of("base")
        caplog.clear()
        configure_spark(options, BASE)
        assert os.environ == before
        assert caplog.messages == ["Using the Spark session that already exists; conf/*/spark.yml is not applied to it"]

    def test_wrong_keys_are_still_an_error(self):
        with pytest.raises(UserError, match=r"'sprak\.master' is not a Spark property"):
            configure_spark({"sprak.master": "local"}, BASE)
