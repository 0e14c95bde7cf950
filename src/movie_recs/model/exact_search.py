"""The n best items of each query, exactly, in memory: single precision shortlists, double precision decides.

Blocks of queries are scored against blocks of items by matrix products in float32, which are fast but round. With
[p, c] the vector of a query and [q, d] that of an item, k entries and one more, in whatever order a product is summed,

    |computed - true| <= (k + 1) u / (1 - (k + 1) u) (sum_j |p_j q_j| + |c d|) <= (k + 8) 2u (|p| |q| + |c d|) =: bound

where u = 2^-24 is the rounding unit (Higham 2002, section 3.1) and the second step is Cauchy-Schwarz; 8 and 2 leave
room for the rounding of the vectors, the norms and the threshold. An item whose product is below the n-th best score so
far by more than the bound cannot reach it. Every other is scored again in float64, in one order of summation, and only
those scores decide. So a list depends neither on the size of blocks, nor on the other queries, nor on the BLAS.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numba import njit

DOT, L2, COSINE = 0, 1, 2
CHUNK = 64  # scores that are compared with the threshold at a time
LARGEST = 1e18  # of the factors in float32, so that products stay below its maximum, 3e38
LOWEST = np.float32(np.finfo(np.float32).min)
NOTHING = -np.inf  # the score of an empty place in a list

# No fast math, so that every machine gives the same bits. The machine code is cached on disk, as that of kernels.py.
_compiled = njit(cache=True, nogil=True, error_model="numpy")


class Items(NamedTuple):
    """The m items to search, by ascending id; their scores are finite.

    Args:
        ids: (m,) int32.
        features: (m, rank or more) float32.
        constants: (m,) float64: biases or, for distances, |q|^2.
        vectors: (m, rank + 1) float32, [q, d]: that is [q, bias], [q, -|q|^2 / 2] or [q / |q|, 0].
        reach: The largest |q| and |d|; infinite, and all vectors 0, if they are too large for float32.
        rank: Number of features.
        measure: The score is, with b a bias or intercept, `DOT`: b_p + b_q + p.q; `L2`: -|p - q|;
            `COSINE`: p.q / (|p| |q|) - 1, which is -1 where p or q is 0.
    """

    ids: np.ndarray
    features: np.ndarray
    constants: np.ndarray
    vectors: np.ndarray
    reach: tuple[float, float]
    rank: int
    measure: int


class Queries(NamedTuple):
    """The r vectors to search the best items for.

    Args:
        features: (r, rank) float32.
        constants: (r,) float64: biases or, for distances, |p|^2.
        vectors: (r, rank + 1) float32, [p, c]: that is [p, 1] or [p / |p|, 0]; 0 if too large for float32.
        bounds: (r,) float64, the largest possible error of a product.
        seen: (k,) int64 places of the items that are left out, query after query and ascending in each.
        seen_starts: (r + 1,) int64; those of query i are `seen_starts[i]` to `seen_starts[i + 1]`.
    """

    features: np.ndarray
    constants: np.ndarray
    vectors: np.ndarray
    bounds: np.ndarray
    seen: np.ndarray
    seen_starts: np.ndarray


class Lists(NamedTuple):
    """The best items so far of each query of a block, heaps whose root is the worst: scores and places, (r, n)."""

    scores: np.ndarray
    places: np.ndarray


def prepare_items(ids: np.ndarray, bias: np.ndarray, features: np.ndarray, measure: int) -> Items:
    """The items, without those that have an infinite or NaN feature or bias.

    Args:
        ids: (m,) int32, in any order.
        bias: (m,), ignored for distances.
        features: (m, rank) float32.
        measure: As in `Items`.
    """
    bias = bias.astype(float) if measure == DOT else np.zeros(len(ids))
    kept = np.flatnonzero(np.isfinite(features).all(axis=1) & np.isfinite(bias))
    kept = kept[np.argsort(ids[kept])]
    bias, features = bias[kept], features[kept]
    squares = _squares(features)
    vectors, lengths = _vectors(features, squares, measure)
    last = {DOT: bias, L2: -squares / 2, COSINE: np.zeros(len(kept))}[measure]
    reach = (float(lengths.max(initial=0)), float(np.abs(last).max(initial=0)))
    if max(reach) > LARGEST:
        exact, vectors, reach = features, np.zeros_like(vectors), (np.inf, np.inf)
    else:
        vectors[:, -1] = last
        exact = features if measure == COSINE else vectors  # they begin with the features: one copy is enough
    constants = bias if measure == DOT else squares
    return Items(ids[kept], exact, constants, vectors, reach, features.shape[1], measure)


def prepare_queries(
    bias: np.ndarray, features: np.ndarray, seen: np.ndarray, seen_counts: np.ndarray, items: Items
) -> Queries:
    """The queries, for these items.

    Args:
        bias: (r,) float64, finite; ignored for distances.
        features: (r, rank) float32, finite.
        seen: Ids to leave out, query after query and ascending in each; they need not be among the items.
        seen_counts: (r,), number of these ids of each query.
        items: The items to search.
    """
    squares = _squares(features)
    constants = bias if items.measure == DOT else squares
    vectors, lengths = _vectors(features, squares, items.measure)
    vectors[:, -1] = items.measure != COSINE
    # Bounds float32's rounding of a product, float64's of the score, relative to what is added to the product, and the
    # absolute rounding of tiny numbers.
    added = 1.0 if items.measure == COSINE else np.abs(constants)
    with np.errstate(invalid="ignore"):  # 0 times infinity
        products = lengths * items.reach[0] + items.reach[1]
    bounds = (items.rank + 8) * (2.0**-23 * products + 2.0**-52 * added + 2.0**-120)
    too_large = (lengths > LARGEST) | np.isinf(items.reach[0])
    vectors[too_large], bounds[too_large] = 0, np.inf  # every item is scored in float64
    places = np.searchsorted(items.ids, seen)
    known = np.append(items.ids, -1)[places] == seen
    starts = np.append(0, np.cumsum(known))[np.append(0, np.cumsum(seen_counts))]
    return Queries(features, constants, vectors, bounds, places[known], starts)


def best_items(queries: Queries, items: Items, n: int, block: tuple[int, int]) -> Iterator[tuple[slice, Lists]]:
    """Blocks of queries and their lists, each by score descending, then by id; `NOTHING` ends a shorter list.

    Args:
        queries: The queries.
        items: The items.
        n: Length of the lists, at most the number of items and at least 1.
        block: Queries and items scored at a time; fewer queries if their lists would be more than a block's scores.
    """
    height, width = block
    height = max(1, min(height, height * width // n))
    buffer = np.empty(height * width, np.float32)
    for first in range(0, len(queries.vectors), height):
        vectors = queries.vectors[first : first + height]
        lists = Lists(np.full((len(vectors), n), NOTHING), np.zeros((len(vectors), n), np.int32))
        for start in range(0, len(items.ids), width):
            others = items.vectors[start : start + width]
            products = buffer[: len(vectors) * len(others)].reshape(len(vectors), len(others))
            np.matmul(vectors, others.T, out=products)
            _improve(lists, products, first, start, queries, items)
        _sort(lists)
        yield slice(first, first + len(vectors)), lists


def _vectors(features: np.ndarray, squares: np.ndarray, measure: int) -> tuple[np.ndarray, np.ndarray]:
    """[q, not yet set] or [q / |q|, not yet set], (m, rank + 1) float32, and their norms without the last entry."""
    vectors = np.empty((len(features), features.shape[1] + 1), np.float32)
    lengths = np.sqrt(squares)
    if measure != COSINE:
        vectors[:, :-1] = features
        return vectors, lengths
    np.divide(features, np.where(lengths > 0, lengths, 1)[:, None], out=vectors[:, :-1], casting="same_kind")
    return vectors, np.ones(len(features))


@_compiled
def _improve(
    lists: Lists, products: np.ndarray, first_query: int, first_item: int, queries: Queries, items: Items
) -> None:
    """Updates the lists with a block of items, `products` (r, w) being the products of their vectors in float32."""
    for row in range(len(products)):
        query, values = first_query + row, products[row]
        seen = queries.seen[queries.seen_starts[query] : queries.seen_starts[query + 1]]
        scores, places = lists.scores[row], lists.places[row]
        least = _least_product(scores[0], query, queries, items)
        for start in range(0, len(values), CHUNK):
            chunk, hits = values[start : start + CHUNK], 0
            for value in chunk:
                hits += value >= least
            if hits == 0:
                continue
            for place in range(start, start + len(chunk)):
                item = first_item + place
                if values[place] < least or _contains(seen, item):
                    continue
                score = _score(query, item, queries, items)
                if score > scores[0]:  # on a tie the earlier item, which has the lower id, stays
                    scores[0], places[0] = score, item
                    _sift_down(scores, places, len(scores))
                    least = _least_product(scores[0], query, queries, items)


@_compiled
def _least_product(worst: float, query: int, queries: Queries, items: Items) -> np.float32:
    """The product below which no item reaches the score `worst`."""
    constant = queries.constants[query]
    if items.measure == DOT:
        product = worst - constant
    elif items.measure == L2:  # |p - q|^2 = |p|^2 - 2 (p.q - |q|^2 / 2)
        product = (constant - worst * worst) / 2
    else:
        product = worst + 1
    return max(np.float32(product - queries.bounds[query]), LOWEST)


@_compiled
def _score(query: int, item: int, queries: Queries, items: Items) -> float:
    """The score, as defined at `Items.measure`."""
    one, two = queries.features[query], items.features[item]
    if items.measure == L2:
        return -np.sqrt(_squared_distance(one, two))
    if items.measure == DOT:
        return queries.constants[query] + items.constants[item] + _dot(one, two)
    norms = np.sqrt(queries.constants[query] * items.constants[item])  # of equal vectors exactly |p|^2
    return min(_dot(one, two) / norms - 1, 0.0) if norms > 0 else -1.0


@_compiled
def _dot(one: np.ndarray, two: np.ndarray) -> float:
    """p.q over the entries of `one`, in four independent sums, which a processor adds in parallel."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    whole = len(one) - len(one) % 4
    for i in range(0, whole, 4):
        a += np.float64(one[i]) * np.float64(two[i])
        b += np.float64(one[i + 1]) * np.float64(two[i + 1])
        c += np.float64(one[i + 2]) * np.float64(two[i + 2])
        d += np.float64(one[i + 3]) * np.float64(two[i + 3])
    for i in range(whole, len(one)):
        a += np.float64(one[i]) * np.float64(two[i])
    return (a + b) + (c + d)


@_compiled
def _squared_distance(one: np.ndarray, two: np.ndarray) -> float:
    """|p - q|^2 over the entries of `one`: 0 between equal vectors, unlike |p|^2 + |q|^2 - 2 p.q."""
    total = 0.0
    for i in range(len(one)):
        difference = np.float64(one[i]) - np.float64(two[i])
        total += difference * difference
    return total


@_compiled
def _squares(features: np.ndarray) -> np.ndarray:
    """(m,): |q|^2 of each row."""
    squares = np.empty(len(features))
    for row in range(len(features)):
        squares[row] = _dot(features[row], features[row])
    return squares


@_compiled
def _contains(ascending: np.ndarray, value: int) -> bool:
    place = np.searchsorted(ascending, value)
    return bool(place < len(ascending) and ascending[place] == value)


@_compiled
def _sift_down(scores: np.ndarray, places: np.ndarray, size: int) -> None:
    """Restores the heap of the first `size` entries, whose root is the worst, after a change of the root."""
    parent = 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and _is_worse(scores, places, child + 1, child):
            child += 1
        if not _is_worse(scores, places, child, parent):
            return
        scores[parent], scores[child] = scores[child], scores[parent]
        places[parent], places[child] = places[child], places[parent]
        parent = child


@_compiled
def _is_worse(scores: np.ndarray, places: np.ndarray, one: int, two: int) -> bool:
    return scores[one] < scores[two] or (scores[one] == scores[two] and places[one] > places[two])


@_compiled
def _sort(lists: Lists) -> None:
    """Heapsort, the best first: the worst is swapped to the end, then the worst of the rest before it, and so on."""
    for row in range(len(lists.scores)):
        scores, places = lists.scores[row], lists.places[row]
        for last in range(len(scores) - 1, 0, -1):
            scores[0], scores[last] = scores[last], scores[0]
            places[0], places[last] = places[last], places[0]
            _sift_down(scores, places, last)
