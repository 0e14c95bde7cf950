"""Chooses the carrier of a stage: `local` if its data fit in memory, otherwise `spark`.

A search runs its trials in tasks, as many at a time as fit, or in threads of this process where the data are small; a
fit and its lists run in this process.
"""

import logging
import os
import re
from functools import cache
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

GIB = 2**30
MIB = 2**20

# Bytes of a trial in one task, measured by benchmarks/tuning.py, which checks that none takes more.
PROCESS = 350 * MIB  # Python, NumPy, pandas, PyArrow, Numba and the compiled code
PER_RATING = 110  # the ratings of all folds, those that the fit sees by user and by movie, and their residuals
PER_NUMBER = 8

COLLECTED = 22  # bytes of a rating on its way to this process: ids, stars, fold and time

SMALL = GIB  # of memory for a trial: below, starting tasks costs more than what they compute at the same time
MOST_THREADS = 4  # of trials in this process, which share Python's lock

OVERHEAD = 384 * MIB, 0.1  # Spark's default memoryOverhead of an executor: the least, and the share of its memory


class DataSize(NamedTuple):
    """The size of the data, from which the memory of a stage is estimated."""

    ratings: int
    users: int
    movies: int

    @classmethod
    def of(cls, data_summary: dict[str, Any]) -> "DataSize":
        """The size of all ratings, from the data summary, so that every stage of a run makes the same choice."""
        return cls(*(data_summary[name] for name in cls._fields))


class Choice(NamedTuple):
    """The carrier of a stage, `local` or `spark`, and how many of its trials may run in tasks at a time.

    None for any number; `IN_THIS_PROCESS` and `IN_THREADS` for none, so that there is one copy of the data.
    """

    carrier: str
    at_a_time: int | None = None


LOCAL = Choice("local")
IN_THIS_PROCESS = 0  # trials one after another, each on all cores
IN_THREADS = -1  # as many at a time as this process has cores, `MOST_THREADS` at most


def choose_carrier(choice: str, size: DataSize, needed: int, spark: SparkSession, in_tasks: bool = False) -> Choice:
    """The choice of `auto` is logged with its reason, once for the same numbers.

    `local` needs room for the data in this process and, for trials, in at least one task beside it; and the ratings are
    collected, which spark.driver.maxResultSize must allow. Trials that need less than `SMALL` run in threads of this
    process, where Spark's tasks would run on this machine too.

    Args:
        choice: The parameter `carrier`.
        size: Size of the data.
        needed: Most bytes that one process takes when it holds all of the data.
        spark: The session whose tasks run the trials.
        in_tasks: Whether the stage runs trials in tasks, not in this process.
    """
    if choice != "auto":
        return Choice(choice)
    available = memory_for_python(spark, in_tasks, size.ratings * PER_RATING)
    fitting = available // needed
    most_collected = _conf_bytes(spark, "spark.driver.maxResultSize", "1g")
    fits = fitting >= 1 and (not most_collected or size.ratings * COLLECTED <= most_collected)
    carrier, where = "local" if fits else "spark", "tasks have" if in_tasks else "this process has"
    limit = "" if fitting < 1 or fits else f", but spark.driver.maxResultSize is {most_collected / GIB:.1f} GB"
    _log_once(
        f"Carrier {carrier}: {size.ratings:,} ratings need {needed / GIB:.1f} GB; "
        f"{where} {available / GIB:.1f} GB{limit}"
    )
    if not (fits and in_tasks):
        return Choice(carrier)
    return Choice(carrier, IN_THREADS if needed < SMALL and fitting >= MOST_THREADS and _is_here(spark) else fitting)


def memory_for_python(spark: SparkSession, in_tasks: bool, held: int) -> int:
    """Bytes that Python may take, outside the JVM, for a stage.

    Inside this process (`local`): the machine's memory minus the JVM's, and for tasks minus what this process holds. On
    a cluster tasks have an executor's memory for Python (spark.executor.pyspark.memory, else its memoryOverhead) per
    core, as every core may run one; this process has what its machine has.

    Args:
        spark: The session.
        in_tasks: Whether it is for tasks, not for this process.
        held: Bytes that this process holds while tasks run.
    """
    machine = machine_memory()
    jvm = _conf_bytes(spark, "spark.driver.memory", "1g")
    if not in_tasks:
        return machine - jvm
    if _is_here(spark):
        return machine - jvm - held
    at_least, share = OVERHEAD
    overhead = max(at_least, share * _conf_bytes(spark, "spark.executor.memory", "1g")) / MIB
    own = spark.conf.get("spark.executor.memoryOverhead", None) or str(overhead)
    cores = int(spark.conf.get("spark.executor.cores", "1") or "1")
    return _conf_bytes(spark, "spark.executor.pyspark.memory", own) // cores


def machine_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _is_here(spark: SparkSession) -> bool:
    """Whether tasks run on this machine, inside Spark's own process."""
    return (spark.conf.get("spark.master", "") or "").startswith("local")


@cache
def _log_once(message: str) -> None:
    logger.info(message)


def _conf_bytes(spark: SparkSession, key: str, default: str) -> int:
    return _bytes(spark.conf.get(key, default) or default)


def _bytes(text: str) -> int:
    """The bytes of a size as Spark writes it: 512m, 4g; a number alone is in MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise UserError(f"{text!r} is no size of memory; Spark writes them as 512m or 4g.")
    return int(float(match[1]) * {"k": 2**10, "": MIB, "m": MIB, "g": GIB, "t": 2**40}[match[2]])
