"""A Spark Connect server on loopback gives what Spark inside the process gives."""

import importlib.util
import shutil
import sys

import pytest
from conftest import ROOT
from remote import TINY, kedro_run_command, results, run, start

PIPELINES = ("data_processing", "tuning", "evaluation", "recommend")

pytestmark = [
    pytest.mark.skipif(not importlib.util.find_spec("grpc"), reason="needs pyspark[connect]"),
    pytest.mark.skipif(not shutil.which("bash"), reason="Spark's daemons are started by bash scripts"),
]

# Where a worker has the package from, and whether the package's compiled code runs there.
IN_A_WORKER = """
import pyarrow as pa
from movie_recs.runtime.spark import spark_session

def look(batches):
    import numpy as np
    import movie_recs
    from movie_recs.data.interactions import group_rows
    starts, rows = group_rows(np.array([1, 0, 1]), 2)
    list(batches)
    yield pa.RecordBatch.from_pydict({"file": [movie_recs.__file__], "rows": [rows.tolist()]})

[found] = spark_session().range(1, numPartitions=1).mapInArrow(look, "file string, rows array<long>").collect()
print(found.file, found.rows)
"""


@pytest.fixture(scope="module")
def server():
    """The address of a server that runs until standard input is closed."""
    script = [sys.executable, ROOT / "scripts" / "connect_server.py", "--cores=2", "--memory=2g"]
    process = start([*script, "--", "sh", "-c", 'echo "$SPARK_REMOTE"; read line; exit 3'])
    printed = ""
    while not printed.startswith("sc://"):
        printed = process.stdout.readline()
        assert printed, "the server did not start"
    yield printed.strip()
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 3, printed  # the command's own


def test_a_connect_server_gives_what_embedded_spark_gives(tmp_path, server, kedro_run):
    kedro_run(tmp_path / "embedded", *PIPELINES, **TINY)
    command = kedro_run_command("connect", PIPELINES)
    printed = run(command, SPARK_REMOTE=server, MOVIE_RECS_DATA_DIR=tmp_path / "connect")

    assert server.removeprefix("sc://") in printed
    assert results(tmp_path / "connect", PIPELINES) == results(tmp_path / "embedded", PIPELINES)


def test_workers_get_this_package_with_its_compiled_code(server):
    printed = run([sys.executable, "-c", IN_A_WORKER], SPARK_REMOTE=server)
    assert "movie_recs.zip" in printed
    assert "[1, 0, 2]" in printed


def test_a_run_that_needs_no_spark_does_not_look_for_the_server(tmp_path):
    environment = {"SPARK_REMOTE": "sc://127.0.0.1:1", "MOVIE_RECS_DATA_DIR": tmp_path}
    command = [sys.executable, "-m", "kedro", "run", "--env=connect", "--pipelines=eda", "--params=dataset=sample"]
    with start(command, **environment) as process:
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Missing: " in printed
