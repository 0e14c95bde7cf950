"""Rows that are taken without Spark have the values that the oracle gives them; none is taken that it sets aside."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from fuzz import oracle, rows
from fuzz.comparison import SOURCE

from movie_recs.data.id_numbers import IdTable
from movie_recs.data.interactions import NO_TIME
from movie_recs.data.merging import Merger
from movie_recs.data.plain_cleaning import Ratings, plain_ratings
from movie_recs.data.plain_movies import new_movies
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.sources.plain import PlainTable

SEEDS = [1, 2, 3, 5, 10]  # the last two make files in Latin-1
ROWS = 2_000
MICROSECONDS = 1_000_000


def own_numbers() -> IdTable:
    return IdTable(pa.table({"id": pa.array([], pa.int32()), "original": pa.array([], pa.int32())}))


def values_of(ratings: Ratings) -> list[tuple]:
    times = [None if time == NO_TIME else time // MICROSECONDS for time in ratings.times.tolist()]
    return list(zip(*(column.tolist() for column in ratings[:3]), times, strict=True))


def as_ratings(found: list[tuple]) -> Ratings:
    users, movies, stars, times = zip(*found, strict=True) if found else [()] * 4
    micros = [NO_TIME if time is None else time * MICROSECONDS for time in times]
    columns = zip((users, movies, stars, micros), (np.int32, np.int32, np.float32, np.int64), strict=True)
    return Ratings(*(np.array(values, kind) for values, kind in columns))


def read(path) -> tuple[list[tuple], int]:
    """The values of the plain ratings, and the number of rows that are left."""
    found, left = [], 0
    for batch in PlainTable(str(path), SOURCE, "ratings").batches():
        ratings, plain = plain_ratings(batch, "seconds", HALF_STARS, own_numbers(), own_numbers())
        found += values_of(ratings)
        left += int((~plain).sum())
    return found, left


@pytest.mark.parametrize("seed", SEEDS)
def test_ratings_that_are_taken_are_clean_with_these_values(tmp_path, seed):
    content, ways = rows.corrupted_file(seed, "ratings", ROWS)
    (tmp_path / "ratings.csv").write_bytes(content)
    expected = Counter(row.values for row in oracle.parse("ratings", content) if not row.reason)
    found, left = read(tmp_path / "ratings.csv")
    assert Counter(found) - expected == Counter()
    assert len(found) > ways["as it should be"] + ways["all quoted"] * 0.9
    assert len(found) + left == len(oracle.parse("ratings", content))  # every other row is counted


@pytest.mark.parametrize("seed", SEEDS)
def test_movies_that_are_taken_are_clean_with_these_values(tmp_path, seed):
    content, ways = rows.corrupted_file(seed, "movies", ROWS)
    (tmp_path / "movies.csv").write_bytes(content)
    expected = {row.values for row in oracle.parse("movies", content) if not row.reason}
    items, links = PlainTable(str(tmp_path / "movies.csv"), SOURCE, "items"), PlainTable(None, SOURCE, "links")
    table, left = new_movies(items, links, own_numbers(), set(), are_own=False)
    found = {(row["movie_id"], row["title"], row["year"], tuple(row["genres"])) for row in table.to_pylist()}
    assert found - expected == set()
    assert left > 0
    assert len(found) > ways["as it should be"] * 0.8  # some are twice
    assert new_movies(items, links, own_numbers(), {row[0] for row in expected}, are_own=False)[0].num_rows == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_latest_rating_counts_whether_it_is_known_or_new(seed):
    """As the oracle judges all of them together; many have no time, or the same."""
    random = np.random.default_rng(seed)
    written = [
        (int(user), int(movie), stars / 2, None if time == 0 else int(time))
        for user, movie, stars, time in zip(*(random.integers(1, high, 600) for high in (9, 9, 11, 3)), strict=True)
    ]
    movies = set(range(9))
    known, everything = (
        {row.values for row in oracle.judge("ratings", judged, movies) if not row.reason}
        for judged in ([oracle.Row(json.dumps(each), None, each) for each in part] for part in (written[:200], written))
    )
    merger = Merger(as_ratings(sorted(known, key=str)), is_whole=False)
    for part in (written[200:300], [], written[300:]):
        merger.add(as_ratings(part))
    merged = merger.merge()
    assert set(values_of(merged.ratings)) == everything
    assert len(merged.ratings.users) == len(everything)
    assert set(values_of(merged.ratings.take(merged.is_new))) == everything - known


def test_of_a_whole_table_what_has_vanished_stays_and_what_was_rewritten_counts():
    known = as_ratings([(1, 1, 4.0, 50), (1, 2, 3.0, 60), (2, 1, 5.0, 70)])
    merger = Merger(known, is_whole=True)
    merger.add(as_ratings([(1, 1, 4.0, 50), (1, 1, 1.0, 40), (1, 2, 2.0, 10)]))  # of 1, 1 an older one; 1, 2 anew
    merged = merger.merge()
    assert values_of(merged.ratings) == [(1, 1, 4.0, 50), (1, 2, 2.0, 10), (2, 1, 5.0, 70)]
    assert merged.is_new.tolist() == [False, True, False]
    assert merged.vanished == 1


def test_ids_that_are_text_get_numbers_as_they_come():
    table = pa.table({"id": pa.array([1, 2], pa.int32()), "original": ["a", "b"]})
    ids = IdTable(table)
    column = pa.chunked_array([pa.array([b"b", b"z", b" b", b"\xff", None, b"y", b"z"], pa.binary())])
    plain = ids.are_plain(column)
    assert plain.tolist() == [True, True, False, False, False, True, True]
    assert ids.number(column.filter(pa.array(plain))).tolist() == [2, 3, 4, 3]
    assert ids.table["original"].to_pylist() == ["a", "b", "z", "y"]
    assert ids.table["id"].to_pylist() == [1, 2, 3, 4]
