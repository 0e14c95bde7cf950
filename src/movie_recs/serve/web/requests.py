"""What may be asked: the bodies and parameters of requests, and their limits."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictStr, model_validator

from movie_recs.data.parameters import FilterParameters
from movie_recs.parameter_types import Block, Share

MOST_LISTED = 100  # movies in an answer
MOST_RATINGS = 2_000  # in a request
MOST_BYTES = 256 * 1024  # of a request's body
MOST_CHARACTERS = 300  # of a title, an id or a query

Length = Annotated[int, Field(ge=1, le=MOST_LISTED, description="Length of the list, at most.")]
Diversity = Annotated[Share, Field(description="As the parameter recommend.diversity.")]
SeriesApart = Annotated[bool, Field(description="As the parameter recommend.series_apart.")]
Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
Metric = Literal["l2", "cosine"]


def _as_given(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("should be an id or a title")
    if isinstance(value, str) and not 1 <= len(value) <= MOST_CHARACTERS:
        raise ValueError(f"should have 1 to {MOST_CHARACTERS} characters")
    return value


class GivenRating(Block):
    """One rating: a movie by its id or title, or by its IMDb id, and how it was rated."""

    movie: Annotated[int | str, BeforeValidator(_as_given)] | None = Field(
        default=None, description="The data's id, or a title, with its year where it is not unique."
    )
    imdb: Annotated[StrictStr, Field(max_length=MOST_CHARACTERS)] | None = Field(
        default=None, description="IMDb's id, as tt0111161."
    )
    rating: Annotated[float, Field(strict=True)] | None = Field(
        default=None, description="On the scale of the data; left out for events."
    )

    @model_validator(mode="after")
    def _one_movie(self) -> "GivenRating":
        if (self.movie is None) == (self.imdb is None):
            raise ValueError("needs either movie or imdb")
        return self


class RecommendationRequest(Block):
    """A list for someone's ratings, each later than the one before it; of several of a movie the last counts."""

    ratings: list[GivenRating] = Field(max_length=MOST_RATINGS)
    n: Length = 10
    diversity: Diversity = 0.0
    series_apart: SeriesApart = True
    filters: FilterParameters = Field(default=FilterParameters(), description="As the parameter recommend.filters.")


class ListQuery(FilterParameters):
    """A list for a user of the data: its length, its order, and the filters of the parameter recommend.filters."""

    n: Length = 10
    diversity: Diversity = 0.0
    series_apart: SeriesApart = True

    @property
    def filters(self) -> FilterParameters:
        """The filters alone."""
        return FilterParameters.model_validate(self.model_dump(include=set(FilterParameters.model_fields)))
