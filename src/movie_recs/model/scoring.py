"""Scores of pairs of user and movie, and scores as stars."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.model.factor_model import Arrays, FactorModel, arrays
from movie_recs.model.pairs import score_pairs, take_vectors

BINS = 10  # of a scale without steps


def score(model: FactorModel, pairs: DataFrame, column: str = "score") -> DataFrame:
    """The pairs with their scores, none dropped.

    An unknown user or movie has the average bias and features of the known ones: an unknown movie has the
    user's mean score, an unknown user the movie's mean score, and a pair of both the mean of all scores.

    Args:
        model: The model; its tables are sent with the tasks, so they must fit in the memory of driver and workers.
        pairs: (user_id int, movie_id int, ...).
        column: Name of the new column.

    Returns:
        All columns of `pairs` and the scores, a double.
    """
    return score_models(pairs, [(model, {column: None})])


def score_models(pairs: DataFrame, models: Iterable[tuple[FactorModel, Mapping[str, int | None]]]) -> DataFrame:
    """The pairs with columns of scores by each of the models, or by its leading parts, in one pass.

    Args:
        pairs: As in `score`.
        models: Each model, as in `score`, and for each of its new columns, how many of the leading parts (`Rule.sizes`)
            count: 0 for the intercept alone, None for the whole model.
    """
    schema, columns_of = StructType(pairs.schema.fields.copy()), []
    for model, columns in models:
        for column in columns:
            schema = schema.add(column, "double")
        sizes = () if model.rule is None else model.rule.sizes
        widths = {name: None if parts is None else sum(sizes[:parts]) for name, parts in columns.items()}
        only_intercept = {name for name, parts in columns.items() if parts == 0}
        columns_of.append(_Columns(model.intercept, arrays(model.users), arrays(model.items), widths, only_intercept))
    return pairs.mapInArrow(partial(_add_scores, columns_of), schema)


class _Columns(NamedTuple):
    """What the scores by one model are made of.

    Args:
        intercept: The mean score.
        users: The vectors of all its users.
        items: Those of all its items.
        widths: For each new column, how many features count; None for all.
        only_intercept: Those to which no bias is added.
    """

    intercept: float
    users: Arrays
    items: Arrays
    widths: dict[str, int | None]
    only_intercept: set[str]


def _add_scores(models: list[_Columns], batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        scores = {}
        for intercept, users, items, widths, only_intercept in models:
            left = take_vectors(users, users.rows_of(batch["user_id"].to_numpy()))
            right = take_vectors(items, items.rows_of(batch["movie_id"].to_numpy()))
            for name, width in widths.items():
                scores[name] = pa.array(score_pairs(intercept, left, right, width, name not in only_intercept))
        yield pa.RecordBatch.from_arrays([*batch.columns, *scores.values()], [*batch.schema.names, *scores])


def on_step(rating: Column, scale: Scale) -> Column:
    """A rating at the nearest step of the scale, of a scale without steps at a tenth of it."""
    step = scale.step or (scale.most - scale.least) / BINS
    return scale.least + F.round((rating - scale.least) / step) * step


def to_stars(score: Column | str, scale: Scale = HALF_STARS) -> Column:
    """A score clipped to the scale. For display and errors only, never for ordering."""
    stars = F.least(F.greatest(score, F.lit(scale.least)), F.lit(scale.most))
    return F.when(F.isnan(score), F.lit(float("nan"))).otherwise(stars)  # Spark orders NaN above all numbers
