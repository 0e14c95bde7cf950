"""What a run says that it will need, and has needed."""

import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from movie_recs.errors import UserError
from movie_recs.runtime.needs import BYTES_PER_RATING, STAGES, check_room, describe_peak, expect, processes_below

NODES = ["data_processing.parse_ratings", "data_processing.clean_ratings", "ranking.tuning.cross_validate_candidates"]
MILLION = BYTES_PER_RATING * 10**6


def test_a_run_of_a_million_ratings_takes_what_its_stages_take():
    """14 + 8 seconds to read, and 15 + 20 to tune, on two cores; the other node is in the first figure."""
    said = expect(NODES, MILLION, 2)
    assert said.startswith("About 1.0 million ratings: expect about 57 s on 2 cores (reading 22 s, tuning 35 s), ")
    assert said.endswith("3 GB of memory and 0.1 GB of disk")


def test_tuning_sees_a_part_of_many_ratings_and_more_cores_take_less_time():
    """Eight times as many: 14 + 64 and 15 + 100 seconds, or half of what grows on four cores."""
    assert "about 3 min on 2 cores (reading 78 s, tuning 2 min)" in expect(NODES, 8 * MILLION, 2)
    assert "about 2 min on 4 cores (reading 46 s, tuning 65 s)" in expect(NODES, 8 * MILLION, 4)


@pytest.mark.parametrize(("nodes", "size"), [(NODES, 0), (["data_processing.clean_tags"], MILLION), ([], MILLION)])
def test_without_a_size_or_a_stage_nothing_is_said(nodes, size):
    assert expect(nodes, size, 2) == ""


@pytest.mark.parametrize(
    ("nodes", "free", "needed"),
    [
        (NODES, 0.1, 0.12),
        (NODES, 0.13, None),
        (["recommend.tabulate"], 0.01, 0.02),
        (["recommend.tabulate"], 0.03, None),
    ],
)
def test_a_disk_without_room_for_the_results_stops_the_run(nodes, free, needed, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free * 1e9))
    if needed is None:
        check_room([tmp_path / "07_model_output"], nodes, MILLION)
    else:
        with pytest.raises(UserError, match=f"{tmp_path} has {free:.2f} GB free, .* needs about {needed:.2f} GB"):
            check_room([tmp_path / "07_model_output"], nodes, MILLION)


def test_a_folder_that_cannot_be_written_to_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "closed")
    (tmp_path / "closed").mkdir()
    with pytest.raises(UserError, match=f"{tmp_path}/closed cannot be written to: correct its permissions"):
        check_room([tmp_path / "open", tmp_path / "closed" / "deep"], NODES, 0)


def test_every_stage_is_of_nodes_that_exist(pipelines):
    names = [node.name for node in pipelines["__default__"].nodes]
    for beginning in STAGES:
        assert any(name.startswith(beginning) for name in names), beginning


@pytest.fixture
def pipelines():
    from movie_recs.pipeline_registry import register_pipelines

    return register_pipelines()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
class TestPeak:
    def test_it_is_that_of_this_process_and_of_allprocesses_below_it(self):
        """A child of the child holds 300 MB."""
        holds = "import time; kept = bytearray(300_000_000); print(flush=True); time.sleep(60)"
        starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {holds!r}])"
        before = float(describe_peak().removesuffix(" GB"))
        process = subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE)
        try:
            process.stdout.read(1)
            assert float(describe_peak().removesuffix(" GB")) >= before + 0.2
            assert process.pid in processes_below(os.getpid())
        finally:
            for pid in processes_below(process.pid):
                os.kill(pid, 9)
            process.kill()
            process.wait()
