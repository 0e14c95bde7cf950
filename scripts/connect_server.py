"""Runs a command beside a Spark Connect server on loopback, of the Spark that pip installed.

    python scripts/connect_server.py                            # kedro run --env=connect
    python scripts/connect_server.py -- kedro run --env=connect --pipelines=recommend

The command finds the server, and the token without which nobody can use it, by the environment variable SPARK_REMOTE.
Its exit code is passed on, and the server ends with it.
"""

import argparse
import sys

from daemons import LOOPBACK, Daemons, parse_arguments, run_beside

# A deep stack for ALS's lineage, which grows with max_iter, and Java's own arithmetic: no words about a BLAS not found.
JAVA_OPTIONS = "-Xss16m -Ddev.ludovic.netlib.blas.allowNative=false -Ddev.ludovic.netlib.lapack.allowNative=false"

ATTEMPTS = 4  # of a task, as on a cluster: one that loses the connection by which it loads classes runs again


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="of the server (default: any free one)")
    parser.add_argument("--cores", default="*", help="of the server (default: all)")
    parser.add_argument("--memory", default="4g", help="of the server (default: %(default)s)")
    arguments = parse_arguments(parser, env="connect")

    def start(daemons: Daemons) -> dict[str, str]:
        address = start_server(daemons, arguments.port, arguments.cores, arguments.memory)
        print(f"Spark Connect server at {address}", file=sys.stderr)
        return {"SPARK_REMOTE": f"{address}/;token={daemons.secret}"}

    return run_beside(start, arguments)


def start_server(daemons: Daemons, port: int, cores: str, memory: str) -> str:
    """The server's address, once it accepts connections.

    Args:
        daemons: Runs the server.
        port: The port to listen on; 0 is any free one.
        cores: Number of cores, or `*` for all.
        memory: Memory of the server, as Spark writes it: 4g.

    Raises:
        UserError: The server ended, or was not ready in time.
    """
    options = {
        "spark.connect.grpc.binding.address": LOOPBACK,
        "spark.connect.grpc.binding.port": port,
        "spark.driver.host": LOOPBACK,
        "spark.driver.bindAddress": LOOPBACK,
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.checkpoint.dir": daemons.folder / "checkpoints",  # where ALS cuts its lineage
        "spark.ui.enabled": "false",
    }
    log = daemons.start(
        "connect",
        "spark-submit",
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *("--master", f"local[{cores},{ATTEMPTS}]", "--driver-memory", memory),
        *(word for key, value in options.items() for word in ("--conf", f"{key}={value}")),
        "spark-internal",  # the class is Spark's own: there is no application file
        PYSPARK_PYTHON=sys.executable,
        SPARK_CONNECT_AUTHENTICATE_TOKEN=daemons.secret,
    )
    (found,) = daemons.wait_for(rf"Spark Connect server started at: {LOOPBACK}:(\d+)", log)
    return f"sc://localhost:{found}"  # by this name, PySpark sends a token without TLS


if __name__ == "__main__":
    sys.exit(main())
