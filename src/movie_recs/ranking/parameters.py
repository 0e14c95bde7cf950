"""Parameters of the objective `ranking`."""

from itertools import product
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from movie_recs.als.parameters import ImplicitGrid
from movie_recs.data.scale import EVENTS, HALF_STARS, Scale
from movie_recs.parameter_types import Block, Damping, DampingValues, RankValues, Share, Weight, split_words, unique
from movie_recs.tuning.parameters import SearchParameters


class RatingWeights(Block):
    """How much each of a user's ratings counts in her vector (`preferences.weigh` has the formula).

    `star_weight`: added per star above her own mean, a star being a fifth of the scale. `half_life`: number of newer
    ratings that halve the part of a weight above `old_weight`; without a half-life old and new ratings count the same.
    """

    star_weight: Weight = 0.0
    half_life: Damping | None = None
    old_weight: Share | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "RatingWeights":
        if (self.half_life is None) != (self.old_weight is None):
            raise ValueError("half_life and old_weight go together")
        return self


class WeightGrid(Block):
    """Values of `RatingWeights` to combine; an `old_weight` of 1 means that old and new count the same."""

    star_weight: Annotated[list[Weight], Field(min_length=1), BeforeValidator(split_words)]
    half_life: DampingValues
    old_weight: Annotated[list[Share], Field(min_length=1), BeforeValidator(split_words)]

    def candidates(self) -> list[RatingWeights]:
        """Every combination once."""
        ages = [
            (half_life, old) if old < 1 else (None, None) for half_life in self.half_life for old in self.old_weight
        ]
        return [
            RatingWeights(star_weight=star_weight, half_life=half_life, old_weight=old)
            for star_weight, (half_life, old) in product(unique(self.star_weight), unique(ages))
        ]


class SideWeights(Block):
    """How much EASE learns from what is known of movies before any rating; 0 leaves a kind out."""

    genres: Weight = 0.0
    year: Weight = 0.0


class PreferenceParameters(Block):
    """Which ratings are preferences, and how much their stars and the movies' known features count in a fit.

    `preferred`: all ratings (`all`), those from the scale's `liked` on (`liked`), or those of at least the user's own
    mean (`above_mean`); the others are ignored. `star_weight`: as in `RatingWeights`. `side`: see `ease.side_rows`.
    """

    preferred: Literal["all", "liked", "above_mean"] = "all"
    star_weight: Weight
    side: SideWeights = SideWeights()
    _scale: Scale = PrivateAttr(default=HALF_STARS)  # of the data, not a parameter

    @property
    def scale(self) -> Scale:
        """The scale of the ratings; events have `EVENTS`."""
        return self._scale

    def on(self, scale: Scale | None) -> "PreferenceParameters":
        """The same parameters for ratings on this scale; None for events."""
        copy = self.model_copy()
        copy._scale = scale or EVENTS
        return copy


class RankingTuningParameters(SearchParameters):
    """The search of the ranking model: ALS and EASE, weights of a user's ratings, both together, then what is added.

    `relevance`: which held-out ratings are hits of a list, and how much each gains (`metrics.gains_of`). `ease_rank`:
    singular vectors that EASE keeps; all of them where `ease.is_exact`. `ease_diagonal`: values of xi of `ease`.
    `sequential_reg`, `sequential_weight`: reg and weight of `sequential`, tried where the split is by time.
    `stars_weight`: values of the weight of predicted stars in the score, tried unless all ratings are relevant.
    `most_below_mean`: largest share of recommendations with predicted stars below the user's own mean. `most_measured`:
    about how many lists a candidate is measured by, in all folds together.
    """

    relevance: Literal["graded", "liked", "all"] = "graded"

    grid: ImplicitGrid
    ease_reg: DampingValues
    ease_rank: RankValues
    ease_diagonal: Annotated[list[Share], Field(min_length=1), BeforeValidator(split_words)] = [0.0]  # noqa: RUF012
    weight_grid: WeightGrid
    als_weight: DampingValues
    sequential_reg: DampingValues = [100.0]  # noqa: RUF012 - Pydantic copies it
    sequential_weight: DampingValues = [1.0, 1.5]  # noqa: RUF012
    stars_weight: DampingValues = [0.1]  # noqa: RUF012 - Pydantic copies it
    most_below_mean: Share = 1.0
    most_measured: int = Field(default=10_000, ge=1)


class RankingEvaluationParameters(Block):
    """`k`: length of the lists that are measured; `damping`: ratings at the mean added to each movie's own."""

    k: int = Field(ge=1, le=1000)
    damping: Damping


class RankingParameters(Block):
    """The `ranking` objective: what should she watch next? `rerank`: whether lists have a second stage (`rerank`)."""

    preference: PreferenceParameters
    tuning: RankingTuningParameters
    evaluation: RankingEvaluationParameters
    rerank: bool = False

    def on(self, scale: Scale | None) -> "RankingParameters":
        """The same parameters for ratings on this scale; None for events."""
        return self.model_copy(update={"preference": self.preference.on(scale)})
