"""Lists of the n best items of each query as rows: `exact_search` for queries that come with their ids."""

from collections.abc import Iterator

import numpy as np

from movie_recs.model.exact_search import COSINE, L2, NOTHING, Items, best_items, prepare_queries

BLOCK = (512, 2048)  # queries and movies that a task scores at a time: 4 MB
METRICS = {"l2": L2, "cosine": COSINE}


def search(
    ids: np.ndarray,
    bias: np.ndarray,
    features: np.ndarray,
    seen: np.ndarray,
    seen_counts: np.ndarray,
    items: Items,
    n: int,
    block: tuple[int, int] = BLOCK,
) -> Iterator[dict[str, np.ndarray]]:
    """`id`, `rank` from 1, `item_id` and `value`: one row per filled place, list after list, by blocks of queries.

    Args:
        ids: (r,), ids of the queries.
        bias: (r,) float64, including the intercept; a query that is not finite has no list.
        features: (r, rank) float32; (r, 0) if only biases count.
        seen: Ids to leave out, query after query and ascending in each.
        seen_counts: (r,), number of these ids of each query.
        items: The items to search.
        n: Length of the lists, at most the number of items.
        block: Queries and items scored at a time.
    """
    if n < 1:
        return
    finite = np.isfinite(bias) & np.isfinite(features).all(axis=1)
    if not finite.all():
        seen = seen[np.repeat(finite, seen_counts)]
        ids, bias, features, seen_counts = ids[finite], bias[finite], features[finite], seen_counts[finite]
    queries = prepare_queries(bias, features, seen, seen_counts, items)
    for rows, lists in best_items(queries, items, n, block):
        filled = lists.scores > NOTHING
        yield {
            "id": np.repeat(ids[rows], n).reshape(-1, n)[filled],
            "rank": np.tile(np.arange(1, n + 1, dtype=np.int32), (len(filled), 1))[filled],
            "item_id": items.ids[lists.places[filled]],
            "value": lists.scores[filled],
        }
