"""Hyperparameters of the Bayesian factorisation; its variances and covariances are learned, not searched."""

from itertools import product
from typing import Annotated

from pydantic import BeforeValidator, Field

from movie_recs.parameter_types import Block, MaxIter, Rank, RankValues, split_words, unique


class BayesParameters(Block):
    """Number of factors, and of turns of users and movies."""

    rank: Rank
    max_iter: MaxIter


class BayesGrid(Block):
    """Values to combine, and `most_ratings`: the size of the data above which the model is left out; 0 for always."""

    rank: RankValues
    max_iter: Annotated[list[MaxIter], Field(min_length=1), BeforeValidator(split_words)]
    most_ratings: int = Field(ge=0)

    def candidates(self) -> list[BayesParameters]:
        """Every combination once, from the simplest model to the richest."""
        combinations = product(sorted(unique(self.rank)), sorted(unique(self.max_iter)))
        return [BayesParameters(rank=rank, max_iter=max_iter) for rank, max_iter in combinations]
