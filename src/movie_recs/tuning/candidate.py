"""A candidate: one combination of hyperparameters that cross-validation compares with others of its objective."""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import pandas as pd

from movie_recs.parameter_types import Block


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


def sortable(values: Iterable[float | None]) -> tuple[float, ...]:
    """The values as a key to sort by: a missing one comes first."""
    return tuple(-1.0 if value is None else float(value) for value in values)
