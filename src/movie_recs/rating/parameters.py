"""Parameters of the objective `rating`."""

import logging
from itertools import product
from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from movie_recs.als.parameters import AlsParameters, Grid
from movie_recs.bayes.parameters import BayesGrid
from movie_recs.parameter_types import Block, Damping, DampingValues, RegParam, Weight, split_words, unique
from movie_recs.tuning.parameters import SearchParameters

logger = logging.getLogger(__name__)


class FeatureWeights(Block):
    """How much each kind of movie feature counts; 0 leaves it out."""

    genres: Weight
    year: Weight
    popularity: Weight
    audience: Weight


class BaselineParameters(Block):
    """Hyperparameters of the damped biases and, unless `taste_reg` is None, of the taste on movie features.

    Each is a pull, in ratings: of a user's bias to 0 (`user_damping`), of a movie's bias to the value that its features
    predict (`movie_damping`), of a user's weights to 0 (`taste_reg`), of the mean weights to 0 (`prior_reg`).
    """

    user_damping: Damping
    movie_damping: Damping
    taste_reg: Damping | None = None
    prior_reg: Damping | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "BaselineParameters":
        if (self.taste_reg is None) != (self.prior_reg is None):
            raise ValueError("taste_reg and prior_reg go together")
        return self


class BaselineGrid(Block):
    """Values to combine, for the biases alone and for the taste."""

    user_damping: DampingValues
    movie_damping: DampingValues
    taste_reg: DampingValues
    prior_reg: DampingValues

    def bias_candidates(self) -> list[BaselineParameters]:
        """Every combination of the dampings once."""
        pairs = product(unique(self.user_damping), unique(self.movie_damping))
        return [BaselineParameters(user_damping=user, movie_damping=movie) for user, movie in pairs]

    def taste_candidates(self) -> list[BaselineParameters]:
        """Every combination of all four once."""
        regs = list(product(unique(self.taste_reg), unique(self.prior_reg)))
        return [
            bias.model_copy(update={"taste_reg": taste, "prior_reg": prior})
            for bias in self.bias_candidates()
            for taste, prior in regs
        ]


def _values_or_auto(value: object) -> object:
    if value == "auto":
        return []
    if not (values := split_words(value)):
        raise ValueError("should be auto, or have a value at least")
    return values


class RatingGrid(Grid):
    """Values of ALS to combine; without a `reg_param`, which is `auto`, it follows the data (`search.first_values`)."""

    reg_param: Annotated[list[RegParam], BeforeValidator(_values_or_auto)]


class RatingTuningParameters(SearchParameters):
    """The search of the rating model: baselines, then factors on their residuals, and Bayesian factorisations.

    `bayes`: their grid; None leaves them out.
    """

    baseline_grid: BaselineGrid
    grid: RatingGrid
    bayes: BayesGrid | None = None

    def suited_to(self, ratings: int) -> Self:
        """The same without `bayes` where the data have more than its `most_ratings`, which is logged."""
        if self.bayes is None or ratings <= self.bayes.most_ratings:
            return self
        most = self.bayes.most_ratings
        if most:
            logger.info(
                "bayes is left out: %s ratings, rating.tuning.bayes.most_ratings is %s", f"{ratings:,}", f"{most:,}"
            )
        return self.model_copy(update={"bayes": None})


class EvaluationParameters(Block):
    """`reference`: the fixed candidate that every winner is compared with."""

    reference: AlsParameters


class RatingParameters(Block):
    """The `rating` objective: how many stars would she give it?"""

    features: FeatureWeights
    tuning: RatingTuningParameters
    evaluation: EvaluationParameters
