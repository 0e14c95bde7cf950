"""The project as its users run it: parameters that keep a run short, the command line, and data sets of a few rows."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from conftest import ROOT

from movie_recs.data.schemas import RAW_HEADERS

RAW = ROOT / "data" / "01_raw"
KEDRO = [sys.executable, "-m", "kedro"]
NODE = re.compile(r"\[ *(\d+)/(\d+)\] (\S+) *$", flags=re.MULTILINE)  # a node's line in the log of a run
LADDER = ["global_mean", "bias", "reference_als", "als", "bias_als", "taste", "taste_als", "bayes"]
RANKINGS = [
    *("random", "most_popular", "damped_mean", "rating_by_stars"),
    *("implicit_als", "recent_als", "ease", "blend", "with_stars"),
]
SAMPLE_PARAMETERS = {  # few alternations: each is two Spark jobs
    "split": {"folds": 2},
    "rating": {
        "tuning": {
            "baseline_grid": {"user_damping": 5, "movie_damping": [3, 5], "taste_reg": 32, "prior_reg": 10},
            "grid": {"rank": [2, 10], "reg_param": [0.2], "max_iter": [3]},
            "bayes": {"rank": 5, "max_iter": 5},
            "beyond_edges": False,
        },
    },
    "ranking": {
        "tuning": {
            "grid": {"rank": 50, "reg_param": 0.3, "alpha": 2, "max_iter": 2},
            "ease_reg": 300,
            "weight_grid": {"star_weight": 0.2, "half_life": 5, "old_weight": 1},
            "als_weight": 0.6,
            "beyond_edges": False,
        }
    },
    "recommend": {"movie_ids": [463, 471, 999_999]},
}


def environment(data_dir: Path, raw: Path = RAW) -> dict[str, str]:
    """The variables of a process that reads raw data in `raw` and writes to `data_dir`."""
    return {**os.environ, "MOVIE_RECS_DATA_DIR": str(data_dir), "MOVIELENS_DIR": str(raw), "COLUMNS": "1000"}


def kedro(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A command of Kedro's that has ended, with its output."""
    command = [*KEDRO, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(data_dir), capture_output=True, text=True, check=False, timeout=300
    )


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


def write_data_set(folder: Path, **files: list[str]) -> None:
    """A folder of raw files with these lines, ended by line feeds; a file that is not given has its header only."""
    folder.mkdir(parents=True)
    for file, header in RAW_HEADERS.items():
        lines = files.get(file, [",".join(header)])
        (folder / f"{file}.csv").write_text("".join(f"{line}\n" for line in lines), newline="")
