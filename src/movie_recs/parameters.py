"""Typed parameters: what conf/*/parameters*.yml may say, checked before any node runs.

One model per node-facing block; `Parameters` is the whole file, so that a misspelt key anywhere is found.
"""

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from movie_recs.errors import UserError
from movie_recs.parameter_types import (
    EITHER,
    Block,
    Damping,
    DampingValues,
    Identifiers,
    IdentifiersOrAll,
    MaxIter,
    Rank,
    RegParam,
    Seed,
    Share,
    Stars,
    Weight,
    split_words,
    unique,
)


class DataProcessingParameters(Block):
    """`max_bad_rows`: the share of a file's rows that may be set aside before the run stops."""

    max_bad_rows: float = Field(ge=0, le=1)


class SplitParameters(Block):
    """Holdout by hash of (user, movie, seed) or by time, and folds by hash."""

    strategy: Literal["random", "temporal"] = "random"
    test_fraction: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2, le=100)
    seed: Seed


class EdaParameters(Block):
    """`top`: rows in each list of movies; `damping`: ratings at the global mean added to each movie's own."""

    top: int = Field(ge=1, le=1000)
    damping: float = Field(ge=0)


class AlsParameters(Block):
    """Hyperparameters of explicit ALS, in MLlib's words."""

    rank: Rank
    reg_param: RegParam
    max_iter: MaxIter


class ImplicitAlsParameters(AlsParameters):
    """Hyperparameters of implicit ALS: the confidence in a preference is 1 + alpha times its weight."""

    alpha: Weight


class RatingWeights(Block):
    """How much each of a user's ratings counts in her vector (`preferences.weigh` has the formula).

    `star_weight`: what a star above her own mean adds; `half_life`: ratings after which a rating counts half, from the
    newest, down to `old_weight`; without a half-life old and new count the same.
    """

    star_weight: Weight = 0.0
    half_life: Damping | None = None
    old_weight: Share | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> "RatingWeights":
        if (self.half_life is None) != (self.old_weight is None):
            raise ValueError("half_life and old_weight go together")
        return self


class FeatureWeights(Block):
    """How much each kind of movie feature counts; 0 leaves it out."""

    genres: Weight
    year: Weight
    popularity: Weight
    audience: Weight


class BaselineParameters(Block):
    """Hyperparameters of the damped biases and, unless `taste_reg` is None, of the taste on movie features.

    Each is a number of ratings' worth of pull: of a user's bias to 0 (`user_damping`), of a movie's bias to what its
    features say (`movie_damping`), of a user's weights to 0 (`taste_reg`), of the mean weights to 0 (`prior_reg`).
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


class Grid(Block):
    """Values to combine; every combination is a candidate."""

    rank: Annotated[list[Rank], Field(min_length=1), BeforeValidator(split_words)]
    reg_param: Annotated[list[RegParam], Field(min_length=1), BeforeValidator(split_words)]
    max_iter: Annotated[list[MaxIter], Field(min_length=1), BeforeValidator(split_words)]

    def candidates(self) -> list[AlsParameters]:
        """Every combination once, from the simplest model to the richest."""
        combinations = product(
            sorted(unique(self.rank)), sorted(unique(self.max_iter)), sorted(unique(self.reg_param), reverse=True)
        )
        return [
            AlsParameters(rank=rank, reg_param=reg_param, max_iter=max_iter)
            for rank, max_iter, reg_param in combinations
        ]


class ImplicitGrid(Grid):
    """Values of implicit ALS to combine."""

    alpha: Annotated[list[Weight], Field(min_length=1), BeforeValidator(split_words)]

    def candidates(self) -> list[ImplicitAlsParameters]:
        """Every combination once."""
        return [
            ImplicitAlsParameters(**als.model_dump(), alpha=alpha)
            for als in super().candidates()
            for alpha in unique(self.alpha)
        ]


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


class SearchParameters(Block):
    """Cross-validation: what is tried, on which engine, and the seed of all that is drawn.

    `search`: every combination of the grids, or `budget` candidates of each model from the ranges that they span, drawn
    at random or by a tree-structured Parzen estimator. `halving`: whether the worse half of the candidates stops after
    the first fold, and again after the second.
    """

    search: Literal["grid", "random", "tpe"] = "grid"
    budget: int = Field(default=20, ge=1, le=10_000)
    halving: bool = False
    engine: Literal["auto", "kernel", "spark"] = "auto"
    seed: Seed

    @model_validator(mode="after")
    def _halving_suits_the_search(self) -> "SearchParameters":
        if self.halving and self.search == "tpe":
            raise ValueError(
                "halving goes with search: grid or random; tpe learns from candidates measured on all folds"
            )
        return self


class TuningParameters(SearchParameters):
    """The search of the rating model: baselines, then factors on what they leave."""

    baseline_grid: BaselineGrid
    grid: Grid
    parallelism: int = Field(ge=1, le=256)


class RankingTuningParameters(SearchParameters):
    """The search of the ranking model: implicit ALS and EASE, then how a user's ratings count, then both together."""

    grid: ImplicitGrid
    ease_reg: DampingValues
    ease_rank: Rank
    weight_grid: WeightGrid
    als_weight: DampingValues


class EvaluationParameters(Block):
    """`reference`: the fixed candidate that every winner is compared with."""

    reference: AlsParameters


class RatingParameters(Block):
    """The `rating` objective: how many stars would she give it?"""

    features: FeatureWeights
    tuning: TuningParameters
    evaluation: EvaluationParameters


class PreferenceParameters(Block):
    """What a fit takes as a preference, and how much its stars count.

    `preferred`: all ratings; those of at least 4 stars (`liked`); or those of at least the user's own mean. The others
    are as if they had not been given. `star_weight`: as in `RatingWeights`.
    """

    preferred: Literal["all", "liked", "above_mean"] = "all"
    star_weight: Weight


class RankingEvaluationParameters(Block):
    """`k`: length of the lists that are measured; `damping`: ratings at the mean added to each movie's own."""

    k: int = Field(ge=1, le=1000)
    damping: Damping


class RankingParameters(Block):
    """The `ranking` objective: what should she watch next?"""

    preference: PreferenceParameters
    tuning: RankingTuningParameters
    evaluation: RankingEvaluationParameters


class FilterParameters(Block):
    """Which movies may be in a list; None and empty lists let all pass."""

    genres: Annotated[list[str], BeforeValidator(split_words)] = Field(default=[])
    without_genres: Annotated[list[str], BeforeValidator(split_words)] = Field(default=[])
    first_year: int | None = None
    last_year: int | None = None
    min_ratings: int = Field(default=0, ge=0)
    without_movie_ids: Identifiers = Field(default=[])


class NewUser(Block):
    """Somebody who is not in the data: a name, and stars by movie id or title."""

    name: str = Field(min_length=1)
    ratings: dict[int | str, Stars]


class RecommendParameters(Block):
    """Whom to recommend to, which movies to find neighbours of, and how many of each."""

    user_ids: IdentifiersOrAll
    movie_ids: IdentifiersOrAll
    top_n: int = Field(ge=1, le=10_000)
    similarity: Literal["l2", "cosine"] = "l2"
    filters: FilterParameters = FilterParameters()
    new_users: list[NewUser] = Field(default=[])
    new_user_ratings: str | None = None


class ReportingParameters(Block):
    """How much of the lists the HTML page holds: all of it is one file, which a browser loads at once."""

    most_lists: int = Field(ge=0, le=1000)
    most_users: int = Field(ge=0, le=10_000)
    most_movies: int = Field(ge=0, le=30_000)


class Parameters(Block):
    """All of conf/*/parameters*.yml."""

    dataset: str = Field(min_length=1)
    data_processing: DataProcessingParameters
    split: SplitParameters
    eda: EdaParameters
    rating: RatingParameters
    ranking: RankingParameters
    recommend: RecommendParameters
    reporting: ReportingParameters


def check_parameters(parameters: dict[str, Any]) -> Parameters:
    """The typed parameters.

    Raises:
        UserError: Names every wrong key or value, and what is allowed.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise UserError(f"Wrong parameters: {problems}.") from error


def _describe(problem: dict[str, Any]) -> str:
    path = [part for part in problem["loc"] if not isinstance(part, int) and part not in EITHER]
    name = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{name} is no parameter (there are {', '.join(_allowed_keys(path[:-1]))})"
    if problem["type"] == "missing":
        return f"{name} is missing"
    message = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{name} is {problem['input']!r} but {message}"


def _allowed_keys(path: list[str]) -> list[str]:
    model: type[BaseModel] = Parameters
    for part in path:
        model = model.model_fields[part].annotation
    return list(model.model_fields)
