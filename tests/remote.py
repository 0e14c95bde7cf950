"""What the tests of Spark in other processes share: a tiny run from the command line, and what came out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
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
RESULTS = {  # by the pipeline that makes them
    "data_processing": ["03_primary/sample/data_summary.json", "05_model_input/sample/train_ratings"],
    "eda": ["08_reporting/sample/eda.json", "08_reporting/sample/top_movies.csv"],
    "tuning": ["06_models/sample/rating/best_params.json", "06_models/sample/ranking/best_params.json"],
    "evaluation": ["08_reporting/sample/metrics.json"],
    "recommend": ["07_model_output/sample/recommendations.csv", "07_model_output/sample/similar_movies.csv"],
}


def kedro_run_command(env: str, pipelines: tuple[str, ...]) -> list[str]:
    parameters = ",".join(["dataset=sample", *flat(TINY)])
    arguments = [f"--env={env}", f"--pipelines={','.join(pipelines)}", f"--params={parameters}"]
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
        **{name: str(value) for name, value in variables.items()},
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)


def results(data_dir: Path, pipelines: tuple[str, ...]) -> dict[str, object]:
    """What these pipelines have made, by file; numbers to nine decimals."""
    return {name: _content(data_dir / name) for pipeline in pipelines for name in RESULTS[pipeline]}


def _content(path: Path) -> object:
    if path.suffix == ".json":
        return json.loads(path.read_text(), parse_float=lambda digits: round(float(digits), 9))
    table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path).sort_values(["user_id", "movie_id"])
    return table.round(9).to_csv(index=False)
