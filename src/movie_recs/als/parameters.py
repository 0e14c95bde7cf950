"""Hyperparameters of ALS, in MLlib's words, and grids of them."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated

from pydantic import BeforeValidator, Field

from movie_recs.parameter_types import Block, MaxIter, Rank, RankValues, RegParam, Weight, split_words, unique


class AlsParameters(Block):
    """Hyperparameters of explicit ALS, in MLlib's words."""

    rank: Rank
    reg_param: RegParam
    max_iter: MaxIter


class ImplicitAlsParameters(AlsParameters):
    """Hyperparameters of implicit ALS: the confidence in a preference is 1 + alpha times its weight."""

    alpha: Weight


class Grid(Block):
    """Values to combine; every combination is a candidate."""

    rank: RankValues
    reg_param: Annotated[list[RegParam], Field(min_length=1), BeforeValidator(split_words)]
    max_iter: Annotated[list[MaxIter], Field(min_length=1), BeforeValidator(split_words)]

    def candidates(self) -> Sequence[AlsParameters]:
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
