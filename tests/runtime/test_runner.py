"""Nodes side by side: who runs with whom, and what an error stops."""

import os
import signal
import subprocess
import sys
import time
from threading import Barrier

import pytest
from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import ParallelRunner, SequentialRunner, ThreadRunner

from movie_recs.runtime import runner as runners
from movie_recs.runtime.runner import NodesRunner, choose_nodes_at_a_time, replace_default, run_nodes_at_a_time


@pytest.fixture
def nodes_at_a_time():
    before = runners._nodes_at_a_time
    yield run_nodes_at_a_time
    run_nodes_at_a_time(before)


def run(nodes: list[Node], runner) -> None:
    runner.run(Pipeline(nodes), DataCatalog(), _NullPluginManager())


def test_nodes_that_do_not_need_each_other_run_together(nodes_at_a_time):
    meeting = Barrier(2, timeout=10)  # broken, and an error, unless both are there
    nodes_at_a_time(2)
    run([Node(lambda: meeting.wait(), None, name, name=name) for name in ("one", "other")], NodesRunner())


def test_with_one_at_a_time_they_run_in_the_order_of_the_pipeline(nodes_at_a_time):
    nodes_at_a_time(1)
    ran, names = [], ["first", "second", "third"]
    pipeline = Pipeline([Node(lambda name=name: ran.append(name) or 1, None, name, name=name) for name in names])
    NodesRunner().run(pipeline, DataCatalog(), _NullPluginManager())
    assert ran == [node.name for node in pipeline.nodes]


def test_after_an_error_nodes_that_wait_do_not_begin(nodes_at_a_time):
    nodes_at_a_time(2)
    begun = []

    def fail(number: int) -> None:
        begun.append(number)
        time.sleep(0.2)
        raise ValueError("no ratings")

    with pytest.raises(ValueError, match="no ratings"):
        run([Node(lambda n=n: fail(n), None, f"out{n}", name=f"n{n}") for n in range(12)], NodesRunner())
    assert 2 <= len(begun) <= 4  # the two, and perhaps one each before the error was seen


def test_ctrl_c_waits_for_the_nodes_that_run_and_begins_no_other(nodes_at_a_time, capfd):
    nodes_at_a_time(2)
    begun, ended, before = [], [], signal.getsignal(signal.SIGINT)

    def work(number: int) -> None:
        begun.append(number)
        if len(begun) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        ended.append(number)

    with pytest.raises(KeyboardInterrupt):
        run([Node(lambda n=n: work(n), None, f"out{n}", name=f"n{n}") for n in range(6)], NodesRunner())
    assert len(begun) == len(ended) == 2
    assert "Ctrl-C again ends it at once" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


TWICE = """
import os, signal, time
from kedro.framework.hooks.manager import _NullPluginManager
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from movie_recs.runtime.runner import NodesRunner, run_nodes_at_a_time

def interrupt():
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
    time.sleep(60)

run_nodes_at_a_time(2)
nodes = [Node(interrupt, None, "one", name="one"), Node(lambda: time.sleep(60), None, "other", name="other")]
NodesRunner().run(Pipeline(nodes), DataCatalog(), _NullPluginManager())
"""


def test_a_second_ctrl_c_ends_the_process_at_once():
    ended = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, timeout=30, check=False)
    assert ended.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("given", "are_small", "is_embedded", "is_tracked", "expected"),
    [
        ("auto", True, True, False, 2),
        ("auto", False, True, False, 1),
        ("auto", True, False, False, 1),
        ("auto", True, True, True, 1),
        (3, False, False, True, 3),
        (1, True, True, False, 1),
    ],
)
def test_auto_is_two_where_the_data_are_small_and_spark_is_inside(
    monkeypatch, given, are_small, is_embedded, is_tracked, expected
):
    monkeypatch.setattr(runners, "cores", lambda: 2)
    assert choose_nodes_at_a_time(given, are_small, is_embedded, is_tracked) == expected


def test_on_one_core_nodes_run_one_after_another(monkeypatch):
    monkeypatch.setattr(runners, "cores", lambda: 1)
    assert choose_nodes_at_a_time("auto", True, True, False) == 1


def test_a_runner_that_was_asked_for_is_used():
    for runner in (ThreadRunner(), SequentialRunner(is_async=True), ParallelRunner()):
        assert replace_default(runner) is runner
    for default in (None, SequentialRunner()):
        assert isinstance(replace_default(default), NodesRunner)
