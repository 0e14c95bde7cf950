"""The whole project, run as its users run it: what is written, what is said, and what survives a killed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import MOVIELENS, ROOT, needs_movielens
from pyspark.ml.recommendation import ALSModel

from movie_recs.schemas import TABLES

ONE_CANDIDATE = {
    "split": {"folds": 2},
    "rating": {"tuning": {"grid": {"rank": 5, "reg_param": 0.1, "max_iter": 10}}},
}
KEDRO = [sys.executable, "-m", "kedro"]


def read_json(path: Path):
    return json.loads(path.read_text())


def kedro(data_dir: Path, *arguments: str, raw: Path = ROOT / "data" / "01_raw") -> subprocess.CompletedProcess:
    environment = {**os.environ, "MOVIE_RECS_DATA_DIR": str(data_dir), "MOVIELENS_DIR": str(raw), "COLUMNS": "1000"}
    return subprocess.run([*KEDRO, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def sample_run(kedro_run, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("sample")
    grid = {"rank": [2, 5], "reg_param": [0.1], "max_iter": [5]}
    kedro_run(
        data_dir, split={"folds": 2}, rating={"tuning": {"grid": grid}}, recommend={"movie_ids": [463, 471, 999_999]}
    )
    return data_dir


@pytest.fixture(scope="module")
def small_run(kedro_run, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("small")
    kedro_run(data_dir, raw=MOVIELENS, dataset="ml-latest-small", **ONE_CANDIDATE)
    return data_dir


class TestOnTheSample:
    def test_metrics_hold_data_split_and_models(self, sample_run):
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        assert metrics["dataset"]["name"] == "sample"
        assert metrics["dataset"]["synthetic"] is True
        assert metrics["dataset"]["users"] == 610
        assert set(metrics["dataset"]["sha256"]) == {"ratings.csv", "movies.csv", "tags.csv", "links.csv"}
        assert metrics["split"]["train"] + metrics["split"]["test"] == metrics["dataset"]["ratings"]
        assert [row["model"] for row in metrics["rating"]["models"]] == ["reference_als", "tuned_als"]
        assert set(metrics["rating"]["best_params"]) == {"rank", "reg_param", "max_iter"}

    @pytest.mark.parametrize("name", TABLES)
    def test_a_table_keeps_to_its_contract(self, sample_run, spark, name):
        layer = "02_intermediate" if name == "set_aside" else "0[357]_*"
        (path,) = sample_run.glob(f"{layer}/sample/{name.removeprefix('rating.')}")
        found = ", ".join(f"{column} {kind}" for column, kind in spark.read.parquet(str(path)).dtypes)
        assert found == TABLES[name]

    def test_every_test_row_is_measured(self, sample_run):
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        predictions = pd.read_parquet(sample_run / "07_model_output/sample/predictions")
        for row in metrics["rating"]["models"]:
            assert row["n"] == metrics["split"]["test"] == len(predictions)
            assert row["n_warm"] + row["n_cold"] == row["n"]
        error = predictions["rating"] - predictions["score"].clip(0.5, 5)
        assert metrics["rating"]["models"][1]["rmse"] == pytest.approx((error**2).mean() ** 0.5)

    def test_a_model_beats_the_global_mean(self, sample_run):
        train = pd.read_parquet(sample_run / "05_model_input/sample/train_ratings")["rating"]
        test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")["rating"]
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        assert metrics["rating"]["models"][1]["rmse"] < ((test - train.mean()) ** 2).mean() ** 0.5 - 0.1

    def test_cv_results_have_a_row_a_candidate(self, sample_run):
        results = pd.read_csv(sample_run / "08_reporting/sample/cv_results.csv")
        assert results["rank"].tolist() == [2, 5]
        assert results["mean_rmse"].between(0.6, 1.1).all()
        assert results["error"].isna().all()

    def test_recommendations_are_unseen_and_ranked(self, sample_run):
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists.columns.tolist() == [
            *(
                "user_id",
                "rank",
                "movie_id",
                "title",
                "year",
                "genres",
                "score",
                "predicted_stars",
                "because",
                "imdb_url",
            )
        ]
        assert lists.groupby("user_id")["rank"].apply(list).to_dict() == {
            232: list(range(1, 11)),
            575: list(range(1, 11)),
        }
        ratings = pd.read_parquet(sample_run / "03_primary/sample/ratings")
        assert lists.merge(ratings, on=["user_id", "movie_id"]).empty
        assert lists.groupby("user_id")["score"].apply(lambda scores: scores.is_monotonic_decreasing).all()
        assert lists["predicted_stars"].between(0.5, 5).all()
        assert lists["because"].notna().mean() > 0.5
        as_parquet = pd.read_parquet(sample_run / "07_model_output/sample/recommendations")
        assert as_parquet["movie_id"].tolist() == lists["movie_id"].tolist()

    def test_similar_movies_are_the_nearest_by_item_factors(self, sample_run):
        similar = pd.read_csv(sample_run / "07_model_output/sample/similar_movies.csv")
        assert similar.columns.tolist() == [
            *("movie_id", "rank", "similar_movie_id", "title", "year", "genres", "distance")
        ]
        (als_model,) = (sample_run / "06_models/sample/rating/als_model").glob("*/als_model")
        factors = ALSModel.load(str(als_model)).itemFactors.toPandas().set_index("id")["features"].apply(pd.Series)
        distances = ((factors - factors.loc[463]) ** 2).sum(axis=1) ** 0.5
        nearest = distances.drop(463).nsmallest(10)
        found = similar[similar["movie_id"] == 463]
        assert found["similar_movie_id"].tolist() == nearest.index.tolist()
        assert found["distance"].tolist() == pytest.approx(nearest.tolist(), abs=1e-4)

    def test_unknown_ids_are_listed_and_the_others_answered(self, sample_run):
        assert pd.read_csv(sample_run / "07_model_output/sample/unknown_ids.csv").to_dict("records") == [
            {"kind": "movie", "id": 999_999}
        ]

    def test_every_figure_says_that_the_data_is_synthetic(self, sample_run):
        figures = list((sample_run / "08_reporting/sample").glob("*_plot.json"))
        assert len(figures) == 7
        for figure in figures:
            assert "sample, synthetic data" in read_json(figure)["layout"]["title"]["text"], figure

    def test_recommend_runs_by_itself_with_other_ids(self, sample_run, kedro_run):
        before = sorted((sample_run / "06_models").rglob("*"))
        kedro_run(sample_run, "recommend", recommend={"user_ids": "1 2 3", "top_n": 4})
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists.groupby("user_id").size().to_dict() == {1: 4, 2: 4, 3: 4}
        assert sorted((sample_run / "06_models").rglob("*")) == before

    def test_the_notebook_runs_from_the_catalog(self, sample_run, monkeypatch):
        import nbformat
        from nbclient import NotebookClient

        monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(sample_run))
        monkeypatch.setenv("MOVIELENS_DIR", str(ROOT / "data" / "01_raw"))
        monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        notebook = nbformat.read(ROOT / "notebooks" / "explore.ipynb", as_version=4)
        assert all(not cell.get("outputs") for cell in notebook.cells)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
        outputs = json.dumps([cell.get("outputs") for cell in notebook.cells])
        assert "610" in outputs
        assert "recommendations" in outputs or "title" in outputs

    def test_a_run_killed_while_it_writes_the_model_leaves_the_earlier_one(self, sample_run, kedro_run):
        models = sample_run / "06_models/sample/rating/als_model"
        earlier = set(models.iterdir())
        environment = {
            **os.environ,
            "MOVIE_RECS_DATA_DIR": str(sample_run),
            "MOVIELENS_DIR": str(ROOT / "data" / "01_raw"),
        }
        fit = [*KEDRO, "run", "--nodes=rating.tuning.fit_on_all", "--params", "dataset=sample"]
        process = subprocess.Popen(fit, cwd=ROOT, env=environment, start_new_session=True)
        deadline = time.monotonic() + 120
        while not (begun := set(models.iterdir()) - earlier):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (half_written,) = begun
        assert not (half_written / "als_model" / "_SUCCESS").exists()
        kedro_run(sample_run, "recommend", recommend={"user_ids": 7})
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists["user_id"].tolist() == [7] * 10


class TestWhatIsSaid:
    @pytest.mark.parametrize(
        ("parameter", "sentence"),
        [
            ("rating.tuning.grid.rank=-3", "rating.tuning.grid.rank is -3 but should be greater than or equal to 1"),
            ("split.folds=1", "split.folds is 1 but should be greater than or equal to 2"),
            ("recomend.top_n=3", "recomend is no parameter (there are dataset,"),
            ("dataset=ml-32m", "run `make data DATASET=ml-32m` or set MOVIELENS_DIR"),
        ],
    )
    def test_a_wrong_parameter_stops_the_run_with_a_sentence(self, tmp_path, parameter, sentence):
        run = kedro(tmp_path, "run", "--params", parameter)
        assert run.returncode == 1
        assert sentence in run.stdout + run.stderr
        assert "Traceback" not in run.stdout + run.stderr

    def test_recommend_without_a_model_says_what_to_run(self, tmp_path):
        run = kedro(tmp_path, "run", "--pipeline=recommend", "--params", "dataset=sample")
        assert run.returncode == 1
        assert "rating.factor_model" in run.stdout + run.stderr
        assert "run `kedro run` first" in run.stdout + run.stderr
        assert "Traceback" not in run.stdout + run.stderr


@needs_movielens
class TestOnMovieLens:
    def test_counts_are_those_of_the_data_set(self, small_run):
        eda = read_json(small_run / "08_reporting/ml-latest-small/eda.json")
        assert {key: eda[key] for key in ("users", "movies", "movies_rated", "movies_never_rated", "ratings")} == {
            "users": 610,
            "movies": 9_742,
            "movies_rated": 9_724,
            "movies_never_rated": 18,
            "ratings": 100_836,
        }
        assert eda["density"] == pytest.approx(100_836 / (610 * 9_742))
        assert (eda["genres"]["Drama"], eda["genres"]["Comedy"], eda["genres"]["(no genres listed)"]) == (
            4_361,
            3_756,
            34,
        )
        assert read_json(small_run / "08_reporting/ml-latest-small/metrics.json")["dataset"]["set_aside"] == 0
        movies = pd.read_parquet(small_run / "03_primary/ml-latest-small/movies")
        assert movies["year"].isna().sum() == 13

    def test_the_reference_parameters_give_the_reference_errors(self, small_run):
        reference = read_json(small_run / "08_reporting/ml-latest-small/metrics.json")["rating"]["models"][0]
        assert reference["model"] == "reference_als"
        assert 0.86 < reference["rmse_warm"] < 0.90
        assert 0.62 < reference["train_rmse"] < 0.66
        assert reference["rmse"] < 0.91

    def test_users_575_and_232_and_movie_471_are_answered_and_463_is_unknown(self, small_run):
        output = small_run / "07_model_output/ml-latest-small"
        assert set(pd.read_csv(output / "recommendations.csv")["user_id"]) == {232, 575}
        assert set(pd.read_csv(output / "similar_movies.csv")["movie_id"]) == {471}
        assert pd.read_csv(output / "unknown_ids.csv").to_dict("records") == [{"kind": "movie", "id": 463}]

    def test_a_plague_of_bad_rows_is_set_aside_and_changes_nothing_else(self, small_run, kedro_run, tmp_path):
        plague = {
            "1,,4.0,964982703": "movieId is missing",
            "1,1,good,964982703": "rating is not a number",
            "two,1,4.0,964982703": "userId is not a whole number",
            "1,2,9.9,964982703": "rating is not one of 0.5, 1.0 ... 5.0",
            "3000000000,1,4.0,964982703": "userId is not a positive 32-bit integer",
            "1,99999999,4.0,964982703": "movieId is not in movies.csv",
            "1,1,0.5,1": "the user rated the movie again later",
            "1,1,4.0,964982703,surplus": "the row has not 4 fields",
            "1,1,4.0": "the row has not 4 fields",
        }
        folder = tmp_path / "raw" / "ml-latest-small"
        folder.mkdir(parents=True)
        for file in (MOVIELENS / "ml-latest-small").glob("*.csv"):
            (folder / file.name).write_bytes(file.read_bytes())
        lines = (folder / "ratings.csv").read_text().splitlines()
        for place, row in enumerate(plague):
            lines.insert(10 + 7_000 * place, row)
        (folder / "ratings.csv").write_text("\r\n".join(lines) + "\r\n")
        kedro_run(tmp_path, "data_processing", raw=tmp_path / "raw", dataset="ml-latest-small", split={"folds": 2})
        set_aside = pd.read_parquet(tmp_path / "02_intermediate/ml-latest-small/set_aside")
        found = dict(zip(set_aside["record"], set_aside["reason"], strict=True))
        assert found == plague
        for table in ("03_primary/ml-latest-small/ratings", "05_model_input/ml-latest-small/train_ratings"):
            keys = ["user_id", "movie_id"]
            healthy = pd.read_parquet(small_run / table).sort_values(keys, ignore_index=True)
            afflicted = pd.read_parquet(tmp_path / table).sort_values(keys, ignore_index=True)
            pd.testing.assert_frame_equal(healthy, afflicted)
