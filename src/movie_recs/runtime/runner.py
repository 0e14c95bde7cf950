"""Kedro's runner of a run: nodes that do not need each other run side by side where the data are small."""

import logging
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner, SequentialRunner, ThreadRunner

from movie_recs.threads import cores

SIDE_BY_SIDE = 2  # nodes: more gain nothing, as each keeps one to two cores busy

_nodes_at_a_time = 1


def run_nodes_at_a_time(number: int) -> None:
    """Sets how many nodes the runs of this process have at a time, from the next run on; 1 for Kedro's order."""
    global _nodes_at_a_time
    _nodes_at_a_time = number


def choose_nodes_at_a_time(given: int | str, are_small: bool, is_embedded: bool, is_tracked: bool) -> int:
    """How many nodes run at a time.

    Args:
        given: A number; or `auto`, for two where that is faster and safe.
        are_small: Whether the data are so small that two nodes' memory is no matter, nor does a node fill all cores.
        is_embedded: Whether Spark runs inside this process.
        is_tracked: Whether MLflow tracks the run, whose active run is one thread's.
    """
    if given != "auto":
        return int(given)
    return SIDE_BY_SIDE if are_small and is_embedded and not is_tracked and cores() > 1 else 1


def replace_default(runner: AbstractRunner | None) -> AbstractRunner | None:
    """A `NodesRunner` in the place of none or of a plain `SequentialRunner`, which `kedro run` has by default."""
    is_default = runner is None or (type(runner) is SequentialRunner and not runner._is_async)
    return NodesRunner() if is_default else runner


class NodesRunner(ThreadRunner):
    """A `ThreadRunner` with as many threads as `run_nodes_at_a_time` says; with one, a `SequentialRunner`."""

    @property
    def _logger(self) -> logging.Logger:
        return logging.getLogger(ThreadRunner.__module__)  # its level is in conf/logging.yml

    def _get_required_workers_count(self, pipeline: Pipeline) -> int:
        return min(super()._get_required_workers_count(pipeline), _nodes_at_a_time)

    def _get_executor(self, max_workers: int) -> Executor | None:  # type: ignore[override]
        return _Nodes(max_workers, "node") if max_workers > 1 else None


class _Nodes(ThreadPoolExecutor):
    """Threads: when one node has failed, those that run end, and those that wait do not begin."""

    def __exit__(self, *error: Any) -> None:
        self.shutdown(wait=True, cancel_futures=True)
