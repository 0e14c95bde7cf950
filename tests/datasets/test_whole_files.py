"""Files that only whole ones replace; CSV files without formulas; previews of Parquet files with lists."""

import copy
import json

import pandas as pd
import plotly.graph_objects as go
import pytest
from kedro.io import DatasetError

from movie_recs.datasets.whole_files import WholeCsv, WholeFigure, WholeJson, WholeParquet, WholeText

TITLES = ["=1+1", "+1", "-(!)", "@home", "\t=1", "'=1", "''-x", "'Round Midnight", "Heat", "a=b", "5", float("nan")]


@pytest.fixture
def saved(tmp_path):
    table = pd.DataFrame({"movie_id": range(len(TITLES)), "title": TITLES, "score": -0.5})
    dataset = WholeCsv(
        filepath=str(tmp_path / "lists.csv"), save_args={"index": False}, load_args={"dtype": {"title": str}}
    )
    dataset.save(table)
    return dataset, table, (tmp_path / "lists.csv").read_text()


def test_no_text_is_a_formula_and_numbers_stay(saved):
    _, _, content = saved
    fields = [line.split(",") for line in content.splitlines()[1:]]
    assert [title.strip('"')[:1] in "=+-@\t" and title != "" for _, title, _ in fields] == [False] * len(TITLES)
    assert [score for *_, score in fields] == ["-0.5"] * len(TITLES)
    assert "'=1+1" in content
    assert "\n7,'Round Midnight," in content


def test_texts_are_the_same_again(saved):
    dataset, table, _ = saved
    pd.testing.assert_frame_equal(dataset.load(), table)


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
    table = WholeParquet(filepath=str(tmp_path / "deep" / "movies.parquet"))
    table.save(MOVIES)
    assert table.load()["year"].tolist() == MOVIES["year"].tolist()
    assert [list(genres) for genres in table.load()["genres"]] == MOVIES["genres"].tolist()


def test_a_preview_is_the_first_rows_as_text(tmp_path):
    table = WholeParquet(filepath=str(tmp_path / "movies.parquet"))
    table.save(MOVIES)
    preview = json.loads(json.dumps(table.preview(nrows=2)))
    assert preview["columns"] == MOVIES.columns.tolist()
    assert preview["data"] == [
        ["1", "Toy Story", "1995", "Animation, Comedy", "3.5", "2000-07-30 18:45:03"],
        ["2", "Jumanji", "", "", "0.333333", ""],
    ]
    assert len(table.preview()["data"]) == len(MOVIES)


def test_a_preview_of_no_rows_has_the_columns(tmp_path):
    table = WholeParquet(filepath=str(tmp_path / "movies.parquet"))
    table.save(MOVIES.head(0))
    assert table.preview() == {"index": [], "columns": MOVIES.columns.tolist(), "data": []}


TABLE = pd.DataFrame({"title": ["Heat"]})
DATASETS = [
    (WholeCsv, TABLE, TABLE[:0]),
    (WholeParquet, TABLE, TABLE[:0]),
    (WholeJson, {"rmse": 0.8}, {"rmse": object()}),  # fails after its first characters are written
    (WholeText, "page", 17),
    (WholeFigure, go.Figure(), "no figure"),
]


@pytest.mark.parametrize(("kind", "old", "new"), DATASETS)
def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(kind, old, new, tmp_path, monkeypatch):
    path = tmp_path / "deep" / "file"
    dataset = kind(filepath=str(path))
    dataset.save(old)
    before = path.read_bytes()
    if kind in (WholeCsv, WholeParquet):  # as on a full disk
        monkeypatch.setattr(pd.DataFrame, "to_csv" if kind is WholeCsv else "to_parquet", fail)
    with pytest.raises(DatasetError):
        dataset.save(new)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def fail(*_, path_or_buf=None, **__):
    if path_or_buf is not None:
        path_or_buf.write("half a li")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("kind", "old", "new"), DATASETS)
def test_what_a_killed_save_has_left_is_written_over(kind, old, new, tmp_path):
    (tmp_path / "file.part").write_text("half a fi")
    dataset = kind(filepath=str(tmp_path / "file"))
    assert not dataset.exists()
    dataset.save(old)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert dataset.exists()


def test_a_dataset_may_be_copied(tmp_path):
    dataset = copy.deepcopy(WholeText(filepath=str(tmp_path / "file")))
    dataset.save("page")
    assert dataset.load() == "page"


@pytest.mark.parametrize(
    ("kind", "content"),
    [(WholeJson, b""), (WholeJson, b'{"rmse": 0.'), (WholeCsv, b""), (WholeParquet, b"PAR1"), (WholeFigure, b"{")],
)
def test_a_damaged_file_is_told_with_its_path_and_what_to_do(kind, content, tmp_path):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{tmp_path}/file is damaged \(.+\): run `kedro run` again"):
        kind(filepath=str(tmp_path / "file")).load()
