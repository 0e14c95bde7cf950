"""Parameters of a search."""

from typing import Literal

from pydantic import Field, model_validator

from movie_recs.parameter_types import Block, Seed


class SearchParameters(Block):
    """Cross-validation: how candidates are searched, and the seed of all random numbers.

    `search`: every combination of the grids, or `budget` candidates of each model from the ranges that they span, drawn
    at random or by a tree-structured Parzen estimator. `halving`: whether the worse half of the candidates stops after
    the first fold, and again after the second. `beyond_edges`: whether a grid goes on where its best is at an edge.
    `one_fold_from`, `most_ratings`: sizes from which the search uses a part of the data (`part` has the rule).
    `final_fit`: whether the saved models' ALS factors are fitted by Spark ML or by the trials' compiled loops.
    """

    search: Literal["grid", "random", "tpe"] = "grid"
    budget: int = Field(default=20, ge=1, le=10_000)
    halving: bool = False
    beyond_edges: bool = True
    final_fit: Literal["spark", "compiled"] = "spark"
    one_fold_from: int = Field(default=500_000, ge=1)
    most_ratings: int = Field(default=5_000_000, ge=1)
    seed: Seed

    @model_validator(mode="after")
    def _halving_suits_the_search(self) -> "SearchParameters":
        if self.halving and self.search == "tpe":
            raise ValueError(
                "halving goes with search: grid or random; tpe learns from candidates measured on all folds"
            )
        return self
