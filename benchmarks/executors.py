"""Tuning and evaluation on clusters of 1, 2 and 4 executors of one core: wall time, CPU seconds, the driver's memory.

    python benchmarks/executors.py [--executors 1 2 4] [--size 1m] [--carrier spark]

The data are the generator's, and cleaned once; then each cluster, on loopback, has the same few candidates. CPU seconds
are those of all processes, with the daemons and their start; the driver's memory is that of its Python and its Java.
More executors than this machine has cores cannot be faster.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from killed_workers import NARROW, ROOT
from scale import GIB, SIZES, Watch, generate


def main() -> None:
    """Prints a line for each number of executors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executors", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--size", default="1m", choices=SIZES)
    parser.add_argument("--carrier", default="spark", choices=["local", "spark"])
    parser.add_argument("--memory", default="3g", help="of the driver and of each executor")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw" / arguments.size
        generate(raw, arguments.size)
        parameters = ",".join([f"dataset={arguments.size}", f"carrier={arguments.carrier}", *NARROW])
        environment = {**os.environ, "MOVIELENS_DIR": str(raw.parent), "MOVIE_RECS_DATA_DIR": f"{folder}/data"}
        environment["MOVIE_RECS_SEND_PACKAGE"] = "no"
        kedro = [sys.executable, "-m", "kedro", "run", "--params", parameters]
        run([*kedro, "--pipelines=data_processing"], environment)
        for number in arguments.executors:
            cluster = [sys.executable, "scripts/standalone_cluster.py", "--workers", str(number)]
            cluster += ["--memory", arguments.memory, "--", *kedro, "--env=cluster", "--pipelines=tuning,evaluation"]
            wall, cpu, driver = run(cluster, environment)
            found = f"{wall:.0f} s, {cpu:.0f} CPU s, {driver / GIB:.1f} GB in the driver"
            print(f"{number} executors of one core: {found}", flush=True)


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float, int]:
    """Wall and CPU seconds of the command and all that it starts, and the highest memory of its driver in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    watch = Watch(process.pid, " ".join([sys.executable, "-m", "kedro"]))
    watch.start()
    output = process.communicate()[0]
    watch.stop()
    if process.returncode:
        raise SystemExit(output[-4000:])
    return time.perf_counter() - began, watch.cpu, watch.peak


if __name__ == "__main__":
    main()
