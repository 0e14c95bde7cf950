"""Which engine is chosen, and why."""

import logging
import os
from types import SimpleNamespace

import numpy as np
import pytest
from pyspark.sql import functions as F

from movie_recs.errors import UserError
from movie_recs.rating.parameters import FeatureWeights, TuningParameters
from movie_recs.rating.features import Catalogue
from movie_recs.tuning import memory as engines
from movie_recs.tuning.memory import GIB, MIB, DataSize, choose_engine, estimate_memory, measure_data, task_memory

SIZE = DataSize(ratings=100_000, users=600, fingerprint=1)
CATALOGUE = Catalogue(
    np.arange(1, 11, dtype=np.int32), np.zeros((10, 3)), FeatureWeights(genres=1, year=1, popularity=1, audience=1)
)


def tuning(engine: str) -> TuningParameters:
    baselines = {name: [5] for name in ("user_damping", "movie_damping", "taste_reg", "prior_reg")}
    grid = {"rank": [5, 10], "reg_param": [0.1], "max_iter": [10]}
    return TuningParameters(engine=engine, baseline_grid=baselines, grid=grid, parallelism=1, seed=1)


def session(cores: int = 4, **conf: str) -> SimpleNamespace:
    values = {f"spark.{name.replace('__', '.')}": value for name, value in conf.items()}
    context = SimpleNamespace(getConf=lambda: values, defaultParallelism=cores)
    return SimpleNamespace(sparkContext=context)


@pytest.mark.parametrize("engine", ["kernel", "spark"])
def test_an_engine_that_is_named_is_taken_unseen(engine):
    assert choose_engine(None, CATALOGUE, tuning(engine)) == engine


@pytest.mark.parametrize(("available", "engine"), [(1.0, "kernel"), (0.1, "spark")])
def test_auto_takes_the_kernel_where_a_trial_fits_and_says_why(monkeypatch, caplog, available, engine):
    monkeypatch.setattr(engines, "task_memory", lambda spark: int(available * GIB))
    ratings = SimpleNamespace(sparkSession=None)
    with caplog.at_level(logging.INFO, engines.__name__):
        assert choose_engine(ratings, CATALOGUE, tuning("auto"), SIZE) == engine
    (message,) = caplog.messages
    assert message.startswith(f"Engine {engine}: 100,000 ratings need 0.")
    assert message.endswith(f"a task has {available:.1f} GB")


def test_the_estimate_grows_with_all_that_takes_memory():
    least = estimate_memory(SIZE, 1000, 10, 50)
    more = [
        estimate_memory(SIZE._replace(ratings=200_000), 1000, 10, 50),
        estimate_memory(SIZE._replace(users=1200), 1000, 10, 50),
        estimate_memory(SIZE, 2000, 10, 50),
        estimate_memory(SIZE, 1000, 20, 50),
        estimate_memory(SIZE, 1000, 10, 60),
    ]
    assert min(more) > least > 100 * MIB


def test_inside_the_process_the_machine_is_shared_by_the_cores(monkeypatch):
    monkeypatch.setattr(engines.os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 24 * GIB // 4096}.__getitem__)
    assert task_memory(session(cores=4, master="local[*]", driver__memory="4g")) == 5 * GIB


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
def test_on_a_cluster_an_executors_python_memory_is_shared_by_its_cores(conf, expected):
    assert task_memory(session(master="spark://host:7077", **conf)) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("written", ["lots", "", "4x", "-4g", "1.2.3g", "."])
def test_what_is_no_size_is_said(written):
    with pytest.raises(UserError, match=f"{written!r} is no size of memory"):
        task_memory(session(master="local[2]", driver__memory=written))


@pytest.mark.parametrize("written", ["1g", "1G", "1024m", "1024", " 1 GB", "1048576k", "1.0g"])
def test_a_size_is_written_as_spark_does_and_without_a_unit_in_mib(written):
    assert task_memory(session(master="yarn", executor__pyspark__memory=written)) == GIB


def test_a_task_of_this_session_has_less_than_half_of_the_machine(spark):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < task_memory(spark) < machine / 2  # two cores, and the JVM has its own


def test_data_whose_size_is_not_known_is_measured(monkeypatch):
    monkeypatch.setattr(engines, "task_memory", lambda spark: GIB)
    ratings = SimpleNamespace(sparkSession=None)
    for count, engine in ((100_000, "kernel"), (100_000_000, "spark")):
        monkeypatch.setattr(engines, "measure_data", lambda ratings, count=count: SIZE._replace(ratings=count))
        assert choose_engine(ratings, CATALOGUE, tuning("auto")) == engine


def test_the_fingerprint_is_that_of_the_rows_in_any_order(spark):
    rows = [(1, 10, 4.0, 0), (1, 20, 3.0, 1), (2, 10, 5.0, 0)]
    ratings = spark.createDataFrame(rows, "user_id int, movie_id int, rating float, fold int")
    size = measure_data(ratings)
    assert (size.ratings, size.users) == (3, 2)
    assert measure_data(ratings.orderBy("rating").repartition(3)) == size
    others = [ratings.withColumn(name, F.when(F.col("movie_id") == 20, 2).otherwise(F.col(name)).cast(kind))
              for name, kind in ratings.dtypes]  # fmt: skip
    assert len({measure_data(other).fingerprint for other in [ratings, *others]}) == 5
