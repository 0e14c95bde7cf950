"""A standalone cluster and a Spark Connect server on loopback give what Spark inside the process gives."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

TINY = {
    "split": {"folds": 2},
    "rating": {
        "tuning": {
            "baseline_grid": {"movie_damping": 5, "taste_reg": "4 32"},
            "grid": {"rank": 2, "reg_param": 0.3, "max_iter": 2},
        },
        "evaluation": {"reference": {"max_iter": 2}},
    },
    "ranking": {
        "tuning": {
            "grid": {"rank": 2, "reg_param": 0.3, "alpha": 1, "max_iter": 2},
            "ease_reg": 300,
            "weight_grid": {"star_weight": 0.2, "half_life": 5, "old_weight": "0.1 1"},
            "als_weight": 0.3,
        }
    },
}
PIPELINES = ("data_processing", "tuning", "evaluation", "recommend")
RESULTS = (
    *("03_primary/sample/data_summary.json", "05_model_input/sample/train_ratings"),
    *("06_models/sample/rating/best_params.json", "06_models/sample/ranking/best_params.json"),
    "08_reporting/sample/metrics.json",
    *("07_model_output/sample/recommendations.csv", "07_model_output/sample/similar_movies.csv"),
)

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="Spark's daemons are started by bash scripts")
needs_grpc = pytest.mark.skipif(not importlib.util.find_spec("grpc"), reason="needs pyspark[connect]")


def kedro_run_command(env: str) -> list[str]:
    parameters = ",".join(["dataset=sample", *flat(TINY)])
    arguments = [f"--env={env}", f"--pipelines={','.join(PIPELINES)}", f"--params={parameters}"]
    return [sys.executable, "-m", "kedro", "run", *arguments]


def flat(parameters: dict, prefix: str = "") -> list[str]:
    """The parameters as the command line takes them: `a.b=value`."""
    named = []
    for key, value in parameters.items():
        named += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}={value}"]
    return named


def run(command: list[str | Path], **variables: object) -> str:
    """What the command printed; it is told to stop after some minutes, so that it stops what it started."""
    with start(command, **variables) as process:
        try:
            printed, _ = process.communicate(timeout=300)
        except BaseException:
            process.terminate()
            raise
    assert process.returncode == 0, printed
    return printed


def start(command: list[str | Path], **variables: object) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "MOVIELENS_DIR": str(ROOT / "data" / "01_raw"),
        "DO_NOT_TRACK": "1",
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",  # the tests mostly wait for JVMs to start
        "MOVIE_RECS_SEND_PACKAGE": "no",  # else workers compile its loops again
        **{name: str(value) for name, value in variables.items()},
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def results(data_dir: Path) -> dict[str, object]:
    """What a run has made, by file; numbers to nine decimals."""
    return {name: content(data_dir / name) for name in RESULTS}


def content(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text(), parse_float=lambda digits: round(float(digits), 9))
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path).sort_values(["user_id", "movie_id"])
    return table.round(9).to_csv(index=False)


@pytest.fixture(scope="module")
def embedded(kedro_run, tmp_path_factory) -> dict[str, object]:
    """The results of Spark inside this process."""
    data_dir = tmp_path_factory.mktemp("embedded")
    kedro_run(data_dir, *PIPELINES, **TINY)
    return results(data_dir)


def test_a_standalone_cluster_gives_what_embedded_spark_gives(tmp_path, embedded):
    cluster = [sys.executable, ROOT / "scripts" / "standalone_cluster.py", "--folder", tmp_path / "spark"]
    run([*cluster, "--", *kedro_run_command("cluster")], MOVIE_RECS_DATA_DIR=tmp_path / "cluster")

    assert results(tmp_path / "cluster") == embedded
    executors = list((tmp_path / "spark").glob("worker-*/app-*/*/stderr"))
    assert len(executors) == 2
    assert all("Finished task" in log.read_text() for log in executors)


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


@needs_grpc
def test_a_connect_server_gives_what_embedded_spark_gives(tmp_path, server, embedded):
    printed = run(kedro_run_command("connect"), SPARK_REMOTE=server, MOVIE_RECS_DATA_DIR=tmp_path)

    assert server.removeprefix("sc://") in printed
    assert results(tmp_path) == embedded


@needs_grpc
def test_workers_get_this_package_with_its_compiled_code(server):
    printed = run([sys.executable, "-c", IN_A_WORKER], SPARK_REMOTE=server, MOVIE_RECS_SEND_PACKAGE="yes")
    assert "movie_recs.zip" in printed
    assert "[1, 0, 2]" in printed


@needs_grpc
def test_a_run_that_needs_no_spark_does_not_look_for_the_server(tmp_path):
    environment = {"SPARK_REMOTE": "sc://127.0.0.1:1", "MOVIE_RECS_DATA_DIR": tmp_path}
    command = [sys.executable, "-m", "kedro", "run", "--env=connect", "--pipelines=eda", "--params=dataset=sample"]
    with start(command, **environment) as process:
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Missing: " in printed
