"""Groups of users and movies, in which models are measured: by their number of ratings, and by decade of release."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

COUNTS = {  # label: largest number of ratings
    "0": 0,
    "1-9": 9,
    "10-19": 19,
    "20-49": 49,
    "50-99": 99,
    "100-199": 199,
    "200-499": 499,
    "500-999": 999,
    "1000-9999": 9_999,
}
MANY = "10000+"
UNKNOWN = "unknown"
USERS, MOVIES, DECADES = "users_by_ratings", "movies_by_ratings", "movies_by_decade"
ALL = "all"


def count_group(ratings: str, groups: Mapping[str, int] = COUNTS, many: str = MANY) -> Column:
    """The label of the group with this number of ratings, `many` beyond the last."""
    label = F.lit(many)
    for name, most in reversed(list(groups.items())):
        label = F.when(F.col(ratings) <= most, name).otherwise(label)
    return label


def decade(year: str) -> Column:
    """The decade of a year, as in 1990s; `unknown` without one."""
    return F.coalesce(F.concat((F.floor(F.col(year) / 10) * 10).cast("string"), F.lit("s")), F.lit(UNKNOWN))


def explode_groups(groups: Mapping[str, Column]) -> Column:
    """A row for each kind of group: a struct (kind string, group string).

    Args:
        groups: The group of a row, by kind.
    """
    return F.explode(F.array(*(F.struct(F.lit(kind).alias("kind"), of.alias("group")) for kind, of in groups.items())))


def rows_by_kind(measured: DataFrame, decimals: int) -> dict[str, list[dict[str, Any]]]:
    """The rows {group, ...} of each kind: by number of ratings, or by decade, the unknown last.

    Args:
        measured: (kind string, group string, ...), one row a group.
        decimals: To which numbers are rounded, as the order of Spark's sums, and so their last digits, may differ.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sorted((row.asDict() for row in measured.collect()), key=lambda row: _place(row["group"])):
        kind = row.pop("kind")
        rounded = {name: round(value, decimals) if isinstance(value, float) else value for name, value in row.items()}
        found.setdefault(kind, []).append(rounded)
    return found


def _place(group: str) -> tuple[int, str]:
    order = [*COUNTS, MANY]
    return (order.index(group), "") if group in order else (len(order) + (group == UNKNOWN), group)
