"""Spark processes on loopback, of the Spark that pip installed, that live as long as a command runs beside them."""

import argparse
import os
import re
import secrets
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
from movie_recs.runtime.java import find_java, wrap_java

SPARK_HOME = Path(pyspark.__file__).parent
LOOPBACK = "127.0.0.1"
START_SECONDS = 90  # until all processes are ready; 10 on an idle machine
STOP_SECONDS = 10  # for a process to end by itself before it is killed
LOG_TAIL = 15  # lines of each log in an error message
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Daemons:
    """Starts processes in a folder and follows their logs; all of them end when the `ExitStack` closes."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        """`folder` is for logs and temporary files, and is created if it does not exist.

        The processes, and whoever is told their `secret`, talk to each other alone.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.secret = secrets.token_hex(32)
        _write_defaults(folder / "spark-defaults.conf", self.secret)
        self._stack = stack
        self._processes: dict[Path, subprocess.Popen] = {}
        self._deadline = time.monotonic() + START_SECONDS
        self._environment = {
            **os.environ,
            "SPARK_HOME": str(SPARK_HOME),
            "JAVA_HOME": str(wrap_java(find_java().home)),
            "SPARK_CONF_DIR": str(folder),  # no other cluster's configuration, and Spark's default logging
            "SPARK_LOCAL_DIRS": str(folder / "local"),
            "SPARK_LOCAL_IP": LOOPBACK,  # web pages too are for this machine alone
        }

    def start(self, name: str, script: str, *arguments: str, **variables: str) -> Path:
        """The log file of a new process.

        Args:
            name: The log file's name without its suffix.
            script: The name of a script in Spark's `bin`.
            arguments: The script's arguments.
            variables: Further environment variables.
        """
        log = self.folder / f"{name}.log"
        command = [str(SPARK_HOME / "bin" / script), *arguments]
        process = _daemon(command, log, {**self._environment, **variables}, self.folder)
        self._processes[log] = self._stack.enter_context(process)
        return log

    def wait_for(self, pattern: str, log: Path, times: int = 1) -> list[str]:
        """The matches of a pattern in a log, once there are at least `times` of them.

        Raises:
            UserError: A process ended, or `START_SECONDS` have passed since the first one started; the message holds
                the ends of the logs.
        """
        while len(found := re.findall(pattern, log.read_text(errors="replace"))) < times:
            ended = [path.stem for path, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > self._deadline:
                reason = f"{', '.join(ended)} ended" if ended else f"it was not ready within {START_SECONDS} s"
                tails = [f"--- {path}\n{_tail(path)}" for path in self._processes]
                raise UserError("\n".join([f"Spark did not start: {reason}. Its logs end with", *tails]))
            time.sleep(0.2)
        return found


def parse_arguments(parser: argparse.ArgumentParser, env: str) -> argparse.Namespace:
    """The parsed command line, with the options that all these scripts have.

    Args:
        parser: A parser of the other options.
        env: The Kedro environment of the default command.
    """
    parser.add_argument("--folder", type=Path, help="keeps logs and work (default: a temporary folder, removed)")
    parser.add_argument("command", nargs="*", help=f"after --; default: kedro run --env={env}")
    arguments = parser.parse_args()
    arguments.command = arguments.command or [sys.executable, "-m", "kedro", "run", f"--env={env}"]
    return arguments


def run_beside(start: Callable[[Daemons], dict[str, str]], arguments: argparse.Namespace) -> int:
    """The exit code of a command, which runs while the daemons do; they end with it.

    Args:
        start: Starts the daemons and gives the environment variables by which the command finds them.
        arguments: `folder` and `command`, as `parse_arguments` returns them.
    """
    for number in SIGNALS:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True)
        )
        try:
            variables = start(Daemons(stack, Path(folder).absolute()))
            return _run(arguments.command, {**os.environ, "SPARK_HOME": str(SPARK_HOME), **variables})
        except UserError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            for number in SIGNALS:  # the rest ends soon; interrupting it would leave processes behind
                signal.signal(number, signal.SIG_IGN)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """The exit code of the command, which is terminated when this process is."""
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
def _daemon(command: list[str], log: Path, environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen]:
    """A process in its own group: Ctrl-C does not reach it, and whatever it started ends with it."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
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


def _write_defaults(path: Path, secret: str) -> None:
    """Spark's configuration with the secret, in a file that this user alone can read."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(f"spark.authenticate true\nspark.authenticate.secret {secret}\nspark.network.crypto.enabled true\n")


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_TAIL:])
