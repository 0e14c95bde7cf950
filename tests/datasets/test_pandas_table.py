"""A pandas table is kept as it is, and previewed as text that JSON can hold."""

import json

import pandas as pd

from movie_recs.datasets.pandas_table import PandasTable

MOVIES = pd.DataFrame(
    {
        "movie_id": [1, 2, 3],
        "title": ["Toy Story", "Jumanji", None],
        "year": pd.array([1995, None, 1995], dtype="Int64"),
        "genres": [["Animation", "Comedy"], [], ["Drama"]],
        "mean_rating": [3.5, 1 / 3, 4.0],
        "rated_at": pd.to_datetime(["2000-07-30 18:45:03", None, None]),
    }
)


def test_what_was_saved_is_loaded(tmp_path):
    table = PandasTable(filepath=str(tmp_path / "deep" / "movies.parquet"))
    table.save(MOVIES)
    assert table.load()["year"].tolist() == MOVIES["year"].tolist()
    assert [list(genres) for genres in table.load()["genres"]] == MOVIES["genres"].tolist()


def test_a_preview_is_the_first_rows_as_text(tmp_path):
    table = PandasTable(filepath=str(tmp_path / "movies.parquet"))
    table.save(MOVIES)
    preview = json.loads(json.dumps(table.preview(nrows=2)))
    assert preview["columns"] == MOVIES.columns.tolist()
    assert preview["data"] == [
        ["1", "Toy Story", "1995", "Animation, Comedy", "3.5", "2000-07-30 18:45:03"],
        ["2", "Jumanji", "", "", "0.333333", ""],
    ]
    assert len(table.preview()["data"]) == len(MOVIES)


def test_a_preview_of_no_rows_has_the_columns(tmp_path):
    table = PandasTable(filepath=str(tmp_path / "movies.parquet"))
    table.save(MOVIES.head(0))
    assert table.preview() == {"index": [], "columns": MOVIES.columns.tolist(), "data": []}
