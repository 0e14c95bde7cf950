"""EASE (Steck 2019, Embarrassingly Shallow Autoencoders), as a factor model.

EASE scores a movie by a linear regression on all others that a user has rated: with X the matrix of who rated what and
P = (X^T X + reg I)^-1, the weight of movie j for movie i is -P_ji / P_ii, and the diagonal is zero. By the
singular value decomposition X = U S V^T and D = S^2 / (S^2 + reg),

    -P_ji / P_ii = (V_j D V_i^T) / (1 - V_i D V_i^T) for i != j

which is d_j f_j . f_i with

    f_i = V_i D^(1/2) / (1 - V_i D V_i^T),    d_i = 1 - V_i D V_i^T = 2 / (1 + (1 + 4 |f_i|^2)^(1/2))

So for movies that a user has not rated, and only those are ranked, the score is the dot product of f_i with the sum of
d_j f_j over her rated ones. Nothing of the size movies x movies is needed, the decomposition serves every `reg`, and
fewer singular vectors are an approximation.

With a relaxed diagonal (RLAE; Moon, Kim & Lee 2023) a movie's weight for itself is not 0 but at most `diagonal`, xi:
where V_i D V_i^T is below, nothing is done about it, and elsewhere the regression gives way to that limit alone:

    f_i = V_i D^(1/2) max(1, (1 - xi) / (1 - V_i D V_i^T)),
    d_i = min(1, 2 / (1 - xi + ((1 - xi)^2 + 4 |f_i|^2)^(1/2)))

The entries of X are s / n_u^(1/4) for a user of n_u ratings, so that users of thousands of ratings do not dominate,
divided by the root mean square of n_u^(-1/4), so that `reg` is in ratings; s is the weight of the rating's stars. Below
the users stand the rows of known features (`side`): each is one more user, who rated the movies that have the feature.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import eigh, qr
from scipy.sparse import csr_array, vstack

from movie_recs.als.compiled import Targets
from movie_recs.data.block_types import Blocks, add_up
from movie_recs.data.movie_features import known_features
from movie_recs.ranking.parameters import SideWeights
from movie_recs.threads import in_threads

USER_EXPONENT = 0.25  # of 0, 0.25, 0.4 and 0.5 the best in cross-validation, by 0.003
LARGEST_EXACT = 1_000  # users or movies, the fewer, of a matrix that is decomposed whole, in a second on one core
LEAST = 1e-6  # smallest eigenvalue that is kept, over the largest: those below are rounding errors
KRYLOV_BLOCKS = 10  # passes over the ratings of an approximate decomposition
SUBSPACE = 3  # its dimensions for each vector that is kept
PARTS = 8  # of the rows of a product, summed in their order, so that the number of threads changes no bit


class Rows(NamedTuple):
    """The rows of X for the users of a block, and how many users there are in the blocks before it."""

    first_user: int
    values: csr_array


class Spectrum(NamedTuple):
    """Right singular vectors (m, r) and squared singular values (r,), ascending."""

    vectors: np.ndarray
    squares: np.ndarray

    def largest(self, rank: int) -> "Spectrum":
        """The `rank` largest at most."""
        first = max(len(self.squares) - rank, 0)
        return Spectrum(self.vectors[:, first:], self.squares[first:])


def is_exact(users: int, movies: int) -> bool:
    """Whether a matrix of this size has all its singular vectors, and so no rank to choose."""
    return min(users, movies) <= LARGEST_EXACT


def decompose(preferred: Blocks[Targets], rank: int | None, seed: int, side: csr_array | None = None) -> Spectrum:
    """The decomposition of X, with the `rank` largest singular values at most.

    Args:
        preferred: The preferences, with the weights of their stars.
        rank: Largest number of singular values; an approximation if below the number of users and of movies. None for
            all of them.
        seed: Seed of the first vectors of an approximation.
        side: (features, movies), rows of known features; None for none.
    """
    users, movies = len(preferred.user_ids), len(preferred.movie_ids)
    side = csr_array((0, movies)) if side is None else side
    matrix, smaller = _scaled(preferred), min(users, movies)
    subspace = KRYLOV_BLOCKS * math.ceil(SUBSPACE * (rank or smaller) / KRYLOV_BLOCKS)
    if rank is not None and not is_exact(users, movies) and subspace < smaller:
        return _approximate(matrix, rank, subspace, seed, side)
    if users > movies:
        grams = matrix.collect(lambda rows: _gram(rows.values))
        return Spectrum(*_largest(add_up([*grams, _gram(side)]), rank or movies))
    whole = vstack([*matrix.collect(lambda rows: rows.values), side], format="csr")  # small, as there are few users
    vectors, squares = _largest((whole @ whole.T).toarray(), rank or whole.shape[0])
    return Spectrum(whole.T @ vectors / np.sqrt(squares), squares)


def _scaled(preferred: Blocks[Targets]) -> Blocks[Rows]:
    sums = preferred.collect(lambda targets: (np.sum(_user_values(targets) ** 2), len(targets.seen.users)))
    total, number = (sum(each) for each in zip(*sums, strict=True))
    return preferred.map(partial(_scaled_rows, np.sqrt(total / number) if number else 1.0))


def _scaled_rows(scale: float, targets: Targets) -> Rows:
    seen, weights = targets
    values = weights * _user_values(targets) / scale
    shape = len(seen.user_ids), len(seen.movie_ids)
    return Rows(seen.first_user, csr_array((values, seen.movies, seen.user_starts), shape=shape))


def _user_values(targets: Targets) -> np.ndarray:
    counts = np.diff(targets.seen.user_starts)
    return np.repeat(np.maximum(counts, 1) ** -USER_EXPONENT, counts)


def _gram(rows: csr_array) -> np.ndarray:
    return (rows.T @ rows).toarray()


def _largest(gram: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors (n, r) and eigenvalues (r,) of a Gram matrix, ascending, without rounding errors."""
    size = len(gram)
    squares, vectors = eigh(gram, subset_by_index=[max(size - rank, 0), size - 1])
    return _without_errors(vectors, squares)


def _without_errors(vectors: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors and eigenvalues, ascending, that are more than rounding errors."""
    kept = squares > LEAST * max(squares[-1], 1.0)
    return vectors[:, kept], squares[kept]


def _approximate(matrix: Blocks[Rows], rank: int, subspace: int, seed: int, side: csr_array) -> Spectrum:
    """The decomposition within a block Krylov subspace of this many dimensions (Musco & Musco 2015), float32.

    The subspace is one of movies, or of the rows of X where those are fewer: a block of it takes a second pass over the
    ratings then, but less algebra, and V = X^T U S^-1.
    """
    matrix, side = matrix.map(_in_single_precision), side.astype(np.float32)
    rows, movies = len(matrix.user_ids) + side.shape[0], len(matrix.movie_ids)
    times = _rows_gram_times if rows < movies else _gram_times
    found = _krylov(partial(times, matrix, side), min(rows, movies), subspace, seed)
    vectors, squares = (each[..., -rank:] for each in _without_errors(*found))
    if rows < movies:
        blocks = np.array_split(vectors / np.sqrt(squares).astype(np.float32), KRYLOV_BLOCKS, axis=1)
        vectors = np.hstack([_transposed_times(matrix, side, block) for block in blocks])
    strongest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(squares))]
    return Spectrum(vectors * np.sign(strongest), squares)


def _krylov(
    times: Callable[[np.ndarray], np.ndarray], size: int, subspace: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors (size, subspace) and eigenvalues, ascending, of a Gram matrix within a block Krylov subspace.

    The first vectors are random. Each block of the subspace is the Gram matrix times the one before, made orthogonal to
    all before it. A product with the Gram matrix makes one block.
    """
    width = subspace // KRYLOV_BLOCKS
    basis, projected = np.empty((size, subspace), np.float32, order="F"), np.zeros((subspace, subspace))
    block = np.random.default_rng(seed % 2**64).standard_normal((size, width), dtype=np.float32)
    for start in range(0, subspace, width):
        before, here = basis[:, :start], slice(start, start + width)
        for _ in range(2):  # twice is enough (Parlett 1998, section 6.9)
            block, _ = qr(block - before @ (before.T @ block), mode="economic")
        basis[:, here] = block
        block = times(block)
        projected[: here.stop, here] = basis[:, : here.stop].T @ block  # the upper triangle
    squares, rotation = eigh(projected, lower=False)
    return basis @ rotation.astype(np.float32), squares


def _gram_times(matrix: Blocks[Rows], side: csr_array, vectors: np.ndarray) -> np.ndarray:
    """X^T X v for vectors of movies."""

    def by_block(rows: Rows) -> np.ndarray:
        return add_up(_of_parts(rows.values, lambda part, _: part.T @ (part @ vectors)))

    return add_up([*matrix.collect(by_block), side.T @ (side @ vectors)])


def _rows_gram_times(matrix: Blocks[Rows], side: csr_array, vectors: np.ndarray) -> np.ndarray:
    """X X^T v for vectors of the rows of X."""
    movies = _transposed_times(matrix, side, vectors)

    def by_block(rows: Rows) -> np.ndarray:
        return np.concatenate(_of_parts(rows.values, lambda part, _: part @ movies))

    return np.concatenate([*matrix.collect(by_block), side @ movies])


def _transposed_times(matrix: Blocks[Rows], side: csr_array, vectors: np.ndarray) -> np.ndarray:
    """X^T v for vectors of the rows of X."""

    def by_block(rows: Rows) -> np.ndarray:
        own = vectors[rows.first_user : rows.first_user + rows.values.shape[0]]
        return add_up(_of_parts(rows.values, lambda part, places: part.T @ own[places]))

    return add_up([*matrix.collect(by_block), side.T @ vectors[len(matrix.user_ids) :]])


def _of_parts(rows: csr_array, formula: Callable[[csr_array, slice], np.ndarray]) -> list[np.ndarray]:
    """The formula's results for `PARTS` of the rows and their places, on all cores."""
    edges = np.linspace(0, rows.shape[0], PARTS + 1).astype(int).tolist()
    return in_threads(lambda place: formula(rows[place], place), [slice(*pair) for pair in pairwise(edges)])


def _in_single_precision(rows: Rows) -> Rows:
    return rows._replace(values=rows.values.astype(np.float32))


def ease_features(spectrum: Spectrum, reg: float, diagonal: float = 0.0) -> np.ndarray:
    """The vectors f_i of the module's docstring, (m, r) float32."""
    shrink = spectrum.squares / (spectrum.squares + reg)
    factors = np.maximum(1, (1 - diagonal) / (1 - spectrum.vectors**2 @ shrink))
    return (spectrum.vectors * np.sqrt(shrink) * factors[:, None]).astype(np.float32)


def self_influence(features: np.ndarray, diagonal: float = 0.0) -> np.ndarray:
    """The factors d_i of the module's docstring, (m,), from the vectors f_i."""
    free = 1 - diagonal
    squares = np.einsum("ij,ij->i", features, features, dtype=float)
    return np.minimum(1, 2 / (free + np.sqrt(free**2 + 4 * squares)))


def largest_features(features: np.ndarray, rank: int, diagonal: float = 0.0) -> np.ndarray:
    """The vectors f_i, (m, rank), of the same EASE with only its largest singular values, from all of them, (m, r)."""
    own = (features * self_influence(features, diagonal)[:, None])[:, -rank:]  # V_i D^(1/2)
    factors = np.maximum(1, (1 - diagonal) / (1 - np.einsum("ij,ij->i", own, own)))
    return (own * factors[:, None]).astype(np.float32)


def side_rows(movies: pd.DataFrame, weights: SideWeights) -> csr_array:
    """The rows of known features, (features, m): a genre's movies, and the years around each centre, times its weight.

    Args:
        movies: Result of `movie_table`: the whole catalogue.
        weights: The weight of each kind; 0 leaves it out.
    """
    return csr_array(known_features(movies, weights.genres, weights.year).T)
