"""What is answered, from a snapshot: the same functions on the same arrays as the pipeline `recommend`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from movie_recs.data.interactions import Interactions, read_interactions
from movie_recs.data.movie_filters import passes
from movie_recs.data.parameters import FilterParameters
from movie_recs.errors import UserError
from movie_recs.model.arrangement import BY_SCORE, Arrangement, arrange
from movie_recs.model.exact_search import Items
from movie_recs.model.factor_model import Arrays
from movie_recs.model.pairs import score_pairs, take_vectors, to_scale
from movie_recs.model.reasons import Reason
from movie_recs.model.search import search
from movie_recs.ranking.rerank.lists import SecondStage
from movie_recs.serve.histories import rating_rows
from movie_recs.serve.snapshot import Served, Snapshot

NEW_USER = 1  # her number in arrays that hold nobody else
MICROSECONDS = 1_000_000


class Person(NamedTuple):
    """A user: her number, all her ratings (`histories.rating_rows`), and each model's users, of whom she may be one."""

    number: int
    rated: pa.Table
    ranking: Arrays
    rating: Arrays | None


def known_person(snapshot: Snapshot, user_id: str) -> Person | None:
    """The user of this id, with the vectors that the models have of her; None if there is none."""
    number = snapshot.user_ids.number(user_id)
    if number is None:
        return None
    ranking, rating = snapshot.ranking.users.one(number), snapshot.rating and snapshot.rating.users.one(number)
    return Person(number, snapshot.histories.of(number), ranking, rating) if len(ranking.ids) else None


def new_person(snapshot: Snapshot, movies: Sequence[int], stars: Sequence[float]) -> Person:
    """Someone who is known by these ratings alone, each later than the one before; of a movie's the last counts."""
    last = {movie: (place, value) for place, (movie, value) in enumerate(zip(movies, stars, strict=True))}
    times = np.array([place for place, _ in last.values()], np.int64) * MICROSECONDS
    values = np.array([value for _, value in last.values()], np.float32)
    rated = rating_rows(NEW_USER, np.array(list(last), np.int32), values, times)
    rating = None if snapshot.rating is None else _folded(snapshot.rating, rated)
    return Person(NEW_USER, rated, _folded(snapshot.ranking, rated), rating)


def recommend(
    snapshot: Snapshot,
    person: Person,
    n: int,
    filters: FilterParameters,
    diversity: float = 0.0,
    series_apart: bool = True,
) -> list[dict[str, Any]]:
    """The movies with the highest ranking scores that she has not rated and that pass the filters, arranged.

    Returns:
        {rank, movie_id, title, year, genres, score, predicted_stars, because, because_shares}, as in the table
        `recommendations`.
    """
    users, left_out = take_vectors(person.ranking, np.array([0])), _left_out(snapshot, filters)
    rated = person.rated["movie_id"].to_numpy()
    bias = snapshot.ranking.model.intercept + users.bias
    seen = np.union1d(rated, left_out)
    catalogue = snapshot.catalogue
    arrangement = (
        Arrangement(diversity, catalogue.numbers, catalogue.series) if series_apart else Arrangement(diversity)
    )
    listed = read_interactions(person.rated, snapshot.ranking.model.items.ids) if len(rated) else None
    movies, scores = _best(
        bias, person.ranking.features[:1], seen, snapshot.searched, n, arrangement, snapshot.second, listed
    )
    stars = _stars(snapshot, person, movies)
    reasons: list[list[Reason]] = [[] for _ in movies]
    if listed is not None and len(movies):
        reasons = snapshot.reasons(listed, movies)
    given = dict(zip(rated.tolist(), person.rated["rating"].to_pylist(), strict=True))
    return [
        {
            "rank": place + 1,
            **snapshot.catalogue.describe(movie),
            "score": float(scores[place]),
            "predicted_stars": stars[place],
            "because": [_name_reason(snapshot, each.movie, given[each.movie]) for each in reasons[place]],
            "because_shares": [each.share for each in reasons[place]],
        }
        for place, movie in enumerate(movies.tolist())
    ]


def similar_movies(snapshot: Snapshot, movie: int, n: int, metric: str) -> list[dict[str, Any]]:
    """The nearest movies: {rank, movie_id, title, year, genres, distance}, as in `similar_movies.csv`."""
    items = snapshot.similar[metric]
    place = int(np.searchsorted(items.ids, movie))
    if place == len(items.ids) or items.ids[place] != movie:
        return []
    movies, values = _best(np.zeros(1), items.features[[place], : items.rank], np.array([movie]), items, n)
    return [
        {"rank": place + 1, **snapshot.catalogue.describe(other), "distance": float(0.0 - values[place])}
        for place, other in enumerate(movies.tolist())
    ]


def _folded(served: Served, rated: pa.Table) -> Arrays:
    """The users of a model who have these ratings; zeros without one that counts."""
    if served.fold_in is None:
        raise UserError("The model has no rule, so that it cannot make users' vectors from ratings.")
    items = served.model.items
    if not len(rated):
        return Arrays(np.array([NEW_USER]), np.zeros(2), np.zeros((2, items.features.shape[1]), np.float32))
    ratings = read_interactions(rated, items.ids)
    bias, features = served.fold_in(ratings)
    bias, features = bias.astype(np.float32).astype(float), features.astype(np.float32)  # as a table of users has them
    return Arrays(ratings.user_ids, np.append(bias, bias), np.vstack([features, features]))


def _left_out(snapshot: Snapshot, filters: FilterParameters) -> np.ndarray:
    """The movies that do not pass the filters, ascending."""
    facts, listed = snapshot.catalogue.facts, snapshot.searched.ids
    if filters == FilterParameters():
        return np.zeros(0, listed.dtype)
    numbers = (snapshot.catalogue.find_id(str(each)) for each in filters.without_movie_ids)
    numbered = filters.model_copy(update={"without_movie_ids": [each for each in numbers if each is not None]})
    return listed[~np.isin(listed, facts.ids[passes(facts, numbered)])]


def _best(
    bias: np.ndarray,
    features: np.ndarray,
    seen: np.ndarray,
    items: Items,
    n: int,
    arrangement: Arrangement = BY_SCORE,
    second: SecondStage | None = None,
    ratings: Interactions | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The movies and values of one query's list; with a second stage, of the user with these ratings."""
    query_id = np.array([NEW_USER]) if ratings is None else ratings.user_ids
    query = query_id, bias, features, seen, np.array([len(seen)])
    number = arrangement.candidates(n) if second is None else second.candidates(n, arrangement)
    parts = list(search(*query, items, min(number, len(items.ids))))
    if not parts:
        return np.zeros(0, np.int32), np.zeros(0)
    if second is None or ratings is None:
        best = arrange(parts[0], items, n, arrangement)
    else:
        best = second.lists(parts[0], ratings, items, n, arrangement)
    return best["item_id"], best["value"]


def _stars(snapshot: Snapshot, person: Person, movies: np.ndarray) -> list[float | None]:
    if snapshot.rating is None or person.rating is None or snapshot.scale is None:
        return [None] * len(movies)
    model, users = snapshot.rating.model, person.rating
    own = take_vectors(users, users.rows_of(np.full(len(movies), person.number)))
    scores = score_pairs(model.intercept, own, take_vectors(model.items, model.items.rows_of(movies)))
    stars = to_scale(scores, snapshot.scale)
    return [float(value) if np.isfinite(value) else None for value in stars]


def _name_reason(snapshot: Snapshot, movie: int, stars: float) -> str:
    """A reason as `title (stars)`; events have no stars."""
    title = snapshot.catalogue.title(movie)
    return f"{title}" if snapshot.scale is None else f"{title} ({stars:.1f})"
