"""The last lines of a run: what it was on, what won and how good that is, and where to look.

Only what a run has made is in them: each piece is left out where its part of the results is not given.
"""

import csv
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from movie_recs.report.words import MODELS, OBJECTIVES

WIDTH = 80
INDENT = 9
SHOWN_LISTS, SHOWN_TITLES = 3, 3  # how many lists are shown, and how much of each
RESULTS = ("data_summary", "metrics", "rating.best_params", "ranking.best_params")
LISTS = {  # label, and what its first column numbers
    "recommendations_csv": ("Lists", "user "),
    "new_user_recommendations_csv": ("New", ""),
    "similar_movies_csv": ("Similar", "movie "),
}
PAGE = "report_html"


def summarise(
    results: dict[str, dict[str, Any]], lists: dict[str, dict[str, list[str]]], paths: dict[str, str]
) -> list[str]:
    """Lines of at most `WIDTH` characters, but for places, which stay whole.

    Args:
        results: By name, of those in `RESULTS`, what the run has made.
        lists: Of those in `LISTS`, as `first_titles` gives them; an empty one is not shown.
        paths: Where those lists and the page are.
    """
    metrics = results.get("metrics", {})
    lines = _describe_data(metrics.get("dataset") or results.get("data_summary"))
    for objective, measure, baseline, baseline_name in OBJECTIVES:
        measured = metrics.get(objective, {})
        if best := measured.get("best_params") or results.get(f"{objective}.best_params"):
            compared = _compare(measured.get("models", []), measure, (best["model"], baseline), baseline_name)
            lines += _paragraph(objective.capitalize(), *compared, _describe_model(best))
    for name, (label, kind) in LISTS.items():
        if titles := lists.get(name):
            first = [f"{kind}{owner}: {'; '.join(movies)}" for owner, movies in titles.items()]
            lines += [f"{label:{INDENT}}{paths[name]}", *_paragraph("", *first)]
    return lines + ([f"{'Page':{INDENT}}{paths[PAGE]}"] if PAGE in paths else [])


def first_titles(rows: Iterable[str]) -> dict[str, list[str]]:
    """The first titles of the first people or movies of a CSV file, of which no more is read than that takes.

    Args:
        rows: Lines of the file, the header first. Its first column says whose list it is, `title` what is in it.
    """
    lists = groupby(csv.DictReader(rows), key=lambda row: next(iter(row.values())))
    return {
        owner: [row["title"] for row in islice(movies, SHOWN_TITLES)] for owner, movies in islice(lists, SHOWN_LISTS)
    }


def _describe_data(data: dict[str, Any] | None) -> list[str]:
    if data is None:
        return []
    name = f"{data['name']}, synthetic data" if data["synthetic"] else data["name"]
    counts = f"{data['ratings']:,} ratings of {data['movies']:,} movies by {data['users']:,} users"
    aside = f"; {data['set_aside']:,} rows set aside" if data["set_aside"] else ""
    return _paragraph("Data", f"{name}: {counts}{aside}")


def _describe_model(best: dict[str, Any]) -> str:
    values = [f"{name} {value:g}" for name, value in best.items() if isinstance(value, int | float)]
    return f"{best['model']}: {MODELS[best['model']]} ({', '.join(values)})"


def _compare(models: list[dict[str, Any]], measure: str, names: tuple[str, str], baseline_name: str) -> Iterator[str]:
    """The winner's measure and that of the rival; nothing where one of them has none."""
    rows = {row["model"]: row for row in models if row.get(measure) is not None}
    if all(name in rows for name in names):
        winner, baseline = (rows[name] for name in names)
        label = f"{measure.upper()}@{winner['k']}" if "k" in winner else measure.upper()
        yield f"{label} {winner[measure]:.4f} on the test ratings; {baseline_name} {baseline[measure]:.4f}"


def _paragraph(label: str, *sentences: str) -> list[str]:
    """Each sentence on lines of its own, behind the label."""
    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    ]
    return [f"{label if not number else '':{INDENT}}{line}" for number, line in enumerate(lines)]
