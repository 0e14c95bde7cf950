"""The ladder of rating models, each compared with the one that it builds on."""

from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.data.spark_tables import no_rows
from movie_recs.model.factor_model import FACTORS, FactorModel
from movie_recs.model.scoring import score_models

COMPARED_WITH = {
    "global_mean": None,
    "bias": "global_mean",
    "reference_als": "bias",
    "als": "bias",
    "bias_als": "bias",
    "taste": "bias",
    "taste_als": "taste",
    "bayes": "taste_als",
}
RIVALS = ("als", "bias_als", "taste_als", "bayes")  # the models of the ladder that are fitted even if they do not win


class Ladder(NamedTuple):
    """The fitted models that the ladder is made of; `bias` and `taste` are parts of them before the factors.

    `bayes` is `nothing` where it was left out.
    """

    reference_als: FactorModel
    als: FactorModel
    bias_als: FactorModel
    taste_als: FactorModel
    bayes: FactorModel


def nothing(spark: SparkSession) -> FactorModel:
    """A model of no user and no movie, in the place of one that was left out."""
    empty = no_rows(spark, FACTORS)
    return FactorModel(0.0, empty, empty)


def score_ladder(ladder: Ladder, pairs: DataFrame) -> DataFrame:
    """The columns of the pairs, and a column of scores for each model of the ladder; null where it is `nothing`."""
    models: list[tuple[FactorModel, dict[str, int | None]]] = [
        (ladder.bias_als, {"global_mean": 0, "bias": 1, "bias_als": 2}),
        (ladder.reference_als, {"reference_als": None}),
        (ladder.als, {"als": None}),
        (ladder.taste_als, {"taste": 1, "taste_als": 2}),
    ]
    is_left_out = ladder.bayes.items.isEmpty()
    scored = score_models(pairs, models if is_left_out else [*models, (ladder.bayes, {"bayes": None})])
    if is_left_out:
        scored = scored.withColumn("bayes", F.lit(None).cast("double"))
    return scored.select(*pairs.columns, *COMPARED_WITH)
