"""A table is replaced by a complete one only, and looked for and previewed without Spark."""

import pytest
from kedro.io import DatasetError
from pyspark.sql import SparkSession
from pyspark.testing import assertDataFrameEqual

from movie_recs.datasets.spark_table import SparkTable


@pytest.fixture
def without_spark(monkeypatch):
    """A function after whose call no Spark session can be had."""

    def forbid():
        def refuse(self):
            raise AssertionError("Spark was asked for")

        monkeypatch.setattr(SparkSession.Builder, "getOrCreate", refuse)

    return forbid


@pytest.fixture
def rows(spark):
    return spark.sql("select id, array(string(id), 'x') names from range(3)")


def test_what_was_saved_is_loaded_and_nothing_else_is_left(tmp_path, rows):
    table = SparkTable(filepath=str(tmp_path / "deep" / "table"))
    table.save(rows)
    assertDataFrameEqual(table.load(), rows)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["table"]


def test_a_save_replaces_the_table(tmp_path, spark, rows):
    table = SparkTable(filepath=str(tmp_path / "table"))
    table.save(rows)
    other = spark.sql("select 7 answer")
    table.save(other)
    assertDataFrameEqual(table.load(), other)
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_save_that_fails_midway_leaves_the_earlier_table(tmp_path, spark, rows):
    table = SparkTable(filepath=str(tmp_path / "table"))
    table.save(rows)
    failing = spark.sql("select if(id = 3, raise_error('broken'), id) id from range(0, 4, 1, 2)")
    with pytest.raises(DatasetError, match="broken"):
        table.save(failing)
    assertDataFrameEqual(table.load(), rows)
    table.save(rows.limit(1))
    assert table.load().count() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table"]


def test_a_table_is_looked_for_without_spark(tmp_path, without_spark):
    (tmp_path / "table").mkdir()
    without_spark()
    assert SparkTable(filepath=str(tmp_path / "table")).exists()
    assert not SparkTable(filepath=str(tmp_path / "none")).exists()


def test_a_preview_shows_the_first_rows_without_spark(tmp_path, rows, without_spark):
    table = SparkTable(filepath=str(tmp_path / "table"))
    table.save(rows.coalesce(1))
    without_spark()
    preview = table.preview(nrows=2)
    assert preview["columns"] == ["id", "names"]
    assert preview["data"] == [["0", "0, x"], ["1", "1, x"]]
    assert len(table.preview()["data"]) == 3


def test_a_run_that_died_between_the_two_moves_leaves_the_earlier_table(tmp_path, rows):
    table = SparkTable(filepath=str(tmp_path / "table"))
    table.save(rows)
    (tmp_path / "table").rename(tmp_path / "table.replaced")
    (tmp_path / "table.staged").mkdir()
    assert table.exists()
    assertDataFrameEqual(table.load(), rows)
    table.save(rows.limit(1))
    assert table.load().count() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
