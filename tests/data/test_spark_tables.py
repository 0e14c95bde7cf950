"""A table without rows has its columns and types, and takes no job."""

import pytest

from movie_recs.data.schemas import TABLES
from movie_recs.data.spark_tables import no_rows


@pytest.mark.parametrize("schema", [*TABLES.values(), "`user` string, `item` string"])
def test_it_is_as_from_an_empty_list(spark, schema):
    found = no_rows(spark, schema)
    assert found.schema == spark.createDataFrame([], schema).schema
    assert found.collect() == []


def test_it_takes_no_job(spark):
    group = "a table without rows"
    spark.sparkContext.setJobGroup(group, "")
    try:
        assert no_rows(spark, TABLES["movies"]).collect() == []
        assert list(spark.sparkContext.statusTracker().getJobIdsForGroup(group)) == []
    finally:
        spark.sparkContext.setJobGroup("", "")
