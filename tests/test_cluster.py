"""A real standalone cluster on loopback gives what Spark inside the process gives."""

import shutil
import sys

import pytest
from conftest import ROOT
from remote import TINY, kedro_run_command, results, run

PIPELINES = ("data_processing", "tuning", "evaluation")  # all that makes the numbers compared

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="Spark's daemons are started by bash scripts")


def test_a_standalone_cluster_finds_the_same_winner_and_the_same_errors_as_embedded_spark(tmp_path, kedro_run):
    kedro_run(tmp_path / "embedded", *PIPELINES, **TINY)
    cluster = [sys.executable, ROOT / "scripts" / "standalone_cluster.py", "--folder", tmp_path / "spark"]
    run([*cluster, "--", *kedro_run_command("cluster", PIPELINES)], MOVIE_RECS_DATA_DIR=tmp_path / "cluster")

    assert results(tmp_path / "cluster", PIPELINES) == results(tmp_path / "embedded", PIPELINES)
    executors = list((tmp_path / "spark").glob("worker-*/app-*/*/stderr"))
    assert len(executors) == 2
    assert all("Finished task" in log.read_text() for log in executors)
