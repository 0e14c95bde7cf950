"""Ratings of people who are not in the data: how titles are found, and the messages for those that are not."""

import pandas as pd
import pytest

from movie_recs.data.new_users import collect_new_ratings
from movie_recs.data.parameters import NewUser
from movie_recs.data.scale import HALF_STARS
from movie_recs.datasets.new_user_csv import NewUserCsv
from movie_recs.errors import UserError

MOVIES = pd.DataFrame(
    [
        (1, "Toy Story", 1995),
        (2, "Matrix, The", 1999),
        (3, "Sabrina", 1954),
        (4, "Sabrina", 1995),
        (5, "300", 2006),
        (6, "American Werewolf in London, An", 1981),
        (7, "Matrix Reloaded, The", 2003),
        (8, "Untimely", None),
        (300, "Heat", 1995),
    ],
    columns=["movie_id", "title", "year"],
).assign(original=lambda movies: movies["movie_id"])


def no_file() -> pd.DataFrame:
    return NewUserCsv(filepath=None).load()


def found(movie: int | str) -> int:
    return collect_new_ratings([NewUser(name="Ada", ratings={movie: 4})], no_file(), MOVIES, HALF_STARS)[
        "movie_id"
    ].item()


@pytest.mark.parametrize(
    ("movie", "movie_id"),
    [
        (1, 1),
        ("Toy Story (1995)", 1),
        ("toy story", 1),
        ("The Matrix", 2),
        ("matrix, the (1999)", 2),
        ("Sabrina (1954)", 3),
        ("an american werewolf in london", 6),
        ("Untimely", 8),
        ("300", 5),  # a title before an id
        (300, 300),
        ("1", 1),
    ],
)
def test_a_movie_is_found_by_id_or_title_in_any_spelling(movie, movie_id):
    assert found(movie) == movie_id


@pytest.mark.parametrize(
    ("movie", "said"),
    [
        ("Sabrina", "Ada's 'Sabrina' could be 3 Sabrina (1954); 4 Sabrina (1995): write the id, or the title with its"),
        ("Toy Storry", "Ada's 'Toy Storry' could be 1 Toy Story (1995)"),
        ("Reloaded", "could be 7 The Matrix Reloaded (2003)"),
        ("Sabrina (1996)", "could be 3 Sabrina (1954); 4 Sabrina (1995)"),
        ("Zzyzx", "Ada's 'Zzyzx' matches no title in the data, not even roughly: check"),
        (99, "Ada's movie 99 is not in the data"),
        ("99", "Ada's movie 99 is not in the data"),
    ],
)  # fmt: skip
def test_an_unclear_title_is_answered_with_the_candidates(movie, said):
    with pytest.raises(UserError) as error:
        found(movie)
    assert said in str(error.value)


def test_the_last_of_two_ratings_of_a_movie_counts():
    table = collect_new_ratings(
        [NewUser(name="Ada", ratings={1: 2, 2: 3, "Toy Story": 5})], no_file(), MOVIES, HALF_STARS
    )
    assert table[["movie_id", "rating"]].to_numpy().tolist() == [[2, 3], [1, 5]]
    assert table["rated_at"].is_monotonic_increasing


def test_a_name_that_is_given_twice_is_an_error():
    with pytest.raises(UserError, match="the name 'Ada' is given twice: choose another"):
        collect_new_ratings([NewUser(name="Ada", ratings={1: 2})] * 2, no_file(), MOVIES, HALF_STARS)


def test_a_new_user_without_ratings_adds_no_row():
    assert collect_new_ratings([NewUser(name="Ada", ratings={})], no_file(), MOVIES, HALF_STARS).empty


class TestFile:
    def write(self, tmp_path, text: str) -> pd.DataFrame:
        path = tmp_path / "grace.csv"
        path.write_text(text, encoding="utf-8-sig")
        return NewUserCsv(filepath=str(path)).load()

    def test_bad_rows_are_left_out_and_logged(self, tmp_path, caplog):
        rows = self.write(tmp_path, "userId,movieId,rating,timestamp\n1,1,5,10\n1,99,4,11\n1,2,six,12\n1,2,5.5,13\n")
        table = collect_new_ratings([], rows, MOVIES, HALF_STARS)
        assert table[["name", "movie_id", "rating"]].to_numpy().tolist() == [["grace", 1, 5]]
        assert "3 of 4 rows have no known movieId, no rating from 0.5 to 5, or" in caplog.text
        assert "99,4,11; 2,six,12; 2,5.5,13" in caplog.text

    def test_rows_with_times_that_are_no_seconds_are_left_out_and_counted(self, tmp_path, caplog):
        rows = self.write(tmp_path, "movieId,rating,timestamp\n1,5,20\n2,4,1420070400000\n3,4,inf\n4,4,-1\n5,4,\n")
        table = collect_new_ratings([], rows, MOVIES, HALF_STARS)
        assert table["movie_id"].tolist() == [1, 5]
        assert "3 of 5 rows have no known movieId" in caplog.text

    def test_times_decide_which_is_later_and_without_them_the_order(self, tmp_path):
        timed = collect_new_ratings(
            [], self.write(tmp_path, "movieId,rating,timestamp\n1,5,20\n2,4,10\n"), MOVIES, HALF_STARS
        )
        assert timed.sort_values("rated_at")["movie_id"].tolist() == [2, 1]
        untimed = collect_new_ratings([], self.write(tmp_path, "movieId,rating\n2,5\n1,4\n"), MOVIES, HALF_STARS)
        assert untimed.sort_values("rated_at")["movie_id"].tolist() == [2, 1]

    def test_a_file_without_its_columns_or_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(Exception, match="has no column movieId and no rating"):
            self.write(tmp_path, "a,b\n1,2\n")
        with pytest.raises(Exception, match=r"nobody\.csv cannot be read"):
            NewUserCsv(filepath=str(tmp_path / "nobody.csv")).load()
