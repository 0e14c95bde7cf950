"""Figures name their data, accept any text and empty tables, and show the numbers of their tables."""

from functools import partial

import pandas as pd
import pytest

from movie_recs.data.scale import HALF_STARS
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.report import figures as plots

DATA = {"name": "ml-test", "synthetic": False, "ratings": 1234, "scale": HALF_STARS._asdict()}

BINS = pd.DataFrame(
    [("rating", 4.0, 4.5, 7), ("ratings_per_user", 4.0, 8.0, 2), ("ratings_per_year", 1999.0, 2000.0, 7)],
    columns=["distribution", "low", "high", "count"],
)
TOP_MOVIES = pd.DataFrame(
    [
        ("most_rated", "Heat", 1995, 9, 3.5),
        ("most_rated", "<script>alert(1)</script> & Co", None, 8, 3.0),
        ("best_rated", "Heat", 1995, 9, 3.5),
    ],
    columns=["list", "title", "year", "ratings", "damped_mean"],
).astype({"year": "Int64"})
TAGS = pd.DataFrame({"tag": ["<script>x</script>", "noir"], "applications": [3, 2]})
CV_RESULTS = pd.DataFrame(
    [
        ("taste", 5, 3, 8, 10, None, None, None, 0.9, 0.01),
        ("taste", 5, 5, 8, 10, None, None, None, 0.85, 0.01),
        ("taste_als", 5, 5, 8, 10, 20, 0.2, 10, 0.8, 0.01),
        ("taste_als", 5, 5, 8, 10, 40, 0.2, 10, None, None),
    ],
    columns=[
        *("model", "user_damping", "movie_damping", "taste_reg", "prior_reg", "rank", "reg_param", "max_iter"),
        *("mean_rmse", "std_error"),
    ],
)
MODELS = [
    {"model": "bias", "rmse": 0.9},
    {"model": "taste", "rmse": 0.8, "compared_with": "bias", "gain": 0.1, "gain_se": 0.01},
]
LADDER = pd.DataFrame(
    [
        ("bias", "all", 5, 0.9),
        ("bias", "1", 2, 1.0),
        ("bias", "50+", 3, 0.85),
        ("taste", "all", 5, 0.8),
        ("taste", "1", 2, 0.9),
        ("taste", "50+", 3, 0.75),
    ],
    columns=["model", "movie_ratings", "n", "rmse"],
)
LEADERBOARD = pd.DataFrame(
    [("random", 10, 0.01, 0.001, 0.5), ("ease", 10, 0.38, 0.01, 0.1)],
    columns=["model", "k", "ndcg", "ndcg_se", "coverage"],
)
RMSE = RatingCandidate.MEASURE
ERRORS = pd.DataFrame(
    [(4.0, 3.5, 3, -1.5, 0.75), (4.0, 4.0, 1, 0.5, 0.25), (1.0, 3.0, 2, 4.0, 8.0)],
    columns=["rating", "predicted_stars", "rows", "error_sum", "squared_error_sum"],
)
FIGURES = [
    (plots.genres, {"Drama": 5, "Comedy": 3}),
    (plots.distributions, BINS),
    (plots.top_movies, TOP_MOVIES),
    (plots.tags, TAGS),
    (lambda table, data: plots.cv_results(table, RMSE, data), CV_RESULTS),
    (plots.predicted_against_actual, ERRORS),
    (plots.error_by_rating, ERRORS),
    (partial(plots.ladder, MODELS), LADDER),
    (plots.leaderboard, LEADERBOARD),
]


@pytest.mark.parametrize(("plot", "table"), FIGURES)
def test_every_figure_names_its_data_and_marks_synthetic_data(plot, table):
    real = plot(table, DATA).layout.title.text
    made_up = plot(table, {**DATA, "synthetic": True}).layout.title.text
    assert "ml-test: 1,234 ratings" in real
    assert "synthetic" not in real
    assert "ml-test, synthetic data: 1,234 ratings" in made_up


@pytest.mark.parametrize(("plot", "table"), FIGURES)
def test_an_empty_table_gives_a_figure(plot, table):
    empty = {} if isinstance(table, dict) else table.iloc[:0]
    assert "ml-test" in plot(empty, DATA).to_json()


def test_no_finished_candidate_gives_an_empty_figure():
    assert not plots.cv_results(CV_RESULTS.assign(mean_rmse=None, std_error=None), RMSE, DATA).data


def test_candidates_are_grouped_by_model_best_first_without_failed_ones():
    taste, taste_als = plots.cv_results(CV_RESULTS, RMSE, DATA).data
    assert list(taste.x) == [0.85, 0.9]
    assert list(taste.y) == ["taste: user 5, movie 5, taste 8, prior 10", "taste: user 5, movie 3, taste 8, prior 10"]
    assert taste.marker.size[0] > taste.marker.size[1]
    assert list(taste_als.y) == ["taste_als: user 5, movie 5, taste 8, prior 10, rank 20, reg 0.2, iter 10"]


def test_only_the_best_of_many_candidates_are_shown():
    many = pd.concat(
        [CV_RESULTS[:1].assign(user_damping=damping, mean_rmse=1 - damping / 1000) for damping in range(99)]
    )
    (shown,) = plots.cv_results(many, RMSE, DATA).data
    assert list(shown.x) == [1 - damping / 1000 for damping in range(98, 98 - plots.SHOWN_CANDIDATES, -1)]


def test_the_ladder_shows_each_model_over_all_rows_and_by_bin():
    overall, bias, taste = plots.ladder(MODELS, LADDER, DATA).data
    assert (list(overall.y), list(overall.x)) == (["bias", "taste"], [0.9, 0.8])
    assert list(overall.error_x.array) == [0, 0.01]
    assert (list(bias.x), list(bias.y), list(bias.customdata)) == (["1", "50+"], [1.0, 0.85], [2, 3])
    assert (taste.name, list(taste.y)) == ("taste", [0.9, 0.75])


@pytest.mark.parametrize(("plot", "table"), [(plots.top_movies, TOP_MOVIES), (plots.tags, TAGS)])
def test_markup_in_titles_and_tags_is_escaped(plot, table):
    figure = plot(table, DATA)
    labels = [label for trace in figure.data for label in trace.y]
    assert any(label.startswith("&lt;script>") for label in labels)
    assert not any("<" in label for label in labels)


def test_a_movie_is_shown_by_title_and_year_if_known():
    most_rated, best_rated = plots.top_movies(TOP_MOVIES, DATA).data
    assert list(most_rated.y) == ["Heat (1995)", "&lt;script>alert(1)&lt;/script> &amp; Co"]
    assert list(most_rated.x) == [9, 8]
    assert list(best_rated.x) == [3.5]


def test_long_titles_are_cut():
    (trace,) = plots.tags(pd.DataFrame({"tag": ["x" * 50], "applications": [1]}), DATA).data
    assert list(trace.y) == ["x" * 33 + "…"]


def test_bins_of_counts_are_labelled_with_the_numbers_in_them():
    there = [name for name in plots.DISTRIBUTIONS if (BINS["distribution"] == name).any()]  # the others have no place
    by_name = dict(zip(there, plots.distributions(BINS, DATA).data, strict=True))
    assert list(by_name["ratings_per_user"].x) == ["4-7"]
    assert list(by_name["ratings_per_year"].customdata) == ["1999"]
    assert list(by_name["rating"].y) == [7]


def test_predictions_are_shown_as_shares_of_the_ratings_with_these_stars():
    heatmap = plots.predicted_against_actual(ERRORS, DATA).data[0]
    assert list(heatmap.x) == [1.0, 4.0]
    assert list(heatmap.y) == [3.0, 3.5, 4.0]
    assert [list(row) for row in heatmap.z] == [[1.0, 0.0], [0.0, 0.75], [0.0, 0.25]]


def test_error_by_rating_is_the_mean_over_the_rows_with_these_stars():
    mean, rmse = plots.error_by_rating(ERRORS, DATA).data
    assert list(mean.x) == [1.0, 4.0]
    assert list(mean.y) == [2.0, -0.25]  # 4 / 2 rows, (-1.5 + 0.5) / 4 rows
    assert list(rmse.y) == [2.0, 0.5]  # sqrt(8 / 2), sqrt((0.75 + 0.25) / 4)


def test_the_highest_value_comes_first_if_higher_is_better():
    table = pd.DataFrame(
        [("ease", 100, 0.1, 0.01), ("ease", 300, 0.2, 0.01)], columns=["model", "ease_reg", "mean_ndcg", "std_error"]
    )
    figure = plots.cv_results(table, RankingCandidate.MEASURE, DATA)
    assert list(figure.data[0].y) == ["ease: ease reg 300", "ease: ease reg 100"]
    assert figure.layout.xaxis.title.text.startswith("NDCG")


def test_labels_of_equal_marks_do_not_overlap():
    assert [plots._label_side(place, pd.Series([0.3, 0.3, 0.1])) for place in range(3)] == [
        *("middle right", "top right", "middle right")
    ]


def test_labels_of_near_marks_do_not_overlap():
    near = LEADERBOARD.iloc[[0, 1, 1]].assign(ndcg=[0.01, 0.38, 0.377])
    assert [trace.textposition for trace in plots.leaderboard(near, DATA).data] == [
        *("middle right", "top right", "middle right")
    ]


def test_the_leaderboard_plots_accuracy_against_coverage():
    random, ease = plots.leaderboard(LEADERBOARD, DATA).data
    assert (list(random.x), list(random.y)) == ([0.5], [0.01])
    assert (ease.name, list(ease.y), list(ease.error_y.array)) == ("ease", [0.38], [0.01])
