"""A candidate: one combination of hyperparameters that cross-validation compares with others of its objective."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

import pandas as pd

from movie_recs.parameter_types import Block

DOUBLING = 10  # of the least gain: the price of a doubling of the rank
Part = TypeVar("Part", bound=Block)


class Measure(NamedTuple):
    """The measure by which an objective's candidates are compared.

    Args:
        name: Its key among a trial's measures, as `rmse`.
        is_error: Whether lower is better.
        least_gain: The smallest difference for which a search goes on.
        others: Keys of further measures that are averaged and shown.
    """

    name: str
    is_error: bool
    least_gain: float
    others: tuple[str, ...] = ()

    @property
    def mean(self) -> str:
        """The column of its mean in `cv_results`."""
        return f"mean_{self.name}"

    def loss(self, value: Any) -> Any:
        """The value, or an array of values, with its sign such that lower is better."""
        return value if self.is_error else -value


class Candidate(Block):
    """One combination of hyperparameters of the kind `model`; None for those that it does not have."""

    MEASURE: ClassVar[Measure]
    SIMPLER: ClassVar[dict[str, bool]]  # which of tied candidates is simpler: True if the lower value is
    BOUNDS: ClassVar[dict[str, tuple[float, float]]]  # how far a search may go beyond the listed values
    FREE_RANK: ClassVar[int]  # the rank up to which more factors have no price

    model: str

    def __str__(self) -> str:
        values = self.model_dump(exclude={"model"}, exclude_none=True)
        return ", ".join([self.model, *(f"{name} {value:g}" for name, value in values.items())])

    @classmethod
    def from_row(cls, row: pd.Series) -> Self:
        """The candidate of a row of `cv_results`."""
        return cls(**{name: row[name] for name in cls.model_fields if pd.notna(row[name])})

    @classmethod
    def of(cls, best_params: dict[str, Any]) -> Self:
        """The winner in `best_params`, which may have more."""
        return cls(**{name: best_params[name] for name in cls.model_fields})

    @property
    def complexity(self) -> tuple[float, ...]:
        """Lower for the simpler of two candidates, by `SIMPLER`; a missing hyperparameter is simplest."""
        values = ((getattr(self, name), is_lower) for name, is_lower in self.SIMPLER.items())
        return tuple(-math.inf if value is None else value if is_lower else -value for value, is_lower in values)

    @property
    def price(self) -> float:
        """What its rank has to gain, in the measure: a doubling takes a fit four times as long."""
        rank = getattr(self, "rank", None) or 1
        return DOUBLING * self.MEASURE.least_gain * max(0.0, math.log2(rank / self.FREE_RANK))

    @property
    def fit_key(self) -> tuple:
        """Equal for candidates that share a fit; in its order, fits that have a part in common are adjacent."""
        raise NotImplementedError

    @property
    def iterations(self) -> int:
        """Number of alternations of its factors; 0 without factors."""
        raise NotImplementedError

    @property
    def fit_cost(self) -> float:
        """About how long its fit takes; 1 is the time that it takes to measure a candidate."""
        raise NotImplementedError

    def part(self, kind: type[Part]) -> Part:
        """Its hyperparameters of these names, as a group of parameters."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


Kind = TypeVar("Kind", bound=Candidate)  # the candidates of one objective


def sortable(values: Iterable[float | None]) -> tuple[float, ...]:
    """The values as a sort key; None comes first."""
    return tuple(-1.0 if value is None else float(value) for value in values)
