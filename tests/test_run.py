"""The whole project, run as its users run it: what is written, what is said, and what survives a killed run."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click import ClickException
from conftest import MOVIELENS, ROOT, needs_movielens
from kedro.framework.session import KedroSession
from pyspark.ml.recommendation import ALSModel

from movie_recs.data.schemas import RAW_HEADERS, TABLES

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
LADDER = ["global_mean", "bias", "reference_als", "bias_als", "taste", "taste_als"]
RANKINGS = [
    *("random", "most_popular", "damped_mean", "rating_by_stars"),
    *("implicit_als", "recent_als", "ease", "blend"),
]
KEDRO = [sys.executable, "-m", "kedro"]
NODE = re.compile(r"\[ *(\d+)/(\d+)\] (\S+) *$", flags=re.MULTILINE)  # in what a run says
NOISE = ("WARN", "dlopen", "incubator", "SLF4J", "Traceback")


def read_json(path: Path):
    return json.loads(path.read_text())


def kedro(data_dir: Path, *arguments: str, raw: Path = ROOT / "data" / "01_raw") -> subprocess.CompletedProcess:
    environment = {**os.environ, "MOVIE_RECS_DATA_DIR": str(data_dir), "MOVIELENS_DIR": str(raw), "COLUMNS": "1000"}
    return subprocess.run([*KEDRO, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def sample_run(kedro_run, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("sample")
    grid = {"rank": [2, 10], "reg_param": [0.2], "max_iter": [10]}
    baseline_grid = {"user_damping": 5, "movie_damping": [3, 5], "taste_reg": 32, "prior_reg": 10}
    with redirect_stdout(io.StringIO()) as said:
        kedro_run(
            data_dir,
            split={"folds": 2},
            rating={"tuning": {"grid": grid, "baseline_grid": baseline_grid}},
            ranking=ONE_CANDIDATE["ranking"],
            recommend={"movie_ids": [463, 471, 999_999]},
        )
    (data_dir / "said.txt").write_text(said.getvalue())
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
        assert metrics["split"]["strategy"] == "random"
        assert [row["model"] for row in metrics["rating"]["models"]] == LADDER
        assert metrics["rating"]["best_params"]["model"] == "taste_als"
        assert set(metrics["rating"]["best_params"]) == {
            *("model", "user_damping", "movie_damping", "taste_reg", "prior_reg", "rank", "reg_param", "max_iter")
        }

    @pytest.mark.parametrize("name", TABLES)
    def test_a_table_keeps_to_its_contract(self, sample_run, spark, name):
        layer = "02_intermediate" if name == "set_aside" else "0[357]_*"
        folder = {"ranking.lists": "ranking_lists"}.get(name, name.removeprefix("rating."))
        (path,) = sample_run.glob(f"{layer}/sample/{folder}")
        found = ", ".join(f"{column} {kind}" for column, kind in spark.read.parquet(str(path)).dtypes)
        assert found == TABLES[name]

    def test_the_leaderboard_measures_every_model_over_the_same_users(self, sample_run):
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")["ranking"]
        assert [row["model"] for row in metrics["models"]] == RANKINGS
        test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")
        for row in metrics["models"]:
            assert row["n_users"] == test["user_id"].nunique()
            assert row["n_users"] + row["users_without_held_out"] == 610
            assert row["users_without_list"] == 0
            assert 0 <= row["ndcg"] <= row["hit_rate"] <= 1
        ndcg = {row["model"]: row["ndcg"] for row in metrics["models"]}
        assert ndcg["random"] < ndcg["most_popular"] < max(ndcg["ease"], ndcg["blend"])
        table = pd.read_csv(sample_run / "08_reporting/sample/leaderboard.csv")
        assert table["ndcg"].tolist() == pytest.approx(list(ndcg.values()))

    def test_the_lists_that_are_measured_are_whole_and_hold_no_train_rating(self, sample_run):
        lists = pd.read_parquet(sample_run / "07_model_output/sample/ranking_lists")
        train = pd.read_parquet(sample_run / "05_model_input/sample/train_ratings")
        assert lists.merge(train, on=["user_id", "movie_id"]).empty
        ranks = lists.sort_values("rank").groupby(["model", "user_id"])["rank"].apply(list)
        assert len(ranks) == 610 * len(RANKINGS)
        assert ranks.map(lambda each: each == list(range(1, 11))).all()

    def test_the_winner_ranks_best_in_cross_validation(self, sample_run):
        results = pd.read_csv(sample_run / "08_reporting/sample/ranking/cv_results.csv")
        best = read_json(sample_run / "06_models/sample/ranking/best_params.json")
        assert best["model"] == results.loc[results["mean_ndcg"].idxmax(), "model"]
        (als_model,) = (sample_run / "06_models/sample/ranking/als_model").glob("*/als_model")
        assert ALSModel.load(str(als_model)).rank == best["als_model"]["rank"] == 50

    def test_every_test_row_is_measured(self, sample_run):
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        predictions = pd.read_parquet(sample_run / "07_model_output/sample/predictions")
        warm = (predictions["user_ratings"] > 0) & (predictions["movie_ratings"] > 0)
        for row in metrics["rating"]["models"]:
            assert row["n"] == metrics["split"]["test"] == len(predictions)
            assert row["n_warm"] == warm.sum() < row["n"]
            error = predictions["rating"] - predictions[row["model"]].clip(0.5, 5)
            assert row["rmse"] == pytest.approx((error**2).mean() ** 0.5)
            assert row["rmse_warm"] == pytest.approx((error[warm] ** 2).mean() ** 0.5)

    def test_the_ladder_has_every_row_once_in_each_models_bins(self, sample_run):
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        ladder = pd.read_csv(sample_run / "08_reporting/sample/ladder.csv").set_index(["model", "movie_ratings"])
        for row in metrics["rating"]["models"]:
            rungs = ladder.loc[row["model"]]
            assert rungs.index.tolist()[:2] == ["all", "warm"]
            assert rungs["n"].iloc[2:].sum() == rungs.loc["all", "n"] == row["n"]
            assert rungs.loc["all", "rmse"] == pytest.approx(row["rmse"])
            assert rungs.loc["warm", "mae"] == pytest.approx(row["mae_warm"])

    def test_gains_are_the_differences_between_rungs(self, sample_run):
        models = {
            row["model"]: row for row in read_json(sample_run / "08_reporting/sample/metrics.json")["rating"]["models"]
        }
        for row in models.values():
            if row["model"] != "global_mean":
                assert row["gain"] == pytest.approx(models[row["compared_with"]]["rmse"] - row["rmse"])
                assert row["gain_se"] > 0

    def test_a_model_beats_the_global_mean(self, sample_run):
        train = pd.read_parquet(sample_run / "05_model_input/sample/train_ratings")["rating"]
        test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")["rating"]
        metrics = read_json(sample_run / "08_reporting/sample/metrics.json")
        rmse = {row["model"]: row["rmse"] for row in metrics["rating"]["models"]}
        assert rmse["global_mean"] == pytest.approx(((test - train.mean()) ** 2).mean() ** 0.5)
        assert rmse["taste_als"] < rmse["bias"] < rmse["global_mean"] - 0.1

    def test_cv_results_have_a_row_a_candidate(self, sample_run):
        results = pd.read_csv(sample_run / "08_reporting/sample/cv_results.csv")
        assert results["model"].tolist() == [
            *["bias"] * 2,
            *["taste"] * 2,
            "reference_als",
            *["bias_als"] * 2,
            *["taste_als"] * 2,
        ]
        assert results["rank"].dropna().tolist() == [5, 2, 10, 2, 10]
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
        (items,) = (sample_run / "06_models/sample/rating/factor_model").glob("*/factor_model/item_factors")
        factors = pd.read_parquet(items).set_index("id")["features"].apply(pd.Series)
        distances = ((factors - factors.loc[463]) ** 2).sum(axis=1) ** 0.5
        nearest = distances.drop(463).nsmallest(10)
        found = similar[similar["movie_id"] == 463]
        assert found["similar_movie_id"].tolist() == nearest.index.tolist()
        assert found["distance"].tolist() == pytest.approx(nearest.tolist(), abs=1e-4)

    def test_the_als_model_is_spark_mls_own(self, sample_run, spark):
        (als_model,) = (sample_run / "06_models/sample/rating/als_model").glob("*/als_model")
        best_params = read_json(sample_run / "06_models/sample/rating/best_params.json")
        assert ALSModel.load(str(als_model)).rank == best_params["rank"]

    def test_unknown_ids_are_listed_and_the_others_answered(self, sample_run):
        assert pd.read_csv(sample_run / "07_model_output/sample/unknown_ids.csv").to_dict("records") == [
            {"kind": "movie", "id": 999_999}
        ]

    def test_every_figure_says_that_the_data_is_synthetic(self, sample_run):
        figures = list((sample_run / "08_reporting/sample").glob("*_plot.json"))
        figures += (sample_run / "08_reporting/sample/ranking").glob("*_plot.json")
        assert len(figures) == 10
        for figure in figures:
            assert "sample, synthetic data" in read_json(figure)["layout"]["title"]["text"], figure

    def test_each_node_has_one_line_and_the_end_is_a_summary(self, sample_run):
        said = (sample_run / "said.txt").read_text()
        numbers, totals, names = zip(*NODE.findall(said), strict=True)
        assert list(map(int, numbers)) == list(range(1, len(names) + 1))
        assert set(totals) == {str(len(names))}
        assert len(set(names)) == len(names)
        assert {"data_processing.parse_movies", "rating.tuning.fit_on_all", "reporting.render_report"} < set(names)
        log, summary = said.split("\n\n")
        assert [line.split()[2:4] for line in log.splitlines() if "WARN" in line] == [["movie", "999999"]]
        assert "trials of bias, taste" in log
        labels = [line[:9].strip() for line in summary.splitlines() if line[0] != " "]
        assert labels == ["Data", "Rating", "Ranking", "Lists", "Similar", "Page"]
        assert "sample, synthetic data: " in summary
        assert f"Page     {sample_run / '08_reporting/sample/report.html'}\n" in summary

    def test_the_notebook_tells_the_whole_story_from_the_catalog(self, sample_run, monkeypatch):
        import nbformat
        from nbclient import NotebookClient

        monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(sample_run))
        monkeypatch.setenv("MOVIELENS_DIR", str(ROOT / "data" / "01_raw"))
        monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
        notebook = nbformat.read(ROOT / "notebooks" / "explore.ipynb", as_version=4)
        assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"] * 10 + ["markdown"]
        code = notebook.cells[1::2]
        assert all(not cell.outputs and cell.execution_count is None for cell in code)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
        assert {output.get("name") for cell in code for output in cell.outputs} <= {None, "stdout"}
        bundles = [[output.data for output in cell.outputs if "data" in output] for cell in code]
        shown = [" ".join(data.get("text/html", "") for data in each) for each in bundles]
        assert ["application/vnd.plotly.v1+json" in data for each in bundles for data in each].count(True) == 8
        assert "SYNTHETIC" in shown[0]
        assert ">sample<" in shown[1]
        assert all(f">{model}<" in shown[5] for model in LADDER)
        assert all(f">{model}<" in shown[6] for model in RANKINGS)
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists["title"].map(lambda title: f">{title}<" in unescape(shown[7])).all()
        assert "999999" in shown[8]
        assert (sample_run / "08_reporting/sample/report.html").as_uri() in code[9].outputs[0].text

    def test_recommend_runs_by_itself_with_other_ids(self, sample_run, kedro_run, capsys):
        before = sorted((sample_run / "06_models").rglob("*"))
        kedro_run(sample_run, "recommend", recommend={"user_ids": "1 2 3", "top_n": 4})
        summary = capsys.readouterr().out.split("\n\n")[-1]
        assert re.findall(r"^ +user (\d): ", summary, flags=re.MULTILINE) == ["1", "2", "3"]
        assert "Rating" not in summary
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists.groupby("user_id").size().to_dict() == {1: 4, 2: 4, 3: 4}
        assert sorted((sample_run / "06_models").rglob("*")) == before

    def test_what_was_written_can_be_previewed_as_json(self, sample_run, kedro_run, monkeypatch):
        monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(sample_run))
        monkeypatch.setenv("MOVIELENS_DIR", str(ROOT / "data" / "01_raw"))
        with KedroSession.create(ROOT, runtime_params={"dataset": "sample"}) as session:
            catalog = session.load_context().catalog
            previews = {name: catalog[name].preview() for name in catalog if hasattr(catalog[name], "preview")}
        assert json.loads(json.dumps(previews))["ranking.leaderboard"]["columns"][:3] == ["model", "k", "ndcg"]
        assert len(previews["ranking.lists"]["data"]) == 5
        assert all(previews.values())

    def test_whatever_is_asked_the_known_ids_are_answered(self, sample_run, kedro_run, tmp_path, caplog):
        """600 unknown ids, new users by title, by file and without ratings, all in one run; then no user at all."""
        movies = pd.read_parquet(sample_run / "03_primary/sample/movies").drop_duplicates("title", keep=False)
        (one, other), title = movies["movie_id"].iloc[:2].tolist(), movies["title"].iloc[0]
        person = tmp_path / "ada.csv"
        person.write_text(f"movieId,rating\n{one},5\n{other},4.5\nx,3\n")
        output = sample_run / "07_model_output/sample"
        asked = {
            "user_ids": [1, *range(100_000, 100_600)],
            "new_users": [{"name": "Grace", "ratings": {title.upper(): 5, other: 4}}, {"name": "New", "ratings": {}}],
            "new_user_ratings": str(person),
            "filters": {"genres": "Drama Comedy", "min_ratings": 3},
            "similarity": "cosine",
        }
        kedro_run(sample_run, "recommend", recommend=asked)
        assert "user 100000, 100001" in caplog.text
        assert "(600 of 601 asked): no rating in this data set" in caplog.text
        assert len(pd.read_csv(output / "unknown_ids.csv").query("kind == 'user'")) == 600
        lists = pd.read_csv(output / "recommendations.csv")
        assert lists["user_id"].tolist() == [1] * 10
        assert lists["genres"].str.contains("Drama|Comedy").all()
        new = pd.read_csv(output / "new_user_recommendations.csv")
        assert new.groupby("name").size().to_dict() == {"Grace": 10, "New": 10, "ada": 10}
        assert new.loc[new["name"] == "Grace", "because"].notna().any()
        ratings = pd.read_parquet(sample_run / "03_primary/sample/ratings")
        by_popularity = ratings.groupby("movie_id").size()
        assert by_popularity[new.loc[new["name"] == "New", "movie_id"]].mean() > by_popularity.mean()
        kedro_run(
            sample_run, "recommend", recommend={"user_ids": [], "movie_ids": [], "filters": {"genres": ["Opera"]}}
        )
        assert pd.read_csv(output / "recommendations.csv").empty
        assert pd.read_csv(output / "similar_movies.csv").empty
        kedro_run(sample_run, "recommend", recommend={"user_ids": 1, "filters": {"genres": ["Opera"]}})
        assert pd.read_csv(output / "recommendations.csv").empty
        assert "No movie passes recommend.filters {'genres': ['Opera']}; the genres are Action" in caplog.text
        assert "user 1: no list" in caplog.text

    def test_all_users_get_a_list(self, sample_run, kedro_run):
        kedro_run(sample_run, "recommend", recommend={"user_ids": "all", "movie_ids": "all", "top_n": 3})
        lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
        assert lists.groupby("user_id").size().to_dict() == dict.fromkeys(range(1, 611), 3)
        similar = pd.read_csv(sample_run / "07_model_output/sample/similar_movies.csv")
        assert similar.groupby("movie_id").size().to_dict() == dict.fromkeys(similar["movie_id"].unique(), 3)
        assert similar["movie_id"].nunique() == 600

    def test_a_run_killed_while_it_writes_the_model_leaves_the_earlier_one(self, sample_run, kedro_run, tmp_path):
        models = sample_run / "06_models/sample/rating/als_model"
        earlier = set(models.iterdir())
        environment = {
            **os.environ,
            "MOVIE_RECS_DATA_DIR": str(sample_run),
            "MOVIELENS_DIR": str(ROOT / "data" / "01_raw"),
        }
        fit = [*KEDRO, "run", "--nodes=rating.tuning.fit_on_all", "--params", "dataset=sample"]
        log = tmp_path / "log"
        with log.open("w") as file:
            process = subprocess.Popen(
                fit, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + 120
        while not (begun := set(models.iterdir()) - earlier):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said = log.read_text()  # of Java's start and of a fit, too
        assert NODE.findall(said) == [("1", "1", "rating.tuning.fit_on_all")]
        assert [word for word in NOISE if word in said] == []
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
        assert sentence in run.stderr
        assert run.stderr.startswith("Error: ")
        assert run.stdout == ""

    def test_recommend_without_a_model_says_what_to_run(self, tmp_path):
        run = kedro(tmp_path, "run", "--pipeline=recommend", "--params", "dataset=sample")
        assert run.returncode == 1
        assert "ranking.factor_model" in run.stdout + run.stderr
        assert "rating.factor_model" in run.stdout + run.stderr
        assert "run `kedro run` first" in run.stdout + run.stderr
        assert run.stdout == ""
        assert run.stderr.startswith("Error: ")


def write_data_set(folder: Path, **files: list[str]) -> None:
    """A folder of raw files with these lines, ended by line feeds; a file that is not given has its header only."""
    folder.mkdir(parents=True)
    for file, header in RAW_HEADERS.items():
        lines = files.get(file, [",".join(header)])
        (folder / f"{file}.csv").write_text("".join(f"{line}\n" for line in lines), newline="")


@pytest.fixture(scope="module")
def poor_data(tmp_path_factory) -> Path:
    """Four users have rated four of five movies, at no known time; no movie has a year, a genre or a link."""
    stars = {1: (5, 4, 3, 2), 2: (4, 4, 1, 2), 3: (5, 3, 1, 2), 4: (4, 3, 1, 0.5)}
    ratings = [f"{user},{movie},{given}" for user in stars for movie, given in enumerate(stars[user], start=1)]
    titles = ["Alien", "1984", "null", '"Ring, The"', "Nobody"]
    movies = [f"{movie},{title},(no genres listed)" for movie, title in enumerate(titles, start=1)]
    raw = tmp_path_factory.mktemp("raw")
    write_data_set(
        raw / "poor",
        ratings=["userId,movieId,rating", *ratings],
        movies=["movieId,title,genres", *movies],
        tags=["userId,movieId,tag", "1,3,null", "2,3,NULL", "1,2,1984"],
    )
    return raw


@pytest.fixture(scope="module")
def poor_run(kedro_run, poor_data, tmp_path_factory) -> Path:
    data_dir = tmp_path_factory.mktemp("poor")
    split = {"test_fraction": 0.5}
    kedro_run(data_dir, "data_processing", "eda", raw=poor_data, dataset="poor", split=split, eda={"damping": 0})
    return data_dir


class TestWithoutTimesYearsAndGenres:
    def test_no_row_is_set_aside(self, poor_run):
        summary = read_json(poor_run / "03_primary/poor/data_summary.json")
        counts = [summary[name] for name in ("users", "movies", "ratings", "set_aside")]
        assert counts == [4, 5, 16, 0]

    def test_what_is_not_known_is_null_or_empty(self, poor_run):
        assert pd.read_parquet(poor_run / "03_primary/poor/ratings")["rated_at"].isna().tolist() == [True] * 16
        assert pd.read_parquet(poor_run / "03_primary/poor/tags")["tagged_at"].isna().tolist() == [True] * 3
        movies = pd.read_parquet(poor_run / "03_primary/poor/movies").sort_values("movie_id")
        assert movies["title"].tolist() == ["Alien", "1984", "null", "Ring, The", "Nobody"]
        assert movies[["year", "imdb_id", "tmdb_id"]].isna().all(axis=None)
        assert [list(genres) for genres in movies["genres"]] == [[]] * 5

    @pytest.mark.parametrize("name", ["ratings", "movies", "tags", "train_ratings", "test_ratings"])
    def test_a_table_keeps_to_its_contract(self, poor_run, spark, name):
        (path,) = poor_run.glob(f"0[35]_*/poor/{name}")
        found = ", ".join(f"{column} {kind}" for column, kind in spark.read.parquet(str(path)).dtypes)
        assert found == TABLES[name]

    def test_every_rating_is_in_train_or_in_test(self, poor_run):
        sides = [pd.read_parquet(poor_run / f"05_model_input/poor/{side}_ratings") for side in ("train", "test")]
        pairs = pd.concat(sides)[["user_id", "movie_id"]].sort_values(["user_id", "movie_id"])
        assert pairs.to_numpy().tolist() == [[user, movie] for user in range(1, 5) for movie in range(1, 5)]

    def test_the_summary_counts_all_movies_as_without_genres(self, poor_run):
        eda = read_json(poor_run / "08_reporting/poor/eda.json")
        assert (eda["movies_rated"], eda["movies_never_rated"]) == (4, 1)
        assert eda["density"] == pytest.approx(16 / (4 * 5))
        assert eda["genres"] == {"(no genres listed)": 5}

    def test_ratings_per_year_have_no_bin_and_the_others_have_theirs(self, poor_run):
        bins = pd.read_csv(poor_run / "08_reporting/poor/distributions.csv")
        assert bins.notna().all(axis=None)
        counts = bins.set_index("low").groupby("distribution")["count"]
        by_name = {name: counts_by_low.to_dict() for name, counts_by_low in counts}
        assert by_name == {
            "rating": {0.5: 1, 1.0: 3, 2.0: 3, 3.0: 3, 4.0: 4, 5.0: 2},
            "mean_rating_per_user": {2.1: 1, 2.7: 2, 3.5: 1},  # 2.125, 2.75 twice, 3.5
            "mean_rating_per_movie": {1.5: 1, 1.6: 1, 3.5: 1, 4.5: 1},  # 1.5, 1.625, 3.5, 4.5
            "ratings_per_user": {4.0: 4},
            "ratings_per_movie": {4.0: 4},
        }
        figure = read_json(poor_run / "08_reporting/poor/distributions_plot.json")
        assert [len(bars["x"]) for bars in figure["data"]] == [6, 3, 4, 0, 1, 1]

    def test_movies_and_tags_are_shown_by_their_words(self, poor_run):
        most_rated, best_rated = read_json(poor_run / "08_reporting/poor/top_movies_plot.json")["data"]
        assert most_rated["y"] == ["Alien", "1984", "null", "Ring, The"]
        assert best_rated["y"] == ["Alien", "1984", "Ring, The", "null"]  # 4.5, 3.5, 1.625, 1.5
        (tags,) = read_json(poor_run / "08_reporting/poor/tags_plot.json")["data"]
        assert tags["y"] == ["null", "1984"]
        assert tags["x"] == [2, 1]

    def test_a_split_by_time_says_that_there_are_no_times(self, poor_data, kedro_run, tmp_path, capsys):
        with pytest.raises(ClickException, match=r"16 of the 16 ratings have no time.*set split\.strategy=random"):
            kedro_run(tmp_path, "data_processing", raw=poor_data, dataset="poor", split={"strategy": "temporal"})
        said = capsys.readouterr().out
        assert "data_processing.split_ratings" in said
        assert "done in" not in said
        assert "\nData" not in said  # nor is there a summary


class TestSplitByTime:
    def test_the_last_ratings_of_each_user_are_in_test_and_tags_and_links_may_be_empty(self, kedro_run, tmp_path):
        seconds = {1: (5, 4, 3, 2, 1), 2: (1, 2, 3, 3, 3), 3: (1, 2)}  # of each user's movies 1, 2, 3 ...
        ratings = [
            f"{user},{movie},4.0,{900_000_000 + second}"
            for user in seconds
            for movie, second in enumerate(seconds[user], start=1)
        ]
        movies = [f"{movie},Part {movie} (1998),Drama" for movie in range(1, 6)]
        write_data_set(
            tmp_path / "raw" / "timed",
            ratings=["userId,movieId,rating,timestamp", *ratings],
            movies=["movieId,title,genres", *movies],
        )
        split = {"strategy": "temporal", "test_fraction": 0.4}
        kedro_run(tmp_path, "data_processing", "eda", raw=tmp_path / "raw", dataset="timed", split=split)
        test = pd.read_parquet(tmp_path / "05_model_input/timed/test_ratings").sort_values(["user_id", "movie_id"])
        assert test[["user_id", "movie_id"]].to_numpy().tolist() == [[1, 1], [1, 2], [2, 4], [2, 5]]
        assert len(pd.read_parquet(tmp_path / "05_model_input/timed/train_ratings")) == 8
        bins = pd.read_csv(tmp_path / "08_reporting/timed/distributions.csv")
        assert bins[bins["distribution"] == "ratings_per_year"][["low", "count"]].to_numpy().tolist() == [[1998, 12]]
        assert pd.read_csv(tmp_path / "08_reporting/timed/top_tags.csv").empty
        (tags,) = read_json(tmp_path / "08_reporting/timed/tags_plot.json")["data"]
        assert tags["y"] == []


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

    def test_the_ladder_climbs_and_the_reference_is_what_it_was(self, small_run):
        metrics = read_json(small_run / "08_reporting/ml-latest-small/metrics.json")
        models = {row["model"]: row for row in metrics["rating"]["models"]}
        reference = models["reference_als"]
        assert 0.86 < reference["rmse_warm"] < 0.90
        assert 0.62 < reference["train_rmse"] < 0.66
        assert reference["rmse"] < 0.91
        rmse = {name: row["rmse"] for name, row in models.items()}
        assert rmse["taste_als"] <= 0.807 < rmse["bias_als"] <= 0.857 < rmse["bias"] <= 0.868 < rmse["reference_als"]
        assert rmse["taste_als"] < rmse["taste"] <= 0.808
        assert {row["n"] for row in models.values()} == {metrics["split"]["test"]}

    def test_other_stars_in_the_test_set_change_no_fit_and_no_choice(self, small_run, kedro_run, tmp_path):
        """The stars of the test rows are shuffled among them in the raw file; where they go follows from their ids."""
        folder = tmp_path / "raw" / "ml-latest-small"
        folder.mkdir(parents=True)
        for file in (MOVIELENS / "ml-latest-small").glob("*.csv"):
            (folder / file.name).write_bytes(file.read_bytes())
        raw = pd.read_csv(folder / "ratings.csv")
        test = pd.read_parquet(small_run / "05_model_input/ml-latest-small/test_ratings")
        is_test = pd.MultiIndex.from_frame(raw[["userId", "movieId"]]).isin(
            pd.MultiIndex.from_frame(test[["user_id", "movie_id"]])
        )
        stars = raw.loc[is_test, "rating"]
        raw.loc[is_test, "rating"] = stars.sample(frac=1, random_state=0).to_numpy()
        assert (raw.loc[is_test, "rating"] != stars).mean() > 0.5
        raw.to_csv(folder / "ratings.csv", index=False)
        parameters = {"dataset": "ml-latest-small", **ONE_CANDIDATE}
        kedro_run(tmp_path, "data_processing", raw=tmp_path / "raw", **parameters)
        fits = ["rating.tuning.cross_validate_candidates", "rating.tuning.choose_best", "rating.tuning.fit_on_train"]
        kedro_run(tmp_path, "tuning", nodes=fits, raw=tmp_path / "raw", **parameters)
        results = "08_reporting/ml-latest-small/cv_results.csv"
        one, other = (pd.read_csv(folder / results).drop(columns="seconds") for folder in (small_run, tmp_path))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
        for side in ("user", "item"):
            pattern = f"06_models/ml-latest-small/rating/train_factor_model/*/train_factor_model/{side}_factors"
            tables = []
            for folder in (small_run, tmp_path):
                (path,) = folder.glob(pattern)
                tables.append(pd.read_parquet(path).sort_values("id", ignore_index=True))
            assert tables[0]["id"].equals(tables[1]["id"])
            assert tables[0]["bias"].equals(tables[1]["bias"])
            np.testing.assert_array_equal(*(np.stack(table["features"]) for table in tables))

    def test_rankings_are_as_good_as_they_were(self, small_run):
        metrics = read_json(small_run / "08_reporting/ml-latest-small/metrics.json")
        ndcg = {row["model"]: row["ndcg"] for row in metrics["ranking"]["models"]}
        assert ndcg["random"] < 0.01 < ndcg["rating_by_stars"] < ndcg["damped_mean"] < ndcg["most_popular"] < 0.2
        assert 0.33 <= ndcg["implicit_als"] < ndcg["ease"]
        assert 0.37 <= ndcg["ease"] < ndcg["blend"] < 0.4
        assert {row["n_users"] for row in metrics["ranking"]["models"]} == {610}

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
