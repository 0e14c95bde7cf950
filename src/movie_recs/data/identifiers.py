"""Ids of any kind as the 32-bit integers that Spark ML takes, and back.

A table (id int, original string) holds the number of each id, in the order of the ids as text, whatever the
partitioning. Where the ids are such integers themselves it has no rows, and `original` is an integer. Tables between
the raw files and the outputs hold numbers; parameters, outputs and the page hold the original ids.
"""

from collections.abc import Iterable, Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import StringType

from movie_recs.data.id_numbers import Id, own_numbers
from movie_recs.parameter_types import NEWEST_ID

IDS = "id int, original string"
OWN_NUMBERS = "id int, original int"


def is_number(text: Column) -> Column:
    """Whether the text is an integer that is its own number: 007 is not, which would lose its zeros."""
    digits = F.trim(text)
    value = F.when(digits.rlike(r"\A[1-9]\d{0,9}\z"), digits).try_cast("bigint")
    return F.coalesce(value <= NEWEST_ID, F.lit(False))


def are_own_numbers(ids: DataFrame) -> bool:
    """Whether the ids are their own numbers; known without a Spark job."""
    return not isinstance(ids.schema["original"].dataType, StringType)


def number_ids(texts: DataFrame) -> DataFrame:
    """(id int from 1, original string) of the distinct ids in a table of one column of text; missing ids have none."""
    (column,) = texts.columns
    originals = texts.select(F.trim(column).alias("original")).filter(F.col("original") != "").distinct()
    # One task sorts them all: there are few ids beside the ratings.
    return originals.select(F.row_number().over(Window.orderBy("original")).alias("id"), "original")


def to_numbers(table: DataFrame, ids: DataFrame, *columns: str) -> DataFrame:
    """The table with numbers in these columns of original ids; null for an id that has none."""
    if are_own_numbers(ids):
        return table.withColumns({column: F.col(column).cast("int") for column in columns})
    texts = table.withColumns({column: F.col(column).cast("string") for column in columns})
    return _replace(texts, ids.select(F.col("original").alias("old"), F.col("id").alias("new")), columns)


def to_originals(table: DataFrame, ids: DataFrame, *columns: str) -> DataFrame:
    """The table with original ids in these columns of numbers."""
    if are_own_numbers(ids):
        return table
    return _replace(table, ids.select(F.col("id").alias("old"), F.col("original").alias("new")), columns)


def with_originals(table: DataFrame, ids: DataFrame, column: str, name: str = "original") -> DataFrame:
    """The table with one column more, `name`: the original ids of the numbers in `column`."""
    return to_originals(table.withColumn(name, F.col(column)), ids, name)


def numbers_of(originals: Sequence[Id], ids: DataFrame) -> dict[Id, int]:
    """The number of each of these ids that has one, in their order."""
    if are_own_numbers(ids):
        return own_numbers(originals)
    texts = [str(each) for each in originals]
    found = {row["original"]: row["id"] for row in ids.filter(F.col("original").isin(texts)).collect()}
    return {each: found[str(each)] for each in originals if str(each) in found}


def originals_of(numbers: Iterable[int], ids: DataFrame) -> dict[int, Id]:
    """The original id of each of these numbers."""
    numbers = list(numbers)
    if are_own_numbers(ids):
        return dict(zip(numbers, numbers, strict=True))
    return {row["id"]: row["original"] for row in ids.filter(F.col("id").isin(numbers)).collect()}


def _replace(table: DataFrame, pairs: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The table with the `new` of each value that is `old` in the pairs."""
    wanted = table.columns
    for column in columns:
        pair = pairs.select(F.col("old").alias(column), F.col("new").alias("new"))
        table = table.join(pair, column, how="left").drop(column).withColumnRenamed("new", column)
    return table.select(*wanted)
