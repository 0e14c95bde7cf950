"""Filters of recommendations on five movies."""

import pytest

from movie_recs.data.movie_filters import filter_movies
from movie_recs.data.parameters import FilterParameters
from movie_recs.errors import UserError

MOVIES = [
    (1, 1990, ["Comedy", "Drama"]),
    (2, 2000, ["Drama"]),
    (3, None, ["Comedy"]),
    (4, 2010, []),
    (5, 2010, ["Sci-Fi", "Comedy"]),
]


@pytest.fixture(scope="module")
def movies(spark):
    return spark.createDataFrame(MOVIES, "movie_id int, year int, genres array<string>").cache()


@pytest.fixture(scope="module")
def ratings(spark):
    return spark.createDataFrame([(1, 1), (2, 1), (1, 2), (1, 3)], "user_id int, movie_id int").cache()


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({"genres": "Comedy"}, [1, 3, 5]),
        ({"genres": ["Drama", "Sci-Fi"]}, [1, 2, 5]),
        ({"without_genres": "Drama"}, [3, 4, 5]),
        ({"genres": "Comedy", "without_genres": "Drama Sci-Fi"}, [3]),
        ({"first_year": 2000}, [2, 4, 5]),
        ({"last_year": 2000}, [1, 2]),
        ({"first_year": 1991, "last_year": 2009}, [2]),
        ({"min_ratings": 1}, [1, 2, 3]),
        ({"min_ratings": 2}, [1]),
        ({"without_movie_ids": "1 2 77"}, [3, 4, 5]),
        ({"genres": "Comedy", "min_ratings": 3}, []),
    ],
    ids=str,
)
def test_movies_that_pass_a_filter(movies, ratings, filters, passing):
    left = filter_movies(movies, ratings, FilterParameters(**filters))
    assert sorted(left.tolist()) == passing


def test_without_filters_nothing_is_filtered(movies, ratings):
    assert filter_movies(movies, ratings, FilterParameters()) is None


def test_the_case_of_genres_does_not_matter(movies, ratings):
    left = filter_movies(movies, ratings, FilterParameters(genres="comedy", without_genres="SCI-FI drama"))
    assert left.tolist() == [3]


@pytest.mark.parametrize("where", ["genres", "without_genres"])
def test_an_unknown_genre_is_an_error_that_lists_the_genres(movies, ratings, where):
    with pytest.raises(UserError) as error:
        filter_movies(movies, ratings, FilterParameters(**{where: ["drama", "Horor"]}))
    assert str(error.value) == ("recommend.filters: there is no genre 'Horor'; the genres are Comedy, Drama, Sci-Fi.")


def test_filters_that_leave_no_movie_are_logged(movies, ratings, caplog):
    filter_movies(movies, ratings, FilterParameters(first_year=2050))
    assert "No movie passes recommend.filters {'first_year': 2050}." in caplog.text
