"""A run that is killed while it writes a model leaves the earlier model in use."""

import os
import signal
import subprocess
import time

import pandas as pd
from conftest import ROOT
from kedro.framework.session import KedroSession
from runs.project import KEDRO, NODE, RAW, environment, read_json

NOISE = ("WARN", "dlopen", "incubator", "SLF4J", "Traceback")


def test_after_a_run_killed_while_it_writes_a_model_the_earlier_one_is_used(own_run, kedro_run, tmp_path, monkeypatch):
    models = own_run / "06_models/sample/rating/als_model"
    earlier = set(models.iterdir())
    parameters = "dataset=sample,rating.features.audience=0"  # a feature that takes a fit of its own
    fit = [*KEDRO, "run", "--nodes=rating.tuning.fit_on_all", "--params", parameters]
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            fit, cwd=ROOT, env=environment(own_run), stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + 120
    while not (begun := set(models.iterdir()) - earlier):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    printed = log.read_text()  # while Java started and the model was fitted, too
    assert NODE.findall(printed) == [("1", "1", "rating.tuning.fit_on_all")]
    assert [word for word in NOISE if word in printed] == []
    (half_written,) = begun
    assert not (half_written / "als_model" / "_SUCCESS").exists()

    monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(own_run))
    monkeypatch.setenv("MOVIELENS_DIR", str(RAW))
    with KedroSession.create(ROOT, runtime_params={"dataset": "sample"}) as session:
        als_model = session.load_context().catalog.load("rating.als_model")
    best_params = read_json(own_run / "06_models/sample/rating/best_params.json")
    assert als_model.rank == (best_params.get("als_model") or best_params)["rank"]
    lists = ["recommend.recommend_movies", "recommend.tabulate_recommendations"]
    kedro_run(own_run, "recommend", nodes=lists, recommend={"user_ids": 7})
    lists = pd.read_csv(own_run / "07_model_output/sample/recommendations.csv")
    assert lists["user_id"].tolist() == [7] * 10
