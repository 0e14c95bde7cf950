"""This process's own temporary folder, which only its user can read: Java's wrapper, sockets, Spark's blocks, trials.

It is removed when the process ends. What a killed process has left is removed by the next one: a lock, which the
operating system frees, tells whether a folder is still in use.
"""

import atexit
import functools
import shutil
import tempfile
import time
from io import TextIOWrapper
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

PREFIX = "movie_recs-"
LOCK = "in-use"
JUST_MADE = 60  # seconds in which a folder may have no lock yet

_locks: list[TextIOWrapper] = []  # open, and so locked, until the process ends


@functools.cache
def scratch_folder() -> Path:
    """The folder; the first call makes it, and removes abandoned ones."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))  # for this user alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if fcntl is not None:
        _locks.append((folder / LOCK).open("w"))
        fcntl.flock(_locks[-1], fcntl.LOCK_EX)
    return folder


def _is_abandoned(folder: Path) -> bool:
    if fcntl is None:
        return False
    try:
        if time.time() - (folder / LOCK).stat().st_mtime < JUST_MADE:
            return False
        with (folder / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # in use, or another user's
        return False
    return True
