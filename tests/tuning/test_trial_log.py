"""Finished trials on disk, whatever state the file is in."""

from pathlib import Path

import pytest
from conftest import ROOT
from fsspec.implementations.local import LocalFileSystem
from kedro.io import AbstractDataset, DatasetError
from pyspark.sql import functions as F

from movie_recs.datasets.trial_log import TrialLogDataset
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.runtime.config import ConfigLoader
from movie_recs.settings import CONFIG_LOADER_ARGS
from movie_recs.tuning import trial_log
from movie_recs.tuning.cross_validation import NO_MEMORY
from movie_recs.tuning.trial import Outcome, Trial
from movie_recs.tuning.trial_log import TrialLog, digest, fingerprint, remember

CONTEXT = {"data": [100, 10, -5], "seed": 1}
TRIAL = Trial(RatingCandidate(model="als", rank=5, reg_param=0.1, max_iter=10), 2)
OUTCOME = Outcome({"rmse": 0.9123456789012345, "rmse_warm": None}, 1.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / "finished_trials.jsonl"


def open_log(path: Path) -> TrialLog:
    return TrialLog(LocalFileSystem(), str(path))


def test_what_is_added_is_found_by_this_run_and_the_next(path):
    log = open_log(path)
    assert log.find(CONTEXT, TRIAL) is None
    log.add(CONTEXT, TRIAL, OUTCOME)
    assert log.find(CONTEXT, TRIAL) == open_log(path).find(CONTEXT, TRIAL) == OUTCOME


@pytest.mark.parametrize(
    ("context", "trial"),
    [
        ({**CONTEXT, "seed": 2}, TRIAL),
        (CONTEXT, TRIAL._replace(fold=3)),
        (CONTEXT, TRIAL._replace(candidate=TRIAL.candidate.model_copy(update={"reg_param": 0.2}))),
    ],
    ids=["context", "fold", "candidate"],
)
def test_another_is_not_found(path, context, trial):
    log = open_log(path)
    log.add(CONTEXT, TRIAL, OUTCOME)
    assert log.find(context, trial) is None


def test_the_same_parameters_under_another_name_are_the_same_trial(path):
    log = open_log(path)
    log.add(CONTEXT, TRIAL, OUTCOME)
    renamed = TRIAL.candidate.model_copy(update={"model": "reference_als"})
    assert log.find(CONTEXT, TRIAL._replace(candidate=renamed)) == OUTCOME


def test_a_failed_trial_is_not_kept(path):
    open_log(path).add(CONTEXT, TRIAL, Outcome({}, 1.0, "fold 2: singular"))
    assert open_log(path).find(CONTEXT, TRIAL) is None


def test_a_torn_line_and_rubbish_are_passed_over(path):
    open_log(path).add(CONTEXT, TRIAL, OUTCOME)
    path.write_bytes(b"no json\n[1]\n\xff\xfe\n" + path.read_bytes() + b'\n{"key": "3fa", "rm')
    log, other = open_log(path), TRIAL._replace(fold=4)
    assert log.find(CONTEXT, TRIAL) == OUTCOME
    log.add(CONTEXT, other, OUTCOME)
    assert open_log(path).find(CONTEXT, other) == OUTCOME


def test_an_empty_file_is_a_log_without_trials(path):
    path.parent.mkdir()
    path.touch()
    log = open_log(path)
    assert log.find(CONTEXT, TRIAL) is None
    log.add(CONTEXT, TRIAL, OUTCOME)
    assert open_log(path).find(CONTEXT, TRIAL) == OUTCOME


def test_a_trial_is_found_after_a_line_that_was_torn_at_any_byte(path):
    open_log(path).add(CONTEXT, TRIAL, OUTCOME)
    whole, other = path.read_bytes(), TRIAL._replace(fold=4)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert open_log(path).find(CONTEXT, TRIAL) is None
        open_log(path).add(CONTEXT, other, OUTCOME)
        assert open_log(path).find(CONTEXT, other) == OUTCOME


@pytest.mark.parametrize("line", ["null", "{}", "7", '"key"', '{"key": []}', '{"key": "3fa", "rmse": 1}', "[[]]"])
def test_a_line_of_another_shape_is_passed_over(path, line):
    open_log(path).add(CONTEXT, TRIAL, OUTCOME)
    path.write_text(f"{line}\n{path.read_text()}\n{line}")
    assert open_log(path).find(CONTEXT, TRIAL) == OUTCOME


def test_the_order_in_which_a_context_is_written_does_not_matter(path):
    open_log(path).add(CONTEXT, TRIAL, OUTCOME)
    assert open_log(path).find(dict(reversed(CONTEXT.items())), TRIAL) == OUTCOME


class TestRemembering:
    def test_what_was_found_is_known_in_the_same_context_only(self, path):
        memory = remember(open_log(path), CONTEXT)
        assert memory.find(TRIAL) is None
        memory.add(TRIAL, OUTCOME)
        assert memory.find(TRIAL) == remember(open_log(path), CONTEXT).find(TRIAL) == OUTCOME
        assert remember(open_log(path), {**CONTEXT, "seed": 2}).find(TRIAL) is None

    def test_other_code_knows_nothing_of_it(self, path, tmp_path, monkeypatch):
        remember(open_log(path), CONTEXT).add(TRIAL, OUTCOME)
        package = tmp_path / "package" / "tuning"
        package.mkdir(parents=True)
        monkeypatch.setattr(trial_log, "__file__", str(package / "trial_log.py"))
        assert remember(open_log(path), CONTEXT).find(TRIAL) is None
        remember(open_log(path), CONTEXT).add(TRIAL, OUTCOME)
        (package.parent / "kernels.py").write_text("x = 1")
        assert remember(open_log(path), CONTEXT).find(TRIAL) is None

    def test_without_a_log_nothing_is_remembered(self):
        assert remember(None, CONTEXT) is NO_MEMORY
        NO_MEMORY.add(TRIAL, OUTCOME)
        assert NO_MEMORY.find(TRIAL) is None


class TestFingerprint:
    def test_it_is_that_of_the_rows_in_any_order(self, spark):
        rows = [(1, 10, 4.0, 0), (1, 20, 3.0, 1), (2, 10, 5.0, 0)]
        ratings = spark.createDataFrame(rows, "user_id int, movie_id int, rating float, fold int")
        found = fingerprint(ratings)
        assert fingerprint(ratings.orderBy("rating").repartition(3).withColumn("note", F.lit("a"))) == found
        others = [
            ratings.withColumn(name, F.when(F.col("movie_id") == 20, 2).otherwise(F.col(name)).cast(kind))
            for name, kind in ratings.dtypes
        ]
        others += [ratings.limit(2), ratings.drop("fold"), ratings.union(ratings)]
        assert len({found, *(fingerprint(other) for other in others)}) == 8

    def test_no_rows_have_one_too(self, spark):
        assert fingerprint(spark.createDataFrame([], "user_id int, movie_id int, rating float")) == 0


def test_a_digest_is_that_of_the_parts_one_after_the_other():
    assert digest([b"ab", b"c"]) == digest([b"abc"]) != digest([b"c", b"ab"])


class TestDataset:
    def test_it_is_in_the_catalog_beside_the_models_of_the_data_set(self, tmp_path, monkeypatch):
        monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(tmp_path))
        loader = ConfigLoader(str(ROOT / "conf"), runtime_params={"dataset": "sample"}, **CONFIG_LOADER_ARGS)
        dataset = AbstractDataset.from_config("rating.finished_trials", loader["catalog"]["rating.finished_trials"])
        dataset.load().add(CONTEXT, TRIAL, OUTCOME)
        assert (tmp_path / "06_models" / "sample" / "rating" / "finished_trials.jsonl").is_file()
        assert dataset.load().find(CONTEXT, TRIAL) == OUTCOME

    def test_without_a_file_it_is_there_and_empty(self, path):
        dataset = TrialLogDataset(filepath=str(path))
        assert dataset.exists()
        assert dataset.load().find(CONTEXT, TRIAL) is None
        dataset.load().add(CONTEXT, TRIAL, OUTCOME)
        assert dataset.load().find(CONTEXT, TRIAL) == OUTCOME

    def test_it_cannot_be_saved_to(self, path):
        with pytest.raises(DatasetError, match="appends finished trials"):
            TrialLogDataset(filepath=str(path)).save([])
