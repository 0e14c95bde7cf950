"""Kedro's runner of a run: nodes that do not need each other run side by side where the data are small."""

import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from types import FrameType
from typing import Any

from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner, SequentialRunner, ThreadRunner

from movie_recs.threads import cores

SIDE_BY_SIDE = 2  # nodes: more gain nothing, as each keeps one to two cores busy
STDERR = 2  # its file: a handler must not wait for a lock of sys.stderr

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
    """Threads: when one node has failed, those that run end, and those that wait do not begin.

    So it is after Ctrl-C, too. A second one ends the process at once, as kill -9 would. The handler raises nothing: an
    exception within the main thread's wait may leave a lock behind that the nodes' threads need, and nothing would end.
    """

    _is_interrupted = False

    def __enter__(self) -> "_Nodes":
        self._handles = threading.current_thread() is threading.main_thread()
        self._earlier = signal.signal(signal.SIGINT, self._interrupt) if self._handles else None
        return self

    def __exit__(self, *error: Any) -> None:
        self.shutdown(wait=True, cancel_futures=True)
        if self._handles:
            signal.signal(signal.SIGINT, self._earlier)

    def submit(self, task: Callable, /, *arguments: Any, **options: Any) -> Future:
        """As `ThreadPoolExecutor.submit`; after Ctrl-C the future raises KeyboardInterrupt."""
        return super().submit(self._unless_interrupted, partial(task, *arguments, **options))

    def _unless_interrupted(self, task: Callable[[], Any]) -> Any:
        if self._is_interrupted:
            raise KeyboardInterrupt
        try:
            return task()
        finally:
            if self._is_interrupted:
                raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's
        if self._is_interrupted:
            os._exit(128 + number)
        self._is_interrupted = True
        os.write(STDERR, b"The run ends with the nodes that run; Ctrl-C again ends it at once.\n")
