"""A list of one's own as Python makes it, of the models that the page holds, and the movies of these tests."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from data import exports
from movie_recs.data.interactions import read_interactions
from movie_recs.data.movie_filters import MovieFacts, passes
from movie_recs.data.parameters import FilterParameters
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.titles import display_title
from movie_recs.model.arrangement import BY_SCORE, Arrangement, arrange
from movie_recs.model.exact_search import DOT, prepare_items
from movie_recs.model.factor_model import ItemSide
from movie_recs.model.pairs import score_pairs, take_vectors, to_scale
from movie_recs.model.reasons import Reasons
from movie_recs.ranking.compact import Compact, expand
from movie_recs.report.your_list import LENGTH, REASONS
from movie_recs.serve.histories import rating_rows

OTHERS = [
    (100 + place, f"Film {place}", 1950 + place, ["Drama", "Comedy"][place % 3 : place % 3 + 1], None)
    for place in range(50)
]
MOVIES = pd.DataFrame(
    [(number, title, year, ["Comedy"], imdb) for number, title, year, imdb in exports.MOVIES]
    + [(11, "Fifth Element, The", 1997, ["Action"], "0119116"), (12, 'Odd, "Quoted"', None, [], None), *OTHERS],
    columns=["movie_id", "title", "year", "genres", "imdb_id"],
)
MOVIES = MOVIES.astype({"year": "Int64"}).assign(
    original=MOVIES["movie_id"],
    title=MOVIES["title"].map(display_title),
    tmdb_id=pd.Series([None] * len(MOVIES), dtype="Int64"),
    ratings=range(len(MOVIES)),
    mean_rating=3.0,
)
IDS = MOVIES["movie_id"].to_numpy(np.int32)
TABLE = pa.table({
    "movie_id": IDS,
    "year": pa.array(MOVIES["year"].astype(object).where(MOVIES["year"].notna(), None), pa.int32()),
    "genres": pa.array(MOVIES["genres"], pa.list_(pa.string())),
})  # fmt: skip
FACTS = MovieFacts.read(TABLE, MOVIES["ratings"].to_numpy())
NO_FILTERS = FilterParameters()
TEN = {11: 4.0, 1: 3.5, 3: 5.0, 110: 1.0, 111: 4.5, 112: 2.5, 120: 5.0, 121: 3.0, 122: 0.5, 130: 4.0}


class Listed(NamedTuple):
    """A list as Python makes it of compact models."""

    ids: list[int]
    scores: np.ndarray
    stars: np.ndarray | None
    because: list[list[int]]
    shares: list[list[float | None]]


def python_list(
    models: Compact,
    rated: dict[int, tuple[float, int]],
    filters: FilterParameters = NO_FILTERS,
    arrangement: Arrangement = BY_SCORE,
) -> Listed:
    """The list of these ratings, (stars, seconds) by movie."""
    ranking, rating = expand(models)
    movies, stars, times = (np.array(column) for column in zip(*((m, *row) for m, row in rated.items()), strict=True))
    table = rating_rows(1, movies.astype(np.int32), stars.astype(np.float32), times * 1_000_000)
    own = read_interactions(table, models.ids)
    rows = np.arange(len(models.ids))

    def scores(side: ItemSide) -> np.ndarray:
        users = take_vectors(side.rule.user_vectors(own, side.items, side.intercept), np.zeros(len(rows), int))
        return score_pairs(side.intercept, users, take_vectors(side.items, rows))

    allowed = passes(FACTS, filters)
    allowed[own.movies] = False
    ranked = scores(ranking)
    best = np.lexsort((rows, np.where(allowed, -ranked, np.inf)))[: min(arrangement.candidates(LENGTH), allowed.sum())]
    found = {"id": np.zeros(len(best)), "rank": 1 + np.arange(len(best)), "item_id": best, "value": ranked[best]}
    items = prepare_items(rows, ranking.items.bias[:-1], ranking.items.features[:-1].astype(np.float32), DOT)
    arrangement = arrangement._replace(movie_ids=rows[: len(arrangement.series)])
    best = arrange(found, items, LENGTH, arrangement)["item_id"]
    reasons = Reasons(ranking.rule, ranking.items, ranking.intercept, REASONS, for_people=True)(own, models.ids[best])
    because, shares = ([[each[part] for each in row] for row in reasons] for part in (0, 1))
    predicted = None if rating is None else to_scale(scores(rating)[best], HALF_STARS)
    return Listed(models.ids[best].tolist(), ranked[best], predicted, because, shares)
