"""EASE (Steck 2019, Embarrassingly Shallow Autoencoders), as a factor model.

EASE scores a movie by a linear regression on all others that a user has rated: with X the matrix of who rated what and
P = (X^T X + reg I)^-1, the weight of movie j for movie i is -P_ji / P_ii, and the diagonal is zero. By the
singular value decomposition X = U S V^T and D = S^2 / (S^2 + reg),

    -P_ji / P_ii = (V_j D V_i^T) / (1 - V_i D V_i^T) for i != j

which is d_j f_j . f_i with

    f_i = V_i D^(1/2) / (1 - V_i D V_i^T),    d_i = 1 - V_i D V_i^T = 2 / (1 + (1 + 4 |f_i|^2)^(1/2))

So for movies that a user has not rated, and only those are ranked, the score is the dot product of f_i with the sum of
d_j f_j over her rated ones. Nothing of the size movies x movies is needed, the decomposition serves every `reg`, and
fewer singular vectors are an approximation. The entries of X are 1 / n_u^(1/4) for a user of n_u ratings, so that users
of thousands of ratings do not dominate, divided by their root mean square, so that `reg` is in ratings.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array, vstack
from scipy.sparse.linalg import LinearOperator, svds

from movie_recs.data.blocks import Blocks, add_up
from movie_recs.data.interactions import Seen

USER_EXPONENT = 0.25  # of 0, 0.25, 0.4 and 0.5 the best in cross-validation, by 0.003
LARGEST_EXACT = 4_000  # rows of a Gram matrix that is decomposed whole, in half a minute on one core
LEAST = 1e-6  # smallest eigenvalue that is kept, over the largest: those below are rounding errors


class Spectrum(NamedTuple):
    """Right singular vectors (m, r) and squared singular values (r,), ascending."""

    vectors: np.ndarray
    squares: np.ndarray


def decompose(preferred: Blocks[Seen], rank: int, seed: int) -> Spectrum:
    """The decomposition of X, with the `rank` largest singular values at most.

    Args:
        preferred: The preferences.
        rank: Largest number of singular values; an approximation if below the number of users and of movies.
        seed: Seed of the initial vector of the iteration for a large matrix.
    """
    users, movies = len(preferred.user_ids), len(preferred.movie_ids)
    size, matrix = min(users, movies), _scaled(preferred)
    if size > LARGEST_EXACT:
        _, values, vectors = svds(_Products(matrix), k=min(rank, size - 1), random_state=seed % 2**32)
        order = np.argsort(values)
        return Spectrum(vectors[order].T, values[order] ** 2)
    if users > movies:
        return Spectrum(*_largest(add_up(matrix.collect(_gram)), rank))
    whole = vstack(matrix.collect(lambda rows: rows.values), format="csr")  # small, as there are few users
    vectors, squares = _largest((whole @ whole.T).toarray(), rank)
    return Spectrum(whole.T @ vectors / np.sqrt(squares), squares)


class _Rows(NamedTuple):
    """The rows of X for the users of a block, and the number of users before them."""

    first_user: int
    values: csr_array


def _scaled(preferred: Blocks[Seen]) -> Blocks[_Rows]:
    sums = preferred.collect(lambda seen: (np.sum(_user_values(seen) ** 2), len(seen.users)))
    total, number = (sum(each) for each in zip(*sums, strict=True))
    return preferred.map(partial(_scaled_rows, np.sqrt(total / number) if number else 1.0))


def _scaled_rows(scale: float, seen: Seen) -> _Rows:
    shape = len(seen.user_ids), len(seen.movie_ids)
    values = csr_array((_user_values(seen) / scale, seen.movies, seen.user_starts), shape=shape)
    return _Rows(seen.first_user, values)


def _user_values(seen: Seen) -> np.ndarray:
    counts = np.diff(seen.user_starts)
    return np.repeat(np.maximum(counts, 1) ** -USER_EXPONENT, counts)


def _gram(rows: _Rows) -> np.ndarray:
    return (rows.values.T @ rows.values).toarray()


def _largest(gram: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors (n, r) and eigenvalues (r,) of a Gram matrix, ascending, without rounding errors."""
    size = len(gram)
    squares, vectors = eigh(gram, subset_by_index=[max(size - rank, 0), size - 1])
    kept = squares > LEAST * max(squares[-1], 1.0)
    return vectors[:, kept], squares[kept]


class _Products(LinearOperator):
    """X as a linear operator, each product a pass over the blocks."""

    def __init__(self, matrix: Blocks[_Rows]):
        super().__init__(np.dtype(float), (len(matrix.user_ids), len(matrix.movie_ids)))
        self._matrix = matrix

    def _matvec(self, vector: np.ndarray) -> np.ndarray:
        return np.concatenate(self._matrix.collect(partial(_times, vector.ravel())))

    def _rmatvec(self, vector: np.ndarray) -> np.ndarray:
        return add_up(self._matrix.collect(partial(_transposed_times, vector.ravel())))


def _times(vector: np.ndarray, rows: _Rows) -> np.ndarray:
    return rows.values @ vector


def _transposed_times(vector: np.ndarray, rows: _Rows) -> np.ndarray:
    return rows.values.T @ vector[rows.first_user : rows.first_user + rows.values.shape[0]]


def ease_features(spectrum: Spectrum, reg: float) -> np.ndarray:
    """The vectors f_i of the module's docstring, (m, r) float32."""
    shrink = spectrum.squares / (spectrum.squares + reg)
    diagonal = 1 - spectrum.vectors**2 @ shrink
    return (spectrum.vectors * np.sqrt(shrink) / diagonal[:, None]).astype(np.float32)


def self_influence(features: np.ndarray) -> np.ndarray:
    """The factors d_i of the module's docstring, (m,), from the vectors f_i."""
    return 2 / (1 + np.sqrt(1 + 4 * np.einsum("ij,ij->i", features, features, dtype=float)))
