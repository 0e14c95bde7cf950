"""PySpark's daemon, which starts the Python workers, without a traceback for each worker that Spark stops.

Spark closes a worker's socket after a minute of idleness and when Spark itself ends. With a Unix domain socket the
worker gets a broken pipe, which PySpark's daemon prints. `spark.python.daemon.module` in conf/base/spark.yml names this
module.
"""

from socket import socket

from pyspark import daemon

run_worker = daemon.worker


def worker(sock: socket, authenticated: bool) -> int:
    """The exit code of PySpark's worker; 1, which ends it, if Spark has closed the socket."""
    try:
        return run_worker(sock, authenticated)
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    daemon.worker = worker
    daemon.manager()
