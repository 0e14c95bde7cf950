"""The last lines of a run, from literal results."""

from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.report.summary import WIDTH, first_titles, summarise

DATA = {"name": "ml-latest-small", "synthetic": False, "users": 610, "movies": 9742, "ratings": 100_836, "set_aside": 0}
DATA["scale"] = HALF_STARS._asdict()
RATING = {"model": "taste_als", "user_damping": 5.0, "movie_damping": 3.5, "rank": 20, "reg_param": 0.2}
RANKING = {"model": "ease", "rank": None, "ease_reg": 300.0, "half_life": None, "als_model": {"rank": 50}}
METRICS = {
    "dataset": DATA,
    "rating": {
        "models": [
            {"model": "global_mean", "rmse": 1.04},
            {"model": "reference_als", "rmse": 0.8912},
            {"model": "taste_als", "rmse": 0.80359},
        ],
        "best_params": RATING,
    },
    "ranking": {
        "models": [{"model": "most_popular", "k": 10, "ndcg": 0.1922}, {"model": "ease", "k": 10, "ndcg": 0.37885}],
        "best_params": RANKING,
    },
}


def test_a_whole_run_shows_data_winners_baselines_and_paths():
    lists = {"recommendations_csv": {"232": ["Alien", "Brazil"], "575": ["Heat"]}, "similar_movies_csv": {}}
    places = {
        "recommendations_csv": "data/recommendations.csv",
        "similar_movies_csv": "data/similar.csv",
        "report_html": "data/report.html",
    }
    assert summarise({"metrics": METRICS, "data_summary": DATA}, lists, places) == [
        "Data     ml-latest-small: 100,836 ratings of 9,742 movies by 610 users",
        "Rating   RMSE 0.8036 on the test ratings; the reference, plain ALS, 0.8912",
        "         taste_als: biases, tastes, and ALS on their residuals (user_damping 5,",
        "         movie_damping 3.5, rank 20, reg_param 0.2)",
        "Ranking  NDCG@10 0.3789 on the test ratings; the most popular movies 0.1922",
        "         ease: EASE: a linear model of which movies are rated together (ease_reg",
        "         300)",
        "Lists    data/recommendations.csv",
        "         user 232: Alien; Brazil",
        "         user 575: Heat",
        "Page     data/report.html",
    ]


def test_without_results_there_is_no_summary():
    assert summarise({}, {}, {}) == []


def test_tuning_alone_shows_the_winners():
    lines = summarise({"rating.best_params": RATING}, {}, {})
    assert lines[0].startswith("Rating   taste_als: biases, tastes")
    assert len(lines) == 2


def test_a_winner_that_loses_to_its_baseline_is_a_warning():
    models = [{"model": "reference_als", "rmse": 0.79}, {"model": "taste_als", "rmse": 0.8}]
    lines = summarise({"metrics": {"dataset": DATA, "rating": {"models": models, "best_params": RATING}}}, {}, {})
    assert "WARNING: taste_als won in cross-validation but loses to reference_als" in " ".join(lines)


def test_another_scale_than_half_stars_is_said():
    ten = {**DATA, "scale": Scale.make(1, 10, 1)._asdict()}
    said = " ".join(" ".join(summarise({"data_summary": ten}, {}, {})).split())
    assert "by 610 users on a scale of 1, 2 ... 10" in said
    assert "on a scale" not in " ".join(summarise({"data_summary": DATA}, {}, {}))


def test_synthetic_data_and_rows_set_aside_are_marked():
    data = {**DATA, "name": "sample", "synthetic": True, "set_aside": 1200}
    lines = summarise({"data_summary": data}, {}, {})
    assert lines[0].startswith("Data     sample, synthetic data: 100,836 ratings")
    assert lines[-1].endswith("1,200 rows set aside")


def test_without_both_measures_nothing_is_compared():
    models = [{"model": "reference_als", "rmse": None}, {"model": "taste_als", "rmse": 0.8}]
    lines = summarise({"metrics": {"dataset": DATA, "rating": {"models": models, "best_params": RATING}}}, {}, {})
    assert lines[1].startswith("Rating   taste_als: ")


def test_paths_are_printed_in_full_and_all_else_fits_a_terminal():
    place = f"/a folder/{'long/' * 40}report.html"
    titles = {"1": ["Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb"] * 3}
    lines = summarise(
        {"metrics": METRICS},
        {"recommendations_csv": titles},
        {"recommendations_csv": "lists.csv", "report_html": place},
    )
    assert lines[-1] == f"Page     {place}"
    assert max(map(len, lines[:-1])) <= WIDTH


class TestFirstTitles:
    def test_the_first_three_titles_of_the_first_three_users(self):
        rows = ["user_id,rank,title\n"]
        rows += [f'{user},{rank},"Part {rank}, The"\n' for user in range(5) for rank in range(1, 11)]
        assert first_titles(rows) == {user: ["Part 1, The", "Part 2, The", "Part 3, The"] for user in "012"}

    def test_shorter_lists_and_an_empty_file(self):
        assert first_titles(["name,rank,title", "Ada,1,Alien"]) == {"Ada": ["Alien"]}
        assert first_titles(["name,rank,title"]) == {}

    def test_the_rest_of_a_long_file_is_not_read(self):
        def rows():
            yield "user_id,rank,title"
            yield from (f"{user},1,Alien" for user in range(4))
            raise AssertionError("the rest of a long file was read")

        assert len(first_titles(rows())) == 3
