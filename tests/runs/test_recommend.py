"""The pipeline `recommend` by itself, on the models of an earlier run."""

import re

import pandas as pd


def test_other_users_get_lists_and_no_model_changes(own_run, kedro_run, capsys):
    before = sorted((own_run / "06_models").rglob("*"))
    kedro_run(own_run, "recommend", recommend={"user_ids": "1 2 3", "top_n": 4})
    summary = capsys.readouterr().out.split("\n\n")[-1]
    assert re.findall(r"^ +user (\d): ", summary, flags=re.MULTILINE) == ["1", "2", "3"]
    assert "Rating" not in summary
    lists = pd.read_csv(own_run / "07_model_output/sample/recommendations.csv")
    assert lists.groupby("user_id").size().to_dict() == {1: 4, 2: 4, 3: 4}
    assert sorted((own_run / "06_models").rglob("*")) == before


def test_known_and_new_users_get_lists_among_600_unknown_ids(own_run, kedro_run, tmp_path, caplog):
    """New users: by title, by file and without ratings; one of them is in a group with a user of the data."""
    movies = pd.read_parquet(own_run / "03_primary/sample/movies").drop_duplicates("title", keep=False)
    (one, other), title = movies["movie_id"].iloc[:2].tolist(), movies["title"].iloc[0]
    person = tmp_path / "ada.csv"
    person.write_text(f"movieId,rating\n{one},5\n{other},4.5\nx,3\n")
    output = own_run / "07_model_output/sample"
    recommend = {
        "user_ids": [1, *range(100_000, 100_600)],
        "new_users": [{"name": "Grace", "ratings": {title.upper(): 5, other: 4}}, {"name": "New", "ratings": {}}],
        "new_user_ratings": str(person),
        "filters": {"genres": "Drama Comedy", "min_ratings": 3},
        "similarity": "cosine",
        "group": ["Grace", 1],
        "diversity": 0.1,
    }
    kedro_run(own_run, "recommend", recommend=recommend)
    assert "user 100000, 100001" in caplog.text
    assert "(600 of 601 asked): no rating in this data set" in caplog.text
    assert len(pd.read_csv(output / "unknown_ids.csv").query("kind == 'user'")) == 600
    lists = pd.read_csv(output / "recommendations.csv")
    assert lists["user_id"].tolist() == [1] * 10
    assert lists["genres"].str.contains("Drama|Comedy").all()
    new = pd.read_csv(output / "new_user_recommendations.csv")
    assert new.groupby("name").size().to_dict() == {"Grace": 10, "New": 10, "ada": 10}
    assert new.loc[new["name"] == "Grace", "because"].notna().any()
    ratings = pd.read_parquet(own_run / "03_primary/sample/ratings")
    group = pd.read_csv(output / "group_recommendations.csv")
    assert group.groupby("method").size().to_dict() == {"mean": 10, "least_misery": 10}
    assert not set(group["movie_id"]) & {one, other, *ratings.loc[ratings["user_id"] == 1, "movie_id"]}
    assert group["genres"].str.contains("Drama|Comedy").all()
    assert (group["lowest_stars"] <= group["predicted_stars"]).all()
    by_popularity = ratings.groupby("movie_id").size()
    assert by_popularity[new.loc[new["name"] == "New", "movie_id"]].mean() > by_popularity.mean()


def test_without_users_movies_or_a_movie_that_passes_lists_are_empty(own_run, kedro_run, caplog):
    output = own_run / "07_model_output/sample"
    kedro_run(own_run, "recommend", recommend={"user_ids": [], "movie_ids": [], "filters": {"first_year": 2050}})
    assert pd.read_csv(output / "recommendations.csv").empty
    assert pd.read_csv(output / "similar_movies.csv").empty
    kedro_run(own_run, "recommend", recommend={"user_ids": 1, "filters": {"first_year": 2050}})
    assert pd.read_csv(output / "recommendations.csv").empty
    assert "No movie passes recommend.filters {'first_year': 2050}." in caplog.text
    assert "user 1: no list" in caplog.text


def test_all_users_get_a_list(own_run, kedro_run):
    kedro_run(own_run, "recommend", recommend={"user_ids": "all", "movie_ids": "all", "top_n": 3})
    lists = pd.read_csv(own_run / "07_model_output/sample/recommendations.csv")
    assert lists.groupby("user_id").size().to_dict() == dict.fromkeys(range(1, 611), 3)
    similar = pd.read_csv(own_run / "07_model_output/sample/similar_movies.csv")
    assert similar.groupby("movie_id").size().to_dict() == dict.fromkeys(similar["movie_id"].unique(), 3)
    assert similar["movie_id"].nunique() == 600
