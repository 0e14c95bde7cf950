"""`titles.display_title` for a column of Spark."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from movie_recs.data.titles import ELIDED, INVERTED


def display_title(title: str) -> Column:
    """The titles of this column with their articles in front, under its name; missing ones stay missing."""
    return F.regexp_replace(F.regexp_replace(title, INVERTED, "$1$3 $2"), ELIDED, "$1$3$2").alias(title)
