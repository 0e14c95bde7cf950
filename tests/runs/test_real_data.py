"""A whole run on ml-latest-small: the counts of the data set, and errors and rankings within their bands."""

from pathlib import Path

import pandas as pd
import pytest
from conftest import MOVIELENS, needs_movielens
from runs.project import read_json

pytestmark = needs_movielens

ONE_CANDIDATE = {
    "split": {"folds": 2},
    "rating": {
        "tuning": {
            "baseline_grid": {"user_damping": 5, "movie_damping": 5, "taste_reg": 8, "prior_reg": 10},
            "grid": {"rank": 20, "reg_param": 0.2, "max_iter": 10},
        }
    },
    "ranking": {
        "tuning": {
            "grid": {"rank": 50, "reg_param": 0.3, "alpha": 2, "max_iter": 5},
            "ease_reg": 300,
            "weight_grid": {"star_weight": 0.2, "half_life": 5, "old_weight": 1},
            "als_weight": 0.6,
        }
    },
}


@pytest.fixture(scope="module")
def movielens_run(kedro_run, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("movielens")
    kedro_run(data_dir, raw=MOVIELENS, dataset="ml-latest-small", **ONE_CANDIDATE)
    return data_dir


def test_counts_are_those_of_the_data_set(movielens_run):
    eda = read_json(movielens_run / "08_reporting/ml-latest-small/eda.json")
    assert {key: eda[key] for key in ("users", "movies", "movies_rated", "movies_never_rated", "ratings")} == {
        "users": 610,
        "movies": 9_742,
        "movies_rated": 9_724,
        "movies_never_rated": 18,
        "ratings": 100_836,
    }
    assert eda["density"] == pytest.approx(100_836 / (610 * 9_742))
    genres = {"Drama": 4_361, "Comedy": 3_756, "(no genres listed)": 34}
    assert {genre: eda["genres"][genre] for genre in genres} == genres
    assert read_json(movielens_run / "08_reporting/ml-latest-small/metrics.json")["dataset"]["set_aside"] == 0
    movies = pd.read_parquet(movielens_run / "03_primary/ml-latest-small/movies")
    assert movies["year"].isna().sum() == 13


def test_each_model_beats_the_one_before_within_its_band_of_errors(movielens_run):
    metrics = read_json(movielens_run / "08_reporting/ml-latest-small/metrics.json")
    models = {row["model"]: row for row in metrics["rating"]["models"]}
    reference = models["reference_als"]
    assert 0.86 < reference["rmse_warm"] < 0.90
    assert 0.62 < reference["train_rmse"] < 0.66
    assert reference["rmse"] < 0.91
    rmse = {name: row["rmse"] for name, row in models.items()}
    assert rmse["taste_als"] <= 0.807 < rmse["bias_als"] <= 0.857 < rmse["bias"] <= 0.868 < rmse["reference_als"]
    assert rmse["taste_als"] < rmse["taste"] <= 0.808
    assert {row["n"] for row in models.values()} == {metrics["split"]["test"]}


def test_rankings_are_within_their_bands(movielens_run):
    metrics = read_json(movielens_run / "08_reporting/ml-latest-small/metrics.json")
    ndcg = {row["model"]: row["ndcg"] for row in metrics["ranking"]["models"]}
    assert ndcg["random"] < 0.01 < ndcg["rating_by_stars"] < ndcg["damped_mean"] < ndcg["most_popular"] < 0.2
    assert 0.33 <= ndcg["implicit_als"] < ndcg["ease"]
    assert 0.37 <= ndcg["ease"] < ndcg["blend"] < 0.4
    assert {row["n_users"] for row in metrics["ranking"]["models"]} == {610}


def test_users_575_and_232_and_movie_471_have_lists_and_463_is_unknown(movielens_run):
    output = movielens_run / "07_model_output/ml-latest-small"
    assert set(pd.read_csv(output / "recommendations.csv")["user_id"]) == {232, 575}
    assert set(pd.read_csv(output / "similar_movies.csv")["movie_id"]) == {471}
    assert pd.read_csv(output / "unknown_ids.csv").to_dict("records") == [{"kind": "movie", "id": 463}]
