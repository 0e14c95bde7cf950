"""Movies of one series, known by their titles: `Toy Story` and `Toy Story 2`, `The Godfather` and its `Part II`."""

import re
from collections.abc import Sequence

import numpy as np

from movie_recs.data.titles import display_title, search_key

_OTHER_TITLE = re.compile(r"\s*\([^()]*\)")
_NUMBER = r"\d{1,2}|[IVX]{1,5}"
_PART = re.compile(rf"[\s,-]+(?:(?:Part|Vol\.?|Volume|Chapter|Episode)\s+(?:{_NUMBER}|One|Two|Three)\b.*|{_NUMBER})$")
_ADVENTURE = re.compile(r"^(\S+ \S+(?: \S+)?) and the ")  # Harry Potter and the ..., Indiana Jones and the ...


def series_key(title: str) -> str:
    """What the titles of a series have in common: without subtitle, number of the part, article and punctuation."""
    shown = _OTHER_TITLE.sub("", display_title(title)).split(": ")[0]
    if hero := _ADVENTURE.match(shown):
        shown = hero[1]
    shown = _PART.sub("", shown)
    key = search_key(shown)
    for article in ("the ", "a ", "an "):
        key = key.removeprefix(article)
    return key or search_key(title)


def number_series(titles: Sequence[str]) -> np.ndarray:
    """(n,) int: the same number for titles of one series, and for equal titles."""
    return np.unique([series_key(title) for title in titles], return_inverse=True)[1]
