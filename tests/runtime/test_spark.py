"""The configuration that Spark starts with."""

import os

import pytest
from conftest import ROOT

from movie_recs.runtime.spark import WORKER_DAEMON, configure_spark

DAEMON = "spark.python.daemon.module"


@pytest.mark.parametrize(
    ("master", "daemon", "is_named"),
    [
        ("local[2]", WORKER_DAEMON, True),
        ("spark://host:7077", WORKER_DAEMON, False),  # the package reaches a worker after its daemon has started
        ("spark://host:7077", "site.daemon", True),
    ],
)
def test_workers_have_this_packages_daemon_only_where_it_is_installed(monkeypatch, master, daemon, is_named):
    monkeypatch.setattr(os, "environ", {**os.environ})
    configure_spark({"spark.master": master, DAEMON: daemon}, ROOT / "conf" / "base")
    assert (f"{DAEMON}={daemon}" in os.environ["PYSPARK_SUBMIT_ARGS"]) == is_named
