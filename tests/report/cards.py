"""Which figures of a model card are not among the metrics."""

import re

from movie_recs.report.page import MINUS

MEASURED = ("Data", "Split", "Results", "Who is served worst")
# No figures, or names of groups.
NAMES = r"`[^`]*`|https?://\S+|SHA-256|Apache-2.0|\(20\d\d\)|\b(\d{4}s|\d+-\d+|10000\+)(?=[ ,;|])"
IN_THE_TEXT = {"0", "1", "0.5"}  # of the popularity lift's meaning, and of the scale


def values_of(part) -> list:
    """All numbers anywhere in the metrics."""
    if isinstance(part, dict | list):
        return [value for each in (part.values() if isinstance(part, dict) else part) for value in values_of(each)]
    return [part] if isinstance(part, int | float) and not isinstance(part, bool) else []


def untraced_figures(card: str, metrics: dict) -> list[str]:
    """The figures of the card's measured sections that are no number of the metrics, rounded to their decimals."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", card, flags=re.MULTILINE | re.DOTALL))
    numbers, found = values_of(metrics), []
    for section in MEASURED:
        text = re.sub(
            r"`[^`]*`|https?://\S+|SHA-256|Apache-2.0|\(20\d\d\)|\b(\d{4}s|\d+-\d+|10000\+)(?=[ ,;|])",
            " ",
            sections[section],
        )
        for figure in re.findall(rf"[{MINUS}-]?\d[\d,]*(?:\.\d+)?%?", text):
            plain = figure.rstrip(",").replace(MINUS, "-").replace(",", "").rstrip("%")
            digits, scale = len(plain.partition(".")[2]), 100 if "%" in figure else 1
            if plain not in IN_THE_TEXT and not any(f"{scale * each:.{digits}f}" == plain for each in numbers):
                found.append(figure)
    return found
