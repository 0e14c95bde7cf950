"""Any error as one sentence, with the full trace in a log file that the sentence names.

Java writes its own errors to the same file (conf/base/log4j2.properties).
"""

import errno
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from subprocess import TimeoutExpired

from click import ClickException
from pyspark import SparkContext

from movie_recs.errors import UserError
from movie_recs.project import PROJECT
from movie_recs.runtime.needs import GB, existing

LOG = "MOVIE_RECS_LOG"  # the environment variable that tells Java the file
LOGS = 20  # files that are kept
LONGEST = 300  # characters of an unknown error's message

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
IS_FULL = re.compile(r"No space left on device|Disk quota exceeded|File too large|not enough space on the disk")
IS_FORBIDDEN = re.compile(
    r"Mkdirs failed to create (?:file:)?(?P<made>\S+)"
    r"|AccessDeniedException: (?P<denied>[^\n]+)"
    r"|(?P<named>/[^\n:]*?):? \((?:Permission denied|Read-only file system)\)"
    r"|Permission denied|Read-only file system"
)
IS_OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|Java heap space|GC overhead limit exceeded")
HAS_LOST_WORKER = re.compile(
    r"Python worker exited unexpectedly|Python worker failed to connect back"
    r"|Stream closed(?s:.){0,999}PythonWorkerFactory"  # of the daemon that starts them
)
HAS_LOST_JAVA = re.compile(r"Answer from Java side is empty|JAVA_GATEWAY_EXITED|does not exist in the JVM")
IS_DAMAGED = re.compile(
    r"(?:FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|PATH_NOT_FOUND|FileNotFoundException|is not a Parquet file)"
    r"[^\n]*?file:(?P<path>/[^\s,'\"]+)"
)
WORKERS_ERROR = re.compile(r"^(\w[\w.]*(?:Error|Exception|Interrupt)\b.*)$", flags=re.MULTILINE)
AGAIN = "Earlier results are as they were; the same command continues."


def begin_log(data_dir: str) -> None:
    """Chooses the file for the errors of a run, which only an error creates: `<data_dir>/logs/<time>-<process>.log`.

    It is in the temporary folder where the data folder is remote, or cannot be written to.
    """
    folder = Path(tempfile.gettempdir()) if "://" in data_dir else PROJECT / data_dir / "logs"
    if not os.access(existing(folder), os.W_OK | os.X_OK):
        folder = Path(tempfile.gettempdir())
    os.environ[LOG] = str(folder / f"movie_recs-{datetime.now(UTC):%Y-%m-%dT%H.%M.%S}-{os.getpid()}.log")


def as_sentence(error: BaseException) -> ClickException:
    """What the command line shows: a sentence, and the name of the log file unless the user can correct the error."""
    for each in _chain(error):
        if isinstance(each, ClickException):
            return each
        if isinstance(each, UserError):
            return ClickException(str(each))
    return ClickException(f"{explain(error)} {_write(error)}".strip())


def explain(error: BaseException) -> str:
    """What has gone wrong and what to do, as the error and its causes tell, Java's included; else the first cause."""
    errors = list(_chain(error))
    text = "\n".join(map(str, errors))
    numbers = {each.errno for each in errors if isinstance(each, OSError)}
    if numbers.intersection(FULL) or IS_FULL.search(text):
        return f"The disk is full ({_free_space()}): free some space. {AGAIN}"
    if numbers.intersection(FORBIDDEN) or IS_FORBIDDEN.search(text):
        return (
            f"{_forbidden_path(errors, text)} cannot be opened: correct its permissions, or write results to another "
            "folder by MOVIE_RECS_DATA_DIR."
        )
    if IS_OUT_OF_MEMORY.search(text):
        return f"Java has run out of memory: raise spark.driver.memory in conf/local/spark.yml. {AGAIN}"
    if any(isinstance(each, MemoryError) for each in errors):
        return f"Python has run out of memory: close other programs, or take a smaller data set. {AGAIN}"
    if HAS_LOST_WORKER.search(text):
        return f"A Python process of Spark was killed, perhaps for lack of memory. {AGAIN}"
    if HAS_LOST_JAVA.search(text) or (_has_lost_connection(errors) and _has_java_ended()):
        return f"Java, in which Spark runs, has ended or was killed, perhaps for lack of memory. {AGAIN}"
    if damaged := IS_DAMAGED.search(text):
        return f"{damaged['path']} is damaged or missing: run `kedro run` again, which makes it anew."
    return _first_cause(errors[-1])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _first_cause(error: BaseException) -> str:
    """The error's message on one line, shortened; the innermost one of Java's errors and of Python's in Spark."""
    text = str(error).strip()
    causes = re.findall(r"^Caused by: (.+)$", text, flags=re.MULTILINE)
    workers = WORKERS_ERROR.findall(text) if "Traceback (most recent call last)" in text else []
    message = " ".join([*workers[-1:], *causes[-1:], f"{type(error).__name__}: {text}"][0].split("\n\tat ")[0].split())
    return message if len(message) <= LONGEST else f"{message[:LONGEST]} ..."


def _has_lost_connection(errors: list[BaseException]) -> bool:
    return any(isinstance(each, ConnectionError | EOFError) or "py4j" in type(each).__module__ for each in errors)


def _has_java_ended() -> bool:
    process = getattr(SparkContext._gateway, "proc", None)
    try:
        return process is not None and process.wait(timeout=2) is not None
    except TimeoutExpired:
        return False


def _forbidden_path(errors: list[BaseException], text: str) -> str:
    for each in errors:
        if isinstance(each, OSError) and each.errno in FORBIDDEN and each.filename:
            return str(each.filename)
    found = IS_FORBIDDEN.search(text)
    return next((path for path in found.groupdict().values() if path), "A file") if found else "A file"


def _free_space() -> str:
    """Of the folder of the logs, which is the data's, and of the temporary one."""
    logs = [Path(os.environ[LOG]).parents[1]] if LOG in os.environ else []
    places = dict.fromkeys(existing(folder) for folder in (*logs, Path(tempfile.gettempdir())))
    return ", ".join(f"{shutil.disk_usage(place).free / GB:.1f} GB free in {place}" for place in places)


def _write(error: BaseException) -> str:
    """Writes the trace, and says where; to the temporary folder if the data folder's disk is full."""
    if LOG not in os.environ:
        begin_log("data")
    trace, chosen = "".join(traceback.format_exception(error)), Path(os.environ[LOG])
    for path in (chosen, Path(tempfile.gettempdir()) / chosen.name):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as log:
                log.write(f"{' '.join(sys.argv)}\n{trace}")
        except OSError:
            continue
        for old in sorted(path.parent.glob("movie_recs-*.log"))[:-LOGS]:
            old.unlink(missing_ok=True)
        return f"The full error is in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}."
    return ""
