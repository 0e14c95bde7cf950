"""Data sets that lack times, years, genres, tags or links, and a split by time."""

from pathlib import Path

import pandas as pd
import pytest
from click import ClickException
from runs.project import read_json, write_data_set

from movie_recs.data.schemas import TABLES


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

    @pytest.mark.parametrize("name", ["ratings", "movies", "tags", "train_ratings", "test_ratings", "fold_in_ratings"])
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
        assert [len(bars["x"]) for bars in figure["data"]] == [6, 3, 4, 1, 1]

    def test_movies_and_tags_are_shown_by_their_words(self, poor_run):
        most_rated, best_rated = read_json(poor_run / "08_reporting/poor/top_movies_plot.json")["data"]
        assert most_rated["y"] == ["Alien", "1984", "null", "The Ring"]
        assert best_rated["y"] == ["Alien", "1984", "The Ring", "null"]  # 4.5, 3.5, 1.625, 1.5
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
