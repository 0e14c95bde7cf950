"""What is said of a run, whatever the runner: nodes here are empty, and nothing needs Spark."""

import io
import json
import logging
import sys
from types import SimpleNamespace

import pytest
from kedro.framework.hooks.manager import _create_hook_manager
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from kedro_datasets.json import JSONDataset
from kedro_datasets.pandas import CSVDataset

from movie_recs.runtime.console import ConsoleHooks, _duration, is_worth_showing

SUMMARY = {"name": "sample", "synthetic": True, "users": 2, "movies": 3, "ratings": 4, "scale": None, "set_aside": 0}
LISTS = "user_id,rank,title\n7,1,Alien\n7,2,Brazil\n"


def pass_on(*inputs):
    return inputs[0] if inputs else "made"


def chain(length: int) -> Pipeline:
    """Each node reads what the one before has made, twice."""
    nodes = [Node(pass_on, None, "out_0", name="node_0")]
    nodes += [
        Node(lambda one, other: one, [f"out_{number - 1}", "given"], f"out_{number}", name=f"node_{number}")
        for number in range(1, length)
    ]
    return Pipeline(nodes)


@pytest.fixture
def run(caplog):
    """Runs a pipeline as a session does, and gives the messages."""
    caplog.set_level(logging.INFO, "movie_recs.runtime.console")

    def run_pipeline(pipeline, catalog=None, runner=None, only_missing_outputs=False, **runner_options):
        manager = _create_hook_manager()
        manager.register(ConsoleHooks())
        catalog = DataCatalog({"given": MemoryDataset(1), **(catalog or {})})
        manager.hook.after_context_created(context=SimpleNamespace(config_loader={"globals": {"dataset": "tiny"}}))
        run_params = {"only_missing_outputs": only_missing_outputs}
        manager.hook.before_pipeline_run(run_params=run_params, pipeline=pipeline, catalog=catalog)
        (runner or SequentialRunner()).run(pipeline, catalog, manager, only_missing_outputs=only_missing_outputs)
        manager.hook.after_pipeline_run(run_params=run_params, run_result={}, pipeline=pipeline, catalog=catalog)
        return caplog.messages

    return run_pipeline


def printed(capsys) -> list[str]:
    """The lines of the summary, from the empty one before it."""
    lines = capsys.readouterr().out.splitlines()
    return lines[lines.index("") :] if "" in lines else []


def test_each_node_has_one_line_in_the_order_in_which_they_begin(run):
    first, *nodes, last = run(chain(10))
    assert first == "10 nodes on tiny"
    assert nodes == [f"[{number + 1:2}/10] node_{number}" for number in range(10)]
    assert last.startswith("10 nodes done in 0.")


@pytest.mark.parametrize("runner", [ThreadRunner(max_workers=4), SequentialRunner(is_async=True)])
def test_it_is_the_same_with_threads(run, runner):
    nodes = [
        Node(lambda one, other: one, ["given", "other"], f"out_{number}", name=f"node_{number}") for number in range(9)
    ]
    said = run(Pipeline(nodes), {"other": MemoryDataset(2)}, runner)
    assert [line[:5] for line in said[1:-1]] == [f"[{number}/9]" for number in range(1, 10)]
    assert {line[6:] for line in said[1:-1]} == {node.name for node in nodes}


def test_a_line_is_there_when_its_node_runs(run, caplog):
    seen = []
    node = Node(lambda given: seen.extend(caplog.messages), "given", None, name="look")
    run(Pipeline([node]))
    assert seen == ["1 node on tiny", "[1/1] look"]


def test_with_only_missing_outputs_there_is_no_total(run, tmp_path):
    catalog = {f"out_{number}": JSONDataset(filepath=str(tmp_path / f"{number}.json")) for number in range(3)}
    catalog["out_0"].save("made")
    assert run(chain(3), catalog, only_missing_outputs=True)[1:3] == ["[1] node_1", "[2] node_2"]


def test_where_all_outputs_are_there_it_says_so(run, tmp_path, caplog, capsys):
    catalog = {"out_0": JSONDataset(filepath=str(tmp_path / "0.json"))}
    catalog["out_0"].save("made")
    assert run(chain(1), catalog, only_missing_outputs=True)[1:] == ["Nothing to do: all outputs exist"]
    assert printed(capsys) == []


class TestSummary:
    def pipeline(self) -> Pipeline:
        return Pipeline(
            [
                Node(lambda: SUMMARY, None, "data_summary", name="describe"),
                Node(lambda given: given, "given", "recommendations_csv", name="recommend"),
            ]
        )

    def test_it_is_printed_last_from_what_has_been_saved(self, run, tmp_path, capsys, monkeypatch):
        lists = tmp_path / "data" / "lists.csv"
        lists.parent.mkdir()
        lists.write_text(LISTS)
        csv = CSVDataset(filepath=str(lists))
        csv.save = lambda data: None
        monkeypatch.chdir(tmp_path)
        summary = JSONDataset(filepath=str(tmp_path / "summary.json"))
        run(self.pipeline(), {"data_summary": summary, "recommendations_csv": csv})
        assert printed(capsys) == [
            "",
            "Data     sample, synthetic data: 4 ratings of 3 movies by 2 users",
            "Lists    data/lists.csv",
            "         user 7: Alien; Brazil",
        ]

    def test_a_place_elsewhere_is_told_with_its_protocol(self, run, capsys):
        csv = CSVDataset(filepath="memory:///bucket/lists.csv")
        with csv._fs.open("/bucket/lists.csv", "w") as file:
            file.write(LISTS)
        csv.save = lambda data: None
        run(Pipeline([Node(lambda: 1, None, "recommendations_csv", name="recommend")]), {"recommendations_csv": csv})
        assert printed(capsys)[1:] == ["Lists    memory:///bucket/lists.csv", "         user 7: Alien; Brazil"]

    def test_what_another_run_has_made_is_not_in_it(self, run, tmp_path, capsys):
        (tmp_path / "summary.json").write_text(json.dumps(SUMMARY))
        run(chain(2), {"data_summary": JSONDataset(filepath=str(tmp_path / "summary.json"))})
        assert printed(capsys) == []

    def test_a_run_does_not_fail_by_it(self, run, tmp_path, capsys):
        csv = CSVDataset(filepath=str(tmp_path / "lists.csv"))
        pipeline = Pipeline([Node(lambda: 1, None, "recommendations_csv", name="recommend")])
        csv.save = lambda data: None
        said = run(pipeline, {"recommendations_csv": csv})
        assert said[-1].startswith("No summary: ")
        assert printed(capsys) == []

    def test_nor_by_an_output_that_cannot_show_a_title(self, run, tmp_path, monkeypatch):
        (tmp_path / "lists.csv").write_text(LISTS.replace("Alien", "Léon"), encoding="utf-8")
        csv = CSVDataset(filepath=str(tmp_path / "lists.csv"))
        csv.save = lambda data: None
        pipeline = Pipeline([Node(lambda: 1, None, "recommendations_csv", name="recommend")])
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
        said = run(pipeline, {"recommendations_csv": csv})
        assert said[-1].startswith("No summary: 'ascii' codec can't encode")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.4, "59.4 s"), (59.6, "1 min 0 s"), (167.2, "2 min 47 s")]
)
def test_durations_are_told_in_minutes_from_one_on(seconds, text):
    assert _duration(seconds) == text


@pytest.mark.parametrize(
    ("module", "error", "is_shown"),
    [
        ("java_gateway", KeyboardInterrupt(), False),
        ("clientserver", ConnectionError("Java has gone"), False),  # raised as well
        ("clientserver", None, True),
        ("nodes", KeyboardInterrupt(), True),
    ],
)
def test_py4js_tracebacks_are_not_shown(module, error, is_shown):
    record = SimpleNamespace(module=module, exc_info=error and (type(error), error, None))
    assert is_worth_showing(record) == is_shown
