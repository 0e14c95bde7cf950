"""Kills runs and saves at seeded random moments, fills the disk, and looks whether anything was lost.

    python benchmarks/faults.py [--runs 50] [--saves 250] [--tables 10] [--full 10] [--seed 1] [--dataset sample]

`--saves`: a process that saves a file again and again is killed; the file must be the old one or the new one, whole.
`--tables`: the same with Spark's tables and with models. `--runs`: driver, Java or the Python workers of a whole run
are killed; then no file may be torn, no process left, and recommend and reporting must answer from what is there; every
fifth time, and at the end, a whole run must complete. `--full`: the same where the disk is full from a random moment
on, which needs root (a small tmpfs). A run that fails must say why in one sentence. Exit code 1 if anything was not so.
"""

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from movie_recs.datasets.whole_files import WholeCsv, WholeFigure, WholeJson, WholeParquet, WholeText
from movie_recs.runtime.needs import processes_below

ROOT = Path(__file__).parents[1]
NARROW = [  # of each objective few candidates, so that a run takes about a minute
    *("split.folds=2", "rating.tuning.beyond_edges=false", "ranking.tuning.beyond_edges=false"),
    *("rating.tuning.baseline_grid.taste_reg=16", "rating.tuning.baseline_grid.movie_damping=5"),
    *("rating.tuning.grid.rank=10", "rating.tuning.grid.reg_param=0.2", "rating.tuning.grid.max_iter=3"),
    *("ranking.tuning.grid.reg_param=0.3", "ranking.tuning.grid.alpha=2", "ranking.tuning.grid.max_iter=3"),
    *("ranking.tuning.ease_reg=300", "ranking.tuning.weight_grid.star_weight=0.2"),
    *("ranking.tuning.weight_grid.old_weight=1", "ranking.tuning.als_weight=0.6"),
]
VICTIMS = {  # by what is in the command of a process below the run's own; None is the run's own
    "driver": None,
    "java": "org.apache.spark.deploy.SparkSubmit",
    "workers": "movie_recs.runtime.worker_daemon\n",
}
MOST_LINES = 6  # of a failed run besides those of its nodes
RESTS = (".part", ".staged", ".replaced")  # what a killed save leaves beside its place
FILLING = "filling"
SAVE_TABLES = """
import itertools, sys
from pathlib import Path
from kedro.io.core import Version
from movie_recs.datasets.models import FactorModelDataset
from movie_recs.datasets.spark_table import SparkTable
from movie_recs.model.factor_model import FACTORS, FactorModel
from movie_recs.runtime.spark import configure_spark, spark_session
quiet = {"spark.ui.enabled": False, "spark.ui.showConsoleProgress": False}
configure_spark({"spark.master": "local[1]", **quiet}, Path(sys.argv[1]))
spark = spark_session()
for number in itertools.count(int(sys.argv[3])):
    rows = spark.createDataFrame([(id, float(number % 2), [1.0]) for id in range(1000)], FACTORS)
    SparkTable(filepath=f"{sys.argv[2]}/table").save(rows)
    version = Version(None, f"2025-01-01T00.00.{number // 1000:02}.{number % 1000:03}Z")
    model = FactorModelDataset(filepath=f"{sys.argv[2]}/model", version=version, keep_versions=2)
    model.save(FactorModel(1.0, rows, rows))
    print(number, flush=True)
"""


def main() -> int:
    """Prints a line for each fault, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("runs", 50), ("saves", 250), ("tables", 10), ("full", 10), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dataset", default="sample")
    arguments = parser.parse_args()
    chance, problems = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        problems += kill_saves(folder, arguments.saves, chance)
        problems += kill_tables(folder, arguments.tables, chance)
        if arguments.runs or arguments.full:
            whole, begun = Run(folder / "data", arguments.dataset), time.monotonic()
            if whole.start().wait():
                raise SystemExit(whole.said())
            length = time.monotonic() - begun
            print(f"a whole run takes {length:.0f} s", flush=True)
            problems += kill_runs(whole, length, arguments.runs, chance)
            problems += fill_disk(whole, length, folder / "small", arguments.full, chance)
    print(f"{problems} problems", flush=True)
    return int(problems > 0)


def kill_saves(folder: Path, kills: int, chance: random.Random) -> int:
    """How many files were torn by a kill while they were saved."""
    import plotly.graph_objects as go

    numbers = [list(range(first, first + 20_000)) for first in (0, 1)]
    kinds: list[tuple[Any, list[Any]]] = [
        (WholeCsv, [pd.DataFrame({"number": each}) for each in numbers]),
        (WholeParquet, [pd.DataFrame({"number": each}) for each in numbers]),
        (WholeJson, numbers),
        (WholeText, [str(each) for each in numbers]),
        (WholeFigure, [go.Figure(go.Scatter(y=each)) for each in numbers]),
    ]
    torn, hit = 0, 0
    for kill in range(kills):
        kind, versions = kinds[kill % len(kinds)]
        path = folder / "saved" / kind.__name__
        dataset = kind(filepath=str(path))
        whole = [_saved(dataset, path, version) for version in versions]
        pid = _fork(partial(_save_for_ever, dataset, versions))
        time.sleep(chance.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        torn += path.read_bytes() not in whole
        hit += path.with_name(f"{path.name}.part").exists()
    print(f"{kills} kills of saves, {hit} amid one: {torn} torn files", flush=True)
    return torn


def _save_for_ever(dataset: Any, versions: list[Any]) -> None:
    while True:
        for version in versions:
            dataset.save(version)


def _saved(dataset: Any, path: Path, version: Any) -> bytes:
    os.waitpid(_fork(partial(dataset.save, version)), 0)
    return path.read_bytes()


def _fork(function: Callable[[], None]) -> int:
    """The process that calls the function; this one starts no threads of Arrow, which a fork would not have."""
    if pid := os.fork():
        return pid
    try:
        function()
    finally:
        os._exit(0)


def kill_tables(folder: Path, kills: int, chance: random.Random) -> int:
    """How many kills, while tables and models were saved, left one that is neither the old nor the new."""
    torn, place = 0, folder / "tables"
    for kill in range(kills):
        command = [sys.executable, "-c", SAVE_TABLES, str(ROOT / "conf/base"), str(place), str(1000 * kill)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        process.stdout.readline()  # one of each is saved
        time.sleep(chance.uniform(0, 3))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(1)
        table = next((path for path in (place / "table", place / "table.replaced") if path.exists()), None)
        found = set() if table is None else set(pd.read_parquet(table)["bias"])
        complete = [path.parent for path in place.glob("model/*/model/_SUCCESS")]
        models = [len(pd.read_parquet(each / side)) for each in complete for side in ("user_factors", "item_factors")]
        is_whole = found in ({0.0}, {1.0}) and len(complete) > 0 and set(models) == {1000}
        torn += not is_whole
    print(f"{kills} kills of saves of tables and models: {torn} torn", flush=True)
    return torn


class Run:
    """`kedro run` on a data folder, and what it has printed."""

    def __init__(self, data: Path, dataset: str):
        self.data, self.dataset = data, dataset
        self._log = data.with_name("printed.txt")

    def start(self, *options: str, **parameters: Any) -> subprocess.Popen:
        """The process, in a group of its own."""
        given = [f"dataset={self.dataset}", *NARROW, *(f"{name}={value}" for name, value in parameters.items())]
        command = [sys.executable, "-m", "kedro", "run", *options, "--params", ",".join(given)]
        environment = {**os.environ, "MOVIE_RECS_DATA_DIR": str(self.data), "COLUMNS": "1000"}
        with self._log.open("w") as log:
            return subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def said(self) -> str:
        """All that it has printed."""
        return self._log.read_text(errors="replace")

    def complaint(self) -> str:
        """What it has printed besides its nodes; a problem if that is no sentence."""
        lines = [
            line for line in self.said().splitlines() if line.strip() and not re.match(r"\S+ (INFO|WARNING) ", line)
        ]
        is_sentence = len(lines) <= MOST_LINES and any(line.startswith("Error: ") for line in lines)
        return "" if is_sentence else "\n".join(["no sentence:", *lines[:20]])

    def check(self, whole: bool) -> list[str]:
        """What is wrong after a fault: torn files, and a run that does not complete."""
        wrong = [f"torn: {path}" for path in torn_files(self.data)]
        if self.start("--pipelines=recommend,reporting").wait():
            wrong.append(f"recommend, reporting: {self.said()[-600:]}")
        if whole and self.start().wait():
            wrong.append(f"the next run: {self.said()[-600:]}")
        return wrong


def kill_runs(run: Run, length: float, kills: int, chance: random.Random) -> int:
    """How many kills of whole runs had a consequence that they should not have."""
    problems = 0
    for kill in range(kills):
        victim, moment = chance.choice(list(VICTIMS)), chance.uniform(0, length)
        process = run.start(**{"split.seed": kill})
        begun = time.monotonic()
        while time.monotonic() - begun < moment and process.poll() is None:
            time.sleep(0.01)
        below = processes_below(process.pid)
        victims = [process.pid] if VICTIMS[victim] is None else [pid for pid in below if _is(pid, VICTIMS[victim])]
        for pid in victims:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wrong, code = [], process.wait(timeout=600)
        if code > 0 and (complaint := run.complaint()):
            wrong.append(complaint)
        if left := _wait_for(below):
            wrong.append(f"processes left: {left}")
        wrong += run.check(whole=kill % 5 == 4 or kill == kills - 1)
        _report(f"{victim} killed after {moment:.0f} s ({len(victims)} processes), exit code {code}", wrong)
        problems += bool(wrong)
    if kills:
        print(f"{kills} kills of runs: {problems} with a problem", flush=True)
    return problems


def fill_disk(run: Run, length: float, place: Path, times: int, chance: random.Random) -> int:
    """How many runs on a disk that became full had a consequence that they should not have."""
    if not times:
        return 0
    if os.geteuid() != 0:
        print("no full disks: only root can mount a small one", flush=True)
        return 0
    problems = 0
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", place], check=True)
    try:
        small = Run(shutil.copytree(run.data, place / "data"), run.dataset)
        small._log = run.data.with_name("printed-small.txt")
        for number in range(times):
            moment, spare = chance.uniform(0, length), chance.choice([0, 10_000, 1_000_000])
            process = small.start(**{"split.seed": 1000 + number})
            begun = time.monotonic()
            while time.monotonic() - begun < moment and process.poll() is None:
                time.sleep(0.01)
            _fill(place / FILLING, spare)
            wrong, code = [], process.wait(timeout=600)
            if code > 0 and (complaint := small.complaint()):
                wrong.append(complaint)
            (place / FILLING).unlink()
            wrong += small.check(whole=number == times - 1)
            _report(f"disk full but for {spare} bytes after {moment:.0f} s, exit code {code}", wrong)
            problems += bool(wrong)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
    print(f"{times} full disks: {problems} with a problem", flush=True)
    return problems


def torn_files(data: Path) -> list[str]:
    """The files of results that are there and not whole."""
    torn = []
    for path in sorted(data.rglob("*")):
        parts = path.relative_to(data).parts
        is_rest = any(part.endswith(RESTS) for part in parts) or parts[0] == "logs"
        if path.is_dir() or is_rest or "_temporary" in parts or not _is_complete(path, parts):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".csv":
                pd.read_csv(path)
            elif path.suffix == ".parquet":
                pd.read_parquet(path)
            elif path.suffix == ".html" and not path.read_text().rstrip().endswith("</html>"):
                raise ValueError("its end is missing")
        except (ValueError, OSError) as error:
            torn.append(f"{path}: {error}")
    return torn


def _is_complete(path: Path, parts: tuple[str, ...]) -> bool:
    """False for a file of a model's version that has no marker, and so is ignored."""
    versions = [each for each in path.parents if re.fullmatch(r"\d{4}-.*Z", each.name)]
    return parts[0] != "06_models" or not versions or any(versions[0].glob("*/_SUCCESS"))


def _is(pid: int, part: str | None) -> bool:
    with suppress(OSError):
        return part is not None and part in Path(f"/proc/{pid}/cmdline").read_text().replace("\0", "\n")
    return False


def _wait_for(pids: list[int], seconds: float = 30) -> list[int]:
    """The processes that are still there, zombies apart, after so long."""
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _is(pid, "") and Path(f"/proc/{pid}/cmdline").read_bytes()]:
        if time.monotonic() > deadline:
            return left
        time.sleep(0.2)
    return []


def _fill(path: Path, spare: int) -> None:
    with path.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    os.truncate(path, max(path.stat().st_size - spare, 0))


def _report(what: str, wrong: list[str]) -> None:
    print(f"{what}: {'; '.join(wrong) or 'nothing lost'}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
