"""A whole run on the sample: what it writes, and what it prints."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from kedro.framework.session import KedroSession
from pyspark.ml.recommendation import ALSModel
from report.cards import untraced_figures
from runs.project import LADDER, NODE, RANKINGS, RAW, read_json

from movie_recs.data.schemas import TABLES, list_text

TOP_10 = list(range(1, 11))


@pytest.fixture(scope="module")
def metrics(sample_run) -> dict:
    return read_json(sample_run / "08_reporting/sample/metrics.json")


def test_metrics_hold_data_split_and_models(metrics):
    assert metrics["dataset"]["name"] == "sample"
    assert metrics["dataset"]["synthetic"] is True
    assert metrics["dataset"]["users"] == 610
    assert set(metrics["dataset"]["sha256"]) == {"ratings.csv", "movies.csv", "tags.csv", "links.csv"}
    assert metrics["split"]["train"] + metrics["split"]["test"] == metrics["dataset"]["ratings"]
    assert metrics["split"]["strategy"] == "random"
    assert [row["model"] for row in metrics["rating"]["models"]] == LADDER
    best = metrics["rating"]["best_params"]
    assert best["model"] in ("taste", "taste_als", "bayes")
    assert set(best) - {"als_model"} == {
        *("model", "user_damping", "movie_damping", "taste_reg", "prior_reg", "rank", "reg_param", "max_iter")
    }


@pytest.mark.parametrize("name", TABLES)
def test_a_table_keeps_to_its_contract(sample_run, spark, name):
    layer = "02_intermediate" if name == "set_aside" else "0[357]_*"
    folder = {"ranking.lists": "ranking_lists"}.get(name, name.removeprefix("rating."))
    (path,) = sample_run.glob(f"{layer}/sample/{folder}")
    found = ", ".join(f"{column} {kind}" for column, kind in spark.read.parquet(str(path)).dtypes)
    assert found == TABLES[name]


def test_the_leaderboard_measures_every_model_over_the_same_users(sample_run, metrics):
    models = metrics["ranking"]["models"]
    assert [row["model"] for row in models] == RANKINGS
    test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")
    for row in models:
        assert row["n_users"] == test["user_id"].nunique()
        assert row["n_users"] + row["users_without_held_out"] == 610
        assert row["users_without_list"] == 0
        assert 0 <= row["ndcg"] <= row["hit_rate"] <= 1
    ndcg = {row["model"]: row["ndcg"] for row in models}
    assert ndcg["random"] < ndcg["most_popular"] < max(ndcg["ease"], ndcg["blend"])
    table = pd.read_csv(sample_run / "08_reporting/sample/leaderboard.csv")
    assert table["ndcg"].tolist() == pytest.approx(list(ndcg.values()))


def test_measured_lists_have_ten_movies_and_no_train_rating(sample_run):
    lists = pd.read_parquet(sample_run / "07_model_output/sample/ranking_lists")
    train = pd.read_parquet(sample_run / "05_model_input/sample/train_ratings")
    assert lists.merge(train, on=["user_id", "movie_id"]).empty
    ranks = lists.sort_values("rank").groupby(["model", "user_id"])["rank"].apply(list)
    assert len(ranks) == 610 * len(RANKINGS)
    assert ranks.map(lambda each: each == TOP_10).all()


def test_the_winner_ranks_best_in_cross_validation(sample_run):
    results = pd.read_csv(sample_run / "08_reporting/sample/ranking/cv_results.csv")
    best = read_json(sample_run / "06_models/sample/ranking/best_params.json")
    within = results[results["error"].isna() & (results["mean_below_mean"] <= 0.08)]
    assert best["model"] == (within if len(within) else results).set_index("model")["mean_ndcg"].idxmax()
    assert best["relevance"] == "graded"
    (als_model,) = (sample_run / "06_models/sample/ranking/als_model").glob("*/als_model")
    assert ALSModel.load(str(als_model)).rank == best["als_model"]["rank"] == 50


def test_every_test_row_is_measured(sample_run, metrics):
    predictions = pd.read_parquet(sample_run / "07_model_output/sample/predictions")
    warm = (predictions["user_ratings"] > 0) & (predictions["movie_ratings"] > 0)
    for row in metrics["rating"]["models"]:
        assert row["n"] == metrics["split"]["test"] == len(predictions)
        assert row["n_warm"] == warm.sum() < row["n"]
        error = predictions["rating"] - predictions[row["model"]].clip(0.5, 5)
        assert row["rmse"] == pytest.approx((error**2).mean() ** 0.5)
        assert row["rmse_warm"] == pytest.approx((error[warm] ** 2).mean() ** 0.5)


def test_the_ladder_has_every_row_once_in_each_models_bins(sample_run, metrics):
    ladder = pd.read_csv(sample_run / "08_reporting/sample/ladder.csv").set_index(["model", "movie_ratings"])
    for row in metrics["rating"]["models"]:
        rungs = ladder.loc[row["model"]]
        assert rungs.index.tolist()[:2] == ["all", "warm"]
        assert rungs["n"].iloc[2:].sum() == rungs.loc["all", "n"] == row["n"]
        assert rungs.loc["all", "rmse"] == pytest.approx(row["rmse"])
        assert rungs.loc["warm", "mae"] == pytest.approx(row["mae_warm"])


def test_gains_are_the_differences_between_rungs(metrics):
    models = {row["model"]: row for row in metrics["rating"]["models"]}
    for row in models.values():
        if row["model"] != "global_mean":
            assert row["gain"] == pytest.approx(models[row["compared_with"]]["rmse"] - row["rmse"])
            assert row["gain_se"] > 0


def test_the_model_beats_the_global_mean(sample_run, metrics):
    train = pd.read_parquet(sample_run / "05_model_input/sample/train_ratings")["rating"]
    test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")["rating"]
    rmse = {row["model"]: row["rmse"] for row in metrics["rating"]["models"]}
    assert rmse["global_mean"] == pytest.approx(((test - train.mean()) ** 2).mean() ** 0.5)
    assert rmse["taste_als"] < rmse["bias"] < rmse["global_mean"] - 0.1


def test_cv_results_have_one_row_per_candidate(sample_run):
    results = pd.read_csv(sample_run / "08_reporting/sample/cv_results.csv")
    assert results["model"].tolist() == [
        *(*["bias"] * 2, *["taste"] * 2, "reference_als", *["als"] * 2, *["bias_als"] * 2, *["taste_als"] * 2),
        "bayes",
    ]
    assert results["rank"].dropna().tolist() == [5, 2, 10, 2, 10, 2, 10, 5]
    assert results["mean_rmse"].between(0.6, 1.3).all()
    best = read_json(sample_run / "06_models/sample/rating/best_params.json")
    assert best["model"] == results.loc[results["mean_rmse"].idxmin(), "model"]
    assert results["error"].isna().all()


def test_recommendations_are_unseen_and_ranked(sample_run):
    lists = pd.read_csv(sample_run / "07_model_output/sample/recommendations.csv")
    assert lists.columns.tolist() == [
        *("user_id", "rank", "movie_id", "title", "year", "genres"),
        *("score", "predicted_stars", "because", "imdb_url", "because_shares"),
    ]
    assert lists.groupby("user_id")["rank"].apply(list).to_dict() == {232: TOP_10, 575: TOP_10}
    ratings = pd.read_parquet(sample_run / "03_primary/sample/ratings")
    assert lists.merge(ratings, on=["user_id", "movie_id"]).empty
    assert lists.groupby("user_id")["score"].apply(lambda scores: scores.is_monotonic_decreasing).all()
    assert lists["predicted_stars"].between(0.5, 5).all()
    assert lists["because"].notna().mean() > 0.5
    as_parquet = pd.read_parquet(sample_run / "07_model_output/sample/recommendations")
    assert as_parquet["movie_id"].tolist() == lists["movie_id"].tolist()
    assert as_parquet["because_shares"].map(len).tolist() == as_parquet["because"].map(len).tolist()
    assert all((np.diff(shares) <= 0).all() and (shares > 0).all() for shares in as_parquet["because_shares"])
    written = [list_text("because_shares", shares) for shares in as_parquet["because_shares"]]
    assert lists["because_shares"].fillna("").astype(str).tolist() == written


def test_similar_movies_are_the_nearest_by_item_factors(sample_run):
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


def test_the_als_model_is_spark_mls_own(sample_run):
    (als_model,) = (sample_run / "06_models/sample/rating/als_model").glob("*/als_model")
    best_params = read_json(sample_run / "06_models/sample/rating/best_params.json")
    assert ALSModel.load(str(als_model)).rank == (best_params.get("als_model") or best_params)["rank"]


def test_a_winner_that_loses_to_the_reference_on_the_test_ratings_is_announced(sample_run, metrics):
    """With few folds and alternations it does, on data that have more to factors than to tastes."""
    rmse = {row["model"]: row["rmse"] for row in metrics["rating"]["models"]}
    loses = rmse[metrics["rating"]["best_params"]["model"]] > rmse["reference_als"]
    printed = (sample_run / "printed.txt").read_text()
    page = (sample_run / "08_reporting/sample/report.html").read_text()
    assert ("WARNING: " in printed) == ("Predicting stars: the winner loses" in page) == loses


def test_unknown_ids_are_listed_and_the_others_answered(sample_run):
    assert pd.read_csv(sample_run / "07_model_output/sample/unknown_ids.csv").to_dict("records") == [
        {"kind": "movie", "id": 999_999}
    ]


def test_every_figure_is_marked_as_synthetic_data(sample_run):
    figures = list((sample_run / "08_reporting/sample").glob("*_plot.json"))
    figures += (sample_run / "08_reporting/sample/ranking").glob("*_plot.json")
    assert len(figures) == 10
    for figure in figures:
        assert "sample, synthetic data" in read_json(figure)["layout"]["title"]["text"], figure


def test_each_node_prints_one_line_and_the_run_ends_with_a_summary(sample_run):
    printed = (sample_run / "printed.txt").read_text()
    numbers, totals, names = zip(*NODE.findall(printed), strict=True)
    assert list(map(int, numbers)) == list(range(1, len(names) + 1))
    assert set(totals) == {str(len(names))}
    assert len(set(names)) == len(names)
    assert {"data_processing.parse_movies", "rating.tuning.fit_on_all", "reporting.render_report"} < set(names)
    log, summary = printed.split("\n\n")
    assert [line.split()[2:4] for line in log.splitlines() if "WARN" in line] == [["movie", "999999"]]
    assert "trials of bias, taste" in log
    labels = [line[:9].strip() for line in summary.splitlines() if line[0] != " "]
    assert labels == ["Data", "Rating", "Ranking", "Lists", "Similar", "Page"]
    assert "sample, synthetic data: " in summary
    assert f"Page     {sample_run / '08_reporting/sample/report.html'}\n" in summary


def test_saved_datasets_have_previews_that_are_json(sample_run, monkeypatch):
    monkeypatch.setenv("MOVIE_RECS_DATA_DIR", str(sample_run))
    monkeypatch.setenv("MOVIELENS_DIR", str(RAW))
    with KedroSession.create(ROOT, runtime_params={"dataset": "sample"}) as session:
        catalog = session.load_context().catalog
        saved = (name for name in catalog if hasattr(catalog[name], "preview") and catalog[name].exists())
        previews = {name: catalog[name].preview() for name in saved}
    assert json.loads(json.dumps(previews))["ranking.leaderboard"]["columns"][:3] == ["model", "k", "ndcg"]
    assert len(previews["ranking.lists"]["data"]) == 5
    assert all(previews.values())


def test_every_figure_of_the_model_card_is_found_in_the_metrics(sample_run, metrics):
    card = (sample_run / "08_reporting/sample/model_card.md").read_text()
    assert untraced_figures(card, metrics) == []
    assert "**The data are synthetic" in card
    assert 'kedro run --params "dataset=sample,split.folds=2,' in card
    page = (sample_run / "08_reporting/sample/report.html").read_text()
    assert "Who is served worst</h3>" in page


def test_the_groups_have_every_test_rating_and_user_once(metrics):
    groups = metrics["rating"]["groups"]
    assert {sum(row["n"] for row in rows) for rows in groups.values()} == {metrics["split"]["test"]}
    winner = next(
        row for row in metrics["rating"]["models"] if row["model"] == metrics["rating"]["best_params"]["model"]
    )
    assert groups["all"][0]["rmse"] == pytest.approx(winner["rmse"])
    groups = metrics["ranking"]["groups"]
    assert sum(row["n_users"] for row in groups["users_by_ratings"]) == metrics["ranking"]["models"][0]["n_users"]
    for kind in ("movies_by_ratings", "movies_by_decade"):
        assert sum(row["movies"] for row in groups[kind]) == metrics["dataset"]["movies"]
        assert sum(row["held_out"] for row in groups[kind]) == metrics["split"]["test"]
        assert sum(row["list_share"] for row in groups[kind]) == pytest.approx(1)
