"""Wall time of a whole `kedro run` against a plain script of the same work, each cold, in turn.

    python benchmarks/kedro_run.py [--rounds 3]

Both search the same grids of ALS in 5 folds of ml-latest-small, explicit by RMSE and implicit by NDCG, measure, plot
and recommend. `kedro run` has more to do: biases and tastes to fit, the grid searched on what each of the two leaves,
EASE, reasons, and a report. The script is benchmarks/plain_script.py: a default SparkSession on local[2], one fit at a
time. One more `kedro run`, one node after another, shows what takes how long; of it and of the script the time without
the second objective and the report is compared as well.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from movie_recs.data.movielens import resolve_dataset
from movie_recs.errors import UserError
from movie_recs.runtime.java import find_java

ROOT = Path(__file__).parents[1]
DATASET = "ml-latest-small"
LEAST_RATIO = 4  # of the script's time to that of kedro run
GRIDS = {  # of the script
    "rating": {"rank": "5 10 15", "reg_param": "0.1 0.2 0.4", "max_iter": "10"},
    "ranking": {"rank": "50", "reg_param": "0.1 0.3", "alpha": "0.5 4", "max_iter": "10"},
}
PARTS = {  # of a run, by the beginning of its nodes' names
    "start of the JVM and reading": "data_processing.",
    "EDA": "eda.",
    "tuning": ("rating.tuning.cross_validate_candidates", "rating.tuning.choose_best", "rating.tuning.plot_tuning"),
    "fits": ("rating.tuning.fit_", "rating.evaluation.fit_"),
    "evaluation": ("rating.evaluation.", "metrics."),
    "ranking: tuning": "ranking.tuning.cross_validate_candidates",
    "ranking: fits": "ranking.tuning.",
    "ranking: evaluation": "ranking.evaluation.",
    "recommendations": "recommend.",
    "report": "reporting.",
}
MORE = ("ranking: tuning", "ranking: fits", "ranking: evaluation", "report")  # than the objective `rating` asks for


def main() -> int:
    """Prints the times, their medians and their ratio; the exit code is 1 without the data, or below `LEAST_RATIO`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    raw = find_raw()
    seconds: dict[str, list[float]] = {"plain script": [], "kedro run": []}
    script_rating: list[float] = []
    grids = [f"{of}.tuning.grid.{name}={values}" for of, grid in GRIDS.items() for name, values in grid.items()]
    parameters = ",".join([f"dataset={DATASET}", *grids])
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "plain script": [sys.executable, "benchmarks/plain_script.py", str(raw), f"{folder}/plain"],
            "kedro run": [sys.executable, "-m", "kedro", "run", "--params", parameters],
        }
        environment = {
            **os.environ,
            "MOVIELENS_DIR": str(raw.parent),
            "MOVIE_RECS_DATA_DIR": f"{folder}/kedro",
            "JAVA_HOME": str(find_java().home),
            "PYSPARK_PYTHON": sys.executable,
        }
        log = Path(folder, "log")
        for number in range(1, rounds + 1):
            forget_trials(folder)
            for name, command in commands.items():
                began = time.time()
                seconds[name].append(timed(command, environment, log))
                print(f"round {number}: {name} {seconds[name][-1]:.1f} s", flush=True)
                if name == "plain script":
                    (rating_done,) = re.findall(r"rating done at ([\d.]+)", log.read_text())
                    script_rating.append(float(rating_done) - began)
        forget_trials(folder)
        one_by_one = [*commands["kedro run"][:-1], f"{parameters},nodes_at_a_time=1"]
        total = timed(one_by_one, environment, log)
        parts = split_parts(log.read_text(), total)
        metrics = json.loads(Path(folder, "kedro", "08_reporting", DATASET, "metrics.json").read_text())
        plain = json.loads(Path(folder, "plain", "metrics.json").read_text())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    tuned = next(row for row in metrics["rating"]["models"] if row["model"] == "taste_als")
    errors = f"script {plain['tuned']['test']:.4f}, kedro {tuned['rmse_warm']:.4f}"
    print(f"test RMSE of the winner over warm rows, each on its own split: {errors}")
    print(f"medians: {', '.join(f'{name} {value:.1f} s' for name, value in medians.items())}")
    print(f"one node after another, {total:.1f} s:")
    print("  " + ", ".join(f"{part} {value:.0f} s" for part, value in parts.items()))
    script_first, run_first = statistics.median(script_rating), sum(parts[part] for part in parts.keys() - set(MORE))
    without = f"plain script {script_first:.1f} s, kedro run {run_first:.1f} s, ratio {script_first / run_first:.1f}"
    print(f"without the second objective and the report: {without}")
    ratio = medians["plain script"] / medians["kedro run"]
    print(f"ratio: the script takes {ratio:.1f} times as long as kedro run (at least {LEAST_RATIO})")
    return int(ratio < LEAST_RATIO)


def find_raw() -> Path:
    """The folder of the data set's files; without them the script ends with exit code 1."""
    try:
        return resolve_dataset(DATASET, ROOT / "data" / "01_raw").folder.resolve()
    except UserError as error:
        sys.exit(str(error))


def forget_trials(folder: str) -> None:
    """The next run knows none of an earlier one."""
    shutil.rmtree(f"{folder}/kedro", ignore_errors=True)


def timed(command: list[str], environment: dict[str, str], log: Path) -> float:
    """Seconds of wall time from start to exit."""
    started = time.perf_counter()
    with log.open("w") as output:
        subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=True)
    return time.perf_counter() - started


def split_parts(log: str, total: float) -> dict[str, float]:
    """What of a `kedro run` of one node at a time took how long, by its log: each takes until the next one begins."""
    parts: dict[str, float] = {}
    events = re.findall(r"^(\d\d):(\d\d):(\d\d) INFO +(?:\[ *\d+/\d+\] (\S+)|\d+ nodes done)", log, flags=re.MULTILINE)
    for (*begin, node), (*end, _) in pairwise(events):
        name = next((part for part, beginnings in PARTS.items() if node.startswith(beginnings)), "other")
        parts[name] = parts.get(name, 0) + (_seconds(*end) - _seconds(*begin)) % _seconds(24)
    parts["start and end of Python"] = total - sum(parts.values())
    return parts


def _seconds(hours: str | int, minutes: str | int = 0, seconds: str | int = 0) -> int:
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds)


if __name__ == "__main__":
    sys.exit(main())
