"""The service over a whole run: its answers are those of the pipeline `recommend`."""

import pandas as pd
from runs.service import assert_same_lists, open_service


def test_the_service_answers_as_the_pipeline_does(own_run, kedro_run):
    """With and without filters; new users by title and id, and without ratings."""
    movies = pd.read_parquet(own_run / "03_primary/sample/movies").drop_duplicates("title", keep=False)
    one, two, three = movies["movie_id"].iloc[[0, 5, 9]].tolist()
    new_users = {"Grace": [(movies["title"].iloc[0], 5.0), (two, 4.0), (three, 1.5)], "Ada": [(one, 0.5)], "New": []}
    given = [{"name": name, "ratings": dict(ratings)} for name, ratings in new_users.items()]
    for filters in ({}, {"genres": ["Drama", "Comedy"], "min_ratings": 3, "first_year": 1980}):
        recommend = {"user_ids": [1, 2, 3, 77, 610], "new_users": given, "filters": filters, "movie_ids": [one, two]}
        kedro_run(own_run, "recommend", recommend=recommend)
        client = open_service(own_run, "sample")
        assert_same_lists(client, own_run / "07_model_output/sample", new_users, filters)


def test_the_page_of_the_run_is_served(sample_run):
    page = open_service(sample_run, "sample").get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text == (sample_run / "08_reporting/sample/report.html").read_text(encoding="utf-8")
