"""Titles as people read them, in Python and in Spark, and what they are searched by."""

import pytest

from movie_recs.data import spark_titles
from movie_recs.data.titles import display_title, name_movie, search_key

SHOWN = {
    "Fifth Element, The": "The Fifth Element",
    "Walk in the Clouds, A": "A Walk in the Clouds",
    "American in Paris, An": "An American in Paris",
    "Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il)": (
        "The Good, the Bad and the Ugly (Il Buono, il brutto, il cattivo)"
    ),
    "Lost Children, The (Enfants perdus, Les)": "The Lost Children (Les Enfants perdus)",
    "Bear, The (Ours, L')": "The Bear (L'Ours)",
    "Avventura, L' (Adventure, The)": "L'Avventura (The Adventure)",
    "Vitelloni, I (a.k.a. Young and the Passionate, The)": "I Vitelloni (a.k.a. The Young and the Passionate)",
    "Boot, Das (Boat, The)": "Das Boot (The Boat)",
    "Paris, Texas": "Paris, Texas",
    "I, Robot": "I, Robot",
    "Monsters, Inc.": "Monsters, Inc.",
    "Gas, Food, Lodging": "Gas, Food, Lodging",
    "The Matrix": "The Matrix",
    ", The": ", The",
    "": "",
}


@pytest.mark.parametrize(("title", "shown"), SHOWN.items())
def test_articles_come_first(title, shown):
    assert display_title(title) == shown
    assert display_title(shown) == shown


def test_a_column_of_spark_has_the_same_titles_under_its_name(spark):
    rows = spark.createDataFrame([(title,) for title in [*SHOWN, None]], "title string")
    shown = rows.select(spark_titles.display_title("title"))
    assert shown.columns == ["title"]
    assert [row["title"] for row in shown.collect()] == [*SHOWN.values(), None]


def test_the_year_follows_if_it_is_known():
    assert name_movie("Matrix, The", 1999) == "The Matrix (1999)"
    assert name_movie("Matrix, The", None) == "The Matrix"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Fifth Element, The", "the fifth element"),
        ("Matrix, The (1999)", "The Matrix 1999"),
        ("Amélie (Fabuleux destin d'Amélie Poulain, Le)", "amelie le fabuleux destin damelie poulain"),
        ("Schindler\u2019s List", "schindler's list"),
        ("  WALL·E ", "wall e"),
    ],
)
def test_spellings_of_a_title_have_one_key(one, other):
    assert search_key(one) == search_key(other)


def test_titles_of_other_words_have_other_keys():
    assert search_key("The Ring") != search_key("Ring")
