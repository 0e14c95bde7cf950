"""A whole `kedro run` at each size of data, with what it takes and how good its models are.

    python benchmarks/scale.py                               # all sizes
    python benchmarks/scale.py 32m --params tuning.x=y       # more parameters for the runs
    python benchmarks/scale.py 1m --folder /somewhere        # keeps data and results there

The data are made by the generator, whose truth is known, with the numbers of users and movies of real sets;
`few-ratings` has many movies and few ratings of each. `bootstrap` is ten copies of ml-latest-small, whose users have
other ids and whose stars are moved by half a star at random: its copies leak into each other, so errors are too low.
CPU seconds and memory are those of the run's processes, which are looked at once a second in /proc: Linux only.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro_run import ROOT, find_raw

from movie_recs.ranking.metrics import RELEVANCE
from movie_recs.ranking.search import WITH_WEIGHTS
from movie_recs.runtime.needs import processes_below

GIB = 2**30
SIZES = {  # users, movies, ratings of each user
    "100k": (610, 9_700, 165),
    "1m": (6_000, 3_900, 200),
    "10m": (70_000, 10_700, 145),
    "32m": (201_000, 87_000, 160),
    "few-ratings": (7_400, 105_000, 38.4),
}
BOOTSTRAP = "bootstrap"
COPIES = 10
NODE = re.compile(r"(\d\d):(\d\d):(\d\d) INFO +\[ *\d+/\d+\] (\S+) *$", flags=re.MULTILINE)


def main() -> int:
    """1 if a run failed, or if a winner is worse than plain ALS at its best or than the reference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [*SIZES, BOOTSTRAP]
    parser.add_argument("sizes", nargs="*", default=sizes, metavar="size", help=", ".join(sizes))
    parser.add_argument("--params", default="", help="for kedro run, as in a=1,b.c=2")
    parser.add_argument("--folder", type=Path, help="where data and results are kept (default: a temporary one)")
    arguments = parser.parse_args()
    if unknown := set(arguments.sizes) - set(sizes):  # argparse's choices would refuse the default
        parser.error(f"there is no size {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        rows = []
        for size in arguments.sizes:
            rows.append(measure(size, folder, arguments.params))
            print(pd.DataFrame(rows).set_index("size").T.to_string(), flush=True)
    return int(any(row["loses"] for row in rows))


def measure(size: str, folder: Path, parameters: str) -> dict[str, Any]:
    """A row of the table."""
    raw = folder / "raw" / size
    if not (raw / "ratings.csv").exists():
        (bootstrap if size == BOOTSTRAP else generate)(raw, size)
    data = folder / "runs" / size
    shutil.rmtree(data, ignore_errors=True)
    given = ",".join(filter(None, [f"dataset={size}", parameters]))
    command = [sys.executable, "-m", "kedro", "run", "--params", given]
    environment = {**os.environ, "MOVIELENS_DIR": str(raw.parent), "MOVIE_RECS_DATA_DIR": str(data), "COLUMNS": "300"}
    log = folder / f"{size}.log"
    with log.open("w") as file:
        started = time.perf_counter()
        run = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        watch = Watch(run.pid)
        watch.start()
        code = run.wait()
        wall = time.perf_counter() - started
        watch.stop()
    print_nodes(size, log)
    if code:
        raise SystemExit(f"The run on {size} failed: see {log}.")
    metrics = json.loads((data / "08_reporting" / size / "metrics.json").read_text())
    ratings = metrics["dataset"]["ratings"]
    disk = sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
    return {
        "size": size,
        "ratings": f"{ratings:,}",
        "wall s": round(wall),
        "CPU s": round(watch.cpu),
        "us CPU per rating": round(1e6 * watch.cpu / ratings),
        "peak GB": round(watch.peak / GIB, 1),
        "disk GB": round(disk / GIB, 2),
        **quality(metrics, raw),
    }


def quality(metrics: dict[str, Any], raw: Path) -> dict[str, Any]:
    """The measures of both winners and of what they are compared with, and the RMSE of the planted truth.

    A winner with predicted stars pays with some NDCG for fewer recommendations below the users' means, so the best
    without them is shown as well, and both by the measure that the search has gone by.
    """
    winners = [metrics[objective]["best_params"]["model"] for objective in ("rating", "ranking")]
    rmse = {row["model"]: row["rmse"] for row in metrics["rating"]["models"]}
    lists = {row["model"]: row for row in metrics["ranking"]["models"]}
    ndcg = {name: row["ndcg"] for name, row in lists.items()}
    measure = RELEVANCE[metrics["ranking"]["best_params"]["relevance"]]
    without = max((name for name in lists if name in WITH_WEIGHTS), key=lambda name: lists[name][measure])
    shown = {"winner": winners[1], "best without stars": without, "implicit ALS": "implicit_als"}
    truth = raw / "synthetic.json"
    return {
        "rating winner": winners[0],
        "its RMSE": round(rmse[winners[0]], 4),
        "best plain ALS": round(rmse["als"], 4),
        "reference": round(rmse["reference_als"], 4),
        "planted truth": json.loads(truth.read_text())["noise_floor_rmse"] if truth.exists() else None,
        "ranking winner": winners[1],
        "its NDCG@10": round(ndcg[winners[1]], 4),
        "implicit ALS": round(ndcg["implicit_als"], 4),
        "most popular": round(ndcg["most_popular"], 4),
        "best without stars": without,
        **{f"{measure} of {who}": round(lists[name][measure], 4) for who, name in shown.items()},
        **{f"below mean of {who}": round(lists[name]["below_mean"], 3) for who, name in shown.items()},
        "loses": rmse[winners[0]] > min(rmse["als"], rmse["reference_als"]) or ndcg[winners[1]] < ndcg["implicit_als"],
    }


def generate(folder: Path, size: str) -> None:
    """Writes the generator's data."""
    users, movies, per_user = SIZES[size]
    command = [sys.executable, "-m", "movie_recs.sample", "--spark", "--folder", str(folder), "--users", str(users)]
    command += ["--movies", str(movies), "--ratings-per-user", str(per_user)]
    environment = {**os.environ, "SPARK_DRIVER_MEMORY": "8g"}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)


def bootstrap(folder: Path, _: str) -> None:
    """Writes `COPIES` of ml-latest-small, whose stars are moved by -0.5, 0 or 0.5."""
    source = find_raw()
    folder.mkdir(parents=True)
    for name in ("movies", "links", "tags"):
        shutil.copy(source / f"{name}.csv", folder)
    ratings, rng = pd.read_csv(source / "ratings.csv"), np.random.default_rng(42)
    users, copies = ratings["userId"].max(), []
    for copy in range(COPIES):
        moved = ratings["rating"] + rng.integers(-1, 2, len(ratings)) / 2
        copies.append(ratings.assign(userId=ratings["userId"] + copy * users, rating=moved.clip(0.5, 5)))
    pd.concat(copies).to_csv(folder / "ratings.csv", index=False)


class Watch(threading.Thread):
    """Watches a process and all below it: their memory at its highest, and their CPU seconds.

    Args:
        pid: Of the process.
        weighed: Where it is given, only the memory of the processes whose command lines begin so, and of all below
            those, is counted.
    """

    def __init__(self, pid: int, weighed: str | None = None):
        super().__init__(daemon=True)
        self._pid, self._weighed, self._ended = pid, weighed, threading.Event()
        self._seconds: dict[int, float] = {}
        self.peak = 0

    @property
    def cpu(self) -> float:
        """Seconds of all processes so far."""
        return sum(self._seconds.values())

    def run(self) -> None:
        """Until `stop`."""
        while not self._ended.wait(1.0):
            pids = [self._pid, *processes_below(self._pid)]
            self._seconds |= {pid: cpu_seconds(pid) or self._seconds.get(pid, 0.0) for pid in pids}
            if self._weighed is not None:
                roots = [pid for pid in pids if command_line(pid).startswith(self._weighed)]
                pids = list({*roots, *(below for pid in roots for below in processes_below(pid))})
            self.peak = max(self.peak, sum(map(proportional_memory, pids)))

    def stop(self) -> None:
        """Ends the thread."""
        self._ended.set()
        self.join()


def cpu_seconds(pid: int) -> float:
    """Of the process alone; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def command_line(pid: int) -> str:
    """Its arguments, with blanks between them; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def proportional_memory(pid: int) -> int:
    """Bytes; pages that processes share are divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    match = re.search(r"^Pss: +(\d+) kB", text, flags=re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def print_nodes(size: str, log: Path) -> None:
    """The nodes that took longest, from the times in the log."""
    starts = [(int(h) * 3600 + int(m) * 60 + int(s), node) for h, m, s, node in NODE.findall(log.read_text())]
    seconds = {node: (then - now) % 86_400 for (now, node), (then, _) in pairwise(starts)}
    longest = sorted(seconds.items(), key=lambda pair: -pair[1])[:8]
    print(f"{size}: {', '.join(f'{node} {value} s' for node, value in longest)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
