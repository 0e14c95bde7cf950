"""A real standalone cluster on loopback gives what Spark inside the process gives."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

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
PIPELINES = ("data_processing", "tuning", "evaluation")  # all that makes the numbers compared


def flat(parameters: dict, prefix: str = "") -> list[str]:
    """The parameters as the command line takes them: `a.b=value`."""
    named = []
    for key, value in parameters.items():
        named += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}={value}"]
    return named


KEDRO_RUN = [
    *(sys.executable, "-m", "kedro", "run", "--env=cluster", f"--pipelines={','.join(PIPELINES)}"),
    f"--params={','.join(['dataset=sample', *flat(TINY)])}",
]

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="Spark's daemons are started by bash scripts")


def run(command: list[str | Path], **variables: object) -> str:
    """What the command printed; it is told to stop after some minutes, so that it stops what it started."""
    environment = {
        **os.environ,
        "MOVIELENS_DIR": str(ROOT / "data" / "01_raw"),
        "DO_NOT_TRACK": "1",
        "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1",  # most of this is five JVMs starting
        **{name: str(value) for name, value in variables.items()},
    }
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            printed, _ = process.communicate(timeout=300)
        except BaseException:
            process.terminate()
            raise
    assert process.returncode == 0, printed
    return printed


def results(data_dir: Path) -> list[dict]:
    files = ["06_models/sample/rating/best_params.json", "08_reporting/sample/metrics.json"]
    texts = [(data_dir / file).read_text() for file in files]
    return [json.loads(text, parse_float=lambda digits: round(float(digits), 9)) for text in texts]


def test_a_standalone_cluster_finds_the_same_winner_and_the_same_errors_as_embedded_spark(tmp_path, kedro_run):
    kedro_run(tmp_path / "embedded", *PIPELINES, **TINY)
    cluster = [sys.executable, ROOT / "scripts" / "standalone_cluster.py", "--folder", tmp_path / "spark"]
    run([*cluster, "--", *KEDRO_RUN], MOVIE_RECS_DATA_DIR=tmp_path / "cluster")

    assert results(tmp_path / "cluster") == results(tmp_path / "embedded")
    executors = list((tmp_path / "spark").glob("worker-*/app-*/*/stderr"))
    assert len(executors) == 2
    assert all("Finished task" in log.read_text() for log in executors)
