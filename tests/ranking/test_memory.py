"""What a ranking trial takes of memory, by hand, and the carrier that follows from it."""

from types import SimpleNamespace

import pytest

from movie_recs.ranking.memory import choose_ranking_carrier, estimate_memory
from movie_recs.ranking.parameters import RankingTuningParameters
from movie_recs.tuning import memory
from movie_recs.tuning.memory import Choice, DataSize

SESSION = SimpleNamespace(conf=SimpleNamespace(get=lambda key, default: default))

SIZE = DataSize(10**6, 5000, 8000)
TUNING = RankingTuningParameters(
    grid={"rank": [1, 30], "reg_param": 0.1, "alpha": 2, "max_iter": 5},
    ease_reg=[2],
    ease_rank=100,
    weight_grid={"star_weight": 0.2, "half_life": 4, "old_weight": 1},
    als_weight=[0.5],
    seed=1,
)


def test_memory_is_estimated_by_hand():
    """100 users and 50 movies: the Gram matrix is of 50 movies, and EASE has all 50 vectors of them."""
    process, gram, size = 350 * 2**20, 4 * 8 * 50**2, DataSize(1000, 100, 50)
    sides = 8 * (50 * (3 * 50 + 2 * 10 + 2 * 80) + 100 * (2 * 50 + 2 * 10 + 80))
    assert estimate_memory(size, 10, 20) == process + 110_000 + gram + sides


def test_a_matrix_that_is_not_decomposed_whole_needs_no_gram_matrix():
    """It needs a basis of three dimensions for each of 20 vectors, twice, in four bytes; a tenth in eight parts."""
    size = DataSize(0, 10**6, 2000)
    sides = 8 * (2000 * (3 * 20 + 2 + 2 * 80) + 10**6 * (2 * 20 + 2 + 80))
    assert estimate_memory(size, 1, 20) == 350 * 2**20 + 4 * 3 * 20 * (2 * 2000 + 8 * 200) + sides


def test_the_basis_is_of_users_where_they_are_fewer():
    size = DataSize(0, 2000, 10**6)
    sides = 8 * (10**6 * (3 * 20 + 2 + 2 * 80) + 2000 * (2 * 20 + 2 + 80))
    assert estimate_memory(size, 1, 20) == 350 * 2**20 + 4 * 3 * 20 * (2 * 2000 + 8 * 10**5) + sides


def test_a_sequential_part_has_as_many_vectors_again_and_a_place_for_each_rating():
    size = DataSize(1000, 100, 50)
    more = 100 * 1000 + 8 * (50 * 3 * 50 + 100 * 2 * 50)
    assert estimate_memory(size, 10, 20, by_time=True) == estimate_memory(size, 10, 20) + more


@pytest.mark.parametrize(("missing", "expected"), [(0, "local"), (1, "spark")])
def test_auto_is_local_where_the_richest_candidate_fits_into_a_tasks_memory(monkeypatch, missing, expected):
    needed = estimate_memory(DataSize(10**6, 5000, 8000), 30, 100)
    monkeypatch.setattr(memory, "memory_for_python", lambda *_: needed - missing)
    assert choose_ranking_carrier("auto", SIZE, TUNING, SESSION).carrier == expected


@pytest.mark.parametrize("named", ["local", "spark"])
def test_a_carrier_that_is_named_is_taken_whatever_it_needs(monkeypatch, named):
    monkeypatch.setattr(memory, "memory_for_python", None)
    assert choose_ranking_carrier(named, SIZE, TUNING, None) == Choice(named)
