"""Work in threads of this process, for loops that release Python's lock: compiled ones, and SciPy's and NumPy's."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def cores() -> int:
    """How many threads may run at once: `OMP_NUM_THREADS`, which Spark sets for a task, else this process's cores."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(text) if text.isdigit() and int(text) else own


def in_threads(function: Callable[[Argument], Result], arguments: Iterable[Argument]) -> list[Result]:
    """The results in the order of the arguments."""
    if cores() == 1:
        return [function(argument) for argument in arguments]
    with ThreadPoolExecutor(cores(), "part") as pool:
        return list(pool.map(function, arguments))
