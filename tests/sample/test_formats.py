"""The sample in other layouts, parsed by hand and compared with its CSV twin."""

import csv
import math
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest

from movie_recs.sample.__main__ import SampleSpec, main, write_sample
from movie_recs.sample.formats import FORMATS, original_item, original_user, write_format
from movie_recs.sample.grouplens import LATIN_1, ML_100K_GENRES, latin_1, whole_stars

SMALL = SampleSpec(users=60, movies=300, ratings_per_user=25, seed=7)
FILES = {
    "ml-100k": {"u.data", "u.item", "u.genre", "u.user"}
    | {f"u{split}.{part}" for split in "12345ab" for part in ("base", "test")},
    "ml-1m": {"ratings.dat", "movies.dat", "users.dat"},
    "ml-10m": {"ratings.dat", "movies.dat", "tags.dat"}
    | {f"r{split}.{part}" for split in "12345ab" for part in ("train", "test")},
    "ml-20m": {"ratings.csv", "movies.csv", "tags.csv", "links.csv"},
    "uuid": {"scores.csv", "books.csv"},
    "ten-stars": {"ratings.csv", "items.csv"},
    "clicks": {"clicks.csv"},
    "parquet": {"ratings.parquet", "items.parquet"},
    "wide-ids": {"ratings.dat"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The sample as CSV, and in each format in a folder of its name."""
    folder = tmp_path_factory.mktemp("formats")
    write_sample(SMALL, folder / "csv")
    for name in FORMATS:
        write_format(name, folder / "csv", folder / name)
    return folder


def read_csv(path: Path, separator: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


def read_rows(path: Path, separator: str, encoding: str = "utf-8") -> list[tuple[str, ...]]:
    content = path.read_bytes()
    assert content.endswith(b"\n")
    assert b"\r" not in content
    return [tuple(line.split(separator)) for line in content.decode(encoding).removesuffix("\n").split("\n")]


@pytest.fixture(scope="module")
def ratings(folder) -> list[tuple[int, int, float, int]]:
    rows = read_csv(folder / "csv" / "ratings.csv")
    return [(int(its["userId"]), int(its["movieId"]), float(its["rating"]), int(its["timestamp"])) for its in rows]


@pytest.fixture(scope="module")
def movies(folder) -> list[tuple[int, str, list[str]]]:
    rows = read_csv(folder / "csv" / "movies.csv")
    genres = [[] if its["genres"] == "(no genres listed)" else its["genres"].split("|") for its in rows]
    return [(int(its["movieId"]), its["title"], listed) for its, listed in zip(rows, genres, strict=True)]


def with_whole_stars(ratings) -> list[tuple[int, int, int, int]]:
    return [(user, movie, math.ceil(stars), at) for user, movie, stars, at in ratings]


def split_title(title: str) -> tuple[str, str]:
    has_year = re.search(r" \(\d{4}\)$", title)
    return (title[:-7], title[-5:-1]) if has_year else (title, "")


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_its_files_and_says_that_it_is_synthetic(name, folder):
    assert {path.name for path in (folder / name).iterdir()} == FILES[name] | {"README.txt", "synthetic.json"}
    assert "synthetic" in (folder / name / "README.txt").read_text(encoding="utf-8")
    assert (folder / name / "synthetic.json").read_bytes() == (folder / "csv" / "synthetic.json").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_sizes_and_seed_give_the_same_bytes(name, folder, tmp_path):
    sizes = ["--users", "60", "--movies", "300", "--ratings-per-user", "25", "--seed", "7"]
    main(["--format", name, "--folder", str(tmp_path / "again"), *sizes])
    for file in FILES[name]:
        assert (tmp_path / "again" / file).read_bytes() == (folder / name / file).read_bytes(), file


def test_a_format_goes_to_a_folder_of_its_own_unless_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["--format", "clicks", "--users", "30", "--movies", "300", "--ratings-per-user", "20"])
    assert (tmp_path / "data/01_raw/sample-clicks/clicks.csv").exists()
    assert not (tmp_path / "data/01_raw/sample").exists()


def test_spark_writes_only_csv(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--spark", "--format", "ml-1m", "--folder", str(tmp_path / "unused")])
    assert "--spark writes csv only, not ml-1m" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_half_stars_are_rounded_up():
    halves = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0]
    assert [whole_stars(stars) for stars in halves] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_letters_that_latin_1_lacks_lose_their_marks():
    assert latin_1("Málaga to Gdańsk, by Zoë") == "Málaga to Gdansk, by Zoë"


# GroupLens' layouts


def test_ml_100k_ratings_are_those_of_the_twin_in_another_order(folder, ratings):
    rows = [tuple(map(int, row)) for row in read_rows(folder / "ml-100k" / "u.data", "\t")]
    assert sorted(rows) == sorted(with_whole_stars(ratings))
    assert rows != with_whole_stars(ratings)


def test_ml_100k_movies_are_those_of_the_twin(folder, movies):
    rows = read_rows(folder / "ml-100k" / "u.item", "|", LATIN_1)
    assert {len(row) for row in rows} == {24}
    expected = [(str(movie), latin_1(title)) for movie, title, _ in movies]
    assert [row[:2] for row in rows] == expected
    dates = [f"01-Jan-{year}" if year else "" for year in (split_title(title)[1] for _, title, _ in movies)]
    assert [row[2] for row in rows] == dates
    assert "" in dates
    assert {row[3] for row in rows} == {""}
    for row, (_, _, genres) in zip(rows, movies, strict=True):
        flagged = [genre for genre, flag in zip(ML_100K_GENRES, row[5:], strict=True) if flag == "1"]
        assert sorted(flagged) == sorted(genre.replace("Children", "Children's") for genre in genres or ["unknown"])


def test_ml_100k_genres_are_numbered_and_end_with_an_empty_line(folder):
    content = (folder / "ml-100k" / "u.genre").read_text(encoding="ascii")
    assert content.startswith("unknown|0\nAction|1\n")
    assert content.endswith("Western|18\n\n")


def test_every_user_is_described(folder, ratings):
    users = {str(user) for user, *_ in ratings}
    old = read_rows(folder / "ml-100k" / "u.user", "|")
    newer = read_rows(folder / "ml-1m" / "users.dat", "::")
    for rows in (old, newer):
        assert {len(row) for row in rows} == {5}
        assert {row[0] for row in rows} == users
    assert {row[2] for row in old} == {row[1] for row in newer} == {"F", "M"}
    assert {row[2] for row in newer} <= {"1", "18", "25", "35", "45", "50", "56"}


def test_ml_1m_is_the_twin_with_whole_stars(folder, ratings, movies):
    rows = [tuple(map(int, row)) for row in read_rows(folder / "ml-1m" / "ratings.dat", "::")]
    assert rows == with_whole_stars(ratings)
    listed = [
        (str(movie), latin_1(title), "|".join(genres).replace("Children", "Children's") or "(no genres listed)")
        for movie, title, genres in movies
    ]
    assert read_rows(folder / "ml-1m" / "movies.dat", "::", LATIN_1) == listed


def test_ml_10m_is_the_twin_with_half_stars_and_tags(folder, ratings, movies):
    rows = read_rows(folder / "ml-10m" / "ratings.dat", "::")
    assert [(int(user), int(movie), float(stars), int(at)) for user, movie, stars, at in rows] == ratings
    assert {stars for _, _, stars, _ in rows} == {"0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5"}
    listed = [(str(movie), title, "|".join(genres) or "(no genres listed)") for movie, title, genres in movies]
    assert read_rows(folder / "ml-10m" / "movies.dat", "::") == listed
    tags = read_csv(folder / "csv" / "tags.csv")
    assert read_rows(folder / "ml-10m" / "tags.dat", "::") == [tuple(its.values()) for its in tags]
    assert tags


@pytest.mark.parametrize("name", ["ml-100k/u.item", "ml-1m/movies.dat"])
def test_titles_in_latin_1_are_not_utf_8(name, folder):
    content = (folder / name).read_bytes()
    assert not content.isascii()
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")


def test_ml_20m_is_the_twin_to_the_byte(folder):
    for file in FILES["ml-20m"]:
        assert (folder / "ml-20m" / file).read_bytes() == (folder / "csv" / file).read_bytes()


SPLITS = [("ml-100k", "u.data", "\t", "u{}.base", "u{}.test"), ("ml-10m", "ratings.dat", "::", "r{}.train", "r{}.test")]


@pytest.mark.parametrize(("name", "whole", "separator", "train", "test"), SPLITS)
def test_splits_are_disjoint_and_complete(name, whole, separator, train, test, folder):
    rows = read_rows(folder / name / whole, separator)
    tests = {}
    for split in "12345ab":
        kept, tests[split] = (read_rows(folder / name / file.format(split), separator) for file in (train, test))
        assert sorted(kept + tests[split]) == sorted(rows)
    folds = [tests[fold] for fold in "12345"]
    assert sorted(row for fold in folds for row in fold) == sorted(rows)
    assert max(map(len, folds)) - min(map(len, folds)) < 5
    for split in "ab":
        assert set(Counter(user for user, *_ in tests[split]).values()) == {10}
    assert not set(tests["a"]) & set(tests["b"])


def test_the_splits_of_ml_100k_are_sorted_and_of_all_users_those_of_ml_10m_follow_the_file(folder):
    first = [tuple(map(int, row)) for row in read_rows(folder / "ml-100k" / "u1.test", "\t")]
    assert first == sorted(first)
    assert len({user for user, *_ in first}) > 50
    rows = read_rows(folder / "ml-10m" / "ratings.dat", "::")
    assert read_rows(folder / "ml-10m" / "r1.test", "::") == rows[: len(rows) // 5]


# Foreign layouts


def test_uuids_name_the_same_users_and_items(folder, ratings, movies):
    expected = [
        (original_user("uuid", user), original_item("uuid", movie), stars, datetime.fromtimestamp(at, UTC))
        for user, movie, stars, at in ratings
    ]
    rows = read_csv(folder / "uuid" / "scores.csv")
    read = [(its["reader"], its["isbn"], float(its["score"]), datetime.fromisoformat(its["at"])) for its in rows]
    assert read == expected
    assert len({user for user, *_ in expected}) == 60
    assert original_user("uuid", 1) != original_item("uuid", 1)
    books = [tuple(its.values()) for its in read_csv(folder / "uuid" / "books.csv")]
    assert books == [
        (original_item("uuid", movie), *split_title(title), "|".join(genres)) for movie, title, genres in movies
    ]


def test_ten_stars_are_twice_the_half_stars_with_a_decimal_comma(folder, ratings, movies):
    rows = read_csv(folder / "ten-stars" / "ratings.csv", ";")
    assert [tuple(its.values()) for its in rows] == [
        (str(user), str(movie), f"{int(2 * stars)},0", str(at * 1000)) for user, movie, stars, at in ratings
    ]
    items = [tuple(its.values()) for its in read_csv(folder / "ten-stars" / "items.csv", ";")]
    assert items == [(str(movie), *split_title(title)) for movie, title, _ in movies]


def test_clicks_are_the_pairs_of_the_twin_and_some_repeat(folder, ratings):
    rows = read_csv(folder / "clicks" / "clicks.csv")
    assert list(rows[0]) == ["visitor", "page", "at"]
    counts = Counter((int(its["visitor"]), int(its["page"])) for its in rows)
    assert list(counts) == [(user, movie) for user, movie, _, _ in ratings]
    assert set(counts.values()) == {1, 2, 3}
    first = dict.fromkeys(counts)
    for its in reversed(rows):
        first[int(its["visitor"]), int(its["page"])] = datetime.fromisoformat(its["at"])
    assert list(first.values()) == [datetime.fromtimestamp(at, UTC) for *_, at in ratings]
    last = datetime.fromisoformat(rows[-1]["at"])
    assert last - list(first.values())[-1] in {timedelta(minutes=10 * n) for n in range(3)}


def test_parquet_is_typed(folder, ratings, movies):
    table = pyarrow.parquet.read_table(folder / "parquet" / "ratings.parquet")
    assert [str(field.type) for field in table.schema] == ["int64", "int64", "double", "timestamp[us, tz=UTC]"]
    user, item, rating, time = (table[name].to_pylist() for name in ("user", "item", "rating", "time"))
    assert list(zip(user, item, rating, (int(at.timestamp()) for at in time), strict=True)) == ratings
    items = pyarrow.parquet.read_table(folder / "parquet" / "items.parquet")
    assert items.schema.field("genres").type == pyarrow.list_(pyarrow.string())
    assert [tuple(its.values()) for its in items.to_pylist()] == movies


def test_wide_ids_need_64_bits_and_name_the_same_users_and_items(folder, ratings):
    rows = read_rows(folder / "wide-ids" / "ratings.dat", "::")
    read = [(int(user), int(movie), float(stars), int(at)) for user, movie, stars, at in rows]
    assert min(min(user, movie) for user, movie, *_ in read) > 2**40
    assert read == [
        (original_user("wide-ids", user), original_item("wide-ids", movie), stars, at)
        for user, movie, stars, at in ratings
    ]


@pytest.mark.parametrize("name", ["ml-100k", "ml-1m", "ml-10m", "ml-20m", "ten-stars", "clicks", "parquet"])
def test_the_other_formats_keep_the_samples_ids(name):
    assert (original_user(name, 17), original_item(name, 471)) == (17, 471)
