"""The HTML page: its contents, the escaping of text, and the explorer's tables."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, Version
from report.pages import DATA, LISTS, MEASURES, MOVIES, NEIGHBOURS, SCRIPT, USERS, make_content, make_metrics

from movie_recs.data.identifiers import OWN_NUMBERS
from movie_recs.data.scale import HALF_STARS
from movie_recs.datasets.run_facts import RunFacts
from movie_recs.model.factor_model import FactorModel, factor_table
from movie_recs.pipelines.reporting import nodes
from movie_recs.report import figures as plots
from movie_recs.report.explorer import describe_history, index_explorer
from movie_recs.report.page import behind_the_winner, compare_with_baselines, embed, render
from movie_recs.report.parameters import RecommendParameters, ReportingParameters


class Page(HTMLParser):
    """The page as an HTML parser sees it: tags with attributes, the text outside scripts, the data in scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text, self.scripts = "", []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self.cdata_elem is None:
            self.text += f" {data} "

    def data(self, name: str):
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == name)
        return json.loads(text)

    def words(self) -> str:
        return " ".join(self.text.split())


@pytest.fixture(scope="module")
def html() -> str:
    return render(make_content())


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


class TestPage:
    def test_a_script_as_a_title_is_text_everywhere(self, html, page):
        assert page.words().count(SCRIPT) == 4  # a recommendation, a favourite, and a reason for two people
        assert "<b>Ada</b>" in page.words()
        assert SCRIPT not in html
        assert len(page.scripts) == 3 + 11  # figures; colours, explorer, models, Plotly, the page's own seven
        assert page.data("explorer-data")["movies"]["titles"][1] == SCRIPT

    def test_nothing_is_loaded_from_elsewhere(self, page):
        for tag, attributes in page.tags:
            assert "src" not in attributes
            if tag != "a":
                assert not re.match(r"(https?:)?//", attributes.get("href") or "")
        assert not {tag for tag, _ in page.tags} & {"img", "iframe", "object", "embed", "base", "form"}
        (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy.startswith("default-src 'none';")

    def test_the_page_s_own_scripts_run_and_no_others(self, page):
        (policy,) = (a["content"] for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
        (allowed,) = (part.split()[1:] for part in policy.split("; ") if part.startswith("script-src"))
        run = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
        assert allowed == [f"'sha256-{digest}'" for digest in digests]
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]

    def test_the_page_is_smaller_than_five_megabytes(self, html):
        assert len(html.encode()) < 5_000_000

    def test_links_lead_to_the_movie(self, page):
        links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
        assert {"https://www.imdb.com/title/tt0110074/", "https://www.themoviedb.org/movie/11934"} <= links
        assert "#movie-471" in links

    def test_headings_sections_and_tables_are_accessible(self, page):
        tags = [tag for tag, _ in page.tags]
        assert tags.count("h1") == tags.count("main") == tags.count("nav") == 1
        assert tags.count("caption") == tags.count("table") > 5
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        anchors = {
            attributes["href"][1:] for tag, attributes in page.tags if attributes.get("href", "").startswith("#")
        }
        assert {each for each in anchors if not each.startswith("movie-")} <= set(ids)
        assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")

    def test_the_text_has_results_data_and_run(self, page):
        words = page.words()
        assert "10.0% lower than the reference" in words
        assert "75% higher than the most popular movies" in words
        assert "rating is not a number 2" in words
        assert "tmdbId is not a positive 32-bit integer 1" in words
        assert "Requested, but not in the data: movie 463." in words
        assert "0.0900 ± 0.0125" in words
        assert "\u22120.25" in words  # a lift below 0, with a minus
        assert "2 min 5 s later" in words
        assert "ab12" * 16 in words
        assert "rating.tuning.grid 1, 2" in words
        assert "rating.tuning.seed 43" in words
        assert "ease_reg 300" in words
        assert "half_life" not in words  # the winner has none
        assert "Synthetic data" not in words

    @pytest.mark.parametrize(
        ("split", "said"),
        [
            (
                {"strategy": "random"},
                "tested on 1 (drawn at random, seed 42). Test ratings of movies (1) and users",
            ),
            ({"strategy": "temporal"}, "tested on 1 (each user's last, seed 42). Test ratings of movies (1) and users"),
            ({"strategy": "given"}, "tested on 1 (the data set's own, seed 42). Test ratings of movies (1) and users"),
            (
                {"strategy": "new_users", "fold_in": 4},
                "tested on 1 (of users who are in no fit and are known by 4 other ratings, seed 42). "
                "Test ratings of movies (1) without",
            ),
        ],
    )
    def test_the_split_is_described(self, split, said):
        metrics = make_metrics(DATA)
        metrics["split"] |= split
        assert said in Page(render(make_content(metrics=metrics))).words()

    def test_synthetic_data_is_marked(self):
        words = Page(render(make_content(data={**DATA, "synthetic": True}))).words()
        assert words.index("Synthetic data.") < words.index("What to watch next")
        assert "Harper" not in words

    def test_a_worse_winner_is_called_worse(self):
        metrics = make_metrics(DATA)
        metrics["rating"]["models"][1]["rmse"] = 0.99
        metrics["ranking"]["models"][1]["ndcg"] = 0.1
        words = Page(render(make_content(metrics=metrics))).words()
        assert "10.0% higher than the reference" in words
        assert "50% lower than the most popular movies" in words

    def test_figures_are_given_without_plotlys_template_and_title(self, page):
        figures = [
            json.loads(text) for a, text in page.scripts if a.get("type") == "application/json" and not a.get("id")
        ]
        assert len(figures) == 3
        assert all({"template", "title"}.isdisjoint(figure["layout"]) for figure in figures)
        (tags,) = (figure for figure in figures if "dark &amp; slow" in figure["data"][0]["y"])
        assert tags["data"][0]["y"][0].startswith("&lt;script>")

    def test_missing_tags_lists_users_and_rows_are_stated(self):
        nobody = {"users": [], "new_users": [], "movies": [], "unknown": []}
        none = index_explorer(MOVIES[:0], USERS[:0], LISTS[:0], NEIGHBOURS[:0], DATA)
        figures = {"tags": plots.tags(pd.DataFrame({"tag": [], "applications": []}), DATA)}
        data = {**DATA, "set_aside": 0, "set_aside_by_reason": [], "nulled": 0, "nulled_by_reason": []}
        facts = {"versions": {}, "started": None, "now": datetime(2025, 3, 1, tzinfo=UTC)}
        metrics = make_metrics(data)
        metrics["ranking"]["models"] = []
        content = make_content(metrics=metrics, lists=nobody, explorer=none, figures=figures, run_facts=facts)
        words = Page(render(content)).words()
        assert "Most used tags" not in words
        assert "No row of the raw files was set aside." in words
        assert "kept without a link" not in words
        assert "No user was requested" in words
        assert "The 0 users with the most ratings (of 2) and the 0 most rated movies (of 4;" in words
        assert "This page was written on 2025-03-01 at 00:00:00 UTC." in words

    def test_a_winner_that_loses_to_its_baseline_has_a_banner(self):
        metrics = make_metrics(DATA)
        assert "the winner loses" not in Page(render(make_content(metrics=metrics))).words()
        metrics["rating"]["models"][1]["rmse"] = 0.95
        words = Page(render(make_content(metrics=metrics))).words()
        assert "Predicting stars: the winner loses. taste_als was best in cross-validation" in words
        assert "Ranking movies: the winner loses" not in words
        metrics["ranking"]["models"][1]["ndcg"] = 0.1
        assert [each["loses"] for each in compare_with_baselines(metrics)] == [True, True]

    def test_a_measure_over_no_user_is_a_dash(self):
        metrics = make_metrics(DATA)
        metrics["ranking"]["models"][0] |= dict.fromkeys(MEASURES, None) | {"ndcg_se": None}
        assert "\u2013 ± \u2013" in Page(render(make_content(metrics=metrics))).words()
        assert [each["objective"] for each in compare_with_baselines(metrics)] == ["rating"]


def test_how_far_models_are_behind_the_winner_and_whether_by_chance(page):
    assert "0.0900 ± 0.0125, p < 0.001" in page.words()
    assert "0.1500 ± 0.2000, may be chance, p = 0.310" in page.words()
    row = {"model": "a", "other": "b", "gain": 0.1, "gain_se": None, "p": 0.5, "p_holm": 1.0}
    unknown = {**row, "other": "c", "gain": None}
    for winner, other, gain in (("a", "b", 0.1), ("b", "a", -0.1)):
        found = behind_the_winner({"best_params": {"model": winner}, "comparisons": [row, unknown]})
        assert {model: each["gain"] for model, each in found.items()} == {other: gain}


def test_embedded_json_has_no_markup_and_comes_back_the_same():
    value = {"text": "</script><!-- & \u2028 \u00e9 '\""}
    text = str(embed(value))
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed(float("nan"))


def matrix(text: str, rows: int) -> list:
    return np.frombuffer(base64.b64decode(text), "<u2").reshape(rows, -1).tolist()


class TestIndexExplorer:
    def test_lists_are_places_of_movies_and_tenths_of_stars(self):
        lists = index_explorer(MOVIES, USERS, LISTS, NEIGHBOURS, DATA)["lists"]
        assert lists["length"] == 2
        assert matrix(lists["movies"], 2) == [[3, 0], [2, 4]]
        assert matrix(lists["stars"], 2) == [[32, 0], [30, 48]]

    def test_neighbours_are_places_of_movies_and_thousandths_of_distance(self):
        neighbours = index_explorer(MOVIES, USERS, LISTS, NEIGHBOURS, DATA)["neighbours"]
        assert matrix(neighbours["movies"], 4) == [[3, 0], [4, 0], [1, 4], [0, 0]]
        assert matrix(neighbours["distances"], 4) == [[500, 0], [2**16 - 1, 0], [500, 1250], [0, 0]]

    def test_missing_values_are_null_and_genres_are_listed_once(self):
        index = index_explorer(MOVIES, USERS, LISTS, NEIGHBOURS, DATA)
        assert index["genres"] == ["Animation", "Comedy", "Drama"]
        assert index["movies"]["genres"] == [[0, 1], [], [1], [1, 2]]
        assert index["movies"]["years"] == [1995, None, 1994, 2001]
        assert index["movies"]["tmdb"] == [862, None, 11934, None]
        assert index["movies"]["means"] == [4.0, 2.5, 3.75, None]
        assert index["users"] == {"ids": [7, 575], "ratings": [1, 3], "means": [4.5, 3.5]}

    def test_ten_thousand_movies_take_less_than_three_megabytes(self):
        ids = np.arange(1, 10_001)
        movies = pd.concat([MOVIES[:1]] * len(ids), ignore_index=True).assign(
            movie_id=ids, original=ids, title="x" * 30
        )
        rank = np.tile(np.arange(1, 11), len(ids))
        pairs = {"movie_id": np.repeat(ids, 10), "rank": rank, "similar_movie_id": rank, "distance": 1.0}
        index = index_explorer(movies, USERS[:0], LISTS[:0], pd.DataFrame(pairs), DATA)
        assert len(embed(index)) < 1_800_000


class TestDescribeHistory:
    def test_counts_years_genres_and_best_movies(self):
        ratings = [
            {"movie_id": 1, "title": "A", "year": 1990, "genres": ["Drama"], "rating": 5.0, "rated_in": 2000},
            {"movie_id": 2, "title": "B", "year": None, "genres": ["Drama", "War"], "rating": 4.0, "rated_in": 2003},
            {"movie_id": 3, "title": "C", "year": 1990, "genres": [], "rating": 5.0, "rated_in": 2003},
            {"movie_id": 4, "title": "D", "year": 1990, "genres": ["Horror"], "rating": 1.0, "rated_in": None},
        ]
        history = describe_history(ratings, HALF_STARS)
        assert (history["ratings"], history["mean_rating"]) == (4, 3.75)
        assert (history["first_year"], history["last_year"]) == (2000, 2003)
        assert history["genres"] == [  # lifts 1.5 / 7, 0.25 / 6; Horror is below her mean
            {"genre": "Drama", "ratings": 2, "mean_rating": 4.5},
            {"genre": "War", "ratings": 1, "mean_rating": 4.0},
        ]
        assert [movie["title"] for movie in history["movies"]] == ["C", "A", "B", "D"]

    def test_without_ratings_or_times_the_summary_is_empty(self):
        assert describe_history([], HALF_STARS)["mean_rating"] is None
        history = describe_history(
            [{"movie_id": 1, "title": "A", "year": 1, "genres": None, "rating": 3.0, "rated_in": None}],
            HALF_STARS,
        )
        assert (history["first_year"], history["genres"]) == (None, [])


class TestRunFacts:
    def test_a_run_starts_with_its_kedro_session(self):
        facts = RunFacts(version=Version(None, "2025-03-01T12.00.05.120Z")).load()
        assert facts["started"] == datetime(2025, 3, 1, 12, 0, 5, 120_000, tzinfo=UTC)
        assert facts["now"] > facts["started"]
        assert {"python", "kedro", "pyspark", "numpy", "movie_recs"} <= set(facts["versions"])

    @pytest.mark.parametrize("version", [None, Version(None, None), Version(None, "another")])
    def test_without_a_session_the_start_is_unknown(self, version):
        assert RunFacts(version=version).load()["started"] is None

    def test_run_facts_are_read_only(self):
        assert RunFacts().exists()
        with pytest.raises(DatasetError):
            RunFacts().save({})


RATINGS = (1, 1, 5.0), (1, 2, 3.0), (2, 1, 4.0), (3, 1, 2.0), (3, 2, 2.5), (3, 3, 1.0)


@pytest.fixture(scope="module")
def ratings(spark):
    rows = [(*row, datetime(2001 + row[1], 5, 1)) for row in RATINGS]
    return spark.createDataFrame(rows, "user_id int, movie_id int, rating float, rated_at timestamp")


@pytest.fixture(scope="module")
def movies(spark):
    rows = [
        (each, f"Movie {each}", 1990 + each, ["Drama"], f"000000{each}", each * 10 if each < 4 else None)
        for each in range(1, 5)
    ]
    schema = "movie_id int, title string, year int, genres array<string>, imdb_id string, tmdb_id int"
    return spark.createDataFrame(rows, schema)


@pytest.fixture(scope="module")
def model(spark):
    users = factor_table(spark, np.array([1, 2, 3]), np.zeros(3), np.ones((3, 1)))
    items = factor_table(
        spark, np.array([1, 2, 3, 4]), np.array([0.1, 0.2, 0.3, 9.0]), np.array([[0.0], [1], [3], [7]])
    )
    return FactorModel(1.0, users, items)


class TestNodes:
    @staticmethod
    def parameters(**limits) -> ReportingParameters:
        return ReportingParameters(**{"most_lists": 20, "most_users": 2000, "most_movies": 20000, **limits})

    @staticmethod
    def no_ids(table):
        """Ids that are their own numbers."""
        return table.sparkSession.createDataFrame([], OWN_NUMBERS)

    def test_most_rated_movies_and_most_active_users_are_selected_and_sorted_by_id(self, ratings, movies):
        some = nodes.select_movies(movies, ratings, self.no_ids(movies), DATA, self.parameters(most_movies=3))
        assert some[["movie_id", "ratings"]].to_numpy().tolist() == [[1, 3], [2, 2], [3, 1]]
        everything = nodes.select_movies(movies, ratings, self.no_ids(movies), DATA, self.parameters())
        assert everything["ratings"].tolist() == [3, 2, 1, 0]
        users = nodes.select_users(ratings, self.no_ids(ratings), DATA, self.parameters(most_users=2))
        assert users.to_numpy().tolist() == [[1, 1, 2, 4.0], [3, 3, 3, pytest.approx(5.5 / 3)]]

    def test_users_get_what_they_have_not_rated_with_stars_within_their_bounds(self, ratings, movies, model):
        explorer_movies = nodes.select_movies(movies, ratings, self.no_ids(movies), DATA, self.parameters())
        users = nodes.select_users(ratings, self.no_ids(ratings), DATA, self.parameters())
        lists = nodes.explore_users(model, ratings, users, explorer_movies, DATA, model)
        lists = lists.sort_values(["user_id", "rank"])
        found = lists[["user_id", "rank", "movie_id"]].to_numpy().tolist()
        assert found == [[1, 1, 4], [1, 2, 3], [2, 1, 4], [2, 2, 3], [2, 3, 2], [3, 1, 4]]
        assert lists["predicted_stars"].to_numpy() == pytest.approx([5.0, 4.3, 5.0, 4.3, 2.2, 5.0])

    def test_movies_get_their_neighbours_among_the_selected(self, ratings, movies, model):
        explorer_movies = nodes.select_movies(
            movies, ratings, self.no_ids(movies), DATA, self.parameters(most_movies=3)
        )
        recommend = RecommendParameters(user_ids=[], movie_ids=[], top_n=1)
        table = nodes.explore_movies(model, explorer_movies, recommend).sort_values(["movie_id", "rank"])
        found = table[["movie_id", "similar_movie_id", "distance"]].to_numpy().tolist()
        assert found == [[1, 2, 1.0], [1, 3, 3.0], [2, 1, 1.0], [2, 3, 2.0], [3, 2, 2.0], [3, 1, 3.0]]

    def test_chosen_users_are_shown_with_history_and_links(self, spark, ratings, movies):
        schema = "user_id int, rank int, movie_id int, title string, year int, genres array<string>"
        lists = [(1, 2, 4, "Movie 4", 1994, []), (1, 1, 3, "Movie 3", 1993, []), (2, 1, 3, "Movie 3", 1993, [])]
        ids, limits = [self.no_ids(movies)] * 2, self.parameters(most_lists=1)
        shown = nodes.show_users(spark.createDataFrame(lists, schema), ratings, movies, *ids, DATA, limits)
        (user,) = shown
        assert user["user_id"] == 1
        assert user["history"]["mean_rating"] == 4.0
        assert (user["history"]["first_year"], user["history"]["last_year"]) == (2002, 2003)
        assert [movie["title"] for movie in user["history"]["movies"]] == ["Movie 1", "Movie 2"]
        assert [(row["movie_id"], row["imdb_id"], row["tmdb_id"]) for row in user["movies"]] == [
            (3, "0000003", 30),
            (4, "0000004", None),
        ]
        assert nodes.show_users(spark.createDataFrame([], schema), ratings, movies, *ids, DATA, limits) == []

    def test_similar_movies_have_the_links_of_the_similar_movie(self, spark, movies):
        names = "movie_id int, rank int, similar_movie_id int, title string, year int, genres array<string>"
        schema = f"{names}, distance double"
        table = spark.createDataFrame([(2, 1, 3, "Movie 3", 1993, [], 0.5)], schema)
        (movie,) = nodes.show_movies(table, movies, self.no_ids(movies), self.parameters())
        assert (movie["movie_id"], movie["title"]) == (2, "Movie 2")
        assert [(row["movie_id"], row["imdb_id"], row["distance"]) for row in movie["movies"]] == [(3, "0000003", 0.5)]
