"""Typed parameters: what conf/*/parameters*.yml may say, checked before any node runs.

One model per node-facing block; `Parameters` is the whole file, so that a misspelt key anywhere is found.
"""

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from movie_recs.errors import UserError

OLDEST_ID, NEWEST_ID = 1, 2**31 - 1  # Spark ML's ALS takes 32-bit integers


def _split_words(value: Any) -> Any:
    """The command line cannot give lists: ``"575 232"`` stands for ``[575, 232]``, and ``575`` for ``[575]``."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return value if isinstance(value, list | tuple) else [value]


def _unique(values: list) -> list:
    return list(dict.fromkeys(values))


Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # Spark takes a 64-bit integer
Identifier = Annotated[int, Field(ge=OLDEST_ID, le=NEWEST_ID)]
Identifiers = Annotated[list[Identifier], BeforeValidator(_split_words)]
Rank = Annotated[int, Field(ge=1, le=1000)]
RegParam = Annotated[float, Field(ge=0)]
MaxIter = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0, le=100)]
Damping = Annotated[float, Field(gt=0, le=1e9)]
DampingValues = Annotated[list[Damping], Field(min_length=1), BeforeValidator(_split_words)]


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataProcessingParameters(_Block):
    """`max_bad_rows`: the share of a file's rows that may be set aside before the run stops."""

    max_bad_rows: float = Field(ge=0, le=1)


class SplitParameters(_Block):
    """Holdout by hash of (user, movie, seed) or by time, and folds by hash."""

    strategy: Literal["random", "temporal"] = "random"
    test_fraction: float = Field(gt=0, lt=1)
    folds: int = Field(ge=2, le=100)
    seed: Seed


class EdaParameters(_Block):
    """`top`: rows in each list of movies; `damping`: ratings at the global mean added to each movie's own."""

    top: int = Field(ge=1, le=1000)
    damping: float = Field(ge=0)


class AlsParameters(_Block):
    """Hyperparameters of explicit ALS, in MLlib's words."""

    rank: Rank
    reg_param: RegParam
    max_iter: MaxIter


class FeatureWeights(_Block):
    """How much each kind of movie feature counts; 0 leaves it out."""

    genres: Weight
    year: Weight
    popularity: Weight
    audience: Weight


class BaselineParameters(_Block):
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


class Candidate(_Block):
    """One combination of hyperparameters of one rung of the ladder `model`; None for what the rung does not have."""

    model: str
    user_damping: float | None = None
    movie_damping: float | None = None
    taste_reg: float | None = None
    prior_reg: float | None = None
    rank: int | None = None
    reg_param: float | None = None
    max_iter: int | None = None

    def __str__(self) -> str:
        values = self.model_dump(exclude={"model"}, exclude_none=True)
        return ", ".join([self.model, *(f"{name} {value:g}" for name, value in values.items())])

    @property
    def baseline(self) -> BaselineParameters | None:
        """What comes before the factors; None for plain ALS."""
        if self.user_damping is None:
            return None
        return BaselineParameters(**{name: getattr(self, name) for name in BaselineParameters.model_fields})

    @property
    def als(self) -> AlsParameters | None:
        """The factors; None for a baseline alone."""
        if self.rank is None:
            return None
        return AlsParameters(rank=self.rank, reg_param=self.reg_param, max_iter=self.max_iter)

    @property
    def without_factors(self) -> "Candidate":
        """Its baseline alone."""
        return self.model_copy(update=dict.fromkeys(AlsParameters.model_fields))


class BaselineGrid(_Block):
    """Values to combine, for the biases alone and for the taste."""

    user_damping: DampingValues
    movie_damping: DampingValues
    taste_reg: DampingValues
    prior_reg: DampingValues

    def bias_candidates(self) -> list[BaselineParameters]:
        """Every combination of the dampings once."""
        pairs = product(_unique(self.user_damping), _unique(self.movie_damping))
        return [BaselineParameters(user_damping=user, movie_damping=movie) for user, movie in pairs]

    def taste_candidates(self) -> list[BaselineParameters]:
        """Every combination of all four once."""
        regs = list(product(_unique(self.taste_reg), _unique(self.prior_reg)))
        return [
            bias.model_copy(update={"taste_reg": taste, "prior_reg": prior})
            for bias in self.bias_candidates()
            for taste, prior in regs
        ]


class Grid(_Block):
    """Values to combine; every combination is a candidate."""

    rank: Annotated[list[Rank], Field(min_length=1), BeforeValidator(_split_words)]
    reg_param: Annotated[list[RegParam], Field(min_length=1), BeforeValidator(_split_words)]
    max_iter: Annotated[list[MaxIter], Field(min_length=1), BeforeValidator(_split_words)]

    def candidates(self) -> list[AlsParameters]:
        """Every combination once, from the simplest model to the richest."""
        combinations = product(
            sorted(_unique(self.rank)), sorted(_unique(self.max_iter)), sorted(_unique(self.reg_param), reverse=True)
        )
        return [
            AlsParameters(rank=rank, reg_param=reg_param, max_iter=max_iter)
            for rank, max_iter, reg_param in combinations
        ]


class TuningParameters(_Block):
    """Cross-validation: what is tried, on which engine, and the seed of all that is drawn.

    `search`: every combination of the grids, or `budget` candidates of each model from the ranges that they span, drawn
    at random or by a tree-structured Parzen estimator. `halving`: whether the worse half of the candidates stops after
    the first fold, and again after the second.
    """

    search: Literal["grid", "random", "tpe"] = "grid"
    budget: int = Field(default=20, ge=1, le=10_000)
    halving: bool = False
    baseline_grid: BaselineGrid
    grid: Grid
    engine: Literal["auto", "kernel", "spark"] = "auto"
    parallelism: int = Field(ge=1, le=256)
    seed: Seed

    @model_validator(mode="after")
    def _halving_suits_the_search(self) -> "TuningParameters":
        if self.halving and self.search == "tpe":
            raise ValueError(
                "halving goes with search: grid or random; tpe learns from candidates measured on all folds"
            )
        return self


class EvaluationParameters(_Block):
    """`reference`: the fixed candidate that every winner is compared with."""

    reference: AlsParameters


class RatingParameters(_Block):
    """The `rating` objective: how many stars would she give it?"""

    features: FeatureWeights
    tuning: TuningParameters
    evaluation: EvaluationParameters


class RecommendParameters(_Block):
    """Whom to recommend to, which movies to find neighbours of, and how many of each."""

    user_ids: Identifiers
    movie_ids: Identifiers
    top_n: int = Field(ge=1, le=10_000)


class Parameters(_Block):
    """All of conf/*/parameters*.yml."""

    dataset: str = Field(min_length=1)
    data_processing: DataProcessingParameters
    split: SplitParameters
    eda: EdaParameters
    rating: RatingParameters
    recommend: RecommendParameters


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
    path = [part for part in problem["loc"] if not isinstance(part, int)]
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
