"""Plotly figures from small tables, in one style; every title names the data set and marks synthetic data."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from movie_recs.data.scale import Scale, scale_of
from movie_recs.rating.metrics import BINS
from movie_recs.tuning.candidate import Measure
from movie_recs.tuning.part import ON_SAMPLE

INK, PALE = "#1f4e79", "#c9d6e4"
LINES = ("#1f4e79", "#d1662c", "#3b8a5a", "#8a4f9e", "#b8860b", "#5a6b7b", "#b03060", "#2f8f9d")
MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "pentagon")

MOST_TICKS = 20
SHOWN_CANDIDATES = 8  # best ones of each model
DISTRIBUTIONS = {  # title, unit of the value, what is counted
    "rating": ("Ratings", "stars", "ratings"),
    "mean_rating_per_user": ("Mean rating per user", "stars", "users"),
    "mean_rating_per_movie": ("Mean rating per movie", "stars", "movies"),
    "ratings_per_year": ("Ratings per year", "year", "ratings"),
    "ratings_per_user": ("Ratings per user", "ratings, bins double in width", "users"),
    "ratings_per_movie": ("Ratings per movie", "ratings, bins double in width", "movies"),
}
TOP_LISTS = [  # name, value, its unit, title
    ("most_rated", "ratings", "ratings", "Most rated"),
    ("best_rated", "damped_mean", "stars", "Best rated (damped mean)"),
]


def genres(movies_by_genre: dict[str, int], data: dict[str, Any]) -> go.Figure:
    """Movies per genre, the most common on top; a movie counts for each of its genres."""
    names, counts = list(movies_by_genre), list(movies_by_genre.values())
    figure = go.Figure(_bars(names, counts))
    figure.update_xaxes(title="movies")
    return _finish(figure, "Movies per genre", data, height=_height(len(names)))


def distributions(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """A histogram of each distribution that has values; columns as in `eda.nodes.count_distributions`."""
    there = {name: words for name, words in DISTRIBUTIONS.items() if (table["distribution"] == name).any()}
    columns = min(3, max(1, len(there)))
    titles = [title for title, _, _ in there.values()]
    rows = max(1, -(-len(there) // columns))
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, vertical_spacing=0.2)
    for place, (name, (_, unit, counted)) in enumerate(there.items()):
        row, column = divmod(place, columns)
        bins = table[table["distribution"] == name]
        is_log = name in ("ratings_per_user", "ratings_per_movie")
        ranges = [_range(low, high, name) for low, high in zip(bins["low"], bins["high"], strict=True)]
        bars = go.Bar(
            x=ranges if is_log else bins["low"],
            y=bins["count"],
            customdata=ranges,
            hovertemplate="%{customdata}: %{y:,}<extra></extra>",
            marker_color=INK,
        )
        figure.add_trace(bars, row=row + 1, col=column + 1)
        figure.update_xaxes(title=unit, row=row + 1, col=column + 1)
        figure.update_yaxes(title=counted, row=row + 1, col=column + 1)
    figure.update_layout(showlegend=False, bargap=0.05)
    return _finish(figure, "Distributions of the ratings", data, height=320 * rows)


def top_movies(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """The most rated movies, and the best rated by damped mean; columns as in `eda.nodes.rank_movies`."""
    there = [words for words in TOP_LISTS if (table["list"] == words[0]).any()] or TOP_LISTS
    titles = [title for *_, title in there]
    figure = make_subplots(rows=1, cols=len(there), subplot_titles=titles, horizontal_spacing=0.35)
    for column, (name, value, unit, _) in enumerate(there, start=1):
        rows = table[table["list"] == name]
        names = [_title(title, year) for title, year in zip(rows["title"], rows["year"], strict=True)]
        figure.add_trace(_bars(names, rows[value].tolist()), row=1, col=column)
        figure.update_xaxes(title=unit, row=1, col=column)
        figure.update_yaxes(autorange="reversed", row=1, col=column)
    figure.update_layout(showlegend=False)
    return _finish(figure, "Most rated and best rated movies", data, height=_height(len(table) // len(there)))


def tags(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """The most used tags; columns as in `eda.nodes.rank_tags`."""
    figure = go.Figure(_bars([_shorten(tag) for tag in table["tag"]], table["applications"].tolist()))
    figure.update_xaxes(title="times used")
    return _finish(figure, "Most used tags", data, height=_height(len(table)))


def cv_results(table: pd.DataFrame, measure: Measure, data: dict[str, Any]) -> go.Figure:
    """The mean measure over the folds with its standard error: the best candidates of each model, its best marked."""
    figure, name = go.Figure(), measure.name.upper()
    if "error" in table:
        table = table[table["error"].fillna("") != ON_SAMPLE]  # of measures on other ratings
    for place, (model, rows) in enumerate(table.dropna(subset=measure.mean).groupby("model", sort=False)):
        rows = rows.sort_values(measure.mean, kind="stable", ascending=measure.is_error).head(SHOWN_CANDIDATES)
        figure.add_trace(
            go.Scatter(
                x=rows[measure.mean],
                y=[f"{model}: {_values(row)}" for _, row in rows.iterrows()],
                error_x={"array": rows["std_error"]},
                name=model,
                mode="markers",
                marker={
                    "symbol": MARKS[place % len(MARKS)],
                    "color": LINES[place % len(LINES)],
                    "size": [14, *[8] * (len(rows) - 1)],
                },
                hovertemplate=f"%{{y}}<br>{name} %{{x:.4f}} ± %{{error_x.array:.4f}}<extra></extra>",
            )
        )
    unit = ", stars" if measure.is_error else ""
    figure.update_xaxes(title=f"{name} in cross-validation{unit}; the large mark is the best of its model")
    figure.update_yaxes(autorange="reversed", automargin=True)
    figure.update_layout(showlegend=False)
    shown = sum(len(trace.x) for trace in figure.data)
    return _finish(figure, "Which hyperparameters are best", data, height=_height(shown))


def ladder(models: list[dict[str, Any]], table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """Test RMSE of each model over all rows, and by how many train ratings the movie has.

    Args:
        models: Result of `evaluation.rating_nodes.evaluate_models`.
        table: Result of `evaluation.rating_nodes.tabulate_ladder`.
        data: Summary of the data set.
    """
    figure = make_subplots(
        rows=1, cols=2, subplot_titles=["All test ratings", "By the movie's train ratings"], horizontal_spacing=0.12
    )
    figure.add_trace(
        go.Scatter(
            x=[row["rmse"] for row in models],
            y=[row["model"] for row in models],
            error_x={"array": [row.get("gain_se") or 0 for row in models]},
            mode="markers+text",
            text=[f"{row['rmse']:.4f}" for row in models],
            textposition="top center",
            marker={
                "symbol": [MARKS[place % len(MARKS)] for place in range(len(models))],
                "color": [LINES[place % len(LINES)] for place in range(len(models))],
                "size": 11,
            },
            showlegend=False,
            hovertemplate="%{y}: RMSE %{x:.4f}, standard error of its gain %{error_x.array:.4f}<extra></extra>",
        ),
        row=1,
        col=1,
    )
    binned = table[table["movie_ratings"].isin(BINS)]
    for place, row in enumerate(models):
        rows = binned[binned["model"] == row["model"]]
        figure.add_trace(
            go.Scatter(
                x=rows["movie_ratings"],
                y=rows["rmse"],
                customdata=rows["n"],
                name=row["model"],
                mode="lines+markers",
                line_color=LINES[place % len(LINES)],
                marker={"symbol": MARKS[place % len(MARKS)], "size": 8},
                hovertemplate="%{x} train ratings: RMSE %{y:.4f} over %{customdata:,} rows",
            ),
            row=1,
            col=2,
        )
    figure.update_xaxes(title="RMSE, stars; bars: standard error of the gain", row=1, col=1)
    figure.update_yaxes(autorange="reversed", automargin=True, row=1, col=1)
    figure.update_xaxes(
        title="train ratings of the movie", type="category", categoryorder="array", categoryarray=BINS, row=1, col=2
    )
    figure.update_yaxes(title="RMSE, stars", row=1, col=2)
    figure.update_layout(legend={"orientation": "h", "y": -0.2})
    return _finish(figure, "What each part of the model adds", data, height=520)


def leaderboard(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """NDCG of each ranking model with its standard error, against the share of the catalogue in its lists.

    Args:
        table: Result of `evaluation.ranking_nodes.measure_lists`.
        data: Summary of the data set.
    """
    figure = go.Figure()
    for place, row in enumerate(table.itertuples()):
        figure.add_trace(
            go.Scatter(
                x=[row.coverage],
                y=[row.ndcg],
                error_y={"array": [row.ndcg_se]},
                name=row.model,
                text=[f"{row.model} {row.ndcg:.3f}"],
                mode="markers+text",
                textposition=_label_side(place, table["ndcg"]),
                marker={"symbol": MARKS[place % len(MARKS)], "color": LINES[place % len(LINES)], "size": 11},
                hovertemplate="%{text} ± %{error_y.array:.4f}<br>coverage %{x:.1%} of all movies<extra></extra>",
            )
        )
    k = int(table["k"].iloc[0]) if len(table) else 10
    figure.update_xaxes(title=f"coverage: share of all movies that are in at least one list of {k}", tickformat=".0%")
    figure.update_xaxes(range=[-0.03, 1.25 * max(table["coverage"].max(), 0.1)])
    figure.update_yaxes(title=f"NDCG@{k}, test ratings", rangemode="tozero")
    figure.update_layout(showlegend=False)
    return _finish(figure, "Accuracy and coverage of the lists", data, height=520)


def predicted_against_actual(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """Predicted stars by actual stars, as shares of the test ratings; `table`: (rating, predicted_stars, rows, ...)."""
    scale = scale_of(data)
    ends = [scale.least, scale.most]
    counts = table.pivot_table(index="predicted_stars", columns="rating", values="rows", fill_value=0)
    shares = counts / counts.sum()
    figure = go.Figure(
        go.Heatmap(
            x=shares.columns,
            y=shares.index,
            z=shares,
            customdata=counts,
            colorscale=[[0, "#ffffff"], [1, INK]],
            colorbar={"title": "share", "tickformat": ".0%"},
            hovertemplate="rated %{x}, predicted %{y}: %{customdata:,} rows, %{z:.1%} of the column<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(x=ends, y=ends, mode="lines", line={"color": "#d1662c", "dash": "dot"}, hoverinfo="skip")
    )
    figure.update_xaxes(title="actual stars", dtick=_tick(scale))
    figure.update_yaxes(title="predicted stars, to the nearest step", dtick=_tick(scale))
    figure.update_layout(showlegend=False)
    return _finish(figure, "Predicted against actual stars, test ratings", data, height=560)


def error_by_rating(table: pd.DataFrame, data: dict[str, Any]) -> go.Figure:
    """Mean error (predicted - actual) and RMSE over the test ratings, by actual stars."""
    sums = table.groupby("rating")[["rows", "error_sum", "squared_error_sum"]].sum()
    rows = sums["rows"]
    figure = go.Figure(
        [
            go.Bar(
                x=sums.index,
                y=sums["error_sum"] / rows,
                name="mean error",
                marker_color=PALE,
                marker_line_color=INK,
                marker_line_width=1,
            ),
            go.Scatter(
                x=sums.index,
                y=(sums["squared_error_sum"] / rows) ** 0.5,
                name="RMSE",
                mode="lines+markers",
                line_color=LINES[1],
            ),
        ]
    )
    figure.update_traces(customdata=rows, hovertemplate="rated %{x}: %{y:.2f} stars over %{customdata:,} rows")
    figure.update_xaxes(title="actual stars", dtick=_tick(scale_of(data)))
    figure.update_yaxes(title="stars")
    return _finish(figure, "Error by actual stars, test ratings", data, height=480)


def _tick(scale: Scale) -> float:
    """Between two labels of an axis of stars."""
    step, span = scale.step, scale.most - scale.least
    return step if step is not None and span / step <= MOST_TICKS else span / 10


def _bars(names: Sequence[str], values: Sequence[float]) -> go.Bar:
    return go.Bar(
        x=values,
        y=names,
        orientation="h",
        marker_color=INK,
        texttemplate="%{x:,.5~r}",
        hovertemplate="%{y}: %{x:,.4~r}<extra></extra>",
    )


def _label_side(place: int, values: pd.Series) -> str:
    """Right of the mark, or above it if the label would overlap with that of the next lower mark."""
    value = values.iloc[place]
    below = [value - other for at, other in enumerate(values) if (other, at) < (value, place)]
    return "top right" if below and min(below) < 0.04 * values.max() else "middle right"


def _values(candidate: pd.Series) -> str:
    """The hyperparameters that the candidate has, with abbreviated names."""
    short = {
        "user_damping": "user",
        "movie_damping": "movie",
        "taste_reg": "taste",
        "prior_reg": "prior",
        "rank": "rank",
        "reg_param": "reg",
        "max_iter": "iter",
        "alpha": "alpha",
        "ease_reg": "ease reg",
        "ease_rank": "ease rank",
        "ease_diagonal": "diagonal",
        "als_weight": "als",
        "sequential_reg": "next reg",
        "sequential_weight": "next",
        "stars_weight": "stars",
        "star_weight": "star",
        "half_life": "half-life",
        "old_weight": "old",
    }
    return ", ".join(f"{name} {candidate[key]:g}" for key, name in short.items() if pd.notna(candidate.get(key)))


def _height(rows: int) -> int:
    return 160 + 24 * rows


def _range(low: float, high: float, name: str) -> str:
    if name in ("rating", "ratings_per_year"):
        return f"{low:g}"
    if name.startswith("mean"):
        return f"{low:.1f}-{high:.1f}"
    return f"{low:.0f}" if high - low == 1 else f"{low:.0f}-{high - 1:.0f}"


def _title(title: str, year: float | None) -> str:
    return _shorten(title) if pd.isna(year) else f"{_shorten(title)} ({int(year)})"


def _shorten(text: str, length: int = 34) -> str:
    """The text cut to a label's length, and escaped: Plotly interprets markup."""
    text = text if len(text) <= length else f"{text[: length - 1]}…"
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _finish(figure: go.Figure, title: str, data: dict[str, Any], height: int) -> go.Figure:
    source = f"{data['name']}{', synthetic data' if data['synthetic'] else ''}"
    figure.update_layout(
        title={"text": f"{title}<br><sup>{source}: {data['ratings']:,} ratings</sup>", "x": 0.02},
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 30, "t": 90, "b": 60},
        font={"family": "Helvetica, Arial, sans-serif", "size": 13},
    )
    if isinstance(figure.data[0] if figure.data else None, go.Bar) and figure.data[0].orientation == "h":
        figure.update_yaxes(autorange="reversed", automargin=True)
    return figure
