"""Work in threads of this process, for loops that release Python's lock: compiled ones, and SciPy's and NumPy's."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def cores() -> int:
    """How many threads may run at once: `OMP_NUM_THREADS`, which Spark sets for a task, else this process's cores."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(text) if text.isdigit() and int(text) else own


def use_one_blas_thread() -> None:
    """From now on NumPy's and SciPy's linear algebra runs in the thread that calls it.

    Its own threads wait for the next call in a busy loop, which takes more time than they save on small matrices.
    """
    threadpool_limits(1, user_api="blas")


def in_threads(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    """The results in the order of the arguments."""
    if cores() == 1:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(cores(), "part") as pool:
        return list(pool.map(function, arguments))
