"""A standalone cluster and a Spark Connect server on loopback give what Spark inside the process gives."""

import importlib.util
import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, WITHOUT_DESCRIPTIONS
from runs.project import KEDRO, RAW, SAMPLE_PARAMETERS, read_json

NODES = {  # one of each kind with its results, the others need nothing else of Spark
    "data_processing.parse_ratings": (),
    "data_processing.clean_ratings": ("03_primary/sample/ratings",),
    "data_processing.split_ratings": ("05_model_input/sample/train_ratings",),
    "rating.tuning.cross_validate_candidates": ("08_reporting/sample/cv_results.csv",),
    "rating.tuning.choose_best": ("06_models/sample/rating/best_params.json",),
    "rating.tuning.fit_on_train": (),
    "rating.evaluation.predict_test": ("07_model_output/sample/predictions",),
    "ranking.tuning.cross_validate_candidates": ("08_reporting/sample/ranking/cv_results.csv",),
    "ranking.tuning.choose_best": ("06_models/sample/ranking/best_params.json",),
    "ranking.tuning.fit_on_train": (),
    "ranking.evaluation.list_movies": (),
    "ranking.evaluation.measure_lists": ("08_reporting/sample/leaderboard.csv",),
    "recommend.recommend_movies": (),
    "recommend.tabulate_recommendations": ("07_model_output/sample/recommendations.csv",),
}
ON_A_CLUSTER = {  # whose interface is that of Spark inside a process: work that it spreads over its executors
    name: results for name, results in NODES.items() if not name.startswith(("data_processing", "ranking.evaluation"))
}

PLAN_OPTIONS = " ".join(f"-D{name}={str(value).lower()}" for name, value in WITHOUT_DESCRIPTIONS.items())

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="Spark's daemons are started by bash scripts")
needs_grpc = pytest.mark.skipif(not importlib.util.find_spec("grpc"), reason="needs pyspark[connect]")


def kedro_run_command(env: str, nodes: dict[str, tuple[str, ...]]) -> list[str]:
    parameters = ",".join(["dataset=sample", *flat(SAMPLE_PARAMETERS)])
    return [*KEDRO, "run", f"--env={env}", f"--nodes={','.join(nodes)}", f"--params={parameters}"]


def flat(parameters: dict, prefix: str = "") -> list[str]:
    """The parameters as the command line takes them: `a.b=value`, `a.c=first second`."""
    named = []
    for key, value in parameters.items():
        if isinstance(value, dict):
            named += flat(value, f"{prefix}{key}.")
        else:
            values = value if isinstance(value, list) else [value]
            named.append(f"{prefix}{key}={' '.join(map(str, values))}")
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
        "MOVIELENS_DIR": str(RAW),
        "DO_NOT_TRACK": "1",
        "JAVA_TOOL_OPTIONS": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC {PLAN_OPTIONS}",  # JVMs mostly start
        "SPARK_SHUFFLE_PARTITIONS": "2",
        "MOVIE_RECS_SEND_PACKAGE": "no",  # else workers compile its loops again
        **{name: str(value) for name, value in variables.items()},
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def without_results(run: Path, nodes: dict[str, tuple[str, ...]]) -> Path:
    """The data folder, without what these nodes make, and without the finished trials."""
    for name in [*chain(*nodes.values()), *run.glob("06_models/sample/*/finished_trials.jsonl")]:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return run


def assert_same_results(found: Path, expected: Path, nodes: dict[str, tuple[str, ...]]) -> None:
    for name in chain(*nodes.values()):
        if name.endswith(".json"):
            assert read_json(found / name) == read_json(expected / name), name
        else:
            tables = read_table(found / name), read_table(expected / name)
            pd.testing.assert_frame_equal(*tables, check_exact=False, rtol=0, atol=1e-6, obj=name)


def read_table(path: Path) -> pd.DataFrame:
    if path.suffix == ".csv":
        return pd.read_csv(path).drop(columns="seconds", errors="ignore")
    return pd.read_parquet(path).sort_values(["user_id", "movie_id"], ignore_index=True)


def test_a_standalone_cluster_gives_what_embedded_spark_gives(tmp_path, own_run, sample_run):
    data_dir = without_results(own_run, ON_A_CLUSTER)
    cluster = [sys.executable, ROOT / "scripts" / "standalone_cluster.py", "--folder", tmp_path / "spark"]
    run([*cluster, "--", *kedro_run_command("cluster", ON_A_CLUSTER)], MOVIE_RECS_DATA_DIR=data_dir)

    assert_same_results(data_dir, sample_run, ON_A_CLUSTER)
    executors = list((tmp_path / "spark").glob("worker-*/app-*/*/stderr"))
    assert len(executors) == 2
    assert all("Finished task" in log.read_text() for log in executors)
    assert all("authentication enabled" in log.read_text() for log in executors)


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
def test_a_connect_server_gives_what_embedded_spark_gives(own_run, server, sample_run):
    data_dir = without_results(own_run, NODES)
    printed = run(kedro_run_command("connect", NODES), SPARK_REMOTE=server, MOVIE_RECS_DATA_DIR=data_dir)

    address, _, token = server.removeprefix("sc://").partition("/;token=")
    assert address in printed
    assert token not in printed
    assert_same_results(data_dir, sample_run, NODES)


@needs_grpc
def test_a_connect_server_refuses_who_has_no_token(server, tmp_path):
    address = server.partition("/;token=")[0]
    command = [sys.executable, "-c", IN_A_WORKER]
    with start(command, SPARK_REMOTE=address, MOVIE_RECS_DATA_DIR=tmp_path) as process:
        printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "UNAUTHENTICATED" in printed


@needs_grpc
def test_workers_get_this_package_with_its_compiled_code(server):
    printed = run([sys.executable, "-c", IN_A_WORKER], SPARK_REMOTE=server, MOVIE_RECS_SEND_PACKAGE="yes")
    assert "movie_recs.zip" in printed
    assert "[1, 0, 2]" in printed


@needs_grpc
def test_a_run_that_needs_no_spark_does_not_look_for_the_server(tmp_path):
    environment = {"SPARK_REMOTE": "sc://127.0.0.1:1", "MOVIE_RECS_DATA_DIR": tmp_path}
    command = [*KEDRO, "run", "--env=connect", "--pipelines=eda", "--params=dataset=sample"]
    with start(command, **environment) as process:
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Missing: " in printed
