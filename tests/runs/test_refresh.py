"""The pipeline `refresh` on a whole run: what is new is folded in, and everything else stays as it was."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from runs.project import RAW, environment, kedro, read_json
from runs.service import open_service

from movie_recs.data.schemas import list_text
from movie_recs.saved_models import newest_version, read_factors, read_model
from movie_recs.serve.places import Places

OUTPUT = "07_model_output/sample"
NO_JAVA = """
import atexit, sys
from kedro.framework.cli.cli import main
from pyspark import SparkContext
atexit.register(lambda: print("gateway", SparkContext._gateway))
sys.argv = ["kedro", "run", "--pipeline=refresh", "--params", "dataset=sample"]
main()
"""
NEW_USER, NEW_MOVIE, NOW = 900_001, 900_002, 1_900_000_000


def users_of(data_dir: Path, objective: str) -> dict[int, tuple]:
    """Bias and vector by user in the newest version."""
    folder = newest_version(Places(data_dir, "sample").model(objective)).folder
    ids, bias, features = read_factors(sorted((folder / "user_factors").glob("*.parquet")))
    return {user: (bias[place], *features[place].tolist()) for place, user in enumerate(ids.tolist())}


def lists_of(data_dir: Path) -> pd.DataFrame:
    lists = pd.read_parquet(data_dir / OUTPUT / "recommendations")
    return lists.sort_values(["user_id", "rank"]).reset_index(drop=True)


@pytest.fixture
def grown(tmp_path) -> Path:
    """A folder of the sample, whose users 1 and 2 and a new one have rated more, with a new movie and some bad rows."""
    folder = shutil.copytree(RAW / "sample", tmp_path / "raw" / "sample")
    ratings = pd.read_csv(folder / "ratings.csv")
    movies = pd.read_csv(folder / "movies.csv")["movieId"]
    unseen = movies[~movies.isin(ratings.loc[ratings["userId"].isin([1, 2]), "movieId"])].tolist()
    again = int(ratings.loc[ratings["userId"] == 1, "movieId"].iloc[0])
    rows = [(1, unseen[0], 5.0), (1, again, 0.5), (2, unseen[1], 4.5), (2, NEW_MOVIE, 5.0)]
    rows += [(NEW_USER, movie, stars) for movie, stars in zip(unseen[:12], [5.0, 1.0, 4.0] * 4, strict=True)]
    with (folder / "ratings.csv").open("a") as file:
        file.writelines(f"{user},{movie},{stars},{NOW}\n" for user, movie, stars in rows)
        file.write(f"3,{unseen[0]},4.9,{NOW}\n3,777777,4.0,{NOW}\nx\n")
    with (folder / "movies.csv").open("a") as file:
        file.write(f'{NEW_MOVIE},"Newest, The (2020)",Comedy|Drama\n')
    return folder.parent


def test_without_new_ratings_every_row_is_known_and_nothing_changes(own_run, kedro_run):
    """Each row of the raw table has the values that Spark's cleaning gave it, so none is new, and none has gone."""
    before, lists = users_of(own_run, "ranking"), lists_of(own_run)
    ratings = pq.read_table(own_run / "03_primary/sample/ratings", coerce_int96_timestamp_unit="us").to_pandas()
    kedro_run(own_run, "refresh")
    found = read_json(own_run / OUTPUT / "refresh.json")
    assert found["new_ratings"] == found["users"] == found["new_movies"] == found["left"] == found["vanished"] == 0
    assert users_of(own_run, "ranking") == before
    pd.testing.assert_frame_equal(lists_of(own_run), lists)
    again = pd.read_parquet(own_run / "03_primary/sample/ratings")
    again["rated_at"] = again["rated_at"].dt.tz_localize(None)
    pd.testing.assert_frame_equal(again, ratings, check_dtype=False)


def test_new_ratings_change_the_users_that_they_concern_and_no_other(own_run, grown, kedro_run, caplog):
    kedro_run(own_run, "recommend", recommend={"user_ids": [1, 4, 5], "movie_ids": []})
    before, lists = {name: users_of(own_run, name) for name in ("ranking", "rating")}, lists_of(own_run)
    kedro_run(own_run, "refresh", raw=grown)
    found = read_json(own_run / OUTPUT / "refresh.json")
    assert found | {"share": 0} == {
        **{"new_ratings": 16, "users": 3, "new_users": 1, "new_movies": 1, "left": 3, "vanished": 0},
        **{"since_fit": 16, "share": 0, "whole_run": False},
    }
    summary = read_json(own_run / "03_primary/sample/data_summary.json")
    ratings = pd.read_parquet(own_run / "03_primary/sample/ratings")
    assert (summary["ratings"], summary["users"]) == (len(ratings), ratings["user_id"].nunique())
    assert (ratings.groupby(["user_id", "movie_id"]).size() == 1).all()
    for name, users in before.items():
        after = users_of(own_run, name)
        changed = {user for user in after if after[user] != users.get(user)}
        assert changed == {1, 2, NEW_USER}
        assert NEW_MOVIE in read_model(newest_version(Places(own_run, "sample").model(name)).folder).items.ids
    refreshed = lists_of(own_run)
    of_others = refreshed["user_id"].isin([4, 5])
    pd.testing.assert_frame_equal(
        refreshed[of_others].reset_index(drop=True),
        lists[lists["user_id"] != 1].reset_index(drop=True),
        check_dtype=False,  # of years, which are floats where one is missing
    )
    assert set(refreshed["user_id"]) == {1, 2, 4, 5, NEW_USER}
    csv = pd.read_csv(own_run / OUTPUT / "recommendations.csv")
    assert csv["movie_id"].tolist() == refreshed["movie_id"].tolist()
    written = [list_text("because_shares", shares) for shares in refreshed["because_shares"]]
    assert csv["because_shares"].fillna("").tolist() == written

    # `recommend`, which is Spark's, and the service read what was written, and say the same.
    kedro_run(own_run, "recommend", recommend={"user_ids": [1, 2, 4, 5, NEW_USER], "movie_ids": []})
    again = lists_of(own_run)
    for name in ("user_id", "rank", "movie_id", "title", "imdb_url"):
        assert again[name].tolist() == refreshed[name].tolist()
    for name in ("genres", "because"):
        assert [list(each) for each in again[name]] == [list(each) for each in refreshed[name]]
    for name in ("score", "predicted_stars"):
        np.testing.assert_allclose(again[name].astype(float), refreshed[name].astype(float), atol=1e-6)
    for one, other in zip(again["because_shares"], refreshed["because_shares"], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    client = open_service(own_run, "sample")
    health = client.get("/health").json()["models"]["ranking"]
    assert health["ratings_since_fit"] == 16
    assert health["fitted_seconds_ago"] > health["age_seconds"]
    assert client.get("/movies", params={"query": "the newest"}).json()["movies"][0]["movie_id"] == NEW_MOVIE
    rated = dict(ratings.loc[ratings["user_id"] == NEW_USER, ["movie_id", "rating"]].to_numpy().tolist())
    given = [{"movie": int(movie), "rating": stars} for movie, stars in sorted(rated.items())]
    anyone = client.post("/recommendations", json={"ratings": given}).json()["recommendations"]
    known = client.get(f"/users/{NEW_USER}/recommendations").json()["recommendations"]
    assert len(known) == 10
    assert {row["movie_id"] for row in known} & {row["movie_id"] for row in anyone}  # of equal times, but for the order

    # Again nothing is new, and the fit is as stale as before.
    kedro_run(own_run, "refresh", raw=grown, refresh={"most_since_fit": 0.0001})
    found = read_json(own_run / OUTPUT / "refresh.json")
    assert (found["new_ratings"], found["since_fit"], found["whole_run"]) == (0, 16, True)
    assert "run `kedro run`, which fits again" in caplog.text


def test_a_file_of_new_ratings_will_do_and_older_ratings_do_not_count(own_run, kedro_run, tmp_path):
    ratings = pd.read_parquet(own_run / "03_primary/sample/ratings")
    movie = int(ratings.loc[ratings["user_id"] == 7, "movie_id"].iloc[0])
    file = tmp_path / "new.csv"
    file.write_text(f"userId,movieId,rating,timestamp\n7,{movie},5.0,1\n8,{movie},2.5,{NOW}\n")
    kedro_run(own_run, "refresh", refresh={"ratings": str(file)})
    found = read_json(own_run / OUTPUT / "refresh.json")
    assert (found["new_ratings"], found["users"], found["vanished"]) == (1, 1, 0)


def test_a_run_that_dies_before_the_ratings_are_saved_is_made_up_for(own_run, grown, kedro_run):
    nodes = ["find_new_rows", "save_movies", "refresh_ranking_model"]
    kedro_run(own_run, "refresh", raw=grown, nodes=[f"refresh.{name}" for name in nodes])
    torn = users_of(own_run, "ranking")
    kedro_run(own_run, "refresh", raw=grown)
    assert read_json(own_run / OUTPUT / "refresh.json")["new_ratings"] == 16
    assert users_of(own_run, "ranking") == torn
    assert NEW_USER in users_of(own_run, "rating")


def test_it_starts_no_java_and_a_file_that_is_not_there_is_named(own_run):
    done = kedro(own_run, "run", "--pipeline=refresh", "--params", "dataset=sample,refresh.ratings=none.csv")
    assert "refresh.ratings: there is no file none.csv." in done.stderr
    done = subprocess.run(
        [sys.executable, "-c", NO_JAVA], cwd=ROOT, env=environment(own_run), capture_output=True, text=True, check=False
    )
    assert "gateway None" in done.stdout
    assert "7 nodes done" in done.stdout
