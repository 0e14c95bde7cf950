"""Which carrier runs a stage, and why."""

import logging
import os
from types import SimpleNamespace

import pytest

from movie_recs.errors import UserError
from movie_recs.tuning import memory
from movie_recs.tuning.memory import GIB, IN_THREADS, MIB, Choice, DataSize, choose_carrier, memory_for_python

SIZE = DataSize(ratings=100_000, users=600, movies=9_000)


@pytest.fixture
def session():
    """A session with these options; `__` in a name is a dot."""

    def make(**conf: str) -> SimpleNamespace:
        values = {f"spark.{name.replace('__', '.')}": value for name, value in conf.items()}
        return SimpleNamespace(conf=SimpleNamespace(get=values.get))

    return make


def test_the_size_is_that_of_the_datas_summary():
    summary = {"ratings": 7, "movies": 5, "users": 3, "density": 0.5}
    assert DataSize.of(summary) == DataSize(ratings=7, users=3, movies=5)


@pytest.mark.parametrize("carrier", ["local", "spark"])
def test_a_carrier_that_is_named_is_taken_whatever_the_memory(carrier):
    assert choose_carrier(carrier, SIZE, 10**15, None) == Choice(carrier)


class TestAuto:
    @pytest.fixture(autouse=True)
    def _nothing_logged_yet(self):
        memory._log_once.cache_clear()
        yield
        memory._log_once.cache_clear()

    @pytest.mark.parametrize(("available", "carrier"), [(0.6, "local"), (0.5, "local"), (0.4, "spark")])
    def test_this_process_runs_what_fits_in_it_and_says_why(self, session, monkeypatch, caplog, available, carrier):
        monkeypatch.setattr(memory, "memory_for_python", lambda *_: int(available * GIB))
        with caplog.at_level(logging.INFO, memory.__name__):
            assert choose_carrier("auto", SIZE, GIB // 2, session()) == Choice(carrier)
        reason = f"100,000 ratings need 0.5 GB; this process has {available} GB"
        assert caplog.messages == [f"Carrier {carrier}: {reason}"]

    @pytest.mark.parametrize(
        ("available", "choice"), [(2.1, ("local", 4)), (0.6, ("local", 1)), (0.4, ("spark", None))]
    )
    def test_trials_run_as_many_at_a_time_as_fit(self, session, monkeypatch, available, choice):
        monkeypatch.setattr(memory, "memory_for_python", lambda *_: int(available * GIB))
        assert choose_carrier("auto", SIZE, GIB // 2, session(), in_tasks=True) == choice

    @pytest.mark.parametrize(
        ("master", "needed", "available", "at_a_time"),
        [
            ("local[*]", 0.5, 4, IN_THREADS),
            ("local[2]", 0.5, 2, IN_THREADS),
            ("local[*]", 0.5, 1.9, 3),  # four threads may take as much as four tasks
            ("local[*]", 1, 8, 8),
            ("spark://host:7077", 0.5, 4, 8),  # whose tasks have other cores
        ],
    )
    def test_trials_of_small_data_run_in_threads_where_tasks_are_on_this_machine(
        self, session, monkeypatch, master, needed, available, at_a_time
    ):
        monkeypatch.setattr(memory, "memory_for_python", lambda *_: int(available * GIB))
        found = choose_carrier("auto", SIZE, int(needed * GIB), session(master=master), in_tasks=True)
        assert found == Choice("local", at_a_time)

    @pytest.mark.parametrize(("most", "carrier"), [("2m", "spark"), ("3m", "local"), ("0", "local"), (None, "local")])
    def test_what_spark_does_not_let_through_stays_there(self, session, monkeypatch, caplog, most, carrier):
        """100,000 ratings are 2.2 MB on their way; 0 is no limit, and the default is 1 GB."""
        monkeypatch.setattr(memory, "memory_for_python", lambda *_: GIB)
        options = {} if most is None else {"driver__maxResultSize": most}
        with caplog.at_level(logging.INFO, memory.__name__):
            assert choose_carrier("auto", SIZE, MIB, session(**options)).carrier == carrier
        assert ("spark.driver.maxResultSize" in caplog.text) == (carrier == "spark")

    def test_the_same_reason_is_logged_once(self, session, monkeypatch, caplog):
        monkeypatch.setattr(memory, "memory_for_python", lambda *_: GIB)
        with caplog.at_level(logging.INFO, memory.__name__):
            for needed in (GIB // 2, GIB // 2, 2 * GIB, GIB // 2):
                choose_carrier("auto", SIZE, needed, session())
        assert [message.split(":")[0] for message in caplog.messages] == ["Carrier local", "Carrier spark"]


def test_inside_the_process_python_has_what_the_jvm_and_the_driver_leave(session, monkeypatch):
    monkeypatch.setattr(memory.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 24 * GIB // 4096}.__getitem__)
    local, remote = session(master="local[*]", driver__memory="4g"), session(master="yarn", driver__memory="4g")
    assert memory_for_python(local, in_tasks=True, held=3 * GIB) == 17 * GIB
    assert memory_for_python(local, in_tasks=False, held=3 * GIB) == 20 * GIB
    assert memory_for_python(remote, in_tasks=False, held=3 * GIB) == 20 * GIB


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"executor__memory": "8g", "executor__cores": "4"}, 0.8 * GIB / 4),
        ({"executor__memory": "2g", "executor__cores": "2"}, 384 * MIB / 2),
        ({"executor__memory": "8g", "executor__memoryOverhead": "4g", "executor__cores": "4"}, GIB),
        ({"executor__memoryOverhead": "4096", "executor__cores": "4"}, GIB),
        ({"executor__memoryOverhead": "4g", "executor__pyspark__memory": "1.5g", "executor__cores": "1"}, 1.5 * GIB),
    ],
)
def test_on_a_cluster_an_executors_python_memory_is_shared_by_its_cores(session, conf, expected):
    found = memory_for_python(session(master="spark://host:7077", **conf), in_tasks=True, held=GIB)
    assert found == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("written", ["lots", " ", "4x", "-4g", "1.2.3g", "."])
def test_what_is_no_size_is_said(session, written):
    with pytest.raises(UserError, match=f"{written!r} is no size of memory"):
        memory_for_python(session(master="local[2]", driver__memory=written), True, 0)


@pytest.mark.parametrize("written", ["1g", "1G", "1024m", "1024", " 1 GB", "1048576k", "1.0g"])
def test_a_size_is_written_as_spark_does_and_without_a_unit_in_mib(session, written):
    assert memory_for_python(session(master="yarn", executor__pyspark__memory=written), True, 0) == GIB


def test_a_task_of_this_session_has_less_than_half_of_the_machine(spark):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory_for_python(spark, True, 0) < machine  # two cores, and the JVM has its own
