"""Chooses the carrier of a stage: `local` if its data fit in a task's memory, otherwise `spark`."""

import logging
import os
import re
from functools import cache
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from movie_recs.data.blocks import tasks_at_a_time
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

GIB = 2**30
MIB = 2**20

# Bytes of a trial in one task, measured by benchmarks/tuning.py, which checks that none takes more.
PROCESS = 350 * MIB  # Python, NumPy, pandas, PyArrow, Numba and the compiled code
PER_RATING = 110  # the ratings of all folds, those that the fit sees by user and by movie, and their residuals
PER_NUMBER = 8

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


def choose_carrier(choice: str, size: DataSize, needed: int, spark: SparkSession) -> str:
    """`local` or `spark`; the choice of `auto` is logged with its reason, once for the same numbers.

    Args:
        choice: The parameter `carrier`.
        size: Size of the data.
        needed: Most bytes that one process takes when it holds all of the data.
        spark: The session whose tasks run the trials.
    """
    if choice != "auto":
        return choice
    available = task_memory(spark)
    carrier = "local" if needed <= available else "spark"
    _log_once(
        f"Carrier {carrier}: {size.ratings:,} ratings need {needed / GIB:.1f} GB; a task has {available / GIB:.1f} GB"
    )
    return carrier


def task_memory(spark: SparkSession) -> int:
    """Bytes that one task's Python process may take, outside the JVM.

    Inside this process (`local`): the machine's memory minus the JVM's, per core. On a cluster: an executor's memory
    for Python (spark.executor.pyspark.memory, else its memoryOverhead), per core.
    """

    def conf(key: str, default: str) -> str:
        return spark.conf.get(key, default) or default

    if conf("spark.master", "").startswith("local"):
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return (machine - _bytes(conf("spark.driver.memory", "1g"))) // tasks_at_a_time(spark)
    at_least, share = OVERHEAD
    overhead = max(at_least, share * _bytes(conf("spark.executor.memory", "1g"))) / MIB
    python = conf("spark.executor.pyspark.memory", conf("spark.executor.memoryOverhead", str(overhead)))
    return _bytes(python) // int(conf("spark.executor.cores", "1"))


@cache
def _log_once(message: str) -> None:
    logger.info(message)


def _bytes(text: str) -> int:
    """The bytes of a size as Spark writes it: 512m, 4g; a number alone is in MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise UserError(f"{text!r} is no size of memory; Spark writes them as 512m or 4g.")
    return int(float(match[1]) * {"k": 2**10, "": MIB, "m": MIB, "g": GIB, "t": 2**40}[match[2]])
