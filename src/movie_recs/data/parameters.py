"""Parameters of cleaning, the split, filters and new users."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from movie_recs.parameter_types import Block, Identifiers, Seed, Stars, split_words

Year = Annotated[int, Field(ge=-9999, le=9999)]


class DataProcessingParameters(Block):
    """`max_bad_rows`: the largest share of a file's rows that may be set aside; above it the run stops."""

    max_bad_rows: float = Field(ge=0, le=1)


class SplitParameters(Block):
    """Holdout by hash of rating or of user, by time, or as the data set has it; folds by hash.

    `given`: with the strategy `given`, the name of the split or the file of its test set; None for the first.
    `fold_in_fraction`: share of a new user's ratings by which she is folded in.
    """

    strategy: Literal["random", "temporal", "new_users", "given"] = "random"
    given: str | None = None
    test_fraction: float = Field(gt=0, lt=1)
    fold_in_fraction: float = Field(default=0.8, gt=0, lt=1)
    folds: int = Field(ge=2, le=100)
    seed: Seed


class FilterParameters(Block):
    """Which movies may be in a list; None and empty lists let all pass."""

    genres: Annotated[list[str], BeforeValidator(split_words)] = Field(default=[])
    without_genres: Annotated[list[str], BeforeValidator(split_words)] = Field(default=[])
    first_year: Year | None = None
    last_year: Year | None = None
    min_ratings: int = Field(default=0, ge=0, le=2**31 - 1)
    without_movie_ids: Identifiers = Field(default=[])


class NewUser(Block):
    """A user that is not in the data: a name, and stars by movie id or title."""

    name: str = Field(min_length=1)
    ratings: dict[int | str, Stars]  # on the scale of the data
