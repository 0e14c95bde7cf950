"""Titles as people read and type them: "The Fifth Element", where the data have "Fifth Element, The".

The patterns are regular expressions of Python and of Java alike; `spark_titles` uses them on a column.
"""

import re
import unicodedata

# An article at the end of a title, or of another title in brackets after it, as GroupLens and libraries write them.
_ARTICLES = (
    "The|A|An|La|Le|Les|Un|Une|Il|Lo|Gli|I|Una|Uno|El|Los|Las|O|Os|Um|Uma|"
    "Der|Die|Das|Ein|Eine|De|Het|Een|Det|Den|En|Et|Ett"
)
_START, _END = r"((?:a\.k\.a\. )?)([^()\s][^()]*?), ", r"(?=\s*(?:\(|\)|$))"
INVERTED = f"{_START}({_ARTICLES}){_END}"
ELIDED = f"{_START}(L'){_END}"  # no space follows it


def display_title(title: str) -> str:
    """The title with its articles in front: "Postman, The (Postino, Il)" becomes "The Postman (Il Postino)"."""
    return _articles_first(title)


def name_movie(title: str, year: int | None) -> str:
    """The title as people read it, with its year: `The Matrix (1999)`."""
    shown = display_title(title)
    return shown if year is None else f"{shown} ({year})"


def search_key(title: str) -> str:
    """What titles are compared by: no case, accents or punctuation, and articles first.

    `Matrix, The (1999)` and `the matrix 1999` have the same key.
    """
    folded = _articles_first(title.strip().casefold(), re.IGNORECASE)
    if not folded.isascii():
        folded = "".join(each for each in unicodedata.normalize("NFD", folded) if not unicodedata.combining(each))
    return " ".join(re.findall(r"\w+", folded.replace("'", "").replace("\u2019", "")))


def without_year(title: str) -> str:
    """The title without a year in brackets at its end."""
    return re.sub(r"\s*\(\d{4}\)\s*$", "", title)


def names_of(title: str) -> list[str]:
    """The title, what is before its brackets, and what is in them: "Seven (a.k.a. Se7en)" is "Seven" and "Se7en"."""
    inside = [name.removeprefix("a.k.a. ") for name in re.findall(r"\(([^()]+)\)", title)]
    return [title, re.sub(r"\s*\([^()]*\)", "", title), *inside]


def _articles_first(title: str, flags: int = 0) -> str:
    if ", " not in title:  # most titles, and a pattern takes microseconds for each of 100,000
        return title
    inverted = re.sub(INVERTED, r"\1\3 \2", title, flags=flags)
    return re.sub(ELIDED, r"\1\3\2", inverted, flags=flags) if ", l'" in inverted.lower() else inverted
