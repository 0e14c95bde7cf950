"""Holdout and folds by hash: where a rating goes depends on its user, its movie and the seed, on nothing else.

So the split is the same whatever the partitioning, the order of the rows or the number of cores, and a rating added
later moves no other.
"""

from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


class Split(NamedTuple):
    """`train`: the ratings with a column `fold` (0 .. folds - 1); `test`: the ratings held out."""

    train: DataFrame
    test: DataFrame


def split_by_hash(ratings: DataFrame, test_fraction: float, folds: int, seed: int) -> Split:
    """Train and test ratings; about `test_fraction` of the ratings are in test, and the folds are about equal.

    Args:
        ratings: (user_id int, movie_id int, ...).
        test_fraction: Probability of a rating to be in test, between 0 and 1.
        folds: Number of folds of the train ratings.
        seed: Another seed gives another split.
    """
    is_test = _uniform(seed, "test") < test_fraction
    fold = F.floor(_uniform(seed, "fold") * folds).cast("int")
    return Split(
        train=ratings.filter(~is_test).select(*ratings.columns, fold.alias("fold")),
        test=ratings.filter(is_test).select(*ratings.columns),
    )


def _uniform(seed: int, purpose: str) -> Column:
    """A number in [0, 1) from the pair, the seed and the purpose: the 53 high bits of a 64-bit hash, as a double."""
    bits = F.shiftrightunsigned(F.xxhash64("user_id", "movie_id", F.lit(seed), F.lit(purpose)), 11)
    return bits.cast("double") / F.lit(float(2**53))
