"""Compiled loops against NumPy, group by group."""

import itertools

import numpy as np
import pytest

from movie_recs.als import kernels
from movie_recs.als.compiled import base_of

EXPLICIT = -1.0


@pytest.fixture
def rows():
    """Groups of 0, 1, 2, 3, 5, 8 and 30 rows, each row of one of 20 others."""
    rng = np.random.default_rng(1)
    sizes = [0, 1, 2, 3, 5, 8, 30, 0]
    starts = np.cumsum([0, *sizes])
    return starts, rng.integers(0, 20, starts[-1], dtype=np.int32), rng


def expected_factors(starts, others, ratings, fixed, reg_param, alpha):
    """The normal equations as the docstring writes them; NaN for a group without ratings."""
    rank, solutions = fixed.shape[1], []
    for first, last in itertools.pairwise(starts):
        x, r = fixed[others[first:last]].astype(float), ratings[first:last].astype(float)
        if alpha < 0:
            gram, right, count = x.T @ x, x.T @ r, len(r)
        else:
            weights = alpha * np.abs(r)
            every = fixed.astype(float)
            gram, count = every.T @ every + (x.T * weights) @ x, (r > 0).sum()
            right = x.T @ np.where(r > 0, 1 + weights, 0)
        solution = np.linalg.lstsq(gram + reg_param * count * np.eye(rank), right)[0]  # 0 where nothing is wanted
        solutions.append(solution if len(r) else np.full(rank, np.nan))
    return np.array(solutions)


def solve(starts, others, ratings, fixed, solved, reg_param, alpha) -> int:
    is_dual = kernels.use_dual(starts, len(fixed), fixed.shape[1], reg_param, alpha)
    base = base_of(fixed, alpha)
    return kernels.solve_factors(starts, others, ratings, fixed, base, solved, reg_param, alpha, is_dual)


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("alpha", [EXPLICIT, 0.5, 10.0], ids=["explicit", "implicit", "very sure"])
def test_factors_solve_their_normal_equations(rows, rank, alpha):
    starts, others, rng = rows
    ratings = rng.choice(np.array([-1.5, 0, 0.5, 3, 5], np.float32), len(others))
    fixed = rng.normal(size=(20, rank)).astype(np.float32)
    solved = np.full((len(starts) - 1, rank), np.nan, np.float32)
    assert solve(starts, others, ratings, fixed, solved, 0.3, alpha) == -1
    np.testing.assert_allclose(
        solved, expected_factors(starts, others, ratings, fixed, 0.3, alpha), rtol=2e-4, atol=1e-5
    )


@pytest.mark.parametrize("alpha", [EXPLICIT, 0.5, 10.0], ids=["explicit", "implicit", "very sure"])
def test_many_groups_of_few_ratings_solve_their_normal_equations_too(alpha):
    """By the smaller systems, which pay where there are many."""
    rng = np.random.default_rng(4)
    starts = np.cumsum([0, *rng.integers(0, 7, 300), 40])
    others = rng.integers(0, 30, starts[-1], dtype=np.int32)
    ratings = rng.choice(np.array([-1.5, 0, 0.5, 3, 5], np.float32), len(others))
    fixed = rng.normal(size=(30, 12)).astype(np.float32)
    fixed[:, 5] = 0  # nobody has it: the sum of all is singular, which the pull mends
    solved = np.full((len(starts) - 1, 12), np.nan, np.float32)
    assert kernels.use_dual(starts, 30, 12, 0.3, alpha)
    assert solve(starts, others, ratings, fixed, solved, 0.3, alpha) == -1
    expected = expected_factors(starts, others, ratings, fixed, 0.3, alpha)
    np.testing.assert_allclose(solved, expected, rtol=2e-4, atol=1e-5)


def test_the_first_singular_group_is_named(rows):
    starts, others, rng = rows
    fixed, solved = rng.normal(size=(20, 4)).astype(np.float32), np.zeros((len(starts) - 1, 4), np.float32)
    ratings = np.ones(len(others), np.float32)
    assert solve(starts, others, ratings, fixed, solved, 0.0, EXPLICIT) == 1  # one row, rank 4


def test_factors_that_are_no_numbers_are_not_solved(rows):
    starts, others, _ = rows
    fixed, solved = np.full((20, 2), np.nan, np.float32), np.zeros((len(starts) - 1, 2), np.float32)
    ratings = np.ones(len(others), np.float32)
    assert solve(starts, others, ratings, fixed, solved, 0.1, EXPLICIT) == 1


@pytest.mark.parametrize("alpha", [EXPLICIT, 1.0], ids=["explicit", "implicit"])
def test_a_rating_that_is_no_number_does_not_pass_for_a_solution(rows, alpha):
    starts, others, rng = rows
    fixed, solved = rng.normal(size=(20, 4)).astype(np.float32), np.zeros((len(starts) - 1, 4), np.float32)
    for group in (1, 6):  # by the dual system and by the normal equations
        ratings = np.ones(len(others), np.float32)
        ratings[starts[group]] = np.nan
        failed = solve(starts, others, ratings, fixed, solved, 0.1, alpha)
        assert failed == group or not np.isfinite(solved[group]).any()


@pytest.mark.parametrize("size", [1, 4, 9])
def test_ridge_regressions_are_those_of_numpy(rows, size):
    starts, items, rng = rows
    features, targets, pulls = rng.normal(size=(20, size)), rng.normal(size=len(items)), rng.uniform(0.5, 5, size)
    scales = rng.uniform(0.5, 3, len(starts) - 1)
    factors = kernels.factorise(kernels.sum_grams(starts, items, features), pulls, scales)
    weights = kernels.solve_ridges(factors, starts, items, features, targets)
    for group, (first, last) in enumerate(itertools.pairwise(starts)):
        x = features[items[first:last]]
        expected = np.linalg.solve(x.T @ x + np.diag(pulls * scales[group]), x.T @ targets[first:last])
        np.testing.assert_allclose(weights[group], expected, atol=1e-10)


def test_gram_matrices_are_not_changed_by_their_factorisation(rows):
    starts, items, rng = rows
    grams = kernels.sum_grams(starts, items, rng.normal(size=(20, 3)))
    before = grams.copy()
    one, other = (kernels.factorise(grams, np.full(3, pull), np.ones(len(grams))) for pull in (1.0, 4.0))
    np.testing.assert_array_equal(grams, before)
    assert np.abs(one - other).max() > 0.1


def test_predictions_are_dot_products(rows):
    _, items, rng = rows
    left, right = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(20, 3))
    groups = rng.integers(0, 5, len(items))
    products = kernels.predict(groups, items, left, right)
    np.testing.assert_allclose(products, np.einsum("ij,ij->i", left[groups], right[items]), rtol=1e-12)
