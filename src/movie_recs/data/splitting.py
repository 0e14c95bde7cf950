"""Holdout and folds, independent of the partitioning, the order of the rows and the number of cores.

By hash: the set of a rating depends only on its user, its movie and the seed, so a rating added later moves no other.
By time: each user's last ratings are held out, whatever the seed. By user: whole users are held out; models know them
only by the part of their ratings that folds them in. As given: the test set that came with the data. Folds are by hash
in all.
"""

from decimal import Decimal
from typing import NamedTuple

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from movie_recs.errors import UserError

HELD_OUT, REST = 0, 1  # folds of `hold_out_last`
DECIMALS = 27  # of a share; times a count of 10 digits, this is the most that Spark's 38 digits represent exactly


class Split(NamedTuple):
    """`train`: the ratings with a column `fold` (0 .. folds - 1); `test`: the ratings held out.

    `fold_in`: other ratings of the test users, by which they are folded in; empty if train has the test users' own.
    """

    train: DataFrame
    test: DataFrame
    fold_in: DataFrame


def split_by_hash(ratings: DataFrame, test_fraction: float, folds: int, seed: int) -> Split:
    """Train and test ratings; about `test_fraction` of the ratings are in test, and the folds are about equal.

    Args:
        ratings: (user_id int, movie_id int, ...).
        test_fraction: Probability that a rating is in test, between 0 and 1.
        folds: Number of folds of the train ratings.
        seed: Seed of the hash; another one gives another split.
    """
    is_test = _uniform(seed, "test") < test_fraction
    return Split(
        train=ratings.filter(~is_test).select(*ratings.columns, _fold(folds, seed)),
        test=ratings.filter(is_test).select(*ratings.columns),
        fold_in=ratings.limit(0),
    )


def split_by_time(ratings: DataFrame, test_fraction: float, folds: int, seed: int) -> Split:
    """Train and test ratings; the last floor(n * test_fraction) of each user's n ratings are in test.

    Among ratings of the same time, the one with the higher `movie_id` counts as later. A user with too few ratings for
    one test rating has all of them in train.

    Args:
        ratings: (user_id int, movie_id int, rated_at timestamp, ...), one row per user and movie.
        test_fraction: Share of each user's ratings in test, between 0 and 1, taken as a decimal: 0.29 of 100 is 29.
        folds: Number of folds of the train ratings.
        seed: Seed of the folds; a rating that is in train by both strategies has the same fold in both.

    Raises:
        UserError: A rating has no time, or no user has enough ratings for one in test.
    """
    by_user = ratings.groupBy("user_id").agg(
        F.count("*").alias("ratings"), F.count_if(F.col("rated_at").isNull()).alias("without_time")
    )
    (totals,) = by_user.agg(
        F.sum("ratings").alias("ratings"),
        F.sum("without_time").alias("without_time"),
        F.sum(_share_of(F.col("ratings"), test_fraction)).alias("test"),
    ).collect()
    if totals["without_time"]:
        raise UserError(
            f"{totals['without_time']:,} of the {totals['ratings']:,} ratings have no time, so a split by time is not "
            "possible: set split.strategy=random."
        )
    if not totals["test"]:
        raise UserError(
            f"split.test_fraction={test_fraction} of any user's ratings is less than one, so the test set would be "
            "empty: raise it, or set split.strategy=random."
        )
    user = Window.partitionBy("user_id")
    place_from_last = F.row_number().over(user.orderBy(F.desc("rated_at"), F.desc("movie_id")))
    is_test = place_from_last <= _share_of(F.count("*").over(user), test_fraction)
    marked = ratings.withColumn("is_test", is_test)
    return Split(
        train=marked.filter(~F.col("is_test")).select(*ratings.columns, _fold(folds, seed)),
        test=marked.filter("is_test").select(*ratings.columns),
        fold_in=ratings.limit(0),
    )


def split_by_user(
    ratings: DataFrame, test_fraction: float, folds: int, seed: int, fold_in_fraction: float = 0.8
) -> Split:
    """Train ratings of some users, and of the others ratings to fold them in by and test ratings.

    Models are measured on users that no fit has seen: strong generalisation (Marlin 2004; Liang, Krishnan, Hoffman &
    Jebara 2018). Which users those are depends on nothing but their ids and the seed. Of her ratings the one with the
    lowest hash is always in fold_in, so that there is something to fold her in by.

    Args:
        ratings: (user_id int, movie_id int, ...).
        test_fraction: Probability that a user is held out, between 0 and 1.
        folds: Number of folds of the train ratings.
        seed: Seed of the hash; another one gives another split.
        fold_in_fraction: Probability that a rating of a user held out is in fold_in, between 0 and 1.
    """
    is_new = _uniform(seed, "new users", "user_id") < test_fraction
    place = _uniform(seed, "fold in")
    first = F.min("place").over(Window.partitionBy("user_id"))
    is_given = (F.col("place") < fold_in_fraction) | (F.col("place") == first)
    new = ratings.filter(is_new).withColumn("place", place).withColumn("is_given", is_given)
    return Split(
        train=ratings.filter(~is_new).select(*ratings.columns, _fold(folds, seed)),
        test=new.filter(~F.col("is_given")).select(*ratings.columns),
        fold_in=new.filter("is_given").select(*ratings.columns),
    )


def split_as_given(ratings: DataFrame, test_pairs: DataFrame, folds: int, seed: int) -> Split:
    """Train and test ratings; a rating is in test if its pair is in the data set's own test set.

    Args:
        ratings: (user_id int, movie_id int, ...).
        test_pairs: (user_id int, movie_id int).
        folds: Number of folds of the train ratings.
        seed: Seed of the folds.
    """
    keys = ["user_id", "movie_id"]
    return Split(
        train=ratings.join(test_pairs, keys, how="left_anti").select(*ratings.columns, _fold(folds, seed)),
        test=ratings.join(test_pairs, keys, how="left_semi").select(*ratings.columns),
        fold_in=ratings.limit(0),
    )


def hold_out_last(train_ratings: DataFrame, test_fraction: float, seed: int) -> DataFrame:
    """The ratings with another `fold`: 0 for the last of each user's ratings, 1 for those before.

    Where the test is the future, a choice is made by what is the future of the train ratings. What random folds hold
    out lies between ratings that a fit has seen, which says nothing of how soon old ratings are of no use.

    Args:
        train_ratings: (..., rated_at timestamp, fold int).
        test_fraction: Of each user's ratings, as of the test.
        seed: Of the split, which makes no difference here.
    """
    split = split_by_time(train_ratings.drop("fold"), test_fraction, 2, seed)
    columns = train_ratings.columns
    return (
        split.test.selectExpr("*", f"{HELD_OUT} as fold")
        .select(columns)
        .unionByName(split.train.drop("fold").selectExpr("*", f"{REST} as fold").select(columns))
    )


def sample_users(ratings: DataFrame, share: float, seed: int) -> DataFrame:
    """All ratings of about this share of the users; which ones depends on nothing but the user's id and the seed.

    Args:
        ratings: (user_id int, ...).
        share: Between 0 and 1.
        seed: Seed of the hash.
    """
    return ratings.filter(_uniform(seed, "sample", "user_id") < share)


def _share_of(count: Column, fraction: float) -> Column:
    """floor(count * fraction), in decimals: in doubles 0.29 * 100 is 28.999999999999996."""
    return F.floor(count.cast("decimal(10, 0)") * F.lit(round(Decimal(str(fraction)), DECIMALS)))


def _fold(folds: int, seed: int) -> Column:
    return F.floor(_uniform(seed, "fold") * folds).cast("int").alias("fold")


def _uniform(seed: int, purpose: str, *keys: str) -> Column:
    """A number in [0, 1) from the keys, by default user and movie, the seed and the purpose: the top bits of a hash."""
    bits = F.shiftrightunsigned(F.xxhash64(*(keys or ("user_id", "movie_id")), F.lit(seed), F.lit(purpose)), 11)
    return bits.cast("double") / F.lit(float(2**53))
