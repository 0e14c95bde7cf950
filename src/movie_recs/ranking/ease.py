"""EASE (Steck 2019, Embarrassingly Shallow Autoencoders), as a factor model.

EASE scores a movie by a linear regression on all others that a user has rated: with X the matrix of who rated what and
P = (X^T X + reg I)^-1, the weight of movie j for movie i is -P_ji / P_ii, and a movie says nothing of itself. By the
singular value decomposition X = U S V^T and D = S^2 / (S^2 + reg),

    -P_ji / P_ii = (V_j D V_i^T) / (1 - V_i D V_i^T) for i != j

which is d_j f_j . f_i with

    f_i = V_i D^(1/2) / (1 - V_i D V_i^T),    d_i = 1 - V_i D V_i^T = 2 / (1 + (1 + 4 |f_i|^2)^(1/2))

So of movies that a user has not rated, which alone are ranked, the score is the dot product of f_i with the sum of
d_j f_j over those that she has. Nothing of the size movies x movies is needed, the decomposition serves every `reg`,
and fewer singular vectors are an approximation. X has 1 / n_u^(1/4) for each of a user's n_u ratings, which keeps users
of thousands of ratings from deciding alone, over the root mean square of those, so that `reg` is in ratings.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds

USER_EXPONENT = 0.25  # of 0, 0.25, 0.4 and 0.5 the best in cross-validation, by 0.003
LARGEST_EXACT = 4_000  # rows of a Gram matrix that is decomposed whole, in half a minute on one core
LEAST = 1e-6  # of the largest eigenvalue: what is below is rounding


class Spectrum(NamedTuple):
    """Right singular vectors (m, r) and squared singular values (r,), ascending."""

    vectors: np.ndarray
    squares: np.ndarray


def interaction_matrix(starts: np.ndarray, movies: np.ndarray, count: int) -> csr_array:
    """X of the module's first lines, (users, count).

    Args:
        starts: (u + 1,), where each user's rows begin.
        movies: (n,) columns.
        count: Number of movies.
    """
    counts = np.diff(starts)
    values = np.repeat(np.maximum(counts, 1) ** -USER_EXPONENT, counts)
    values /= np.sqrt(np.mean(values**2)) if len(values) else 1.0
    return csr_array((values, movies, starts), shape=(len(counts), count))


def decompose(matrix: csr_array, rank: int, seed: int) -> Spectrum:
    """The decomposition of X, of the `rank` largest singular values at most.

    Args:
        matrix: (users, movies).
        rank: Fewer than users and movies are an approximation.
        seed: Of the first vector of the iteration for a large matrix.
    """
    users, movies = matrix.shape
    size = min(users, movies)
    if size > LARGEST_EXACT:
        _, values, vectors = svds(matrix, k=min(rank, size - 1), random_state=seed % 2**32)
        order = np.argsort(values)
        return Spectrum(vectors[order].T, values[order] ** 2)
    gram = (matrix @ matrix.T if users <= movies else matrix.T @ matrix).toarray()
    squares, vectors = eigh(gram, subset_by_index=[max(size - rank, 0), size - 1])
    kept = squares > LEAST * max(squares[-1], 1.0)
    squares, vectors = squares[kept], vectors[:, kept]
    return Spectrum(matrix.T @ vectors / np.sqrt(squares) if users <= movies else vectors, squares)


def ease_features(spectrum: Spectrum, reg: float) -> np.ndarray:
    """F of the module's first lines, (m, r) float32."""
    shrink = spectrum.squares / (spectrum.squares + reg)
    left = 1 - spectrum.vectors**2 @ shrink
    return (spectrum.vectors * np.sqrt(shrink) / left[:, None]).astype(np.float32)


def self_influence(features: np.ndarray) -> np.ndarray:
    """D of the module's first lines, (m,), from f."""
    return 2 / (1 + np.sqrt(1 + 4 * np.einsum("ij,ij->i", features, features, dtype=float)))
