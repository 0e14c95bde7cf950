"""The best of many items, against brute force in float64; what float32 rounds away must not matter."""

import numpy as np
import pytest

from movie_recs.model.exact_search import COSINE, DOT, L2, NOTHING, best_items, prepare_items, prepare_queries

QUERIES, ITEMS, RANK = 30, 500, 11
BLOCKS = [(512, 2048), (7, 64), (1, 1)]


def scores_by_brute_force(measure, query_bias, queries, bias, items):
    """(r, m) float64, one score after the other in one way."""
    p, q = queries.astype(float), items.astype(float)
    if measure == DOT:
        return np.array(
            [
                [b + c + np.sum(one * two) for c, two in zip(bias, q, strict=True)]
                for b, one in zip(query_bias, p, strict=True)
            ]
        )
    if measure == L2:
        return -np.array([np.sqrt(((q - one) ** 2).sum(axis=1)) for one in p])
    norms = np.sqrt((p**2).sum(axis=1)[:, None] * (q**2).sum(axis=1))
    return np.where(norms > 0, p @ q.T / np.where(norms > 0, norms, 1), 0) - 1


def search(measure, query_bias, queries, bias, items, n, block=BLOCKS[0], seen=(), seen_counts=None, ids=None):
    """For each query its ids and its scores, best first."""
    ids = np.arange(len(items), dtype=np.int32) if ids is None else ids
    counts = np.zeros(len(queries), np.int32) if seen_counts is None else seen_counts
    catalogue = prepare_items(ids, bias, items, measure)
    prepared = prepare_queries(query_bias, queries, np.array(seen, np.int32), counts, catalogue)
    found = []
    for _, lists in best_items(prepared, catalogue, min(n, len(catalogue.ids)), block):
        for scores, places in zip(lists.scores, lists.places, strict=True):
            filled = scores > NOTHING
            found.append((catalogue.ids[places[filled]].tolist(), scores[filled].tolist()))
    return found


def expected(scores, n, ids=None):
    """The same from all scores (r, m) by a stable sort; scores that brute force sums differently are rounded alike."""
    order = np.argsort(-scores.round(9), axis=1, kind="stable")[:, :n]
    return order if ids is None else ids[order]


@pytest.fixture
def tied():
    """Small whole numbers: exact in float32 and in float64, and full of ties."""
    rng = np.random.default_rng(0)
    queries, items = (rng.integers(-1, 2, (size, RANK)).astype(np.float32) for size in (QUERIES, ITEMS))
    queries[3], items[5] = 0, 0
    query_bias, bias = rng.integers(-1, 2, QUERIES).astype(float), rng.integers(-1, 2, ITEMS).astype(np.float32)
    return query_bias, queries, bias, items


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("measure", [DOT, L2, COSINE], ids=["dot", "l2", "cosine"])
def test_of_ties_the_lower_ids_come_first(tied, measure, block):
    scores = scores_by_brute_force(measure, *tied)
    assert max(len(np.unique(row)) for row in scores.round(9)) < ITEMS / 4
    found = search(measure, *tied, n=40, block=block)
    np.testing.assert_array_equal([ids for ids, _ in found], expected(scores, 40))
    np.testing.assert_allclose([values for _, values in found], -np.sort(-scores, axis=1)[:, :40], atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 3, 64, 700])
@pytest.mark.parametrize("measure", [DOT, L2, COSINE], ids=["dot", "l2", "cosine"])
def test_lists_are_the_same_to_the_last_bit_from_any_blocks(measure, rank):
    rng = np.random.default_rng(rank)
    sides = [(rng.normal(size=m), rng.normal(size=(m, rank)).astype(np.float32)) for m in (QUERIES, ITEMS)]
    (query_bias, queries), (bias, items) = sides
    bias = bias.astype(np.float32)
    first, *others = (search(measure, query_bias, queries, bias, items, 10, block) for block in BLOCKS)
    assert others == [first, first]
    alone = [search(measure, query_bias[[i]], queries[[i]], bias, items, 10)[0] for i in range(QUERIES)]
    assert alone == first
    scores = scores_by_brute_force(measure, query_bias, queries, bias, items)
    np.testing.assert_array_equal([ids for ids, _ in first], expected(scores, 10))


def test_differences_that_float32_does_not_see_decide():
    """All products are 1e6 or so, where float32 has steps of 1/16; one item is better than all others by 1e-5."""
    rng = np.random.default_rng(2)
    items = np.tile(rng.normal(1000, 1, 700).astype(np.float32), (300, 1))
    bias = np.zeros(300, np.float32)
    bias[[17, 250]] = 1e-5, 2e-5
    [(ids, _)] = search(DOT, np.zeros(1), np.ones((1, 700), np.float32), bias, items, 4)
    assert ids == [250, 17, 0, 1]


@pytest.mark.parametrize("block", BLOCKS)
def test_tiny_biases_order_what_a_vector_of_zeros_leaves_tied(block):
    rng = np.random.default_rng(4)
    items = rng.normal(size=(2000, 64)).astype(np.float32) * 100
    bias = (1e-6 * rng.permutation(2000)).astype(np.float32)
    [(ids, scores)] = search(DOT, np.array([3.0]), np.zeros((1, 64), np.float32), bias, items, 50, block)
    best = np.argsort(-bias)[:50]
    assert ids == best.tolist()
    assert scores == (3.0 + bias[best].astype(float)).tolist()


def test_near_movies_are_told_apart_far_from_the_origin():
    """Distances of 1 to 20 steps of float32 at 1000, from vectors whose squares are 6.4e7."""
    start = np.full(64, 1000, np.float32)
    items = np.tile(start, (21, 1))
    items[:, 7] += np.float32(2.0**-14) * np.random.default_rng(0).permutation(21)
    [(ids, scores)] = search(L2, np.zeros(1), start[None], np.zeros(21), items, 21)
    assert ids == np.argsort(items[:, 7]).tolist()
    assert scores == (-(2.0**-14) * np.arange(21)).tolist()


@pytest.mark.parametrize("measure", [L2, COSINE], ids=["l2", "cosine"])
def test_equal_vectors_are_at_distance_0_to_the_last_bit(measure):
    vector = np.random.default_rng(3).normal(size=(1, 10)).astype(np.float32)
    [(ids, scores)] = search(measure, np.zeros(1), vector, np.zeros(200), np.tile(vector, (200, 1)), 200)
    assert (ids, scores) == (list(range(200)), [0.0] * 200)


def test_cosines_do_not_depend_on_lengths_and_are_0_of_a_zero_vector():
    items = np.array([[0, 0], [2, 0], [1e-20, 1e-20], [-3e15, 0], [0, 5]], np.float32)
    [(ids, scores), (zero_ids, zero_scores)] = search(
        COSINE, np.zeros(2), np.array([[7, 0], [0, 0]], np.float32), np.zeros(5), items, 5
    )
    assert ids == [1, 2, 0, 4, 3]
    np.testing.assert_allclose(scores, [0, np.sqrt(0.5) - 1, -1, -1, -2], rtol=1e-15)
    assert (zero_ids, zero_scores) == ([0, 1, 2, 3, 4], [-1.0] * 5)


@pytest.mark.parametrize("measure", [DOT, L2, COSINE], ids=["dot", "l2", "cosine"])
@pytest.mark.parametrize("side", ["queries", "items"])
def test_numbers_too_large_for_float32_products_are_scored_too(measure, side):
    rng = np.random.default_rng(6)
    queries, items = (rng.normal(size=(size, 3)).astype(np.float32) for size in (4, 50))
    {"queries": queries, "items": items}[side][:3] *= 1e30
    queries[3] = 0
    found = search(measure, np.zeros(4), queries, np.zeros(50), items, 5)
    scores = scores_by_brute_force(measure, np.zeros(4), queries, np.zeros(50), items)
    for (ids, values), row in zip(found, scores, strict=True):
        np.testing.assert_allclose(values, -np.sort(-row)[:5], rtol=1e-9, atol=1e-15)
        np.testing.assert_allclose(row[ids], values, rtol=1e-9, atol=1e-15)


def test_numbers_near_the_smallest_are_scored_too():
    bias = np.array([1e-44, 3e-44, 2e-44, 0], np.float32)
    [(ids, _)] = search(
        DOT, np.zeros(1), np.full((1, 2), 1e-30, np.float32), bias, np.full((4, 2), 1e-30, np.float32), 3
    )
    assert ids == [1, 2, 0]


@pytest.mark.parametrize("block", BLOCKS)
def test_seen_items_are_left_out_wherever_they_stand(tied, block):
    """Query 0 has seen nothing, query 1 everything, query 2 its ten best and two unknown ids, the others some."""
    scores = scores_by_brute_force(DOT, *tied)
    seen = [[], range(ITEMS), sorted([*expected(scores, 10)[2], -5, 9999]), *([range(50)] * (QUERIES - 3))]
    for query, own in enumerate(seen):
        scores[query, [item for item in own if 0 <= item < ITEMS]] = -1000
    found = search(DOT, *tied, n=20, block=block, seen=np.concatenate(seen), seen_counts=[len(own) for own in seen])
    best = expected(scores, 20)
    assert found[1] == ([], [])
    assert [ids for query, (ids, _) in enumerate(found) if query != 1] == np.delete(best, 1, axis=0).tolist()


def test_items_come_in_any_order_and_those_that_are_no_numbers_never_leave():
    ids = np.array([40, 10, 30, 20, 50], np.int32)
    items = np.array([[1], [2], [np.nan], [3], [np.inf]], np.float32)
    bias = np.array([0, 0, 0, np.nan, 0], np.float32)
    assert search(DOT, np.zeros(1), np.ones((1, 1), np.float32), bias, items, 9, ids=ids) == [([10, 40], [2.0, 1.0])]
    assert search(L2, np.zeros(1), np.ones((1, 1), np.float32), bias, items, 9, ids=ids) == [
        ([40, 10, 20], [0.0, -1.0, -2.0])
    ]
