"""CSV files without formulas, whose texts are the same again when they are loaded."""

import pandas as pd
import pytest

from movie_recs.datasets.safe_csv import SafeCsv

TITLES = ["=1+1", "+1", "-(!)", "@home", "\t=1", "'=1", "''-x", "'Round Midnight", "Heat", "a=b", "5", float("nan")]


@pytest.fixture
def saved(tmp_path):
    table = pd.DataFrame({"movie_id": range(len(TITLES)), "title": TITLES, "score": -0.5})
    dataset = SafeCsv(
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
