"""Lists by score, diverse lists, and series, by hand and against plain loops."""

import numpy as np
import pytest

from movie_recs.model.arrangement import BY_SCORE, Arrangement, arrange
from movie_recs.model.exact_search import DOT, prepare_items
from movie_recs.model.search import search


@pytest.fixture(scope="module")
def items():
    rng = np.random.default_rng(6)
    return prepare_items(
        np.arange(10, 70, dtype=np.int32), rng.normal(size=60), rng.normal(size=(60, 4)).astype(np.float32), DOT
    )


@pytest.fixture(scope="module")
def queries():
    rng = np.random.default_rng(7)
    seen = np.sort(rng.choice(np.arange(10, 70), 5, replace=False))
    return np.array([3, 8, 9]), np.zeros(3), rng.normal(size=(3, 4)).astype(np.float32), np.tile(seen, 3), np.full(3, 5)


def search_lists(queries, items, n, arrangement):
    for found in search(*queries, items, min(arrangement.candidates(n), len(items.ids))):
        yield arrange(found, items, n, arrangement)


def lists_of(queries, items, n, arrangement) -> dict[int, list[tuple[int, float]]]:
    lists: dict[int, list[tuple[int, float]]] = {}
    for part in search_lists(queries, items, n, arrangement):
        for query, rank, item, value in zip(*(part[name] for name in ("id", "rank", "item_id", "value")), strict=True):
            lists.setdefault(int(query), []).append((int(item), float(value)))
            assert rank == len(lists[int(query)])
    return lists


def test_by_score_lists_are_those_of_the_search_to_the_bit(queries, items):
    (expected,) = search(*queries, items, 7)
    for arrangement in (BY_SCORE, Arrangement(0.0, items.ids, np.arange(60))):
        (found,) = search_lists(queries, items, 7, arrangement)
        for name, column in expected.items():
            np.testing.assert_array_equal(found[name], column)


def maximal_marginal_relevance(candidates, vectors, n, d) -> list[int]:
    """In plain loops."""
    scores = [score for _, score in candidates]
    chosen: list[int] = []
    while len(chosen) < min(n, len(candidates)):

        def merit(i):
            relevance = (scores[i] - scores[-1]) / (scores[0] - scores[-1])
            similarities = [
                np.dot(vectors[i], vectors[j]) / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j]) for j in chosen
            ]
            return (1 - d) * relevance - d * max(similarities, default=0)

        chosen.append(max((i for i in range(len(candidates)) if i not in chosen), key=merit))
    return [candidates[i][0] for i in chosen]


@pytest.mark.parametrize("diversity", [0.2, 0.7, 1.0])
def test_diverse_lists_are_those_of_maximal_marginal_relevance(queries, items, diversity):
    candidates = lists_of(queries, items, 50, BY_SCORE)
    for query, found in lists_of(queries, items, 5, Arrangement(diversity)).items():
        vectors = [items.features[np.searchsorted(items.ids, item), :4] for item, _ in candidates[query]]
        assert [item for item, _ in found] == maximal_marginal_relevance(candidates[query], vectors, 5, diversity)
        assert set(found) <= set(candidates[query])  # with their scores


def pool(series: list[int]) -> tuple[dict[str, np.ndarray], Arrangement]:
    """One list of candidates by descending score: movies 1, 2, ... of these series."""
    n = len(series)
    ids = np.arange(1, n + 1, dtype=np.int32)
    found = {"id": np.ones(n, int), "rank": ids.copy(), "item_id": ids, "value": -ids.astype(float)}
    return found, Arrangement(0.0, ids, np.array(series))


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ([5, 6, 7, 8, 9, 10], [1, 2, 3]),
        ([5, 5, 7, 8, 9, 10], [1, 3, 2]),
        ([5, 5, 5, 5, 9, 10], [1, 5, 2]),
        ([5, 5, 5, 5, 5, 5], [1, 2, 3]),  # there is no other
        ([5, 6, 6, 8, 9, 9], [1, 2, 4]),
    ],
)
def test_parts_of_a_series_do_not_follow_each_other_while_there_are_others(items, series, expected):
    found, arrangement = pool(series)
    arranged = arrange(found, items, 3, arrangement)
    assert arranged["item_id"].tolist() == expected
    assert arranged["value"].tolist() == [-movie for movie in expected]
    assert arranged["rank"].tolist() == [1, 2, 3]


def test_movies_whose_series_is_not_known_are_no_series(items):
    found, arrangement = pool([5, 5, 5, 5])
    assert arrange(found, items, 3, arrangement._replace(movie_ids=np.array([7, 8, 9, 10])))["item_id"].tolist() == [
        1,
        2,
        3,
    ]


def test_fewer_candidates_than_places_are_a_short_list(items):
    found, arrangement = pool([5, 5])
    assert arrange(found, items, 3, arrangement)["item_id"].tolist() == [1, 2]
    nothing = {name: column[:0] for name, column in found.items()}
    assert len(arrange(nothing, items, 3, arrangement)["id"]) == 0
