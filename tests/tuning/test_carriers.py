"""Trials as they are run: the same outcomes however they are spread, one failure not the end of the others.

Most trials here fit nothing: what becomes of one is its candidate's rank, and its measures tell where it ran, on what.
"""

import gc
import os
import pickle
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark import cloudpickle

from movie_recs.data.blocks import open_blocks
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.trial import RatingTrialData
from movie_recs.tuning import carriers
from movie_recs.tuning.carriers import PickledData, TrialRunner
from movie_recs.tuning.memory import IN_THREADS
from movie_recs.tuning.trial import Trial

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Spark's workers cannot import tests

FINE, RAISES, RAISES_LATER, DIES, SLEEPS = range(1, 6)
LONG, SOON = 300, 20  # seconds; a task that is killed gets a few from Spark, and the machine may be busy


def trial(rank: int = FINE, fold: int = 0, reg_param: float = 0.1, max_iter: int = 1) -> Trial:
    return Trial(RatingCandidate(model="als", rank=rank, reg_param=reg_param, max_iter=max_iter), fold)


class ScriptedFold:
    def __init__(self, fold: int, part: float):
        self.fold, self.part = fold, part

    def share(self, data):
        self.part = data.parts.get(self.fold, 0.0)

    def measure(self, candidates):
        for candidate in candidates:
            if candidate.rank == RAISES or (candidate.rank == RAISES_LATER and candidate.max_iter > 1):
                raise ArithmeticError("singular")
            if candidate.rank == DIES:
                os._exit(1)  # as the machine ends a process when memory is short
            if candidate.rank == SLEEPS:
                self.sleep()
            rmse = self.fold + candidate.reg_param + candidate.max_iter / 100 + self.part
            yield {"rmse": rmse, "rmse_warm": os.getpid()}

    def sleep(self) -> None:
        time.sleep(LONG)


class Scripted:
    """Data of scripted trials. What is done with them, in whatever process, is a line of `log`."""

    def __init__(self, log: Path, shared_folds: tuple[int, ...] = (), parts: dict[int, float] | None = None):
        self.log, self.shared_folds, self.parts = log, shared_folds, parts or {}

    def note(self, *words) -> None:
        with self.log.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def noted(self, first_word: str) -> list[list[str]]:
        """The other words of the lines that begin with this one."""
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [line[1:] for line in lines if line[0] == first_word]

    def missing_parts(self, trials):
        return [fold for fold in self.shared_folds if fold not in self.parts]

    def fit_shared(self, fold):
        self.note("shared", fold)
        if fold < 0:
            raise ArithmeticError("nothing to share")
        return 10.0 * (fold + 1)

    def with_shared(self, parts):
        return type(self)(self.log, self.shared_folds, {**self.parts, **parts})

    def only(self, fold):
        return type(self)(
            self.log, self.shared_folds, {each: part for each, part in self.parts.items() if each == fold}
        )

    def open(self, fold):
        self.note("opened", fold, os.getpid())
        return ScriptedFold(fold, self.parts.get(fold, 0.0))


class Sent(Scripted):
    """The same for tasks, which cannot import this file."""

    def __reduce__(self):
        self.note("pickled")
        return cloudpickle.loads, (cloudpickle.dumps(Scripted(self.log, self.shared_folds, self.parts)),)


@pytest.fixture
def data(tmp_path) -> Sent:
    return Sent(tmp_path / "log")


@pytest.fixture
def runner(spark, data) -> TrialRunner:
    return TrialRunner(spark, data, "local")


def test_a_worker_keeps_the_folds_that_it_used_last_and_none_of_other_data(data, monkeypatch):
    monkeypatch.setattr(carriers, "_folds", {})
    pickled = PickledData(data, kept=2)
    for fold in (0, 1, 0, 2, 0, 1):
        assert pickled.open(fold).fold == fold
    assert [fold for fold, _ in data.noted("opened")] == ["0", "1", "2", "1"]
    assert PickledData(data.with_shared({0: 5.0}), kept=2).open(0).part == 5.0


def errors(ended) -> dict[Trial, str]:
    return {trial: outcome.error for trial, outcome in ended}


def active_jobs(spark) -> list[int]:
    return list(spark.sparkContext.statusTracker().getActiveJobsIds())


def trial_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("trial_")]


def assert_nothing_runs(spark) -> None:
    """Threads end a moment after their jobs."""
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline and (active_jobs(spark) or trial_threads()):
        time.sleep(0.05)
    assert active_jobs(spark) == []
    assert trial_threads() == []


class TestSpreading:
    def test_every_trial_ends_once_with_what_came_of_it(self, runner):
        trials = [trial(fold=fold, reg_param=reg, max_iter=n) for fold in (0, 1) for reg in (0.1, 0.5) for n in (2, 1)]
        ended = list(runner.run(trials))
        assert sorted(str(each) for each, _ in ended) == sorted(map(str, trials))
        for (candidate, fold), outcome in ended:
            expected = fold + candidate.reg_param + candidate.max_iter / 100
            assert (outcome.measures["rmse"], outcome.error) == (pytest.approx(expected), "")
            assert outcome.measures["rmse_warm"] != os.getpid()

    def test_the_data_are_pickled_once_and_a_worker_opens_a_fold_once(self, runner, data):
        ended = list(runner.run([trial(reg_param=0.1 * number) for number in range(8)]))
        assert len(data.noted("pickled")) == 1
        opened = data.noted("opened")
        assert sorted(opened) == sorted(["0", str(pid)] for pid in {int(o.measures["rmse_warm"]) for _, o in ended})

    def test_tasks_on_this_machine_read_the_data_of_their_fold_from_a_file(self, spark, tmp_path):
        runner = TrialRunner(spark, Sent(tmp_path / "log", shared_folds=(0, 1)), "local")
        list(runner.run([trial(), trial(fold=1)]))
        handles = [runner._handle(fold) for fold in (0, 1)]
        assert all(len(pickle.dumps(handle)) < 1000 for handle in handles)
        assert [list(handle.load().parts) for handle in handles] == [[0], [1]]
        folder = Path(runner._folder.name)
        assert len(list(folder.iterdir())) == 3  # of each fold, and without what is shared
        del runner, handles
        gc.collect()
        assert not folder.exists()

    def test_elsewhere_they_are_sent_with_the_task(self, tmp_path):
        data = Sent(tmp_path / "log")
        assert carriers.PickledData(data)._pickled
        assert not carriers.PickledData(data, tmp_path)._pickled

    def test_trials_that_differ_in_iterations_alone_are_one_path_in_ascending_order(self):
        trials = [trial(max_iter=5), trial(fold=1, max_iter=2), trial(max_iter=2), trial(reg_param=0.2, max_iter=9)]
        paths = [[(each.fold, each.candidate.max_iter) for each in path] for path in carriers._paths(trials)]
        assert paths == [[(0, 2), (0, 5)], [(0, 9)], [(1, 2)]]

    def test_what_a_fold_shares_is_fitted_once_before_its_trials(self, spark, tmp_path):
        data = Sent(tmp_path / "log", shared_folds=(0, 1))
        runner = TrialRunner(spark, data, "local")
        for _ in range(2):
            found = {each.fold: outcome.measures["rmse"] for each, outcome in runner.run([trial(), trial(fold=1)])}
            assert found == {0: pytest.approx(10.11), 1: pytest.approx(21.11)}
        assert sorted(data.noted("shared")) == [["0"], ["1"]]

    def test_what_goes_wrong_before_the_trials_ends_them(self, spark, tmp_path):
        runner = TrialRunner(spark, Sent(tmp_path / "log", shared_folds=(-1,)), "local")
        with pytest.raises(Exception, match="nothing to share"):  # Spark's exception on a task's
            list(runner.run([trial()]))


class TestFailures:
    def test_a_trial_that_raises_is_recorded_and_the_others_go_on(self, runner):
        fine, later = trial(), [trial(RAISES_LATER, max_iter=turns) for turns in (1, 2, 3)]
        found = errors(runner.run([trial(RAISES), fine, *later]))
        assert found == {
            trial(RAISES): "fold 0: singular",
            fine: "",
            later[0]: "",
            later[1]: "fold 0: singular",
            later[2]: "fold 0: singular",
        }

    def test_one_that_kills_its_worker_is_tried_again_alone_and_harms_no_other(self, runner, data):
        killing = [trial(DIES, fold=7, max_iter=turns) for turns in (1, 2)]
        others = [trial(reg_param=0.1 * number) for number in range(6)]
        ended = list(runner.run([*killing, *others]))
        found = errors(ended)
        assert [found.pop(each)[:8] for each in killing] == ["fold 7: "] * 2
        assert found == dict.fromkeys(others, "")
        assert {each.fold for each, _ in ended[-2:]} == {7}
        assert len({pid for fold, pid in data.noted("opened") if fold == "7"}) == 2


class TestClosing:
    def test_trials_report_as_they_end_and_closing_interrupts_those_that_run(self, spark, runner, data):
        running = runner.run([trial(SLEEPS), trial(fold=1)])
        assert next(running)[0] == trial(fold=1)
        deadline = time.monotonic() + SOON
        while time.monotonic() < deadline and "0" not in [fold for fold, _ in data.noted("opened")]:
            time.sleep(0.05)
        assert len(active_jobs(spark)) == 1
        started = time.monotonic()
        running.close()
        assert time.monotonic() - started < SOON
        assert_nothing_runs(spark)

    def test_what_has_not_begun_never_does(self, spark, runner, data, monkeypatch):
        monkeypatch.setattr(runner, "_threads", 1)  # else those that sleep may take all cores before the first one
        running = runner.run([trial(), *(trial(SLEEPS, fold=fold) for fold in range(1, 30))])
        next(running)
        running.close()
        assert_nothing_runs(spark)
        assert len(data.noted("opened")) < 10

    def test_afterwards_trials_run_again(self, runner):
        running = runner.run([trial(), trial(SLEEPS, fold=1)])
        next(running)
        running.close()
        assert errors(runner.run([trial()])) == {trial(): ""}


class TestWithBlocksInSpark:
    class Passing(Scripted):
        """Its folds sleep in a task, as a pass over blocks would."""

        def open(self, fold):
            class Fold(ScriptedFold):
                def sleep(self, spark=self.spark) -> None:
                    def doze(batches):
                        time.sleep(LONG)
                        yield from batches

                    spark.range(1, numPartitions=1).mapInArrow(doze, "id long").collect()

            return Fold(fold, 0.0)

    def test_paths_run_in_the_driver_fold_after_fold(self, spark, tmp_path):
        data = Sent(tmp_path / "log", shared_folds=(0,))
        trials = [trial(), trial(RAISES), trial(fold=1), trial(fold=1, reg_param=0.2)]
        outcomes = dict(TrialRunner(spark, data, "spark").run(trials[::-1]))
        assert [outcomes[each].error for each in trials] == ["", "fold 0: singular", "", ""]
        processes = [outcomes[each].measures.get("rmse_warm") for each in trials]
        assert processes == [os.getpid(), None, os.getpid(), os.getpid()]
        assert outcomes[trials[0]].measures["rmse"] == pytest.approx(10.11)
        assert data.noted("pickled") == []
        assert data.noted("opened") == [[str(fold), str(os.getpid())] for fold in (0, 1)]

    def test_closing_interrupts_the_pass_that_runs(self, spark, tmp_path):
        data = self.Passing(tmp_path / "log")
        data.spark = spark
        running = TrialRunner(spark, data, "spark").run([trial(), trial(SLEEPS)])
        next(running)
        started = time.monotonic()
        running.close()
        assert time.monotonic() - started < SOON
        assert_nothing_runs(spark)


class TestInThreads:
    def test_several_paths_run_at_a_time_in_this_process(self, spark, data, monkeypatch):
        monkeypatch.setattr(carriers, "cores", lambda: 2)
        meeting = threading.Barrier(2, timeout=SOON)  # which the first of two trials alone would not pass
        monkeypatch.setattr(ScriptedFold, "sleep", lambda _: meeting.wait())
        trials = [trial(SLEEPS), trial(SLEEPS, fold=1)]
        outcomes = dict(TrialRunner(spark, data, "local", IN_THREADS).run(trials))
        assert [outcomes[each].error for each in trials] == ["", ""]
        assert {outcome.measures["rmse_warm"] for outcome in outcomes.values()} == {os.getpid()}
        assert data.noted("pickled") == []

    def test_a_fold_is_opened_once_and_gets_what_is_shared_later(self, spark, data):
        runner = TrialRunner(spark, data, "local", IN_THREADS)
        for shared, added in (((), 0), ((0, 1), 10)):
            data.shared_folds = shared
            outcomes = dict(runner.run([trial(fold=fold, reg_param=reg) for fold in (0, 1) for reg in (0.1, 0.2)]))
            for (candidate, fold), outcome in outcomes.items():
                expected = fold + candidate.reg_param + 0.01 + added * (fold + 1)
                assert outcome.measures["rmse"] == pytest.approx(expected)
        assert sorted(data.noted("opened")) == [[str(fold), str(os.getpid())] for fold in (0, 1)]

    def test_closing_ends_with_the_paths_that_run(self, spark, data, monkeypatch):
        monkeypatch.setattr(carriers, "cores", lambda: 1)
        monkeypatch.setattr(ScriptedFold, "sleep", lambda _: time.sleep(0.1))
        running = TrialRunner(spark, data, "local", IN_THREADS).run([trial(SLEEPS, fold=n) for n in range(30)])
        next(running)
        running.close()
        assert_nothing_runs(spark)
        assert len(data.noted("opened")) < 30


class TestPickledData:
    def test_they_are_equal_if_what_they_hold_is(self):
        one, same, other = PickledData({"a": 1}), PickledData({"a": 1}), PickledData({"a": 2})
        assert one == same != other
        assert hash(one) == hash(same)
        assert one != {"a": 1}

    def test_a_file_that_something_else_has_changed_is_not_unpickled(self, tmp_path):
        data = PickledData({"a": 1}, tmp_path)
        (path,) = tmp_path.iterdir()
        path.write_bytes(pickle.dumps({"a": 2}))
        with pytest.raises(ValueError, match="has been changed by something else"):
            data.load()

    def test_once_loaded_the_bytes_are_freed(self):
        data = PickledData(np.zeros(10_000))
        sent = pickle.loads(pickle.dumps(data))
        assert sent.load().shape == (10_000,)
        assert len(pickle.dumps(sent)) < 1_000
        assert sent == data


@pytest.fixture(scope="module")
def rating_data(spark) -> RatingTrialData:
    rng = np.random.default_rng(8)
    user, movie = np.nonzero(rng.random((40, 30)) < 0.5)
    stars = np.round(2 * np.clip(3 + rng.normal(size=40)[user] / 2 + rng.normal(size=30)[movie], 0.5, 5)) / 2
    table = pd.DataFrame({"user_id": user + 1, "movie_id": movie + 1, "rating": stars.astype("float32")})
    table["fold"] = rng.integers(0, 2, len(table))
    ids = np.arange(1, 31, dtype=np.int32)
    weights = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0.7)
    ratings = spark.createDataFrame(table, "user_id int, movie_id int, rating float, fold int")
    return RatingTrialData(open_blocks("local", ratings, ids), Catalogue(ids, rng.random((30, 3)), weights), 1, {})


def test_outcomes_of_fits_do_not_depend_on_how_they_are_spread(spark, rating_data, monkeypatch):
    baseline = {"user_damping": 5, "movie_damping": 3, "taste_reg": 4, "prior_reg": 3}
    taste = RatingCandidate(model="taste", **baseline)
    taste_als = RatingCandidate(model="taste_als", **baseline, rank=2, reg_param=0.1, max_iter=3)
    plain = [trial(rank=2, max_iter=turns).candidate for turns in (2, 5)]
    trials = [Trial(candidate, fold) for candidate in (*plain, taste, taste_als) for fold in (0, 1)]
    singular = trial(rank=25, reg_param=0)

    def run(some: list[Trial], at_a_time: int | None = None) -> dict:
        ended = TrialRunner(spark, rating_data, "local", at_a_time).run(some)
        return {each: (outcome.measures, outcome.error) for each, outcome in ended}

    together = run([singular, *trials])
    assert together.pop(singular) == (
        {},
        "fold 0: the normal equations are singular: raise reg_param, or lower the rank",
    )
    assert len({measures["rmse"] for measures, _ in together.values()}) == len(trials)
    assert run(trials, IN_THREADS) == together
    monkeypatch.setattr(carriers, "JOBS_PER_TASK", 1)
    monkeypatch.setattr(carriers, "tasks_at_a_time", lambda spark: 1)
    assert run(trials[::-1]) == together
    assert run(trials[2:3]) == {trials[2]: together[trials[2]]}


def test_where_java_is_gone_trials_fail_without_a_trace(spark, data, caplog, monkeypatch):
    """Java may end between two trials; the run then ends in a sentence, and nothing else is said."""
    monkeypatch.setattr(spark, "addTag", lambda _: (_ for _ in ()).throw(ConnectionRefusedError("Java has ended")))
    ((_, outcome),) = TrialRunner(spark, data, "local").run([trial()])
    assert "Java has ended" in outcome.error
    assert caplog.records == []
