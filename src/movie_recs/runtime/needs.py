"""What a run will need, from the size of its ratings, and what it has needed.

The figures are those of whole runs on two cores, at 0.1, 1 and 10 million ratings (`benchmarks/scale.py`). Another
machine may take half as long or twice; what a search adds beyond its lists, and lists for all users, are not known.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from movie_recs.errors import UserError

BYTES_PER_RATING = 26  # of ratings.csv
GIB = 2**30
GB = 10**9
READING = "data_processing.parse_ratings"  # a run with this node writes all tables anew
MEASURED_CORES = 2


class Stage(NamedTuple):
    """What a stage takes.

    Args:
        label: Its name in the message.
        fixed: Seconds for any data.
        per_million: Seconds for each million ratings, on two cores.
        most: Millions of ratings that it sees at most.
    """

    label: str
    fixed: float
    per_million: float
    most: float = float("inf")


STAGES = {  # by the beginning of a node's name, the first that fits; each counts once for each of its nodes
    READING: Stage("reading", 14, 8),
    "data_processing.split_ratings": Stage("reading", 3, 3),
    "eda.count_distributions": Stage("description", 5, 3),
    "rating.tuning.cross_validate": Stage("tuning", 12, 6, most=5),
    "ranking.tuning.cross_validate": Stage("tuning", 15, 20, most=5),
    "rating.tuning.fit_": Stage("fits", 4, 3),
    "ranking.tuning.fit_": Stage("fits", 7, 18),
    "rating.evaluation.evaluate_models": Stage("evaluation", 10, 15),
    "ranking.evaluation.list_movies": Stage("evaluation", 5, 8),
    "recommend.recommend_movies": Stage("lists", 7, 1),
    "reporting.": Stage("report", 1, 0.1),
}


def expect(nodes: Iterable[str], ratings_bytes: int, cores: int) -> str:
    """A sentence about time, memory and disk; empty if the size is not known.

    Args:
        nodes: Names of the nodes that will run.
        ratings_bytes: Size of ratings.csv; 0 if it is not known.
        cores: Number of cores.
    """
    if not ratings_bytes:
        return ""
    millions = ratings_bytes / BYTES_PER_RATING / 1e6
    seconds: dict[str, float] = {}
    for node in nodes:
        stage = next((stage for beginning, stage in STAGES.items() if node.startswith(beginning)), None)
        if stage:
            more = stage.per_million * min(millions, stage.most) * MEASURED_CORES / cores
            seconds[stage.label] = seconds.get(stage.label, 0.0) + stage.fixed + more
    if not seconds:
        return ""
    parts = ", ".join(f"{label} {_time(value)}" for label, value in seconds.items())
    memory = 2.5 + 0.6 * millions**0.75
    return (
        f"About {millions:.1f} million ratings: expect about {_time(sum(seconds.values()))} on {cores} cores "
        f"({parts}), {memory:.0f} GB of memory and {_disk(millions):.1f} GB of disk"
    )


def check_room(folders: Iterable[Path], nodes: Iterable[str], ratings_bytes: int) -> None:
    """Checks that a run can write its results.

    Args:
        folders: The folders of its outputs, of which some may not exist yet.
        nodes: Names of the nodes that will run.
        ratings_bytes: Size of ratings.csv; 0 if it is not known.

    Raises:
        UserError: A folder cannot be written to, or its disk has less room than the run needs.
    """
    needed = _disk(ratings_bytes / BYTES_PER_RATING / 1e6 if READING in nodes else 0)
    for folder in sorted(set(map(existing, folders))):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(
                f"{folder} cannot be written to: correct its permissions, or write results to another folder by "
                "MOVIE_RECS_DATA_DIR."
            )
        free = shutil.disk_usage(folder).free / GB
        if free < needed:
            raise UserError(
                f"The disk of {folder} has {free:.2f} GB free, and this run needs about {needed:.2f} GB: free some "
                "space, or write results to another folder by MOVIE_RECS_DATA_DIR."
            )


def existing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(each for each in (path, *path.parents) if each.exists())


def describe_peak() -> str:
    """The most memory that the run's processes have had, added up; empty where the machine does not tell.

    That is this process, Java, and the Python workers that are still there; what they share counts for each.
    """
    if not sys.platform.startswith("linux"):
        return ""
    total = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + sum(map(_peak_of, processes_below(os.getpid())))
    return f"{total / GIB:.1f} GB"


def processes_below(pid: int) -> list[int]:
    """The processes that this one has started, and those that they have."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found = list(children.get(pid, []))
    for each in found:  # it grows
        found += children.get(each, [])
    return found


def _peak_of(pid: int) -> int:
    """Bytes: the most that it has had."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    fields = {line.split(":")[0]: line.split() for line in text.splitlines()}
    return 1024 * int(fields["VmHWM"][1]) if "VmHWM" in fields else 0


def _disk(millions: float) -> float:
    """Gigabytes that a run on so many million ratings writes."""
    return 0.02 + 0.1 * millions


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
