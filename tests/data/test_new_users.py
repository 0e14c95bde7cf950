"""Ratings of people who are not in the data: how titles are found, and the messages for those that are not."""

import pandas as pd
import pytest

from data import exports
from movie_recs.data.new_users import NewRatings, collect_new_ratings
from movie_recs.data.parameters import NewUser
from movie_recs.data.scale import HALF_STARS, WHOLE_STARS, Scale
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

EXPORTED = pd.DataFrame(exports.MOVIES, columns=["movie_id", "title", "year", "imdb_id"]).assign(
    original=lambda movies: movies["movie_id"]
)


def no_file() -> pd.DataFrame:
    return NewUserCsv(filepath=None).load()


def found(movie: int | str) -> int:
    return (
        collect_new_ratings([NewUser(name="Ada", ratings={movie: 4})], no_file(), MOVIES, HALF_STARS)
        .ratings["movie_id"]
        .item()
    )


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
    table, _ = collect_new_ratings(
        [NewUser(name="Ada", ratings={1: 2, 2: 3, "Toy Story": 5})], no_file(), MOVIES, HALF_STARS
    )
    assert table[["movie_id", "rating"]].to_numpy().tolist() == [[2, 3], [1, 5]]
    assert table["rated_at"].is_monotonic_increasing


def test_a_name_that_is_given_twice_is_an_error():
    with pytest.raises(UserError, match="the name 'Ada' is given twice: choose another"):
        collect_new_ratings([NewUser(name="Ada", ratings={1: 2})] * 2, no_file(), MOVIES, HALF_STARS)


def test_a_new_user_without_ratings_adds_no_row():
    assert collect_new_ratings([NewUser(name="Ada", ratings={})], no_file(), MOVIES, HALF_STARS).ratings.empty


class TestFile:
    def write(self, tmp_path, text: str) -> pd.DataFrame:
        path = tmp_path / "grace.csv"
        path.write_text(text, encoding="utf-8-sig")
        return NewUserCsv(filepath=str(path)).load()

    def test_bad_rows_are_left_out_and_logged(self, tmp_path, caplog):
        rows = self.write(tmp_path, "userId,movieId,rating,timestamp\n1,1,5,10\n1,99,4,11\n1,2,six,12\n1,2,5.5,13\n")
        table, unmatched = collect_new_ratings([], rows, MOVIES, HALF_STARS)
        assert table[["name", "movie_id", "rating"]].to_numpy().tolist() == [["grace", 1, 5]]
        assert "3 of 4 ratings from GroupLens are left out" in caplog.text
        assert "99: no movie here has this id; 2: six is not on the scale; 2: 5.5 is not on the scale." in caplog.text
        assert unmatched[["movie", "rating"]].to_numpy().tolist() == [["99", "4"], ["2", "six"], ["2", "5.5"]]

    def test_rows_with_times_that_are_no_seconds_are_left_out_and_counted(self, tmp_path, caplog):
        rows = self.write(tmp_path, "movieId,rating,timestamp\n1,5,20\n2,4,1420070400000\n3,4,inf\n4,4,-1\n5,4,\n")
        table, _ = collect_new_ratings([], rows, MOVIES, HALF_STARS)
        assert table["movie_id"].tolist() == [1, 5]
        assert "3 of 5 ratings from GroupLens are left out" in caplog.text

    def test_times_decide_which_is_later_and_without_them_the_order(self, tmp_path):
        timed, _ = collect_new_ratings(
            [], self.write(tmp_path, "movieId,rating,timestamp\n1,5,20\n2,4,10\n"), MOVIES, HALF_STARS
        )
        assert timed.sort_values("rated_at")["movie_id"].tolist() == [2, 1]
        untimed, _ = collect_new_ratings([], self.write(tmp_path, "movieId,rating\n2,5\n1,4\n"), MOVIES, HALF_STARS)
        assert untimed.sort_values("rated_at")["movie_id"].tolist() == [2, 1]

    def test_a_file_without_its_columns_or_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(Exception, match="has the columns a, b: write one of the headers of IMDb's"):
            self.write(tmp_path, "a,b\n1,2\n")
        with pytest.raises(Exception, match=r"nobody\.csv cannot be read"):
            NewUserCsv(filepath=str(tmp_path / "nobody.csv")).load()


def imported(tmp_path, content: bytes, scale: Scale | None = HALF_STARS, name: str = "ada.csv") -> NewRatings:
    path = tmp_path / name
    path.write_bytes(content)
    return collect_new_ratings([], NewUserCsv(filepath=str(path)).load(), EXPORTED, scale)


def stars_of(read: NewRatings) -> dict[int, float]:
    return read.ratings.set_index("movie_id")["rating"].to_dict()


def left_of(read: NewRatings) -> list[tuple[str, str]]:
    return list(read.unmatched[["movie", "reason"]].itertuples(index=False, name=None))


class TestExports:
    def test_imdb_s_ratings_are_found_by_id_and_else_by_title_and_year(self, tmp_path, caplog):
        read = imported(tmp_path, exports.IMDB.encode())
        assert stars_of(read) == exports.FROM_IMDB
        assert left_of(read) == exports.LEFT_OF_IMDB
        assert read.ratings["rated_at"].iloc[0] == pd.Timestamp("2024-03-01")
        assert "3 of 7 ratings from IMDb are left out" in caplog.text

    @pytest.mark.parametrize("is_zipped", [False, True])
    def test_letterboxd_s_are_found_by_title_and_year_alone(self, tmp_path, is_zipped):
        content = exports.zipped(exports.LETTERBOXD) if is_zipped else exports.LETTERBOXD.encode()
        read = imported(tmp_path, content, name="ada.zip")
        assert stars_of(read) == exports.FROM_LETTERBOXD
        assert left_of(read) == exports.LEFT_OF_LETTERBOXD

    @pytest.mark.parametrize(
        ("scale", "stars"),
        [
            (WHOLE_STARS, {1: 5.0, 3: 4.0, 5: 1.0, 7: 4.0}),
            (Scale.make(1, 10, 1), {1: 9.0, 3: 7.0, 5: 1.0, 7: 8.0}),
            (Scale.make(-10, 10, None), {1: 8.0, 3: 4.0, 5: -8.0, 7: 6.0}),
            (None, {1: 1.0, 3: 1.0, 5: 1.0, 7: 1.0}),
        ],
    )
    def test_ratings_are_put_on_the_scale_of_the_data(self, tmp_path, scale, stars):
        assert stars_of(imported(tmp_path, exports.IMDB.encode(), scale)) == pytest.approx(stars)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (
                exports.zipped(exports.LETTERBOXD, "other.csv"),
                r"ada\.zip cannot be read: there is no ratings\.csv in it",
            ),
            (exports.zipped(exports.LETTERBOXD)[:300], r"ada\.zip cannot be read: "),
            (exports.zipped("Name,Year\nToy Story,1995\n"), r"has the columns Name, Year: write one of the headers"),
            (b"Name,Year,Rating\n\xff\xfe,1995,4\n", r"ada\.zip cannot be read: "),
        ],
    )
    def test_a_file_that_is_none_of_them_is_one_sentence(self, tmp_path, content, said):
        path = tmp_path / "ada.zip"
        path.write_bytes(content)
        with pytest.raises(UserError, match=said):
            NewUserCsv(filepath=str(path)).check()
