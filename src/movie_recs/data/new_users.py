"""Ratings of users that are not in the data: from the parameters, by movie id or title, or from a CSV file."""

import logging
from collections import Counter

import pandas as pd

from movie_recs.data.movie_finder import MovieFinder
from movie_recs.data.parameters import NewUser
from movie_recs.data.scale import Scale
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

SHOWN = 6  # examples of bad rows
LAST_SECOND = 9_223_372_036  # in 2262, the last time of pandas
COLUMNS = ["name", "movie_id", "rating", "rated_at"]


def collect_new_ratings(
    new_users: list[NewUser], from_file: pd.DataFrame, movies: pd.DataFrame, scale: Scale | None
) -> pd.DataFrame:
    """(name, movie_id, rating, rated_at), one row per rating; of several ratings of a movie the last one counts.

    Args:
        new_users: Names, and stars by movie id or title; each rating counts as later than the one before.
        from_file: (name, movieId, rating, optionally timestamp), all text, as `datasets.new_user_csv` loads it.
        movies: (movie_id, title, year, original: the id as the data has it).
        scale: The scale of the ratings; None for events, of which only the movie counts.

    Raises:
        UserError: A rating is not on the scale, or a name is given twice, or a title or id matches no movie, or a title
            matches several, which the message lists.
    """
    names = [user.name for user in new_users] + from_file["name"].unique().tolist()
    if repeated := sorted(name for name, times in Counter(names).items() if times > 1):
        raise UserError(f"recommend.new_users: the name {repeated[0]!r} is given twice: choose another.")
    for user in new_users:
        for movie, stars in user.ratings.items():
            if scale and not scale.least <= stars <= scale.most:
                raise UserError(
                    f"recommend.new_users: {user.name}'s rating of {movie!r} is {stars:g}, but ratings are "
                    f"{scale.describe()} in this data set."
                )
    finder = _finder(movies)
    rows = [
        (user.name, _find(finder, user.name, movie), stars, pd.Timestamp(place, unit="s"))
        for user in new_users
        for place, (movie, stars) in enumerate(user.ratings.items())
    ]
    parts = [part for part in (pd.DataFrame(rows, columns=COLUMNS), _read(from_file, finder, scale)) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    table = table.astype({"movie_id": "int64", "rating": float, "rated_at": "datetime64[us]"})
    return table.drop_duplicates(["name", "movie_id"], keep="last", ignore_index=True)


def _finder(movies: pd.DataFrame) -> MovieFinder:
    years = [None if pd.isna(year) else int(year) for year in movies["year"]]
    return MovieFinder(movies["movie_id"].tolist(), movies["original"].tolist(), movies["title"].tolist(), years)


def _find(finder: MovieFinder, name: str, movie: int | str) -> int:
    try:
        return finder.find(movie)
    except UserError as error:
        raise UserError(f"recommend.new_users: {name}'s {error}") from error


def _read(from_file: pd.DataFrame, finder: MovieFinder, scale: Scale | None) -> pd.DataFrame:
    """The good rows of a file; the bad ones are logged."""
    given = from_file["timestamp"] if "timestamp" in from_file else pd.Series(range(len(from_file)), dtype=float)
    times = pd.to_numeric(given, errors="coerce").fillna(0)
    is_time = times.between(0, LAST_SECOND)
    numbers = pd.DataFrame({
        "name": from_file["name"],
        "movie_id": from_file["movieId"].str.strip().map(finder.numbers),
        "rating": pd.to_numeric(from_file["rating"], errors="coerce"),
        "rated_at": pd.to_datetime(times.where(is_time, 0), unit="s"),
    })  # fmt: skip
    least, most = (0.0, float("inf")) if scale is None else (scale.least, scale.most)
    good = numbers["movie_id"].notna() & numbers["rating"].between(least, most) & is_time
    if not good.all():
        examples = "; ".join(",".join(map(str, row)) for row in from_file[~good].iloc[:SHOWN, 1:].to_numpy())
        logger.warning(
            "recommend.new_user_ratings: %d of %d rows have no known movieId, no rating from %g to %g, or a time that "
            "is no number of seconds, and are left out: %s", (~good).sum(), len(good), least, most, examples,
        )  # fmt: skip
    return numbers[good].astype({"movie_id": "int64"})
