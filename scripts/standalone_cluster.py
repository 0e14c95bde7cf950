"""Runs a command beside a Spark standalone cluster on loopback: a master and workers of the Spark that pip installed.

    python scripts/standalone_cluster.py                        # kedro run --env=cluster
    python scripts/standalone_cluster.py -- kedro run --env=cluster --pipelines=recommend

The command finds the cluster, and the secret without which nobody can use it, by the environment variables of
conf/cluster/spark.yml. Its exit code is passed on, and master, workers and executors end with it.
"""

import argparse
import sys
from pathlib import Path

from daemons import LOOPBACK, Daemons, parse_arguments, run_beside


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="how many, one core each (default: %(default)s)")
    parser.add_argument("--memory", default="2g", help="of the driver and of each worker (default: %(default)s)")
    arguments = parse_arguments(parser, env="cluster")

    def start(daemons: Daemons) -> dict[str, str]:
        master = start_cluster(daemons, arguments.workers, arguments.memory)
        print(f"{arguments.workers} workers at {master}", file=sys.stderr)
        return client_environment(master, daemons.secret, arguments.workers, arguments.memory)

    return run_beside(start, arguments)


def start_cluster(daemons: Daemons, workers: int, memory: str) -> str:
    """The master's address, once all workers are registered.

    Args:
        daemons: Runs the master and the workers.
        workers: Number of workers, one core each.
        memory: Memory of each worker, as Spark writes it: 2g.

    Raises:
        UserError: A daemon ended, or they were not ready in time.
    """

    def start(name: str, kind: str, *arguments: str) -> Path:
        return daemons.start(
            name,
            "spark-class",
            f"org.apache.spark.deploy.{kind.lower()}.{kind}",
            *("--host", LOOPBACK, "--port", "0", "--webui-port", "0"),  # 0 is any free port
            *arguments,
            SPARK_MASTER_OPTS="-Dspark.master.rest.enabled=false",  # only the command submits jobs
            SPARK_DAEMON_MEMORY="512m",
            SPARK_DAEMON_JAVA_OPTS="-Dspark.network.crypto.enabled=true",
        )

    master_log = start("master", "Master")
    (master,) = daemons.wait_for(r"Starting Spark master at (spark://[\w.:]+)", master_log)
    for number in range(1, workers + 1):
        work = str(daemons.folder / f"worker-{number}")
        start(f"worker-{number}", "Worker", "--cores", "1", "--memory", memory, "--work-dir", work, master)
    daemons.wait_for(r"Registering worker ", master_log, workers)
    return master


def client_environment(master: str, secret: str, workers: int, memory: str) -> dict[str, str]:
    """The variables of conf/cluster/spark.yml with which a run uses the whole of this cluster."""
    return {
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_MASTER_URL": master,
        "SPARK_AUTH_SECRET": secret,
        "SPARK_DRIVER_MEMORY": memory,
        "SPARK_EXECUTOR_MEMORY": memory,
        "SPARK_EXECUTOR_CORES": "1",
        "SPARK_CORES_MAX": str(workers),
        "SPARK_SHUFFLE_PARTITIONS": str(4 * workers),
    }


if __name__ == "__main__":
    sys.exit(main())
