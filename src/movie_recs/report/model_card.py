"""The model card (Mitchell et al. 2019): what a model is for, on which data it was measured, and whom it serves worst.

Its text is in templates/model_card.md.j2, its values are prepared here, all results from metrics.json.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from movie_recs.data.groups import DECADES, MOVIES, UNKNOWN, USERS
from movie_recs.data.movielens import describe_terms
from movie_recs.data.scale import Scale
from movie_recs.ranking.leaderboard import RERANKED
from movie_recs.ranking.rerank.lists import CANDIDATES
from movie_recs.report.page import compare_with_baselines, number, percent
from movie_recs.report.words import MEASURES, MODELS, OBJECTIVES, PARAMETERS, SPLITS

FEWEST = 20  # users, or test ratings of movies, of a group that may be called the worst
TITLES = {"ranking": "Lists", "rating": "Predicted stars"}
APART = ("dataset", "recommend", "reporting", "eda", "keep_versions")  # change no model and no measure
ON_A_COMMAND_LINE = re.compile(r"[\w./:-]+( [\w./:-]+)*")


def write_model_card(metrics: dict[str, Any], run_facts: dict[str, Any]) -> str:
    """The card as Markdown, with tables as GitHub's.

    Args:
        metrics: Result of `evaluation.rating_nodes.collect_metrics`.
        run_facts: As of the dataset `RunFacts`.
    """
    environment = Environment(
        loader=PackageLoader("movie_recs.report", "templates"),
        autoescape=False,  # noqa: S701 - Markdown; what the data name is in code spans
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(number=number, percent=percent, code=_code)
    rating, ranking = metrics.get("rating"), metrics["ranking"]
    measure = next(each for each in OBJECTIVES if each.key == "ranking").tested_by(ranking["best_params"])
    group_measure = measure if measure in ranking["groups"][USERS][0] else "ndcg"
    command, settings = reproduce(metrics["dataset"]["name"], run_facts.get("changed") or {})
    text = environment.get_template("model_card.md.j2").render(
        data=metrics["dataset"],
        scale=Scale.of(metrics["dataset"]),
        split=metrics["split"],
        splits=SPLITS,
        rating=rating,
        ranking=ranking,
        winners=[_describe_winner(key, metrics[key]["best_params"]) for key in TITLES if key in metrics],
        models=MODELS,
        measures=MEASURES,
        measure=measure,
        group_measure=group_measure,
        second_stage=CANDIDATES if any(each["model"] == RERANKED for each in ranking["models"]) else None,
        losers=[each for each in compare_with_baselines(metrics) if each["loses"]],
        licence=describe_terms(metrics["dataset"]["name"], metrics["dataset"]["synthetic"]),
        worst=list(_worst(metrics, group_measure)),
        **_tables(metrics),
        levers=list(_levers(ranking["best_params"])),
        facts=run_facts,
        spent=_spent(run_facts),
        command=command,
        settings_file=settings,
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def render_model_card(card: str) -> Markup:
    """The card as a part of the page: its headings one level lower, its tables in boxes that scroll."""
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.add_render_rule("table_open", _open_table)
    renderer.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = renderer.parse(card)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1]) + 1}"
        if token.type in ("th_open", "td_open") and "right" in str(token.attrs.pop("style", "")):
            token.attrs["class"] = "figures"
        if token.type == "th_open":
            token.attrs["scope"] = "col"
    return Markup(renderer.renderer.render(tokens, renderer.options, {}))  # noqa: S704 - raw HTML is escaped


def reproduce(dataset: str, changed: Mapping[str, Any]) -> tuple[str, str]:
    """A command that repeats the run, and the settings that no command line can hold, as YAML; empty without any.

    Args:
        dataset: The name of the data set.
        changed: The parameters that differ from the defaults, by their names with dots.
    """
    wanted = {name: value for name, value in changed.items() if name.partition(".")[0] not in APART}
    texts = {name: _argument(value) for name, value in wanted.items()}
    options = [f"dataset={dataset}", *(f"{name}={text}" for name, text in texts.items() if text is not None)]
    others: dict[str, Any] = {}
    for name in (name for name, text in texts.items() if text is None):
        *parents, last = name.split(".")
        block = others
        for parent in parents:
            block = block.setdefault(parent, {})
        block[last] = wanted[name]
    settings = yaml.safe_dump(others, sort_keys=False, allow_unicode=True).strip() if others else ""
    return f'kedro run --params "{",".join(options)}"', settings


def _argument(value: Any) -> str | None:
    """The value as `--params` takes it; None if it does not."""
    if value is None or isinstance(value, bool):
        return str(value).lower() if value is not None else "null"
    parts = value if isinstance(value, list) else [value]
    if not parts or any(isinstance(part, dict | list) for part in parts):
        return None
    text = " ".join(map(str, parts))
    return text if ON_A_COMMAND_LINE.fullmatch(text) else None


def _describe_winner(objective: str, best: dict[str, Any]) -> dict[str, Any]:
    settings = ", ".join(f"`{name}` {value:g}" for name, value in _numbers(best))
    return {
        "title": TITLES[objective],
        "best": best,
        "settings": f"Hyperparameters: {settings}" if settings else "None",
    }


def _numbers(best: dict[str, Any]) -> Iterator[tuple[str, float]]:
    return ((name, best[name]) for name in PARAMETERS if isinstance(best.get(name), int | float))


def _tables(metrics: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows of the groups' tables: the lists' measures and, of ratings, the errors of the same group."""
    ranking = metrics["ranking"]["groups"]
    rating = (metrics.get("rating") or {}).get("groups", {})
    tables = {}
    for name, kind in (("users", USERS), ("movies", MOVIES), ("decades", DECADES)):
        errors = {row["group"]: row for row in rating.get(kind, [])}
        none = {"rmse": None, "rmse_se": None, "n": None}
        tables[name] = [{**none, **errors.get(row["group"], {}), **row} for row in ranking[kind]]
    return tables


def _worst(metrics: dict[str, Any], measure: str) -> Iterator[str]:
    """A sentence on each kind of group about where the winner is worst, among groups of some size."""
    ranking = metrics["ranking"]["groups"]
    of_size = [row for row in ranking[USERS] if row["n_users"] >= FEWEST]
    if len(of_size) > 1:
        low, high = min(of_size, key=lambda row: row[measure]), max(of_size, key=lambda row: row[measure])
        yield (
            f"Lists: users with {low['group']} train ratings, {MEASURES[measure]} {_with_error(low, measure)}; best "
            f"are those with {high['group']}, {_with_error(high, measure)}."
        )
    kinds = (
        (USERS, "users with {} train ratings"),
        (MOVIES, "movies with {} train ratings"),
        (DECADES, "movies of the {}"),
    )
    for kind, words in kinds:
        errors = (metrics.get("rating") or {}).get("groups", {}).get(kind, [])
        of_size = [row for row in errors if row["n"] >= FEWEST and row["group"] != UNKNOWN]
        if len(of_size) > 1:
            low, high = max(of_size, key=lambda row: row["rmse"]), min(of_size, key=lambda row: row["rmse"])
            yield (
                f"Predicted stars: {words.format(low['group'])}, RMSE {_with_error(low, 'rmse')}; best are "
                f"{words.format(high['group'])}, {_with_error(high, 'rmse')}."
            )
    never = [row for row in ranking[MOVIES] if row["list_share"] == 0 and row["movies"]]
    for row in never:
        yield f"{number(row['movies'])} movies with {row['group']} train ratings are in no list."


def _with_error(row: dict[str, Any], measure: str) -> str:
    return f"{number(row[measure], 3)} ± {number(row[f'{measure}_se'], 3)}"


def _levers(best: dict[str, Any]) -> Iterator[str]:
    """What the winner's weights say about a user's ratings."""
    if best.get("star_weight"):
        yield f"The stars of a rating: each one above her mean adds {best['star_weight']:g} to its weight."
    if best.get("half_life"):
        yield f"The age of a rating: {best['half_life']:g} later ones halve its weight."
    if best.get("sequential_weight"):
        yield f"What users rate next, added to the score with the weight {best['sequential_weight']:g}."
    if best.get("stars_weight"):
        yield f"The predicted stars, added to the score with the weight {best['stars_weight']:g}."


def _spent(facts: dict[str, Any]) -> str:
    joules = facts.get("joules")
    energy = "The energy is not known, as the machine does not tell."
    if joules is not None:
        energy = f"Its processors have used {joules / 1000:.1f} kJ meanwhile, for all programs on it."
    return f"{_time(facts)} {energy}"


def _time(facts: dict[str, Any]) -> str:
    if not facts["started"]:
        return "The time of the run is not known."
    seconds = (facts["now"] - facts["started"]).total_seconds()
    memory = f", with {facts['memory']} of memory at most" if facts.get("memory") else ""
    return (
        f"From the start of the run, on {facts['started']:%Y-%m-%d}, to this card {seconds:.0f} s have passed on "
        f"{facts['cores']} cores{memory}, on a {facts['machine']}."
    )


def _code(text: str) -> str:
    """The text in a code span of a table, whatever it contains."""
    plain = str(text).replace("|", "\\|").replace("\n", " ")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def _open_table(self: RendererHTML, tokens: list[Token], place: int, options: Any, env: Any) -> str:  # noqa: ARG001
    before = next(each.content for each in reversed(tokens[:place]) if each.type == "inline")
    label = Markup.escape(re.sub(r"[`*]", "", before.partition(".")[0])[:80])
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>\n'
