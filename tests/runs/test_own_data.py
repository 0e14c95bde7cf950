"""Data of one's own: whole runs on foreign formats, each described by a few lines, and GroupLens' older releases."""

from functools import cache

import pandas as pd
import pytest
from runs.project import SAMPLE_PARAMETERS, read_json

from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import resolve
from movie_recs.sample.__main__ import SampleSpec, write_sample
from movie_recs.sample.formats import original_item, original_user, write_format

RATINGS = {"user": "user", "item": "item", "rating": "rating", "time": "time"}
SOURCES = {
    "uuid": {
        "format": "csv",
        "ratings": {"file": "scores.csv", "user": "reader", "item": "isbn", "rating": "score", "time": "at"},
        "items": {"file": "books.csv", "item": "isbn", "title": "name", "year": "published", "genres": "shelves"},
        "scale": {"least": 0.5, "most": 5, "step": 0.5},
    },
    "ten-stars": {
        "format": "csv",
        "separator": ";",
        "decimal": ",",
        "ratings": {"file": "ratings.csv", "user": "user", "item": "item", "rating": "stars", "time": "when"},
        "items": {"file": "items.csv", "item": "item", "title": "title", "year": "year"},
        "scale": {"least": 1, "most": 10, "step": 1},
    },
    "clicks": {"format": "csv", "ratings": {"file": "clicks.csv", "user": "visitor", "item": "page", "time": "at"}},
    "parquet": {
        "format": "parquet",
        "ratings": {"file": "ratings.parquet", **RATINGS},
        "items": {"file": "items.parquet", "item": "item", "title": "title", "genres": "genres"},
    },
}
WIDE_IDS = {
    "format": "csv",
    "separator": "::",
    "header": False,
    "ratings": {"file": "ratings.dat", "user": 1, "item": 2, "rating": 3, "time": 4},
}
TUNING = {  # a candidate of each model
    "rating": {
        "baseline_grid": {"user_damping": 5, "movie_damping": 5, "taste_reg": 32, "prior_reg": 10},
        "grid": {"rank": 2, "reg_param": 0.2, "max_iter": 5},
        "bayes": {"rank": 2, "max_iter": 2},
        "beyond_edges": False,
        "final_fit": "compiled",
    },
    "ranking": {**SAMPLE_PARAMETERS["ranking"]["tuning"], "final_fit": "compiled"},
}
USERS, MOVIES = (1, 2, 60), (463, 471)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A folder with a small sample as CSV, and the same in each format."""
    folder = tmp_path_factory.mktemp("raw")
    write_sample(SampleSpec(users=60, movies=300, ratings_per_user=25), folder / "twin")
    for name in (*SOURCES, "wide-ids", "ml-100k", "ml-1m", "ml-10m"):
        write_format(name, folder / "twin", folder / name)
    return folder


@pytest.fixture(scope="module")
def twin(kedro_run, raw, tmp_path_factory):
    """The data folder with the clean tables of the CSV twin."""
    data_dir = tmp_path_factory.mktemp("twin")
    kedro_run(data_dir, "data_processing", raw=raw, dataset="twin")
    return data_dir


@pytest.fixture(scope="module")
def run(kedro_run, raw, tmp_path_factory):
    """A function that runs the whole pipeline on a format once, and gives the data folder."""

    @cache
    def run_once(name: str):
        data_dir = tmp_path_factory.mktemp(name)
        recommend = {
            "user_ids": [*(original_user(name, user) for user in USERS), "nobody"],
            "movie_ids": [original_item(name, movie) for movie in MOVIES],
            "filters": {"without_movie_ids": [original_item(name, 1)]},
            "top_n": 5,
        }
        parameters = {
            "split": SAMPLE_PARAMETERS["split"],
            "rating": {"tuning": TUNING["rating"]},
            "ranking": {
                "tuning": TUNING["ranking"],
                "preference": {"side": {"genres": 0}},  # as not every format has genres
            },
            "recommend": recommend,
        }
        kedro_run(data_dir, raw=raw, dataset=name, source=SOURCES[name], **parameters)
        return data_dir

    return run_once


@pytest.mark.parametrize("name", SOURCES)
def test_foreign_data_end_in_lists_under_their_own_ids_metrics_and_a_page(run, raw, name):
    data_dir = run(name)
    output, reporting = data_dir / "07_model_output" / name, data_dir / "08_reporting" / name
    lists = pd.read_csv(output / "recommendations.csv", dtype=str, keep_default_na=False)
    known = {str(original_item(name, movie)) for movie in pd.read_csv(raw / "twin" / "movies.csv")["movieId"]}
    assert set(lists["user_id"]) == {str(original_user(name, user)) for user in USERS}
    assert set(lists["movie_id"]) <= known - {str(original_item(name, 1))}
    similar = pd.read_csv(output / "similar_movies.csv", dtype=str)
    assert set(similar["movie_id"]) <= {str(original_item(name, movie)) for movie in MOVIES}
    assert set(similar["similar_movie_id"]) <= known
    assert pd.read_csv(output / "unknown_ids.csv", dtype=str).to_numpy().tolist()[0] == ["user", "nobody"]
    metrics = read_json(reporting / "metrics.json")
    assert metrics["dataset"]["users"] == 60
    assert metrics["dataset"]["set_aside"] == 0
    assert ("rating" in metrics) == (metrics["dataset"]["scale"] is not None) == (name != "clicks")
    page = (reporting / "report.html").read_text()
    assert str(original_user(name, 60)) in page
    assert ("of 10 stars" in page) == (name == "ten-stars")
    assert "nan" not in lists["title"].str.lower().tolist()
    top = pd.read_csv(reporting / "top_movies.csv", dtype=str)
    assert set(top["movie_id"]) <= known


def test_lists_do_not_depend_on_how_stars_are_written(run):
    halves, tens = (
        pd.read_csv(run(name) / "07_model_output" / name / "recommendations.csv") for name in ("parquet", "ten-stars")
    )
    shown = ["user_id", "rank", "movie_id"]
    pd.testing.assert_frame_equal(halves[shown], tens[shown])


@pytest.mark.parametrize(("name", "span"), [("parquet", 4.5), ("ten-stars", 9)])
def test_errors_are_on_the_scale_and_given_as_a_share_of_it(run, name, span):
    metrics = read_json(run(name) / "08_reporting" / name / "metrics.json")
    scale = metrics["dataset"]["scale"]
    assert scale["most"] - scale["least"] == span
    for row in metrics["rating"]["models"]:
        assert row["rmse_share"] == pytest.approx(row["rmse"] / span)
        assert 0.05 < row["rmse_share"] < 0.3


def test_lists_of_events_have_no_stars_and_reasons_without_any(run):
    lists = pd.read_csv(run("clicks") / "07_model_output/clicks/recommendations.csv")
    assert lists["predicted_stars"].isna().all()
    assert not lists["because"].dropna().str.contains(r"\(\d").any()
    assert not (run("clicks") / "06_models/clicks/rating").exists()


def test_ids_of_64_bits_have_numbers_of_their_own(kedro_run, raw, twin, tmp_path):
    """Such numbers are as those of ids that are text; without a file of items, movies are what is rated."""
    name = "wide-ids"
    kedro_run(tmp_path, "data_processing", raw=raw, dataset=name, source=WIDE_IDS)
    intermediate, primary = tmp_path / "02_intermediate" / name, tmp_path / "03_primary" / name
    found = pd.read_parquet(primary / "ratings")
    for kind in ("user", "movie"):
        ids = pd.read_parquet(intermediate / f"{kind}_ids").set_index("id")["original"]
        found[f"{kind}_id"] = found[f"{kind}_id"].map(ids).astype("int64")
    expected = pd.read_parquet(twin / "03_primary/twin/ratings")
    expected["user_id"] = [original_user(name, user) for user in expected["user_id"]]
    expected["movie_id"] = [original_item(name, movie) for movie in expected["movie_id"]]
    found, expected = (each.sort_values(["user_id", "movie_id"], ignore_index=True) for each in (found, expected))
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert len(pd.read_parquet(primary / "movies")) == expected["movie_id"].nunique()
    assert read_json(primary / "data_summary.json")["set_aside"] == 0


RELEASES = {"ml-100k": {"folds": 2, "strategy": "given", "given": "u2"}, "ml-1m": {}, "ml-10m": {}}


@pytest.fixture(scope="module")
def release(kedro_run, raw, tmp_path_factory):
    """A function that makes the clean tables of a release once, and gives the data folder."""

    @cache
    def run_once(name: str):
        data_dir = tmp_path_factory.mktemp(name)
        kedro_run(data_dir, "data_processing", raw=raw, dataset=name, split=RELEASES[name])
        return data_dir

    return run_once


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_has_the_rows_of_its_csv_twin(release, twin, name):
    tables = {}
    for dataset, data_dir in ((name, release(name)), ("twin", twin)):
        primary = data_dir / "03_primary" / dataset
        tables[dataset] = {
            "ratings": pd.read_parquet(primary / "ratings").sort_values(["user_id", "movie_id"], ignore_index=True),
            "movies": pd.read_parquet(primary / "movies").sort_values("movie_id", ignore_index=True),
        }
    found, expected = tables[name], tables["twin"]
    if name != "ml-10m":  # whole stars
        expected["ratings"]["rating"] = expected["ratings"]["rating"].map(lambda stars: float(int(stars + 0.5)))
    pd.testing.assert_frame_equal(found["ratings"], expected["ratings"], check_dtype=False)
    assert found["movies"]["movie_id"].tolist() == expected["movies"]["movie_id"].tolist()
    assert (found["movies"]["year"] == expected["movies"]["year"]).mean() > 0.95
    scale = read_json(release(name) / "03_primary" / name / "data_summary.json")["scale"]
    assert scale["step"] == (0.5 if name == "ml-10m" else 1.0)


def test_the_split_of_a_release_is_its_own(release, raw):
    test = pd.read_parquet(release("ml-100k") / "05_model_input/ml-100k/test_ratings")
    names = ["user_id", "movie_id", "rating", "time"]
    given = pd.read_csv(raw / "ml-100k" / "u2.test", sep="\t", names=names)
    assert set(map(tuple, test[["user_id", "movie_id"]].to_numpy())) == set(
        map(tuple, given[["user_id", "movie_id"]].to_numpy())
    )


def test_what_a_source_is_follows_from_its_files(raw):
    for name, layout in (("ml-100k", "u.data"), ("ml-1m", "::"), ("ml-10m", "::"), ("twin", "csv")):
        assert resolve(SourceDescription(), {path.name for path in (raw / name).iterdir()}).layout == layout
