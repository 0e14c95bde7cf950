"""All results as one HTML page: scripts, styles, figures and lists are inside it, so it needs no network.

The text is in templates/report.html.j2, its values are prepared here. Titles and tags may contain anything: Jinja
escapes them, and JSON is embedded without a `<`. A browser runs the page's own scripts alone, which it knows by their
hashes; styles may be inline, as Plotly sets them.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypedDict

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.graph_objects import Figure

from movie_recs.data.scale import Scale
from movie_recs.data.schemas import NO_GENRES
from movie_recs.report.figures import INK, LINES, PALE
from movie_recs.report.words import COLUMNS, EVENT_FIGURES, FIGURES, MEASURES, MODELS, OBJECTIVES, PARAMETERS, SPLITS

PALER = ("#86b6e3", "#f0935c", "#6cc592", "#c594da", "#e0b850", "#a7b4c2", "#e58aa8", "#74c7d3")
DARK = {  # colours of figures on a light page: those on a dark one
    **dict(zip(LINES, PALER, strict=True)),
    INK: "#86b6e3",
    PALE: "#3a4f66",
    "#ffffff": "#1a222c",
}
DASH, MINUS = "\u2013", "\u2212"
NO_MARKUP = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}
TITLE_HEIGHT = 60  # pixels, in figures.py; the page has titles of its own
SCRIPTS = ("explorer", "algebra", "fold_in", "list_maker", "ratings_files", "your_list", "report")  # templates
SEEDS = ("split.seed", "rating.tuning.seed", "ranking.tuning.seed")


class Content(NamedTuple):
    """What the page shows.

    Args:
        metrics: Result of `evaluation.rating_nodes.collect_metrics`.
        eda: Result of `eda.nodes.summarise`.
        figures: Figures by their names in `words.FIGURES`; the page leaves missing and empty ones out.
        lists: {users, new_users, movies, unknown}, result of `reporting.nodes.gather_lists`.
        explorer: Result of `explorer.index_explorer`.
        your_list: Result of `your_list.pack`, for the movies of the explorer; empty if there is none.
        run_facts: {versions: {name: version}, started: datetime or None, now: datetime}.
        parameters: All parameters of the run, nested.
        model_card: Result of `model_card.render_model_card`.
    """

    metrics: dict[str, Any]
    eda: dict[str, Any]
    figures: dict[str, Figure]
    lists: dict[str, Any]
    explorer: dict[str, Any]
    your_list: dict[str, Any]
    run_facts: dict[str, Any]
    parameters: dict[str, Any]
    model_card: str = ""


class Headline(TypedDict):
    """The winner of an objective and its baseline, both rows of metrics; its relative change, and whether it loses."""

    objective: str
    measure: str
    winner: dict[str, Any]
    baseline: dict[str, Any]
    change: float | None
    loses: bool


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
    environment.filters.update(embed=embed, number=number, percent=percent)

    def source(name: str) -> Markup:
        return Markup(templates.get_source(environment, name)[0].replace("\r\n", "\n"))  # noqa: S704 - our own files

    scripts = [_plotly_js(), *(source(f"{name}.js") for name in SCRIPTS)]
    metrics, facts = content.metrics, content.run_facts
    scale = Scale.of(metrics["dataset"])
    meaningless = {
        *(() if scale else ("ndcg_liked", "ndcg_graded", "below_mean")),
        *(() if set(content.eda["genres"]) - {NO_GENRES} else ("diversity",)),
    }
    parameters = dict(flatten(content.parameters))
    return environment.get_template("report.html.j2").render(
        css=source("report.css"),
        scripts=scripts,
        allowed_scripts=" ".join(map(_csp_hash, scripts)),
        data=metrics["dataset"],
        split=metrics["split"],
        eda=content.eda,
        headlines=compare_with_baselines(metrics),
        rating=metrics.get("rating"),
        scale=scale,
        ranking=metrics["ranking"],
        models=MODELS,
        measures=MEASURES,
        splits=SPLITS,
        behind={key: behind_the_winner(metrics[key]) for key in ("rating", "ranking") if key in metrics},
        columns=[column for column in COLUMNS if column.key not in meaningless],
        parameter_words=PARAMETERS,
        figures={name: part for name, figure in content.figures.items() if (part := _prepare(figure))},
        figure_words=FIGURES if scale else {**FIGURES, **EVENT_FIGURES},
        dark=DARK,
        lists=content.lists,
        explorer=content.explorer,
        your_list=content.your_list,
        facts=facts,
        seconds=(facts["now"] - facts["started"]).total_seconds() if facts["started"] else None,
        seeds={name: parameters[name] for name in SEEDS if name in parameters},
        parameters=parameters,
        model_card=content.model_card,
    )


def behind_the_winner(measured: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By how much each other model of an objective is worse than the winner: gain, gain_se and p_holm, by model.

    Args:
        measured: An objective's part of the metrics, whose `comparisons` are columns of `tuning.comparison.compare`.
    """
    winner = measured["best_params"]["model"]
    found = {}
    for row in measured.get("comparisons", []):
        if row["gain"] is not None and winner in (row["model"], row["other"]):
            is_after = row["model"] == winner
            gain = row["gain"] if is_after else -row["gain"]
            found[row["other"] if is_after else row["model"]] = {**row, "gain": gain}
    return found


def embed(value: Any) -> Markup:
    """The value as JSON that is safe inside a script element, whatever strings it contains."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(NO_MARKUP))  # noqa: S704 - it cannot end a script or begin markup


def compare_with_baselines(metrics: dict[str, Any]) -> list[Headline]:
    """The winner of each objective against its baseline, on the test ratings; left out if either is not measured.

    Returns:
        One row per objective; `change` = (winner's measure - baseline's) / baseline's, None if that is 0.
    """
    found: list[Headline] = []
    for objective in OBJECTIVES:
        key = objective.key
        if key not in metrics:
            continue
        measure = objective.tested_by(metrics[key]["best_params"])
        rows = {row["model"]: row for row in metrics[key]["models"] if row.get(measure) is not None}
        winner, baseline = rows.get(metrics[key]["best_params"]["model"]), rows.get(objective.baseline)
        if winner and baseline:
            value, reference = winner[measure], baseline[measure]
            change = (value - reference) / reference if reference else None
            loses = objective.loses(value, reference)
            found.append(
                {
                    "objective": key,
                    "measure": measure,
                    "winner": winner,
                    "baseline": baseline,
                    "change": change,
                    "loses": loses,
                }
            )
    return found


def _prepare(figure: Figure) -> dict[str, Any] | None:
    """Data and layout for Plotly without title and colours, which the page sets; None if the figure is empty."""
    parts = json.loads(figure.to_json())
    if not any(trace.get(axis) for trace in parts["data"] for axis in ("x", "z")):
        return None
    layout = {name: value for name, value in parts["layout"].items() if name not in ("template", "title", "font")}
    layout["height"] -= TITLE_HEIGHT
    layout["margin"]["t"] -= TITLE_HEIGHT
    return {"data": parts["data"], "layout": layout}


def _plotly_js() -> Markup:
    from plotly.offline import get_plotlyjs  # takes half a second, and only the page needs it

    return Markup(get_plotlyjs().replace("\r\n", "\n"))  # noqa: S704 - Plotly's own


def _csp_hash(script: str) -> str:
    """How a content security policy names a script, which a browser reads with line feeds alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def flatten(parameters: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(name with dots, value as text) of every parameter."""
    for name, value in parameters.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list) and not any(isinstance(part, dict | list) for part in value):
            yield f"{prefix}{name}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{name}", str(value) if isinstance(value, str | float) else json.dumps(value)


def number(value: float | None, digits: int = 0) -> str:
    """The number with thousands separators; a dash for None."""
    return DASH if value is None else f"{value:,.{digits}f}".replace("-", MINUS)


def percent(value: float | None, digits: int = 0) -> str:
    """The share in per cent; a dash for None."""
    return DASH if value is None else f"{value:.{digits}%}".replace("-", MINUS)
