"""Parameters of the lists, the summaries of the data, and the HTML page."""

from typing import Literal

from pydantic import Field

from movie_recs.data.parameters import FilterParameters, NewUser
from movie_recs.parameter_types import Block, Identifiers, IdentifiersOrAll, Share


class EdaParameters(Block):
    """`top`: rows in each list of movies; `damping`: ratings at the global mean added to each movie's own."""

    top: int = Field(ge=1, le=1000)
    damping: float = Field(ge=0)


class RecommendParameters(Block):
    """Which users get recommendations, which movies get neighbours, and how many of each.

    `diversity`: see `model.arrangement.arrange`. `series_apart`: whether parts of a series stand apart. `group`: ids of
    users, or names of new users, who get a list together.
    """

    user_ids: IdentifiersOrAll
    movie_ids: IdentifiersOrAll
    top_n: int = Field(ge=1, le=10_000)
    similarity: Literal["l2", "cosine"] = "l2"
    diversity: Share = 0.0
    series_apart: bool = True
    filters: FilterParameters = FilterParameters()
    group: Identifiers = Field(default=[])
    new_users: list[NewUser] = Field(default=[])
    new_user_ratings: str | None = None


class RefreshParameters(Block):
    """`ratings`: a file of new ratings; None for the raw ones. `most_since_fit`: share from which a fit is due."""

    ratings: str | None = Field(default=None, min_length=1)
    most_since_fit: Share = 0.1


class ReportingParameters(Block):
    """How much of the lists the HTML page holds: all of it is one file, which a browser loads at once."""

    most_lists: int = Field(ge=0, le=1000)
    most_users: int = Field(ge=0, le=10_000)
    most_movies: int = Field(ge=0, le=30_000)
    ease_rank: int = Field(default=200, ge=1, le=10_000)
