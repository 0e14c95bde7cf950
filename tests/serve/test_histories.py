"""Users' ratings and vectors, read by the row from tables in any order."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serve import data_set

from movie_recs.model.factor_model import factor_rows
from movie_recs.serve import histories, spill, users

OLDEST = -(2**63)


@pytest.fixture(params=["memory", "file"])
def carrier(request, monkeypatch) -> None:
    if request.param == "file":
        monkeypatch.setattr(spill, "MOST_IN_MEMORY", 0)


def rows(table: pa.Table) -> list[tuple]:
    return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.usefixtures("carrier")
def test_each_user_has_her_ratings_whatever_their_order_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(histories, "ROWS_AT_A_TIME", 5)
    table = data_set.ratings()
    data_set.write_table(tmp_path / "ratings", table.slice(0, 9), table.slice(9, 1), table.slice(10))
    read = histories.read_histories(sorted((tmp_path / "ratings").iterdir()))
    times = table["rated_at"].cast(pa.int64()).fill_null(OLDEST).to_pylist()
    whole = list(zip(*(table[name].to_pylist() for name in ("user_id", "movie_id", "rating")), times, strict=True))
    for user in data_set.USERS:
        expected = sorted((one, movie, stars, 0, time) for one, movie, stars, time in whole if one == user)
        assert rows(read.of(user)) == expected
    assert len(read.of(0)) == len(read.of(99)) == 0
    counts = [table["movie_id"].to_pylist().count(movie) for movie in data_set.MOVIE_IDS]
    assert read.counts(np.array(data_set.MOVIE_IDS)).tolist() == counts


def test_a_table_without_rows_has_no_users(tmp_path):
    data_set.write_table(tmp_path / "ratings", data_set.ratings().slice(0, 0))
    read = histories.read_histories(list((tmp_path / "ratings").iterdir()))
    assert len(read.of(1)) == 0
    assert read.counts(np.array([1, 2])).tolist() == [0, 0]


def test_times_of_spark_are_microseconds(tmp_path):
    table = data_set.ratings().slice(0, 3)
    pq.write_table(table, tmp_path / "part.parquet", use_deprecated_int96_timestamps=True)
    read = histories.read_histories([tmp_path / "part.parquet"])
    expected = table["rated_at"].cast(pa.int64()).fill_null(OLDEST).to_pylist()
    assert sorted(read.times.tolist()) == sorted(expected)


@pytest.mark.usefixtures("carrier")
def test_a_user_has_her_vector_and_an_unknown_one_the_means(tmp_path):
    vectors = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 12.0]])
    rows = factor_rows(np.array([7, 2, 5]), np.array([0.5, 1.0, 0.0]), vectors)
    data_set.write_table(tmp_path / "users", rows.slice(0, 1), rows.slice(1))
    side = users.read_users(sorted((tmp_path / "users").iterdir()))
    two, nobody = side.one(2), side.one(3)
    assert (two.ids.tolist(), two.bias.tolist()) == ([2], [1.0, 0.5])
    assert two.features.tolist() == [[3, 4], [3, 6]]
    assert (nobody.ids.tolist(), nobody.features.tolist()) == ([], [[3, 6]])
