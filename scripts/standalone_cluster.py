"""Runs a command beside a Spark standalone cluster on loopback: a master and workers of the Spark that pip installed.

    python scripts/standalone_cluster.py                        # kedro run --env=cluster
    python scripts/standalone_cluster.py -- kedro run --env=cluster --pipelines=recommend

The command finds the cluster by the environment variables of conf/cluster/spark.yml. Its exit code is passed on, and
master, workers and executors end with it.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pyspark

from movie_recs.errors import UserError
from movie_recs.runtime.java import find_java

SPARK_HOME = Path(pyspark.__file__).parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 90  # until all workers are registered; 10 on an idle machine
STOP_SECONDS = 10  # for a process to end by itself before it is killed
LOG_TAIL = 15  # lines of each log that an error shows
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """The exit code of the command."""
    arguments = _arguments()
    for number in SIGNALS:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="spark-cluster-", ignore_cleanup_errors=True)
        )
        try:
            master = start_cluster(stack, Path(folder).absolute(), arguments.workers, arguments.memory)
            print(f"{arguments.workers} workers at {master}", file=sys.stderr)
            return run(arguments.command, client_environment(master, arguments.workers, arguments.memory))
        except UserError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            for number in SIGNALS:  # what follows ends soon; interrupted, it would leave processes behind
                signal.signal(number, signal.SIG_IGN)


def start_cluster(stack: ExitStack, folder: Path, workers: int, memory: str) -> str:
    """The master's address, once all workers are registered.

    Args:
        stack: Stops all that was started when it closes.
        folder: Of logs, of the applications' folders, and of the executors' temporary files.
        workers: How many, of one core each.
        memory: Of each worker, as Spark writes it: 2g.

    Raises:
        UserError: A daemon ended, or they took longer than `START_SECONDS`; it holds the ends of the logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    daemons: dict[Path, subprocess.Popen] = {}
    environment = {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "JAVA_HOME": str(find_java().home),
        "SPARK_CONF_DIR": str(folder),  # empty: no other cluster's configuration, and logs as Spark has them
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": LOOPBACK,  # the web pages too are for this machine alone
        "SPARK_MASTER_OPTS": "-Dspark.master.rest.enabled=false",  # jobs come from the command alone
        "SPARK_DAEMON_MEMORY": "512m",
    }

    def start(kind: str, *arguments: str) -> Path:
        log = folder / f"{kind.lower()}-{len(daemons)}.log"
        main_class = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
        anywhere = ["--host", LOOPBACK, "--port", "0", "--webui-port", "0"]  # 0 is any free port
        command = [str(SPARK_HOME / "bin" / "spark-class"), main_class, *anywhere, *arguments]
        daemons[log] = stack.enter_context(_daemon(command, log, environment))
        return log

    deadline = time.monotonic() + START_SECONDS
    master_log = start("Master")
    (master,) = _wait_for(r"Starting Spark master at (spark://[\w.:]+)", 1, master_log, daemons, deadline)
    for number in range(workers):
        start("Worker", "--cores", "1", "--memory", memory, "--work-dir", str(folder / f"worker-{number + 1}"), master)
    _wait_for(r"Registering worker ", workers, master_log, daemons, deadline)
    return master


def client_environment(master: str, workers: int, memory: str) -> dict[str, str]:
    """The environment in which `kedro run --env=cluster` uses the whole of this cluster."""
    return {
        **os.environ,
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_MASTER_URL": master,
        "SPARK_DRIVER_MEMORY": memory,
        "SPARK_EXECUTOR_MEMORY": memory,
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_CORES_MAX": str(workers),
        "SPARK_SHUFFLE_PARTITIONS": str(4 * workers),
    }


def run(command: list[str], environment: dict[str, str]) -> int:
    """The exit code of the command; it is told to end when this process is."""
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        raise UserError(f"{command[0]} does not start: {error.strerror}.") from error
    try:
        code = process.wait()
    finally:
        process.terminate()
        _wait_or(process, process.kill)
    return 128 - code if code < 0 else code


@contextmanager
def _daemon(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """A process in a group of its own: Ctrl-C passes it by, and with it ends all that it started."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )

    def kill_group() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    try:
        yield process
    finally:
        process.terminate()
        _wait_or(process, kill_group)
        kill_group()


def _wait_or(process: subprocess.Popen, kill: Callable[[], None]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        kill()
        process.wait()


def _wait_for(pattern: str, times: int, log: Path, daemons: dict[Path, subprocess.Popen], deadline: float) -> list[str]:
    """What the pattern matches in the log, once it does so often enough."""
    while len(found := re.findall(pattern, log.read_text(errors="replace"))) < times:
        ended = [path.stem for path, daemon in daemons.items() if daemon.poll() is not None]
        if ended or time.monotonic() > deadline:
            reason = f"{', '.join(ended)} ended" if ended else f"it was not ready within {START_SECONDS} s"
            tails = [f"--- {path}\n{_tail(path)}" for path in daemons]
            raise UserError("\n".join([f"The cluster did not start: {reason}. Its logs end with", *tails]))
        time.sleep(0.2)
    return found


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL:])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="how many, of one core each (default: %(default)s)")
    parser.add_argument("--memory", default="2g", help="of the driver and of each worker (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="keeps logs and work (default: a temporary folder, removed)")
    parser.add_argument("command", nargs="*", help="after --; default: kedro run --env=cluster")
    arguments = parser.parse_args()
    arguments.command = arguments.command or [sys.executable, "-m", "kedro", "run", "--env=cluster"]
    return arguments


if __name__ == "__main__":
    sys.exit(main())
