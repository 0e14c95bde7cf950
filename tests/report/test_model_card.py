"""The model card: every figure is one of the metrics, the worst groups are named, and the command repeats the run."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from report.cards import untraced_figures
from report.pages import DATA, make_metrics

from movie_recs.data.groups import ALL, DECADES, MOVIES, USERS
from movie_recs.report.model_card import render_model_card, reproduce, write_model_card

FACTS = {
    "versions": {"python": "3.11.7", "pyspark": "4.3.0"},
    "started": datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC),
    "now": datetime(2025, 3, 1, 12, 2, 5, tzinfo=UTC),
    "cores": 2,
    "machine": "Linux machine, x86_64",
    "memory": "3.1 GB",
    "changed": {"dataset": "small", "split.seed": 7},
}


def errors(group: str, n: int, rmse: float) -> dict:
    return {"group": group, "n_users": 25, "n": n, "rmse": rmse, "rmse_se": 0.0123, "mae": 0.6}


def accuracy(group: str, n_users: int, ndcg: float) -> dict:
    measures = {name: value for key in ("ndcg", "ndcg_graded") for name, value in ((key, ndcg), (f"{key}_se", 0.021))}
    return {
        "group": group,
        "n_users": n_users,
        **measures,
        "hit_rate": 0.75,
        "hit_rate_se": 0.1,
        "popularity_lift": 1.5,
    }


def exposure(group: str, list_share: float) -> dict:
    row = {"movies": 1234, "held_out": 40, "train_share": 0.25, "list_share": list_share}
    return {"group": group, **row, "recall": 0.125}


@pytest.fixture
def metrics() -> dict:
    made = make_metrics(DATA)
    made["ranking"]["best_params"]["relevance"] = "graded"
    for row in made["ranking"]["models"]:
        row["ndcg_graded_se"] = 0.011
    made["rating"]["groups"] = {
        ALL: [errors(ALL, 6, 0.81)],
        USERS: [errors("10-19", 30, 0.95), errors("20-49", 60, 0.7), errors("50-99", 3, 2.5)],
        MOVIES: [errors("0", 30, 0.9), errors("1-9", 60, 0.8)],
        DECADES: [errors("1990s", 60, 0.8), errors("2000s", 60, 0.7), errors("unknown", 60, 2.0)],
    }
    made["ranking"]["groups"] = {
        USERS: [accuracy("10-19", 25, 0.2), accuracy("20-49", 40, 0.4), accuracy("50-99", 2, 0.01)],
        MOVIES: [exposure("0", 0.0), exposure("1-9", 1.0)],
        DECADES: [exposure("1990s", 1.0)],
    }
    return made


def test_every_figure_is_found_in_the_metrics(metrics):
    card = write_model_card(metrics, FACTS)
    assert untraced_figures(card, metrics) == []
    assert untraced_figures(card.replace("0.8100", "0.8101"), metrics) == ["0.8101"] * card.count("0.8100")


def test_it_names_the_worst_of_the_groups_that_have_some_size(metrics):
    card = write_model_card(metrics, FACTS)
    assert "Lists: users with 10-19 train ratings, graded NDCG 0.200 ± 0.021; best are those with 20-49, 0.400" in card
    assert "Predicted stars: users with 10-19 train ratings, RMSE 0.950 ± 0.012; best are users with 20-49" in card
    assert "Predicted stars: movies of the 1990s, RMSE 0.800 ± 0.012; best are movies of the 2000s" in card
    assert "1,234 movies with 0 train ratings are in no list." in card
    assert "| 50-99 | 2 | 0.010 ± 0.021 |" in card  # in the table all the same


def test_a_winner_that_loses_is_not_recommended(metrics):
    assert "Do not use" not in write_model_card(metrics, FACTS)
    metrics["rating"]["models"][1]["rmse"] = 0.91
    sentence = "Do not use `taste_als` before you know why: on the test ratings it is worse than `reference_als`."
    assert sentence in write_model_card(metrics, FACTS)


def test_time_and_energy(metrics):
    unknown = (
        "125 s have passed on 2 cores, with 3.1 GB of memory at most, on a Linux machine, x86_64. The energy is not"
    )
    assert unknown in write_model_card(metrics, FACTS)
    assert "used 4.3 kJ meanwhile" in write_model_card(metrics, {**FACTS, "joules": 4321.0})
    assert "The time of the run is not known." in write_model_card(metrics, {**FACTS, "started": None})


def test_events_have_no_errors_in_stars(metrics):
    del metrics["rating"]
    metrics["dataset"] = {**metrics["dataset"], "scale": None}
    card = write_model_card(metrics, FACTS)
    assert "RMSE" not in card
    assert "Predicted stars" not in card
    assert "| 10-19 | 25 | 0.200 ± 0.021 | 0.750 | 1.50 |\n" in card


def test_the_data_and_its_terms(metrics):
    card = write_model_card(metrics, FACTS)
    assert "| `ratings.csv` | `" + "ab12" * 16 + "` |" in card
    assert "that of its owner" in card
    metrics["dataset"] = {**metrics["dataset"], "name": "ml-1m"}
    assert "You may not redistribute it" in write_model_card(metrics, FACTS)
    metrics["dataset"] = {**metrics["dataset"], "synthetic": True}
    assert "**The data are synthetic" in write_model_card(metrics, FACTS)


def test_the_command_has_all_that_differs_but_for_people_and_the_page():
    changed = {
        **{"dataset": "auto", "split.seed": 7, "rating.tuning.grid.rank": [5, 10], "carrier": "spark"},
        **{"recommend.new_users": [{"name": "Ada", "ratings": {1: 5}}], "reporting.most_users": 3},
        **{"source.separator": ",", "source.ratings": {"file": "a b.csv"}, "ranking.tuning.halving": True},
    }
    command, settings = reproduce("books", changed)
    options = "dataset=books,split.seed=7,rating.tuning.grid.rank=5 10,carrier=spark,ranking.tuning.halving=true"
    assert command == f'kedro run --params "{options}"'
    assert settings == "source:\n  separator: ','\n  ratings:\n    file: a b.csv"


def test_a_run_with_the_defaults_is_repeated_by_its_data_set_alone():
    assert reproduce("ml-32m", {}) == ('kedro run --params "dataset=ml-32m"', "")


class Outline(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))


def test_on_the_page_its_headings_are_lower_its_tables_scroll_and_html_is_text(metrics):
    metrics["dataset"] = {**metrics["dataset"], "name": "<script>|`x", "sha256": {"<b>.csv": "ab"}}
    html = str(render_model_card(write_model_card(metrics, FACTS)))
    outline = Outline(html).tags
    tags = [tag for tag, _ in outline]
    assert {"script", "b", "h1"} & set(tags) == set()
    assert tags.count("h2") == 1
    assert tags.count("h3") == len(re.findall("^## ", write_model_card(metrics, FACTS), flags=re.MULTILINE))
    assert all(tags[place - 1] == "div" for place, tag in enumerate(tags) if tag == "table")
    assert all(attributes["aria-label"] for tag, attributes in outline if tag == "div")
    assert all("style" not in attributes for _, attributes in outline)
    assert json.dumps(html).isprintable()
