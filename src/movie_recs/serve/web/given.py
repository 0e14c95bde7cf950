"""The ratings of a request as movies of the data and stars."""

from collections.abc import Sequence

from movie_recs.errors import UserError
from movie_recs.serve.snapshot import Snapshot
from movie_recs.serve.web.requests import GivenRating

HAPPENED = 1.0  # of an event that comes without a value


def resolve(snapshot: Snapshot, ratings: Sequence[GivenRating]) -> tuple[list[int], list[float]]:
    """The movie and the stars of each rating.

    Raises:
        UserError: A movie is unknown or unclear, or a rating is missing or not on the scale.
    """
    movies, stars = [], []
    for place, given in enumerate(ratings):
        try:
            movies.append(_find(snapshot, given))
            stars.append(_stars(snapshot, given))
        except UserError as error:
            raise UserError(f"ratings[{place}]: {error}") from error
    return movies, stars


def _find(snapshot: Snapshot, given: GivenRating) -> int:
    if given.movie is None:
        return snapshot.catalogue.find_imdb(given.imdb or "")
    return snapshot.catalogue.find(given.movie)


def _stars(snapshot: Snapshot, given: GivenRating) -> float:
    scale = snapshot.scale
    if scale is None:
        return HAPPENED if given.rating is None else given.rating
    if given.rating is None:
        raise UserError(f"rating is missing; ratings are {scale.describe()} in this data set.")
    if not scale.least <= given.rating <= scale.most:
        raise UserError(f"rating is {given.rating:g}, but ratings are {scale.describe()} in this data set.")
    return given.rating
