"""The part of the data that a search uses where all of it would take too long.

The standard error of a measure falls with the square root of the number of ratings, and candidates are compared on the
same rows. So from `one_fold_from` ratings on, one fold is held out instead of each in turn; and above `most_ratings`,
the search sees a sample of the users with all of their ratings. Then the best of each model are measured once more,
with the ratings of all users (`settle`): a sample's users have as many ratings as all have, but its movies have fewer.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from pyspark.sql import DataFrame

from movie_recs.data.splitting import sample_users
from movie_recs.tuning.candidate import Kind
from movie_recs.tuning.cross_validation import best_candidate, is_finished
from movie_recs.tuning.memory import DataSize
from movie_recs.tuning.parameters import SearchParameters

logger = logging.getLogger(__name__)

ON_SAMPLE = "measured on a sample of the users"  # why a candidate cannot win


class Part(NamedTuple):
    """What a search uses.

    Args:
        ratings: The train ratings of all users, or of a sample of them.
        folds: Number of folds, or the numbers of those that are held out in turn.
        size: The estimated size of the part.
        is_sample: Whether it is a sample of the users.
    """

    ratings: DataFrame
    folds: int | list[int]
    size: DataSize
    is_sample: bool = False


def choose_part(train_ratings: DataFrame, size: DataSize, folds: int | list[int], tuning: SearchParameters) -> Part:
    """The part by the size of the data; each choice is logged.

    Args:
        train_ratings: (user_id int, movie_id int, ...).
        size: Size of all ratings.
        folds: Number of folds, or the numbers of those that are held out in turn.
        tuning: The limits, and the seed of the sample.
    """
    if isinstance(folds, int) and size.ratings >= tuning.one_fold_from:
        logger.info("Tuning holds out one fold of %d, as there are %s ratings", folds, f"{size.ratings:,}")
        folds = [0]
    if size.ratings <= tuning.most_ratings:
        return Part(train_ratings, folds, size)
    share = tuning.most_ratings / size.ratings
    logger.info("Tuning sees %.0f %% of the users, as there are %s ratings", 100 * share, f"{size.ratings:,}")
    part = DataSize(tuning.most_ratings, round(share * size.users), size.movies)
    return Part(sample_users(train_ratings, share, tuning.seed), folds, part, is_sample=True)


def finalists(results: pd.DataFrame, kind: type[Kind], models: Sequence[str]) -> list[Kind]:
    """The best candidate of each of these models that has one without an error."""
    logger.info("The best of each model are measured with the ratings of all users")
    fine = set(results.loc[is_finished(results), "model"])
    return [best_candidate(results, kind, model) for model in models if model in fine]


def settle(on_sample: pd.DataFrame, on_all: pd.DataFrame) -> pd.DataFrame:
    """The results of both, of which those of the finalists on the ratings of all users decide.

    Args:
        on_sample: Results of the search, which become unable to win.
        on_all: Results of `finalists` with the ratings of all users.
    """
    error = on_sample["error"].fillna("")
    return pd.concat([on_sample.assign(error=error.where(error != "", ON_SAMPLE)), on_all], ignore_index=True)
