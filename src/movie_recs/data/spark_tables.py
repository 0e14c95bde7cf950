"""Tables of Spark without rows."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F


def no_rows(spark: SparkSession, schema: str) -> DataFrame:
    """A table without rows, which takes no job: `createDataFrame([], schema)` would start Python workers for it.

    Args:
        spark: The session that creates it.
        schema: Names and types of the columns, which may be null.
    """
    null = F.from_json(F.lit(None).cast("string"), schema).alias("row")  # the one function that takes a schema
    return spark.range(1).select(null).select("row.*").limit(0)
