"""What a run prints: its data set, a line when each node begins, and a summary at the end."""

import logging
import os
import time
from pathlib import Path
from threading import Lock
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from movie_recs.report.summary import LISTS, PAGE, RESULTS, first_titles, summarise
from movie_recs.runtime.needs import describe_peak, expect

logger = logging.getLogger(__name__)


class ConsoleHooks:
    """The lines of a run; the same hooks serve all runs of a process."""

    def __init__(self) -> None:
        self._lock = Lock()  # a runner may load several inputs at a time
        self._begun: list[str] = []
        self._total: int | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Keeps the configuration, which has the name of the data set, and hides py4j's tracebacks."""
        self._config = context.config_loader
        logging.getLogger().addFilter(is_worth_showing)  # py4j logs them as root

    @hook_impl(trylast=True)  # after the check that the inputs exist
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline) -> None:
        """Logs the number of nodes and the data set."""
        self._since, self._begun = time.perf_counter(), []
        # With `--only-missing-outputs` Kedro selects the nodes later.
        self._total = None if run_params.get("only_missing_outputs") else len(pipeline.nodes)
        nodes = "Nodes without outputs" if self._total is None else _count(self._total)
        logger.info("%s on %s", nodes, self._config["globals"]["dataset"])
        names, ratings_bytes = [node.name for node in pipeline.nodes], self._config["globals"].get("ratings_bytes", 0)
        if needs := expect(names, ratings_bytes, os.cpu_count() or 1):
            logger.info("%s", needs)

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Logs that a node begins, at the first of its inputs."""
        self._log_start(node)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Logs that a node begins, if it has no inputs."""
        self._log_start(node)

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Logs the duration, and prints the summary of what the run has made."""
        if self._begun or self._total:
            peak = describe_peak()
            memory = f", with {peak} of memory at most" if peak else ""
            duration = _duration(time.perf_counter() - self._since)
            logger.info("%s done in %s%s", _count(len(self._begun)), duration, memory)
        else:
            logger.info("Nothing to do: all outputs exist")
        made = {name for node in pipeline.nodes if node.name in self._begun for name in node.outputs}
        try:
            if summary := _summarise(made, catalog):
                print("", *summary, sep="\n", flush=True)
        except Exception as error:  # everything is saved: the run does not fail because of its summary
            logger.warning("No summary: %s", error)

    def _log_start(self, node: Node) -> None:
        with self._lock:
            if node.name in self._begun:
                return
            self._begun.append(node.name)
            number = len(self._begun)
            place = f"{number:{len(str(self._total))}}/{self._total}" if self._total else number
            logger.info("[%s] %s", place, node.name)


def is_worth_showing(record: logging.LogRecord) -> bool:
    """False for py4j's traceback of a broken call to Java, which is raised as well, or which Ctrl-C has interrupted."""
    return not (record.module in ("java_gateway", "clientserver") and record.exc_info)


def _summarise(made: set[str], catalog: CatalogProtocol) -> list[str]:
    """The lines about these datasets, read back from where they were saved."""
    results = {name: catalog.load(name) for name in RESULTS if name in made}
    lists = {name: _first_titles(catalog, name) for name in LISTS if name in made}
    return summarise(results, lists, {name: _path_from_here(catalog, name) for name in (*LISTS, PAGE) if name in made})


def _first_titles(catalog: CatalogProtocol, name: str) -> dict[str, list[str]]:
    dataset = catalog[name]
    with dataset._fs.open(dataset._filepath.as_posix(), "r", encoding="utf-8", newline="") as rows:
        return first_titles(rows)


def _path_from_here(catalog: CatalogProtocol, name: str) -> str:
    """A dataset's path: relative to the current folder if it is inside, with its protocol if it is not a local file."""
    dataset = catalog[name]
    if dataset._protocol != "file":
        return f"{dataset._protocol}://{dataset._filepath}"
    path = Path(dataset._filepath)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _count(nodes: int) -> str:
    return "1 node" if nodes == 1 else f"{nodes} nodes"


def _duration(seconds: float) -> str:
    minutes = round(seconds) // 60
    return f"{seconds:.1f} s" if minutes == 0 else f"{minutes} min {round(seconds) % 60} s"
