"""The second stage in runs: a row of the leaderboard, lists that the service makes too, and nothing where it is off."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click import ClickException
from ranking.rerank.stages import needs_lightgbm
from runs.project import SAMPLE_PARAMETERS

from movie_recs.data.parameters import FilterParameters
from movie_recs.data.schemas import list_text
from movie_recs.errors import UserError
from movie_recs.ranking.rerank import lambdamart
from movie_recs.saved_models import newest_version, read_reranker
from movie_recs.serve.answers import known_person, recommend
from movie_recs.serve.places import Places
from movie_recs.serve.snapshot import load_snapshot

pytestmark = needs_lightgbm

RANKING = {"tuning": {**SAMPLE_PARAMETERS["ranking"]["tuning"], "final_fit": "compiled"}}
OFF, ON = ({**SAMPLE_PARAMETERS, "ranking": {**RANKING, "rerank": is_on}} for is_on in (False, True))
FITS = ["ranking.tuning.fit_on_all", "ranking.tuning.fit_second_stage"]
LISTS = ["ranking.evaluation.list_movies", "ranking.evaluation.measure_lists"]


@pytest.fixture(scope="module")
def reranked_run(sample_run, kedro_run, tmp_path_factory):
    """The run's data folder, with a second stage for the same winner, and lists of both."""
    folder = shutil.copytree(sample_run, tmp_path_factory.mktemp("reranked") / "data")
    before = pd.read_csv(folder / "08_reporting/sample/leaderboard.csv")
    kedro_run(folder, nodes=[*FITS, *LISTS], **ON)
    kedro_run(folder, "recommend", **{**ON, "recommend": {"user_ids": "1 2 3 4", "top_n": 20}})
    before.to_csv(folder / "before.csv", index=False)
    return folder


def test_the_leaderboard_has_one_more_row_and_the_others_stay(reranked_run):
    leaderboard = pd.read_csv(reranked_run / "08_reporting/sample/leaderboard.csv")
    assert leaderboard["model"].iloc[-1] == "reranked"
    pd.testing.assert_frame_equal(leaderboard.iloc[:-1], pd.read_csv(reranked_run / "before.csv"), rtol=1e-9)
    lists = pd.read_parquet(reranked_run / "07_model_output/sample/ranking_lists")
    winner = json.loads((reranked_run / "06_models/sample/ranking/best_params.json").read_text())["model"]
    by_model = {
        name: lists[lists["model"] == name].groupby("user_id")["movie_id"].apply(set) for name in ("reranked", winner)
    }
    assert by_model["reranked"].index.tolist() == by_model[winner].index.tolist()
    assert not by_model["reranked"].equals(by_model[winner])
    pairs = pd.read_csv(reranked_run / "08_reporting/sample/ranking/comparisons.csv")
    assert ((pairs["model"] == "reranked") & (pairs["other"] == winner)).sum() == 1


def test_the_service_makes_the_lists_of_the_pipeline(reranked_run):
    snapshot = load_snapshot(Places(reranked_run, "sample"))
    assert snapshot.second is not None
    lists = pd.read_csv(reranked_run / "07_model_output/sample/recommendations.csv")
    for user, rows in lists.groupby("user_id"):
        answer = recommend(snapshot, known_person(snapshot, str(user)), 20, FilterParameters())
        assert [row["movie_id"] for row in answer] == rows["movie_id"].tolist()
        np.testing.assert_allclose([row["score"] for row in answer], rows["score"], atol=1e-6)
        for name in ("because", "because_shares"):
            assert [list_text(name, row[name]) for row in answer] == rows[name].fillna("").astype(str).tolist()
    first = load_snapshot(Places(reranked_run, "sample"))._replace(second=None)
    assert recommend(first, known_person(first, "1"), 20, FilterParameters()) != recommend(
        snapshot, known_person(snapshot, "1"), 20, FilterParameters()
    )


def test_a_second_stage_of_another_model_is_not_used(reranked_run, kedro_run, tmp_path):
    folder = shutil.copytree(reranked_run, tmp_path / "data")
    kedro_run(folder, nodes=FITS[:1], **OFF)  # a newer model, without a second stage
    assert load_snapshot(Places(folder, "sample")).second is None
    best = folder / "06_models/sample/ranking/best_params.json"
    best.write_text(json.dumps({**json.loads(best.read_text()), "als_weight": 0.123}))
    with pytest.raises(ClickException, match=r"that of another ranking model: run kedro run with ranking\.rerank=true"):
        kedro_run(folder, "recommend", **ON)


def test_it_is_saved_as_text(reranked_run):
    version = newest_version(reranked_run / "06_models/sample/ranking/reranker")
    reranker = read_reranker(version.folder)
    assert reranker.trees.startswith("tree\n")
    assert sorted(path.name for path in version.folder.iterdir()) == ["_SUCCESS", "reranker.json", "trees.txt"]


def test_a_missing_package_stops_a_run_before_anything_starts(kedro_run, tmp_path, monkeypatch):
    def missing():
        raise UserError("no LightGBM here")

    monkeypatch.setattr(lambdamart, "load_lightgbm", missing)
    monkeypatch.setattr("movie_recs.runtime.hooks.load_lightgbm", missing)
    with pytest.raises(ClickException, match="no LightGBM here"):
        kedro_run(tmp_path, **ON)
    assert not list(tmp_path.rglob("*"))
