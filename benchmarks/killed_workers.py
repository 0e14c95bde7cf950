"""Kills a worker of a cluster during tuning, during a fit and during the lists, and compares the results.

    python benchmarks/killed_workers.py [--carriers local spark] [--dataset sample]

Each run has a standalone cluster of three workers on loopback, one of which is killed with its executor some seconds
after the node begins. Its results must be those of a run that nobody disturbs, to 1e-6. Exit code 1 if one differs.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from daemons import Daemons  # noqa: E402 - a script's own folder
from standalone_cluster import client_environment, start_cluster  # noqa: E402

WORKERS, MEMORY = 3, "2g"
KILLED_AT = {  # node, and seconds after it begins
    "tuning": ("rating.tuning.cross_validate_candidates", 4.0),
    "fit": ("ranking.tuning.fit_on_train", 2.0),
    "lists": ("ranking.evaluation.list_movies", 1.0),
}
RESULTS = ("cv_results.csv", "ranking/cv_results.csv", "model_errors.json", "leaderboard.csv")
NARROW = [  # of each objective a few candidates, so that a run takes minutes on either carrier
    *("split.folds=2", "rating.tuning.beyond_edges=false", "ranking.tuning.beyond_edges=false"),
    *("rating.tuning.baseline_grid.taste_reg=16", "rating.tuning.baseline_grid.movie_damping=5"),
    *("rating.tuning.grid.rank=10", "rating.tuning.grid.reg_param=0.2", "rating.tuning.grid.max_iter=3"),
    *("ranking.tuning.grid.reg_param=0.3", "ranking.tuning.grid.alpha=2", "ranking.tuning.grid.max_iter=3"),
    *("ranking.tuning.ease_reg=300", "ranking.tuning.ease_diagonal=0", "ranking.tuning.stars_weight=0.1"),
    *("ranking.tuning.weight_grid.star_weight=0.2", "rating.tuning.bayes.max_iter=3"),
    *("ranking.tuning.weight_grid.old_weight=1", "ranking.tuning.als_weight=0.6"),
]


def main() -> int:
    """Prints a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--carriers", nargs="+", default=["local", "spark"])
    parser.add_argument("--dataset", default="sample")
    arguments = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        run_kedro(prepared, arguments.dataset, "local", {}, "--pipelines=data_processing")
        for carrier in arguments.carriers:
            expected = None
            for place in (None, *KILLED_AT):
                data = shutil.copytree(prepared, Path(folder) / f"{carrier}-{place}")
                started = time.perf_counter()
                killed = run_on_cluster(data, arguments.dataset, carrier, place)
                found = read_results(data, arguments.dataset)
                expected = expected or found
                differs = [name for name in RESULTS if not is_same(found[name], expected[name])]
                failures += bool(differs) or killed != (place is not None)
                what = f"a worker killed during {place}" if killed else "undisturbed"
                outcome = f"DIFFERS in {', '.join(differs)}" if differs else "same results"
                print(f"carrier {carrier}, {what}: {outcome}, {time.perf_counter() - started:.0f} s", flush=True)
    return int(failures > 0)


def run_on_cluster(data: Path, dataset: str, carrier: str, place: str | None) -> bool:
    """Whether a worker was killed while the run went on."""
    with ExitStack() as stack:
        daemons = Daemons(stack, data / "spark")
        variables = client_environment(start_cluster(daemons, WORKERS, MEMORY), daemons.secret, WORKERS, MEMORY)
        workers = [process for log, process in daemons._processes.items() if "worker" in log.stem]
        victim = workers[0].pid
        options = "--env=cluster", "--pipelines=tuning,evaluation"
        return run_kedro(data, dataset, carrier, variables, *options, place=place, victim=victim)


def run_kedro(
    data: Path,
    dataset: str,
    carrier: str,
    variables: dict[str, str],
    *options: str,
    place: str | None = None,
    victim: int = 0,
) -> bool:
    """Runs the pipelines, and kills the process group of the victim on its way."""
    parameters = ",".join([f"dataset={dataset}", f"carrier={carrier}", *NARROW])
    command = [sys.executable, "-m", "kedro", "run", *options, "--params", parameters]
    environment = {**os.environ, **variables, "MOVIE_RECS_DATA_DIR": str(data), "MOVIE_RECS_SEND_PACKAGE": "no"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    killed, lines = False, []
    for line in process.stdout or ():
        lines.append(line)
        if place and not killed and re.search(rf"\] {re.escape(KILLED_AT[place][0])}\b", line):
            time.sleep(KILLED_AT[place][1])
            killed = process.poll() is None
            os.killpg(victim, signal.SIGKILL)
    if process.wait():
        raise SystemExit("".join(lines[-40:]))
    return killed


def read_results(data: Path, dataset: str) -> dict[str, pd.DataFrame]:
    """The tables of `RESULTS`."""
    folder = data / "08_reporting" / dataset

    def read(path: Path) -> pd.DataFrame:
        return pd.DataFrame(json.loads(path.read_text())) if path.suffix == ".json" else pd.read_csv(path)

    return {name: read(folder / name) for name in RESULTS}


def is_same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """To 1e-6, apart from how long it took."""
    one, other = (table.drop(columns="seconds", errors="ignore") for table in (found, expected))
    try:
        pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=0, atol=1e-6)
    except AssertionError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
