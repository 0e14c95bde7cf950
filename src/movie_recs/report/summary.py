"""The summary at the end of a run: the data, the winning models with their test errors, and where the results are.

Parts whose results the run has not made are left out.
"""

import csv
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Any

from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.report.words import MEASURES, MODELS, OBJECTIVES, Objective

WIDTH = 80
INDENT = 9
SHOWN_LISTS, SHOWN_TITLES = 3, 3  # lists of each kind, and titles of each list
RESULTS = ("data_summary", "metrics", "rating.best_params", "ranking.best_params")
LISTS = {  # label, and the prefix of its first column
    "recommendations_csv": ("Lists", "user "),
    "new_user_recommendations_csv": ("New", ""),
    "group_recommendations_csv": ("Group", ""),
    "similar_movies_csv": ("Similar", "movie "),
}
PAGE = "report_html"


def summarise(
    results: dict[str, dict[str, Any]], lists: dict[str, dict[str, list[str]]], paths: dict[str, str]
) -> list[str]:
    """Lines of at most `WIDTH` characters; only paths may be longer.

    Args:
        results: The datasets in `RESULTS` that the run has made, by name.
        lists: Results of `first_titles` for the datasets in `LISTS`, by name; empty ones are not shown.
        paths: Paths of those lists and of the page, by name.
    """
    metrics = results.get("metrics", {})
    lines = _describe_data(metrics.get("dataset") or results.get("data_summary"))
    for objective in OBJECTIVES:
        measured = metrics.get(objective.key, {})
        if best := measured.get("best_params") or results.get(f"{objective.key}.best_params"):
            compared = _compare(measured.get("models", []), objective, best)
            lines += _paragraph(objective.key.capitalize(), *compared, _describe_model(best))
    for name, (label, kind) in LISTS.items():
        if titles := lists.get(name):
            first = [f"{kind}{owner}: {'; '.join(movies)}" for owner, movies in titles.items()]
            lines += [f"{label:{INDENT}}{paths[name]}", *_paragraph("", *first)]
    return lines + ([f"{'Page':{INDENT}}{paths[PAGE]}"] if PAGE in paths else [])


def first_titles(rows: Iterable[str]) -> dict[str, list[str]]:
    """The first titles of the first lists in a CSV file, by owner; the rest of the file is not read.

    Args:
        rows: Lines of the file, the header first. The first column is the list's owner, `title` a movie in it.
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
    scale = Scale.of(data)
    rated = f" on a scale of {scale.describe()}" if scale and scale != HALF_STARS else ""
    return _paragraph("Data", f"{name}: {counts}{rated}{aside}")


def _describe_model(best: dict[str, Any]) -> str:
    values = [f"{name} {value:g}" for name, value in best.items() if isinstance(value, int | float)]
    return f"{best['model']}: {MODELS[best['model']]} ({', '.join(values)})"


def _compare(models: list[dict[str, Any]], objective: Objective, best: dict[str, Any]) -> Iterator[str]:
    """The measures of the winner and of the baseline, and a warning if it loses; nothing if either is missing."""
    measure, winner = objective.tested_by(best), best["model"]
    rows = {row["model"]: row for row in models if row.get(measure) is not None}
    if winner in rows and objective.baseline in rows:
        value, baseline = (rows[name][measure] for name in (winner, objective.baseline))
        label = MEASURES[measure].replace("NDCG", f"NDCG@{rows[winner].get('k')}")
        yield f"{label} {value:.4f} on the test ratings; {objective.baseline_name} {baseline:.4f}"
        if objective.loses(value, baseline):
            yield f"WARNING: {winner} won in cross-validation but loses to {objective.baseline} on the test ratings."


def _paragraph(label: str, *sentences: str) -> list[str]:
    """Each sentence on its own lines, with the label before the first."""
    lines = [
        line
        for sentence in sentences
        for line in textwrap.wrap(sentence, WIDTH - INDENT, break_long_words=False, break_on_hyphens=False)
    ]
    return [f"{label if not number else '':{INDENT}}{line}" for number, line in enumerate(lines)]
