"""Ratings of users that are not in the data: from the parameters, by movie id or title, or from a CSV file."""

import logging
from collections import Counter
from typing import NamedTuple

import pandas as pd

from movie_recs.data.exact_finder import ExactFinder
from movie_recs.data.movie_finder import MovieFinder
from movie_recs.data.parameters import NewUser
from movie_recs.data.rating_exports import ratings_of, recognise, seconds_of
from movie_recs.data.scale import Scale
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

SHOWN = 6  # examples of bad rows
COLUMNS = ["name", "movie_id", "rating", "rated_at"]
UNMATCHED = ["name", "movie", "rating", "reason"]
NAMES = ("movie_id", "imdb", "title", "year")


class NewRatings(NamedTuple):
    """What has been read.

    Args:
        ratings: (name, movie_id, rating on the scale of the data, rated_at), one row per movie and name.
        unmatched: (name, movie, rating, reason), all text: the rows of a file that are left out.
    """

    ratings: pd.DataFrame
    unmatched: pd.DataFrame


def collect_new_ratings(
    new_users: list[NewUser], from_file: pd.DataFrame, movies: pd.DataFrame, scale: Scale | None
) -> NewRatings:
    """The new users' ratings; of several ratings of a movie the last one counts.

    Args:
        new_users: Names, and stars by movie id or title; each rating counts as later than the one before.
        from_file: (name, and the columns of one of `rating_exports.LAYOUTS`), all text, as `datasets.new_user_csv`
            loads it.
        movies: (movie_id, title, year, original: the id as the data has it, and imdb_id where it is known).
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
    matched, unmatched = _read(from_file, movies, scale)
    parts = [part for part in (pd.DataFrame(rows, columns=COLUMNS), matched) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    table = table.astype({"movie_id": "int64", "rating": float, "rated_at": "datetime64[us]"})
    return NewRatings(table.drop_duplicates(["name", "movie_id"], keep="last", ignore_index=True), unmatched)


def _finder(movies: pd.DataFrame) -> MovieFinder:
    years = [None if pd.isna(year) else int(year) for year in movies["year"]]
    return MovieFinder(movies["movie_id"].tolist(), movies["original"].tolist(), movies["title"].tolist(), years)


def _find(finder: MovieFinder, name: str, movie: int | str) -> int:
    try:
        return finder.find(movie)
    except UserError as error:
        raise UserError(f"recommend.new_users: {name}'s {error}") from error


def _read(from_file: pd.DataFrame, movies: pd.DataFrame, scale: Scale | None) -> NewRatings:
    """The rows of a file: those that are matched, and the others, which are logged too."""
    layout = recognise(from_file.columns)
    if layout is None or from_file.empty:
        return NewRatings(pd.DataFrame(columns=COLUMNS), pd.DataFrame(columns=UNMATCHED))
    texts = {name: _texts(from_file, getattr(layout, name)) for name in ("movie_id", "imdb", "title", "year", "rating")}
    finder = ExactFinder(movies)
    found = [
        finder.by_id(movie) if layout.movie_id else finder.find(imdb, title, year)
        for movie, imdb, title, year in zip(*(texts[name] for name in NAMES), strict=True)
    ]
    stars, seconds = ratings_of(from_file, layout, scale), seconds_of(from_file, layout)
    reason = pd.Series([each.reason for each in found], from_file.index, dtype=str)
    reason = reason.mask((reason == "") & seconds.isna(), "its time is no number of seconds")
    has_none = (reason == "") & stars.isna()
    reason = reason.mask(has_none & (texts["rating"] == ""), "it has no rating")
    reason = reason.mask(has_none & (texts["rating"] != ""), texts["rating"] + " is not on the scale")
    good = reason == ""
    times = pd.to_datetime(seconds.where(good, 0), unit="s")
    ratings = pd.DataFrame({
        "name": from_file["name"],
        "movie_id": [each.movie_id for each in found],
        "rating": stars,
        "rated_at": times,
    })  # fmt: skip
    shown = texts["title"].where(texts["year"] == "", texts["title"] + " (" + texts["year"] + ")")
    shown = shown.where(texts["title"] != "", texts["movie_id"] + texts["imdb"])
    rows = pd.DataFrame({"name": from_file["name"], "movie": shown, "rating": texts["rating"], "reason": reason})
    unmatched = rows[~good].reset_index(drop=True)
    if len(unmatched):
        examples = "; ".join(f"{row.movie}: {row.reason}" for row in unmatched.iloc[:SHOWN].itertuples())
        logger.warning(
            "recommend.new_user_ratings: %d of %d ratings from %s are left out, all of which are in "
            "unmatched_ratings.csv: %s.", len(unmatched), len(rows), layout.whose, examples,
        )  # fmt: skip
    return NewRatings(ratings[good].astype({"movie_id": "int64"}), unmatched)


def _texts(table: pd.DataFrame, column: str | None) -> pd.Series:
    """The column without spaces around its texts; empty texts if there is none."""
    return table[column].str.strip() if column in table else pd.Series("", table.index)
