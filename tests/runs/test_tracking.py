"""The model that a run logs to MLflow, beside what the pipeline `recommend` has written."""

import pandas as pd
import pytest

from movie_recs.data.schemas import list_text
from movie_recs.serve.places import Places

mlflow = pytest.importorskip("mlflow", reason="needs the extra movie_recs[mlflow]")


@pytest.fixture(scope="module")
def model(sample_run, tmp_path_factory):
    from movie_recs.tracking.recommender import log_recommender

    folder = tmp_path_factory.mktemp("tracking")
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("test", artifact_location=str(folder / "artifacts")))
    with mlflow.start_run() as run:
        log_recommender(Places(sample_run, "sample"))
    return mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/recommender")


def assert_same(answer: pd.DataFrame, expected: pd.DataFrame) -> None:
    expected = expected.sort_values(["user", "rank"]).reset_index(drop=True)
    answer = answer.sort_values(["user", "rank"]).reset_index(drop=True)
    for name in ("user", "rank", "movie_id", "title"):
        assert answer[name].tolist() == expected[name].tolist()
    for name in ("score", "predicted_stars"):
        assert answer[name].tolist() == pytest.approx(expected[name].tolist(), abs=1e-6, rel=0)
    for name in ("because", "because_shares"):
        assert answer[name].tolist() == [list_text(name, each) for each in expected[name]]


def test_users_of_the_data_get_the_lists_of_recommend(model, sample_run):
    expected = pd.read_parquet(sample_run / "07_model_output/sample/recommendations")
    expected["user"] = expected["user_id"].astype(str)
    assert_same(model.predict(pd.DataFrame({"user": expected["user"].unique()})), expected)


def test_someone_new_is_known_by_the_ratings_in_the_input(model, sample_run):
    ratings = pd.read_parquet(sample_run / "03_primary/sample/ratings").query("user_id == 575").sort_values("rated_at")
    rows = pd.DataFrame(
        {"user": "Ada", "movie": ratings["movie_id"].astype(str), "rating": ratings["rating"].astype(float)}
    )
    answer = model.predict(rows, params={"n": 3})
    assert answer["rank"].tolist() == [1, 2, 3]
    assert not set(answer["movie_id"]) & set(ratings["movie_id"])


def test_an_unknown_user_or_movie_is_an_error_that_names_it(model):
    with pytest.raises(Exception, match="'nobody' is not in the data"):
        model.predict(pd.DataFrame({"user": ["nobody"]}))
    with pytest.raises(Exception, match="No Such Film"):
        model.predict(pd.DataFrame({"user": ["Ada"], "movie": ["No Such Film"], "rating": [4.0]}))
