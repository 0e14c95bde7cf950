"""The order of a list that is more than one of scores: not too much of the same, no two parts of a series in a row."""

from typing import NamedTuple

import numpy as np

from movie_recs.model.exact_search import Items

NEAR, FAR = 2, 10  # candidates for each place of a list, by scores alone and where it should be diverse


class Arrangement(NamedTuple):
    """How the best candidates of a query become its list.

    Args:
        diversity: Weight of what a movie has in common with those above it, from 0, by scores alone, to 1.
        movie_ids: (s,) ascending, the movies whose series are known.
        series: (s,), the same number for parts of one series, of which no two follow each other while there are others.
    """

    diversity: float = 0.0
    movie_ids: np.ndarray = np.zeros(0, np.int32)
    series: np.ndarray = np.zeros(0, np.int64)

    def candidates(self, n: int) -> int:
        """How many of the best candidates a list of n is made of."""
        if self.diversity:
            return n * FAR
        return n * NEAR if len(self.series) else n


BY_SCORE = Arrangement()


def arrange(found: dict[str, np.ndarray], items: Items, n: int, arrangement: Arrangement) -> dict[str, np.ndarray]:
    """Lists of n from lists of candidates.

    Each place gets the candidate i that is left with the highest maximal marginal relevance (Carbonell & Goldstein
    1998), d being the diversity and r_i the score between 0 for the list's lowest candidate and 1 for its highest:

        (1 - d) r_i - d max_j cos(q_i, q_j), j over the places above

    but none of the series of the place above, unless no other is left. Without diversity that is the order of scores.

    Args:
        found: id, rank, item_id, value as of `search.search`, with `arrangement.candidates(n)` places.
        items: The items that were searched.
        n: Length of the lists.
        arrangement: How they are made.

    Returns:
        The same columns for the lists of n; values are the scores, and ranks the places.
    """
    if not (arrangement.diversity or len(arrangement.series)) or not len(found["id"]):
        return found
    starts = np.flatnonzero(found["rank"] == 1)
    series = _series_of(found["item_id"], arrangement)
    kept, ranks = [], []
    for start, end in zip(starts, np.append(starts[1:], len(found["id"])), strict=True):
        place = slice(start, end)
        length = min(n, end - start)
        order = np.arange(length)
        if arrangement.diversity:
            vectors = items.features[np.searchsorted(items.ids, found["item_id"][place]), : items.rank]
            order = _order(found["value"][place], series[place], length, arrangement.diversity, vectors)
        elif (series[start + 1 : start + length] == series[start : start + length - 1]).any():
            order = _order(found["value"][place], series[place], length)
        kept.append(start + order)
        ranks.append(np.arange(1, length + 1, dtype=np.int32))
    rows = np.concatenate(kept)
    return {**{name: column[rows] for name, column in found.items()}, "rank": np.concatenate(ranks)}


def _series_of(movie_ids: np.ndarray, arrangement: Arrangement) -> np.ndarray:
    """A number for each movie's series; one that is not known is a series of its own."""
    alone = -1 - np.arange(len(movie_ids))
    if not len(arrangement.series):
        return alone
    places = np.minimum(np.searchsorted(arrangement.movie_ids, movie_ids), len(arrangement.series) - 1)
    return np.where(arrangement.movie_ids[places] == movie_ids, arrangement.series[places], alone)


def _order(
    scores: np.ndarray, series: np.ndarray, n: int, diversity: float = 0.0, vectors: np.ndarray | None = None
) -> np.ndarray:
    """The places (n,) of the candidates, which come by descending score, in the order of the list."""
    spread = scores[0] - scores[-1]
    relevance = (scores - scores[-1]) / spread if spread else np.zeros(len(scores))
    unit = np.zeros((len(scores), 0)) if vectors is None else _unit(vectors)
    nearest = np.zeros(len(scores))
    is_left = np.ones(len(scores), bool)
    order: list[int] = []
    for _ in range(n):
        merit = (1 - diversity) * relevance - diversity * nearest
        allowed = is_left & (series != series[order[-1]]) if order else is_left
        if not allowed.any():
            allowed = is_left
        best = int(np.argmax(np.where(allowed, merit, -np.inf)))
        similarity = unit @ unit[best]
        nearest = np.maximum(nearest, similarity) if order else similarity
        is_left[best] = False
        order.append(best)
    return np.array(order, np.int64)


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
