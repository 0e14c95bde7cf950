"""Users that are in no fit: the models of the train users, measured on what folded-in users have rated otherwise."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from runs.project import LADDER, RANKINGS, SAMPLE_PARAMETERS, read_json

KEYS, OBJECTIVES = ["user_id", "movie_id"], ("rating", "ranking")
NODES = {  # after a search that has been made
    "data_processing": ("split_ratings",),
    "rating.tuning": ("fit_on_train",),
    "ranking.tuning": ("fit_on_train",),
    "rating.evaluation": ("fit_reference", "fit_rivals", "predict_test", "evaluate_models"),
    "ranking.evaluation": ("list_movies", "measure_lists"),
    "metrics": ("count_split", "collect_metrics"),
}


@pytest.fixture(scope="module")
def new_users_run(sample_run, kedro_run, tmp_path_factory) -> Path:
    data_dir = shutil.copytree(sample_run, tmp_path_factory.mktemp("new_users") / "data")
    nodes = [f"{pipeline}.{node}" for pipeline, names in NODES.items() for node in names]
    tuning = {name: {"tuning": {**SAMPLE_PARAMETERS[name]["tuning"], "final_fit": "compiled"}} for name in OBJECTIVES}
    kedro_run(data_dir, nodes=nodes, split={**SAMPLE_PARAMETERS["split"], "strategy": "new_users"}, **tuning)
    return data_dir


@pytest.fixture(scope="module")
def metrics(new_users_run) -> dict:
    return read_json(new_users_run / "08_reporting/sample/metrics.json")


@pytest.fixture(scope="module")
def parts(new_users_run) -> dict[str, pd.DataFrame]:
    folder = new_users_run / "05_model_input/sample"
    return {name: pd.read_parquet(folder / f"{name}_ratings") for name in ("train", "test", "fold_in")}


def test_the_split_is_counted_and_a_folded_in_user_is_not_cold(metrics, parts):
    test, train = parts["test"], parts["train"]
    cold = ~test["movie_id"].drop_duplicates().isin(train["movie_id"])
    assert metrics["split"] == {
        **{"strategy": "new_users", "seed": 42, **{name: len(rows) for name, rows in parts.items()}},
        **{"cold_users": 0, "cold_movies": cold.sum()},
    }
    assert set(test["user_id"]) <= set(parts["fold_in"]["user_id"])


def test_no_model_has_a_user_who_is_tested(new_users_run, parts):
    for objective in OBJECTIVES:
        folder = new_users_run / f"06_models/sample/{objective}/train_factor_model"
        newest = max(folder.iterdir()) / "train_factor_model/user_factors"
        assert set(pd.read_parquet(newest)["id"]) == set(parts["train"]["user_id"])


def test_folded_in_users_are_scored_by_their_ratings(new_users_run, metrics, parts):
    predictions = pd.read_parquet(new_users_run / "07_model_output/sample/predictions")
    assert len(predictions) == len(parts["test"])
    counts = parts["fold_in"].groupby("user_id").size()
    assert predictions["user_ratings"].equals(predictions["user_id"].map(counts).astype("int32"))
    assert [row["model"] for row in metrics["rating"]["models"]] == LADDER
    rmse = {row["model"]: row["rmse"] for row in metrics["rating"]["models"]}
    assert rmse["taste_als"] < rmse["bias"] < rmse["global_mean"] - 0.1
    assert predictions.groupby("user_id")["bias_als"].mean().corr(predictions.groupby("user_id")["rating"].mean()) > 0.5


def test_lists_are_for_tested_users_and_hold_nothing_that_they_have_rated_before(new_users_run, metrics, parts):
    lists = pd.read_parquet(new_users_run / "07_model_output/sample/ranking_lists")
    assert set(lists["user_id"]) == set(parts["fold_in"]["user_id"])
    assert lists.merge(parts["fold_in"], on=KEYS).empty
    models = metrics["ranking"]["models"]
    assert [row["model"] for row in models] == RANKINGS
    for row in models:
        assert row["n_users"] == parts["test"]["user_id"].nunique()
        assert row["n_users"] + row["users_without_held_out"] == parts["fold_in"]["user_id"].nunique()
        assert row["users_without_list"] == 0
        assert row["popularity_lift"] is not None
    ndcg = {row["model"]: row["ndcg"] for row in models}
    assert ndcg["random"] < ndcg["most_popular"] < max(ndcg["ease"], ndcg["blend"])
