"""New rows of one's own data, however they are written, read without Spark."""

import json
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movie_recs.data.scale import Scale
from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import LAYOUTS, Source
from movie_recs.data.sources.plain import PlainTable
from movie_recs.data.sources.profile import Profile
from movie_recs.errors import UserError
from movie_recs.pipelines.refresh.nodes import find_new_rows
from movie_recs.report.parameters import RefreshParameters

TEN = Scale.make(1, 10, 0.5)
KNOWN = [("ann", "m1", 7.5, datetime(2020, 1, 1)), ("bob", "m2", 3.0, None)]
NEW = [("ann", "m2", 9.0, datetime(2021, 5, 6, 7, 8, 9)), ("zoë", "new one", 4.5, datetime(2021, 1, 1))]
COLUMNS = ["who", "what", "points", "when"]
ROLES = {"user": "who", "item": "what", "rating": "points", "time": "when"}


def write_csv(path):
    """With a decimal comma, quotes around some fields, an empty line, and three rows that are left."""
    rows = [(*row[:2], f"{row[2]}".replace(".", ","), row[3] or "") for row in KNOWN + NEW]
    lines = [";".join(map(str, row)) for row in rows]
    lines += ["", "ann;m1;12,0;2022-01-01", " ann;m1;7,0;2022-01-01", "ann;m1;7,0;2022-02-30", "ann"]
    lines[0] = f'"ann";"m1";7,5;{KNOWN[0][3]}'
    path.write_text("\n".join([";".join(COLUMNS), *lines]), encoding="utf-8")
    return {"format": "csv", "separator": ";", "decimal": ","}, 4


def write_latin(path):
    options, left = write_csv(path)
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    return {**options, "encoding": "ISO-8859-1"}, left


def write_parquet(path):
    columns = zip(*(KNOWN + NEW), strict=True)
    pq.write_table(pa.table(dict(zip(COLUMNS, columns, strict=True))), path)
    return {"format": "parquet"}, 0


def write_json(path):
    rows = [{**dict(zip(COLUMNS, row, strict=True)), "when": row[3] and str(row[3])} for row in KNOWN + NEW]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return {"format": "json"}, 0


def ids(*originals: str) -> pa.Table:
    return pa.table({"id": pa.array(range(1, len(originals) + 1), pa.int32()), "original": list(originals)})


def clean(rows) -> pa.Table:
    users, movies, ratings, times = zip(*rows, strict=True)
    return pa.table({
        "user_id": pa.array(users, pa.int32()), "movie_id": pa.array(movies, pa.int32()),
        "rating": pa.array(ratings, pa.float32()), "rated_at": pa.array(times, pa.timestamp("us")),
    })  # fmt: skip


def refresh(path, options: dict, scale: Scale | None = TEN, is_there: bool = True):
    described = {**options, "ratings": {"file": path.name, **ROLES}}
    source = Source(SourceDescription.model_validate(described))
    nothing = PlainTable(None, source, "items")
    movies = pa.table({
        "movie_id": pa.array([1, 2], pa.int32()), "title": ["m1", "m2"], "year": pa.array([None, 1999], pa.int32()),
        "genres": pa.array([[], ["x"]], pa.list_(pa.string())), "imdb_id": pa.array([None, "1"]),
        "tmdb_id": pa.array([None, None], pa.int32()),
    })  # fmt: skip
    set_aside = pa.table({name: pa.array([], pa.string()) for name in ("file", "reason", "record")})
    return find_new_rows(
        PlainTable(str(path) if is_there else None, source, "ratings"),
        nothing,
        nothing,
        clean([(1, 1, 7.5, KNOWN[0][3]), (2, 2, 3.0, None)]),
        movies,
        ids("ann", "bob"),
        ids("m1", "m2"),
        set_aside,
        Profile(False, False, "iso", scale).to_json(),
        RefreshParameters(),
    )


@pytest.mark.parametrize("write", [write_csv, write_latin, write_parquet, write_json])
def test_new_ratings_of_own_data_are_found_with_new_ids(tmp_path, write):
    """A user and a movie are new; the movie, of which nothing else is known, has its id as its title."""
    options, left = write(tmp_path / "ratings")
    found = refresh(tmp_path / "ratings", options)
    rows = [(1, 1, 7.5, KNOWN[0][3]), (2, 2, 3.0, None), (1, 2, 9.0, NEW[0][3]), (3, 3, 4.5, NEW[1][3])]
    assert found.ratings.cast(clean(rows).schema).to_pylist() == clean(rows).to_pylist()
    assert found.user_ids["original"].to_pylist() == ["ann", "bob", "zoë"]
    assert found.movie_ids["original"].to_pylist() == ["m1", "m2", "new one"]
    assert found.movies.to_pylist()[2] == {
        **{"movie_id": 3, "title": "new one", "genres": []},
        **dict.fromkeys(("year", "imdb_id", "tmdb_id")),
    }
    assert found.touched.tolist() == [1, 3]
    assert found.counts == {
        "new_ratings": 2, "users": 2, "new_users": 1, "new_movies": 1, "left": left, "vanished": 0
    }  # fmt: skip


def test_events_and_ratings_in_no_file_need_a_whole_run(tmp_path):
    options, _ = write_json(tmp_path / "ratings")
    with pytest.raises(UserError, match="the strength of events is a sum over all of them"):
        refresh(tmp_path / "ratings", options, scale=None)
    with pytest.raises(UserError, match=r"name one of new ratings by refresh\.ratings"):
        refresh(tmp_path / "ratings", options, is_there=False)


@pytest.mark.parametrize(("layout", "line"), [("::", "1::2::4.5::5"), ("u.data", "1\t2\t4\t5")])
def test_older_releases_are_read_too(tmp_path, layout, line):
    (tmp_path / "ratings").write_text(f"{line}\n{line.replace('2', '3', 1)}\nx\n")
    (batch, rest) = PlainTable(str(tmp_path / "ratings"), Source(LAYOUTS[layout], layout), "ratings").batches()
    assert batch["item"].to_pylist() + rest["item"].to_pylist() == [b"2", b"3", None]
    assert batch["time"].to_pylist() == [b"5", b"5"]
    assert rest["record"].to_pylist() == [b"x"]
