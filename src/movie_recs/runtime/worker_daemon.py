"""PySpark's daemon, from which the Python workers fork, with what they need loaded, and quiet when Spark stops them.

PySpark's own workers import everything after the fork: a second of each, and a task with three functions in a row has
three of them. Spark closes a worker's socket after a minute of idleness and when Spark itself ends. With a Unix domain
socket the worker gets a broken pipe, which PySpark's daemon prints. `spark.python.daemon.module` in conf/base/spark.yml
names this module.
"""

import sys
from contextlib import suppress
from socket import socket

import numpy as np
from pyspark import daemon

run_worker = daemon.worker


def worker(sock: socket, authenticated: bool) -> int:
    """The exit code of PySpark's worker; 1, which ends it, if Spark has closed the socket."""
    try:
        return run_worker(sock, authenticated)
    except BrokenPipeError:
        return 1


def load() -> None:
    """Imports what the functions of this package need in a worker, and loads the compiled search for lists.

    On Linux alone, where a process may be forked that has the threads which pandas and pyarrow start.
    """
    if sys.platform != "linux":
        return
    from movie_recs.model import scoring, top_n, users  # noqa: F401 - for the workers
    from movie_recs.model.exact_search import DOT, prepare_items
    from movie_recs.model.search import search

    one, vector = np.ones(1, np.int32), np.ones((1, 1), np.float32)
    nothing_seen = np.zeros(0, np.int32), np.zeros(1, np.int64)
    items = prepare_items(one, np.zeros(1, np.float32), vector, DOT)
    list(search(one, np.zeros(1), vector, *nothing_seen, items, 1))


if __name__ == "__main__":
    with suppress(Exception):  # what fails here, fails again in the worker that needs it, whose error Spark shows
        load()
    daemon.worker = worker
    daemon.manager()
