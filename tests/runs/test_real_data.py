"""A run on ml-latest-small: the counts of the data set, and errors and rankings within their bands."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import MOVIELENS, needs_movielens
from runs.project import read_json
from runs.service import assert_same_lists, open_service

pytestmark = needs_movielens

ONE_CANDIDATE = {
    "split": {"folds": 2},
    "rating": {
        "tuning": {
            "baseline_grid": {"user_damping": 5, "movie_damping": 5, "taste_reg": 8, "prior_reg": 10},
            "grid": {"rank": 20, "reg_param": 0.2, "max_iter": 10},
            "bayes": {"rank": 10, "max_iter": 20},
            "beyond_edges": False,
        }
    },
    "ranking": {
        "tuning": {
            "grid": {"rank": 50, "reg_param": 0.3, "alpha": 2, "max_iter": 5},
            "ease_reg": 300,
            "weight_grid": {"star_weight": 0.2, "half_life": 5, "old_weight": 1},
            "als_weight": 0.6,
            "beyond_edges": False,
        }
    },
}


NODES = {  # that make what is tested
    "data_processing": (
        *("profile_source", "number_ids"),
        *("parse_movies", "parse_links", "parse_ratings", "parse_tags", "clean_movies", "clean_ratings", "clean_tags"),
        *("gather_set_aside", "split_ratings", "describe_data"),
    ),
    "rating.tuning": ("cross_validate_candidates", "choose_best", "fit_on_train", "fit_on_all"),
    "rating.evaluation": ("fit_reference", "fit_rivals", "predict_test", "evaluate_models"),
    "ranking.tuning": ("cross_validate_candidates", "choose_best", "fit_on_train", "fit_on_all"),
    "ranking.evaluation": ("list_movies", "measure_lists"),
    "recommend": ("match_new_ratings", "recommend_movies", "recommend_to_new_users", "find_similar_movies"),
}
NEW_USERS = {
    "Grace": [("Toy Story (1995)", 5.0), ("finding nemo", 5.0), ("The Incredibles", 4.5), (4306, 5.0)],
    "New": [],
}


@pytest.fixture(scope="module")
def movielens_run(kedro_run, tmp_path_factory) -> Path:
    """One run of these nodes, with the factors of Spark ML, as a user's run has them."""
    data_dir = tmp_path_factory.mktemp("movielens")
    new_users = [{"name": name, "ratings": dict(ratings)} for name, ratings in NEW_USERS.items()]
    recommend = {"user_ids": [232, 575, 1], "new_users": new_users, "movie_ids": [1, 471]}
    names = [f"{pipeline}.{node}" for pipeline, nodes in NODES.items() for node in nodes]
    parameters = {"dataset": "ml-latest-small", **ONE_CANDIDATE, "recommend": recommend}
    kedro_run(data_dir, raw=MOVIELENS, nodes=names, **parameters)
    return data_dir


def test_counts_are_those_of_the_data_set(movielens_run):
    summary = read_json(movielens_run / "03_primary/ml-latest-small/data_summary.json")
    counts = {"users": 610, "movies": 9_742, "ratings": 100_836, "set_aside": 0}
    assert {name: summary[name] for name in counts} == counts
    movies = pd.read_parquet(movielens_run / "03_primary/ml-latest-small/movies")
    genres = movies["genres"].explode().value_counts()
    assert (genres["Drama"], genres["Comedy"]) == (4_361, 3_756)
    assert (movies["genres"].map(len) == 0).sum() == 34
    assert movies["year"].isna().sum() == 13
    ratings = pd.read_parquet(movielens_run / "03_primary/ml-latest-small/ratings")
    assert ratings["movie_id"].nunique() == 9_724


def test_each_model_beats_the_one_before_within_its_band_of_errors(movielens_run):
    models = {row["model"]: row for row in read_json(movielens_run / "08_reporting/ml-latest-small/model_errors.json")}
    reference = models["reference_als"]
    assert 0.86 < reference["rmse_warm"] < 0.90
    assert 0.62 < reference["train_rmse"] < 0.66
    assert reference["rmse"] < 0.91
    rmse = {name: row["rmse"] for name, row in models.items()}
    assert rmse["taste_als"] <= 0.807 < rmse["bias_als"] <= 0.857 < rmse["bias"] <= 0.868 < rmse["reference_als"]
    assert rmse["taste_als"] < rmse["taste"] <= 0.808
    assert rmse["bayes"] <= 0.791
    test = pd.read_parquet(movielens_run / "05_model_input/ml-latest-small/test_ratings")
    assert {row["n"] for row in models.values()} == {len(test)}


def test_rankings_are_within_their_bands(movielens_run):
    leaderboard = pd.read_csv(movielens_run / "08_reporting/ml-latest-small/leaderboard.csv").set_index("model")
    ndcg = leaderboard["ndcg"]
    assert ndcg["random"] < 0.01 < ndcg["rating_by_stars"] < ndcg["damped_mean"] < ndcg["most_popular"] < 0.2
    assert 0.33 <= ndcg["implicit_als"] < ndcg["ease"]
    assert 0.37 <= ndcg["ease"] < ndcg["blend"] < 0.4
    assert set(leaderboard["n_users"]) == {610}
    aimed = leaderboard.loc["with_stars"]
    assert aimed["ndcg_graded"] >= 0.31
    assert aimed["below_mean"] < 0.13 < leaderboard.loc["blend", "below_mean"]


def test_the_service_answers_as_the_pipeline_does(movielens_run):
    client = open_service(movielens_run, "ml-latest-small")
    assert_same_lists(client, movielens_run / "07_model_output/ml-latest-small", NEW_USERS, {})
