"""What cross-validation compares: combinations of hyperparameters, by objective, and what makes one better.

Two objectives: `rating` (how many stars would she give it?) and `ranking` (what should she watch next?).
"""

from typing import Any, ClassVar, NamedTuple

import pandas as pd

from movie_recs.parameters import AlsParameters, BaselineParameters, Block, ImplicitAlsParameters, RatingWeights


class Measure(NamedTuple):
    """What trials of an objective are judged by.

    Args:
        name: The key of a trial's measures that decides, as `rmse`.
        is_error: Whether less is better.
        others: Further keys that are averaged and shown.
    """

    name: str
    is_error: bool
    others: tuple[str, ...] = ()

    @property
    def mean(self) -> str:
        """Its column in `cv_results`."""
        return f"mean_{self.name}"

    def loss(self, value: Any) -> Any:
        """The value, or an array of them, turned so that less is better."""
        return value if self.is_error else -value


class Candidate(Block):
    """One combination of hyperparameters of the kind `model`; None for what that kind does not have."""

    MEASURE: ClassVar[Measure]
    SIMPLER: ClassVar[dict[str, bool]]  # of equal candidates, which comes first; True for the lowest value

    model: str

    def __str__(self) -> str:
        values = self.model_dump(exclude={"model"}, exclude_none=True)
        return ", ".join([self.model, *(f"{name} {value:g}" for name, value in values.items())])

    @classmethod
    def from_row(cls, row: pd.Series) -> "Candidate":
        """The candidate of a row of `cv_results`."""
        return cls(**{name: row[name] for name in cls.model_fields if pd.notna(row[name])})

    @property
    def fit_key(self) -> tuple:
        """Equal for candidates that one fit serves, in an order that keeps fits that share a part together."""
        raise NotImplementedError


class RatingCandidate(Candidate):
    """A baseline, factors, or both: a rung of the ladder of rating models."""

    MEASURE = Measure("rmse", is_error=True, others=("rmse_warm",))
    SIMPLER = {  # noqa: RUF012 - annotated in the class above
        "rank": True,
        "reg_param": False,
        "max_iter": True,
        "taste_reg": False,
        "movie_damping": False,
        "user_damping": False,
        "prior_reg": False,
    }

    user_damping: float | None = None
    movie_damping: float | None = None
    taste_reg: float | None = None
    prior_reg: float | None = None
    rank: int | None = None
    reg_param: float | None = None
    max_iter: int | None = None

    @property
    def fit_key(self) -> tuple:
        """All but the number of alternations, by baseline."""
        return _sortable(self.model_dump(exclude={"model", "max_iter"}).values())

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
    def without_factors(self) -> "RatingCandidate":
        """Its baseline alone."""
        return self.model_copy(update=dict.fromkeys(AlsParameters.model_fields))


class RankingCandidate(Candidate):
    """Implicit ALS, EASE, or both, and how much each of a user's ratings counts in her vector."""

    MEASURE = Measure("ndcg", is_error=False)
    SIMPLER = {  # noqa: RUF012 - annotated in the class above
        "rank": True,
        "reg_param": False,
        "max_iter": True,
        "alpha": True,
        "ease_reg": False,
        "als_weight": True,
        "old_weight": False,
        "half_life": False,
        "star_weight": True,
    }

    rank: int | None = None
    reg_param: float | None = None
    max_iter: int | None = None
    alpha: float | None = None
    ease_reg: float | None = None
    als_weight: float | None = None
    star_weight: float | None = None
    half_life: float | None = None
    old_weight: float | None = None

    @property
    def fit_key(self) -> tuple:
        """ALS's hyperparameters but the number of alternations; EASE's many regularisations are one decomposition."""
        return _sortable(self.model_dump(include={"rank", "reg_param", "alpha"}).values())

    @property
    def als(self) -> ImplicitAlsParameters | None:
        """Implicit ALS; None for EASE alone."""
        if self.rank is None:
            return None
        return ImplicitAlsParameters(rank=self.rank, reg_param=self.reg_param, max_iter=self.max_iter, alpha=self.alpha)

    @property
    def weights(self) -> RatingWeights | None:
        """How a user's ratings count when her vector is folded in; None if it is the one of the fit."""
        if self.star_weight is None:
            return None
        return RatingWeights(star_weight=self.star_weight, half_life=self.half_life, old_weight=self.old_weight)


def _sortable(values: Any) -> tuple:
    return tuple(-1.0 if value is None else float(value) for value in values)
