"""The compiled algebra of the Bayesian factorisation is that of ALS's loops and of NumPy."""

import numpy as np
import pytest

from movie_recs.als import kernels as als_kernels
from movie_recs.bayes import kernels


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 11, 30])
def test_both_loops_factorise_and_solve_as_numpy(size):
    rng = np.random.default_rng(size)
    rows = rng.normal(size=(2 * size, size))
    matrix, right = rows.T @ rows + np.eye(size), rng.normal(size=size)
    expected = np.linalg.cholesky(matrix)
    factor, solved = matrix.copy(), right.copy()
    kernels._factorise(factor)
    kernels._solve(factor, solved)
    other_factor, other = matrix.copy(), right.copy()
    assert als_kernels._solve(other_factor, other, size)
    lower = np.tril_indices(size, -1)
    np.testing.assert_allclose(factor[lower], expected[lower], atol=1e-12)
    np.testing.assert_allclose(np.diag(factor), 1 / np.diag(expected), rtol=1e-12)
    np.testing.assert_allclose(factor[lower], other_factor[lower], rtol=1e-13)
    np.testing.assert_allclose(np.diag(factor), np.diag(other_factor), rtol=1e-13)
    np.testing.assert_allclose(solved, other, rtol=1e-11)
    np.testing.assert_allclose(solved, np.linalg.solve(matrix, right), rtol=1e-9)
