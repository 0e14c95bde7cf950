"""PySpark's daemon, which starts the Python workers, without a traceback for each worker that Spark is done with.

Spark closes a worker's socket when it has been idle for a minute and when it ends. Of a Unix domain socket the worker
notices only by a broken pipe, which PySpark's daemon prints. `spark.python.daemon.module` in conf/base/spark.yml names
this module.
"""

from socket import socket

from pyspark import daemon

run_worker = daemon.worker


def worker(sock: socket, authenticated: bool) -> int:
    """The exit code of PySpark's worker; 1, which ends it, if there is nobody left to answer."""
    try:
        return run_worker(sock, authenticated)
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    daemon.worker = worker
    daemon.manager()
