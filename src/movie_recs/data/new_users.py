"""Ratings of users that are not in the data: from the parameters, by movie id or title, or from a CSV file."""

import difflib
import logging
import re
from collections import Counter

import pandas as pd

from movie_recs.data.parameters import NewUser
from movie_recs.data.scale import Scale
from movie_recs.errors import UserError

logger = logging.getLogger(__name__)

SHOWN = 6  # titles that may be meant, and examples of bad rows
LAST_SECOND = 9_223_372_036  # in 2262, the last time of pandas
MIN_SIMILARITY = 0.6  # of titles, as difflib's ratio
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
            matches several, which the
            message lists.
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
    finder = _Finder(movies)
    rows = [
        (user.name, finder.find(user.name, movie), stars, pd.Timestamp(place, unit="s"))
        for user in new_users
        for place, (movie, stars) in enumerate(user.ratings.items())
    ]
    parts = [part for part in (pd.DataFrame(rows, columns=COLUMNS), _read(from_file, finder, scale)) if len(part)]
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)
    table = table.astype({"movie_id": "int64", "rating": float, "rated_at": "datetime64[us]"})
    return table.drop_duplicates(["name", "movie_id"], keep="last", ignore_index=True)


def _read(from_file: pd.DataFrame, finder: "_Finder", scale: Scale | None) -> pd.DataFrame:
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


class _Finder:
    """Finds movies by id or title."""

    def __init__(self, movies: pd.DataFrame):
        self.numbers = dict(zip(movies["original"].astype(str), movies["movie_id"], strict=True))
        columns = (movies[name] for name in ("movie_id", "title", "year"))
        self._shown: dict[int, str] = {
            movie_id: title if pd.isna(year) else f"{title} ({int(year)})"
            for movie_id, title, year in zip(*columns, strict=True)
        }
        self._by_title: dict[str, list[int]] = {}
        for movie_id, shown in self._shown.items():
            for key in {_normalised(shown), _normalised(_without_year(shown))}:
                self._by_title.setdefault(key, []).append(movie_id)

    def find(self, name: str, movie: int | str) -> int:
        """The movie's number; text is looked up as a title first, then as an id."""
        if isinstance(movie, int):
            if str(movie) not in self.numbers:
                raise UserError(f"recommend.new_users: {name}'s movie {movie} is not in the data.")
            return self.numbers[str(movie)]
        found = self._by_title.get(_normalised(movie), [])
        if len(found) == 1:
            return found[0]
        if not found and movie.strip() in self.numbers:
            return self.numbers[movie.strip()]
        if not found and movie.strip().isdecimal():
            return self.find(name, int(movie))
        raise UserError(f"recommend.new_users: {name}'s {movie!r} {self._candidates(movie, found)}")

    def _candidates(self, movie: str, found: list[int]) -> str:
        key = _normalised(_without_year(movie))
        if not found:
            titles = [title for title in self._by_title if key in title]
            titles = sorted(titles, key=len) + difflib.get_close_matches(key, self._by_title, SHOWN, MIN_SIMILARITY)
            found = list(dict.fromkeys(each for title in titles for each in self._by_title[title]))
        if not found:
            return "matches no title in the data, not even roughly: check its spelling, or write the id."
        listed = "; ".join(f"{each} {self._shown[each]}" for each in found[:SHOWN])
        return f"could be {listed}: write the id, or the title with its year."


def _without_year(title: str) -> str:
    return re.sub(r"\s*\(\d{4}\)\s*$", "", title)


def _normalised(title: str) -> str:
    """Lower case, without punctuation, the article first: `Matrix, The (1999)` becomes `the matrix 1999`."""
    title = re.sub(r"^(.*), (the|an?)((?: \(\d{4}\))?)$", r"\2 \1\3", title.strip().casefold())
    return " ".join(re.findall(r"\w+", title))
