"""Wall time of a whole `kedro run` against a plain script of the same work, each cold, in turn.

    python benchmarks/kedro_run.py [--rounds 3]

Both fit ALS 45 times in 5 folds of ml-latest-small, measure, plot and recommend; `kedro run` has biases and tastes to
fit besides. The script is benchmarks/plain_script.py: a default SparkSession on local[2] and `CrossValidator` with
parallelism 1.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from movie_recs.errors import UserError
from movie_recs.java import find_java
from movie_recs.movielens import resolve_dataset

ROOT = Path(__file__).parents[1]
DATASET = "ml-latest-small"
LIMIT = 0.67  # of the script's time, though it fits biases, tastes and an audience besides


def main() -> int:
    """Prints the times, their medians and their ratio; the exit code is 1 without the data, or above `LIMIT`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    raw = find_raw()
    seconds: dict[str, list[float]] = {"plain script": [], "kedro run": []}
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "plain script": [sys.executable, "benchmarks/plain_script.py", str(raw), f"{folder}/plain"],
            "kedro run": [sys.executable, "-m", "kedro", "run", "--params", f"dataset={DATASET}"],
        }
        environment = {
            **os.environ,
            "MOVIELENS_DIR": str(raw.parent),
            "MOVIE_RECS_DATA_DIR": f"{folder}/kedro",
            "JAVA_HOME": str(find_java().home),
            "PYSPARK_PYTHON": sys.executable,
        }
        for number in range(1, rounds + 1):
            for name, command in commands.items():
                seconds[name].append(timed(command, environment, Path(folder, "log")))
                print(f"round {number}: {name} {seconds[name][-1]:.1f} s", flush=True)
            print_parts(Path(folder, "log").read_text())
        metrics = json.loads(Path(folder, "kedro", "08_reporting", DATASET, "metrics.json").read_text())
        plain = json.loads(Path(folder, "plain", "metrics.json").read_text())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    tuned = next(row for row in metrics["rating"]["models"] if row["model"] == "taste_als")
    errors = f"script {plain['tuned']['test']:.4f}, kedro {tuned['rmse_warm']:.4f}"
    print(f"test RMSE of the winner over warm rows, each on its own split: {errors}")
    print(f"medians: {', '.join(f'{name} {value:.1f} s' for name, value in medians.items())}")
    ratio = medians["kedro run"] / medians["plain script"]
    print(f"ratio: kedro run takes {ratio:.2f} of the script's time (at most {LIMIT})")
    return int(ratio > LIMIT)


def find_raw() -> Path:
    """The folder of the data set's files; without them the script ends with exit code 1."""
    try:
        return resolve_dataset(DATASET, ROOT / "data" / "01_raw").folder.resolve()
    except UserError as error:
        sys.exit(str(error))


def timed(command: list[str], environment: dict[str, str], log: Path) -> float:
    """Seconds of wall time from start to exit."""
    started = time.perf_counter()
    with log.open("w") as output:
        subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=True)
    return time.perf_counter() - started


def print_parts(log: str) -> None:
    """What of a `kedro run` took how long, by the times in its log: from the end of one node to that of the next."""
    clock, parts = None, {}
    for line in log.splitlines():
        if stamp := re.match(r"(\d\d):(\d\d):(\d\d) ", line):
            hours, minutes, seconds = map(int, stamp.groups())
            now = 3600 * hours + 60 * minutes + seconds
            clock = clock or (now, now)
            clock = (clock[0], now)
        if clock and (node := re.search(r"Completed node: (\S+)", line)):
            parts[node[1]] = clock[1] - clock[0]
            clock = (clock[1], clock[1])
    largest = sorted(parts.items(), key=lambda part: -part[1])[:6]
    print("  largest parts: " + ", ".join(f"{name} {seconds} s" for name, seconds in largest))


if __name__ == "__main__":
    sys.exit(main())
