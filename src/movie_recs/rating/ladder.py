"""The ladder of rating models, each compared with the one that it builds on."""

from pyspark.sql import DataFrame

from movie_recs.model.factor_model import FactorModel
from movie_recs.model.scoring import score, score_parts

COMPARED_WITH = {
    "global_mean": None,
    "bias": "global_mean",
    "reference_als": "bias",
    "bias_als": "bias",
    "taste": "bias",
    "taste_als": "taste",
}
BEST = "taste_als"


def score_ladder(
    taste_als: FactorModel, bias_als: FactorModel, reference_als: FactorModel, pairs: DataFrame
) -> DataFrame:
    """The columns of the pairs, and a column of scores for each model of the ladder, in its order.

    `bias` and `taste` are the parts of `bias_als` and `taste_als` before the factors.
    """
    scored = score_parts(bias_als, pairs, {"global_mean": 0, "bias": 1, "bias_als": 2})
    scored = score_parts(taste_als, score(reference_als, scored, "reference_als"), {"taste": 1, "taste_als": 2})
    return scored.select(*pairs.columns, *COMPARED_WITH)
