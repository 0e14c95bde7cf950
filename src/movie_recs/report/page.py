"""All results as one HTML page: scripts, styles, figures and lists are inside it, and it asks no network.

The words stand in templates/report.html.j2; here is what they are given. Titles and tags are data: Jinja escapes them,
and JSON goes into the page without a `<`.
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.graph_objects import Figure

from movie_recs.report.figures import INK, LINES, PALE
from movie_recs.report.words import COLUMNS, FIGURES, MODELS, OBJECTIVES, PARAMETERS

PALER = ("#86b6e3", "#f0935c", "#6cc592", "#c594da", "#e0b850", "#a7b4c2", "#e58aa8", "#74c7d3")
DARK = {  # on a dark page, what each colour of a figure becomes
    **dict(zip(LINES, PALER, strict=True)),
    INK: "#86b6e3",
    PALE: "#3a4f66",
    "#ffffff": "#1a222c",
}
DASH, MINUS = "\u2013", "\u2212"
NO_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
TITLE_HEIGHT = 60  # of a figure by plots.py, in pixels: the page has titles of its own
SEEDS = ("split.seed", "rating.tuning.seed", "ranking.tuning.seed")


class Content(NamedTuple):
    """What the page shows.

    Args:
        metrics: As `evaluation.rating_nodes.collect_metrics` gives them.
        eda: As `eda.nodes.summarise` gives it.
        figures: By the names in `report_words.FIGURES`; the page does without those that are not there.
        lists: {users, new_users, movies, unknown}, as `reporting.nodes.gather_lists` gives them.
        explorer: As `explorer.index_explorer` gives it.
        run_facts: {versions: {name: version}, started: datetime or None, now: datetime}.
        parameters: All parameters of the run, nested.
    """

    metrics: dict[str, Any]
    eda: dict[str, Any]
    figures: dict[str, Figure]
    lists: dict[str, Any]
    explorer: dict[str, Any]
    run_facts: dict[str, Any]
    parameters: dict[str, Any]


class Headline(TypedDict):
    """The winner of an objective and its baseline, both rows of metrics, and the winner's relative change."""

    objective: str
    winner: dict[str, Any]
    baseline: dict[str, Any]
    change: float | None


def render(content: Content) -> str:
    """The page, a complete HTML document."""
    templates = PackageLoader("movie_recs.report", "templates")
    environment = Environment(
        loader=templates,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(embed=embed, number=_number, percent=_percent)
    environment.globals.update(
        source=lambda name: Markup(templates.get_source(environment, name)[0]),  # noqa: S704 - our own files
        plotly_js=_plotly_js,
    )
    metrics, facts = content.metrics, content.run_facts
    parameters = dict(_flatten(content.parameters))
    return environment.get_template("report.html.j2").render(
        data=metrics["dataset"],
        split=metrics["split"],
        eda=content.eda,
        headlines=compare_with_baselines(metrics),
        rating=metrics["rating"],
        ranking=metrics["ranking"],
        models=MODELS,
        columns=COLUMNS,
        parameter_words=PARAMETERS,
        figures={name: _prepare(figure) for name, figure in content.figures.items()},
        figure_words=FIGURES,
        dark=DARK,
        lists=content.lists,
        explorer=content.explorer,
        facts=facts,
        seconds=(facts["now"] - facts["started"]).total_seconds() if facts["started"] else None,
        seeds={name: parameters[name] for name in SEEDS if name in parameters},
        parameters=parameters,
    )


def embed(value: Any) -> Markup:
    """The value as JSON that can stand in a script element, whatever the strings in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(NO_MARKUP))  # noqa: S704 - nothing in it ends a script or begins markup


def compare_with_baselines(metrics: dict[str, Any]) -> list[Headline]:
    """The winner of each objective against what it has to beat, on the test ratings; without such rows, nothing.

    Returns:
        For the rating (less is better) and the ranking (more is better): {objective, winner, baseline, change}, the
        two being rows of metrics, and `change` the relative difference of the winner's measure to the baseline's.
    """
    found: list[Headline] = []
    for objective, measure, baseline, _ in OBJECTIVES:
        rows = {row["model"]: row for row in metrics[objective]["models"] if row.get(measure) is not None}
        winner = metrics[objective]["best_params"]["model"]
        if winner in rows and baseline in rows:
            value, reference = rows[winner][measure], rows[baseline][measure]
            change = (value - reference) / reference if reference else None
            found.append({"objective": objective, "winner": rows[winner], "baseline": rows[baseline], "change": change})
    return found


def _prepare(figure: Figure) -> dict[str, Any] | None:
    """Data and layout for Plotly, without what the page gives itself: title and colours; None if it shows nothing."""
    parts = json.loads(figure.to_json())
    if not any(trace.get(axis) for trace in parts["data"] for axis in ("x", "z")):
        return None
    layout = {name: value for name, value in parts["layout"].items() if name not in ("template", "title", "font")}
    layout["height"] -= TITLE_HEIGHT
    layout["margin"]["t"] -= TITLE_HEIGHT
    return {"data": parts["data"], "layout": layout}


def _plotly_js() -> Markup:
    from plotly.offline import get_plotlyjs  # half a second, which a run without a page need not pay

    return Markup(get_plotlyjs())  # noqa: S704 - Plotly's own


def _flatten(parameters: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name with dots, value as text) of every parameter."""
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list) and not any(isinstance(part, dict | list) for part in value):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{name}", str(value) if isinstance(value, str | float) else json.dumps(value)


def _number(value: float | None, digits: int = 0) -> str:
    """With thousands apart; a dash for nothing."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def _percent(value: float | None, digits: int = 0) -> str:
    return DASH if value is None else f"{value:.{digits}%}".replace("-", MINUS)
