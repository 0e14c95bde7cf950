"""Movies by their id or title, as people write them."""

import difflib
from collections.abc import Sequence

from movie_recs.data.id_numbers import Id
from movie_recs.data.titles import name_movie, search_key, without_year
from movie_recs.errors import UserError

SHOWN = 6  # titles that may be meant
MIN_SIMILARITY = 0.6  # of titles, as difflib's ratio


class MovieFinder:
    """Finds movies by id or title, both as the data have them and as people write them.

    Args:
        movie_ids: The movies' numbers.
        originals: Their ids as the data have them.
        titles: Their titles.
        years: Their years; None if unknown.
        guess: Whether an unknown title is answered with similar ones, which takes a second for 100,000 movies.
    """

    def __init__(
        self,
        movie_ids: Sequence[int],
        originals: Sequence[Id],
        titles: Sequence[str],
        years: Sequence[int | None],
        guess: bool = True,
    ):
        self.numbers = {str(original): number for original, number in zip(originals, movie_ids, strict=True)}
        self._guess = guess
        self._originals = dict(zip(movie_ids, originals, strict=True))
        self._shown = {
            number: name_movie(title, year) for number, title, year in zip(movie_ids, titles, years, strict=True)
        }
        self.keys = [search_key(title) for title in titles]  # without the years
        self._by_title: dict[str, list[int]] = {}
        for number, title, year, key in zip(movie_ids, titles, years, self.keys, strict=True):
            other = search_key(without_year(title)) if year is None else f"{key} {year}"
            for each in dict.fromkeys((key, other)):
                self._by_title.setdefault(each, []).append(number)

    def find(self, movie: Id) -> int:
        """The movie's number; text is looked up as a title first, then as an id.

        Raises:
            UserError: It matches no movie, or several, which the message lists; the message begins with the movie.
        """
        if isinstance(movie, int):
            if str(movie) not in self.numbers:
                raise UserError(f"movie {movie} is not in the data.")
            return self.numbers[str(movie)]
        found = self._by_title.get(search_key(movie), [])
        if len(found) == 1:
            return found[0]
        if not found and movie.strip() in self.numbers:
            return self.numbers[movie.strip()]
        if not found and movie.strip().isdecimal():
            return self.find(int(movie))
        raise UserError(f"{movie!r} {self._candidates(movie, found)}")

    def _candidates(self, movie: str, found: list[int]) -> str:
        key = search_key(without_year(movie))
        if not found:
            titles = sorted((title for title in self._by_title if key in title), key=len)
            if self._guess:
                titles += difflib.get_close_matches(key, self._by_title, SHOWN, MIN_SIMILARITY)
            found = list(dict.fromkeys(each for title in titles for each in self._by_title[title]))
        if not found:
            roughly = ", not even roughly" if self._guess else ""
            return f"matches no title in the data{roughly}: check its spelling, or write the id."
        listed = "; ".join(f"{self._originals[each]} {self._shown[each]}" for each in found[:SHOWN])
        return f"could be {listed}: write the id, or the title with its year."
