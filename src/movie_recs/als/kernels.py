"""Compiled loops over ratings in memory, in which a trial of cross-validation spends its time.

All normal equations are summed and solved in float64 by Cholesky factorisation, as Spark ML's ALS does it; factors are
float32. A group of few ratings has a smaller, dual system with the same solution. The implicit model uses it only where
many groups are small, so the last digits of a group may depend on the other groups. Every loop runs in one thread and
in one order, so that the same arrays give the same bits; threads may run loops on different groups at the same time.

They are one file because Numba's cache does not notice a change of a compiled function in another file.

Rows of ratings are grouped: those of group g are `starts[g]` to `starts[g + 1]`. `lower` is the lower triangle of a
symmetric matrix or of its Cholesky factor, row after row, k (k + 1) / 2 numbers, the factor's diagonal as its inverse.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

AT_A_TIME = 4  # vectors whose outer products are summed, or rows that are factorised, in one pass over the matrix

# The compiler may reorder the sums within a row, so as to vectorise them; NaN and infinity keep their meaning. The
# machine code is cached on disk: only the first run on a machine compiles.
_compiled: Callable = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


@_compiled
def _copy(source: np.ndarray, target: np.ndarray) -> None:
    """`target[:] = source`: slice assignment would also compile its error formatting, which takes seconds."""
    for i in range(len(target)):
        target[i] = source[i]


@_compiled
def _add_outer_products(vectors: np.ndarray, weights: np.ndarray, matrix: np.ndarray) -> None:
    """Adds the sum of weights_q vectors_q vectors_q^T over `AT_A_TIME` vectors to the matrix's lower triangle."""
    first, second, third, fourth = vectors[0], vectors[1], vectors[2], vectors[3]
    for i in range(matrix.shape[0]):
        a, b, c, d = weights[0] * first[i], weights[1] * second[i], weights[2] * third[i], weights[3] * fourth[i]
        row = matrix[i]
        for j in range(i + 1):
            row[j] += a * first[j] + b * second[j] + c * third[j] + d * fourth[j]


@_compiled
def _solve(matrix: np.ndarray, right: np.ndarray, size: int) -> bool:
    """Solves the symmetric system of the first `size` rows in place; False if it is not positive definite."""
    for start in range(0, size, AT_A_TIME):
        last, done = min(start + AT_A_TIME, size), 0
        if last - start == AT_A_TIME:  # four rows at once up to where they meet the diagonal
            one, two, three, four = matrix[start], matrix[start + 1], matrix[start + 2], matrix[start + 3]
            for j in range(start):
                other, a, b, c, d = matrix[j], 0.0, 0.0, 0.0, 0.0
                for k in range(j):
                    a += one[k] * other[k]
                    b += two[k] * other[k]
                    c += three[k] * other[k]
                    d += four[k] * other[k]
                one[j] = (one[j] - a) * other[j]
                two[j] = (two[j] - b) * other[j]
                three[j] = (three[j] - c) * other[j]
                four[j] = (four[j] - d) * other[j]
            done = start
        for i in range(start, last):
            row = matrix[i]
            for j in range(done, i):
                other, known = matrix[j], 0.0
                for k in range(j):
                    known += row[k] * other[k]
                row[j] = (row[j] - known) * other[j]
            known, before = 0.0, 0.0
            for k in range(i):
                known += row[k] * row[k]
                before += row[k] * right[k]
            pivot = row[i] - known
            if not pivot > 1e-12 * row[i]:  # also if it is NaN
                return False
            row[i] = 1 / np.sqrt(pivot)
            right[i] = (right[i] - before) * row[i]
    for i in range(size - 1, -1, -1):
        row = matrix[i]
        right[i] *= row[i]
        for k in range(i):
            right[k] -= row[k] * right[i]
    return True


@_compiled
def solve_factors(
    starts: np.ndarray,
    others: np.ndarray,
    ratings: np.ndarray,
    fixed: np.ndarray,
    base: np.ndarray,
    solved: np.ndarray,
    reg_param: float,
    alpha: float,
    is_dual: bool,
) -> int:
    """Half an alternation of ALS: the factors of one side, those of the other being fixed.

        explicit: (sum x x^T + reg_param n I) p = sum r x
        implicit: (sum over all y y^T + sum alpha |r| x x^T + reg_param n I) p = sum over r > 0 of (1 + alpha |r|) x

    over the n rated x of the other side; in the implicit model n counts those with r > 0.

    Args:
        starts: (g + 1,), where each group of ratings starts; one vector is solved per group.
        others: (n,) the row in `fixed` of each rating.
        ratings: (n,) float32.
        fixed: (h, rank) float32; zeros for what has no ratings.
        base: (rank, rank), `gram(fixed)` in the implicit model, else zeros.
        solved: (g, rank) float32, written; a group without ratings stays as it is.
        reg_param: lambda.
        alpha: The implicit model's confidence is 1 + alpha |r|; negative for the explicit model.
        is_dual: Result of `use_dual` for all groups of the side, of which these may be some.

    Returns:
        -1, or the first group whose system is singular.
    """
    rank, is_explicit = fixed.shape[1], alpha < 0
    matrix, right = np.empty((rank, rank)), np.empty(rank)
    vectors, weights = np.zeros((max(rank, AT_A_TIME), rank)), np.ones(max(rank, AT_A_TIME))
    roots, rotated = np.empty(rank), np.empty(rank)
    axes, spread, turned = np.zeros((0, 0)), np.zeros(rank), np.zeros((0, rank))
    if is_dual and not is_explicit:  # the dual system needs a diagonal base, as it is along its eigenvectors
        spread, axes = np.linalg.eigh(base)  # reads the lower triangle
        spread = np.maximum(spread, 0)
        turned = _multiply(fixed, axes)
    for group in range(len(starts) - 1):
        first, count = starts[group], starts[group + 1] - starts[group]
        if count == 0:
            continue
        target, pulls = solved[group], 0
        if is_dual and count < rank and _dual_saves(count, rank, is_explicit) > 0:
            for place in range(count):
                weights[place], right[place], pull = _weigh(ratings[first + place], alpha)
                pulls += pull
                if is_explicit:
                    _copy(fixed[others[first + place]], vectors[place])
                else:
                    _copy(turned[others[first + place]], vectors[place])
            if pulls == 0:  # no positive preference: the vector is zero
                target[:] = 0
                continue
            if is_explicit:
                roots[:] = 1 / np.sqrt(reg_param * pulls)
            else:
                for i in range(rank):
                    roots[i] = 1 / np.sqrt(spread[i] + reg_param * pulls)
            if not _solve_dual(vectors, weights, right, roots, matrix, count, rotated):
                return group
            for i in range(rank):
                value = rotated[i]
                if not is_explicit:
                    value = 0.0
                    for j in range(rank):
                        value += axes[i, j] * rotated[j]
                target[i] = value
            continue
        for i in range(rank):
            _copy(base[i], matrix[i])
        right[:] = 0
        for start in range(first, first + count, AT_A_TIME):
            for q in range(AT_A_TIME):
                if start + q >= first + count:
                    weights[q] = 0.0
                    continue
                vector, other = vectors[q], fixed[others[start + q]]
                weights[q], term, pull = _weigh(ratings[start + q], alpha)
                pulls += pull
                for i in range(rank):
                    vector[i] = other[i]
                    right[i] += term * vector[i]
            _add_outer_products(vectors, weights, matrix)
        if pulls == 0:
            target[:] = 0
            continue
        for i in range(rank):
            matrix[i, i] += reg_param * pulls
        if not _solve(matrix, right, rank):
            return group
        for i in range(rank):
            target[i] = right[i]
    return -1


@_compiled
def _weigh(rating: float, alpha: float) -> tuple[float, float, int]:
    """A rating's weight in the matrix, its right-hand-side term, and 1 if it counts in the regularisation."""
    if alpha < 0:
        return 1.0, np.float64(rating), 1
    weight = alpha * abs(np.float64(rating))
    return weight, 1 + weight if rating > 0 else 0.0, 0 if rating <= 0 else 1  # NaN counts


@_compiled
def _solve_dual(
    vectors: np.ndarray,
    weights: np.ndarray,
    right: np.ndarray,
    roots: np.ndarray,
    matrix: np.ndarray,
    count: int,
    solution: np.ndarray,
) -> bool:
    """Solves (X^T W X + R^-2) p = X^T right, R = diag(roots); False if it is not positive definite.

    X has fewer rows than k, their length, so the system of the rows is the smaller one: with U = W^(1/2) X R,

        (U U^T + I) b = W^(-1/2) right,    p = R U^T b

    Args:
        vectors: X in its first `count` rows, overwritten by U.
        weights: The diagonal of W; 0 for a row that does not count.
        right: The right-hand side in its first `count` places, overwritten by b.
        roots: (k,), positive.
        matrix: Workspace for the system.
        count: Number of rows, fewer than k.
        solution: (k,), overwritten by p.
    """
    size = vectors.shape[1]
    for place in range(count):
        vector, root = vectors[place], np.sqrt(weights[place])
        for i in range(size):
            vector[i] *= root * roots[i]
        right[place] = right[place] / root if root > 0 else 0.0
        for before in range(place + 1):
            product, earlier = 0.0, vectors[before]
            for i in range(size):
                product += vector[i] * earlier[i]
            matrix[place, before] = product
        matrix[place, place] += 1
    if not _solve(matrix, right, count):
        return False
    for i in range(size):
        value = 0.0
        for place in range(count):
            value += right[place] * vectors[place, i]
        solution[i] = roots[i] * value
    return True


@_compiled
def _dual_saves(count: int, rank: int, is_explicit: bool) -> float:
    """How many multiplications the dual system of a group saves."""
    primal = count * rank**2 / 2 + rank**3 / 6
    dual = count**2 * rank / 2 + count**3 / 6 + 2 * count * rank
    return primal - dual - (0 if is_explicit else rank**2)


@_compiled
def use_dual(starts: np.ndarray, others: int, rank: int, reg_param: float, alpha: float) -> bool:
    """Whether groups of few ratings are solved by their dual systems.

    In the implicit model that is where these save more than the eigenvectors of the base cost. Arguments are those of
    `solve_factors`, and `others` is the number of rows of the other side.
    """
    if reg_param <= 0 or alpha == 0:
        return False
    if alpha < 0:
        return True
    saved = 0.0
    for group in range(len(starts) - 1):
        count = starts[group + 1] - starts[group]
        if 0 < count < rank:
            saved += max(_dual_saves(count, rank, False), 0)
    return saved > 10 * rank**3 + others * rank**2


@_compiled
def _multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n, k) float64: the product of (n, k) and (k, k)."""
    product = np.zeros((len(left), right.shape[1]))
    for row in range(len(left)):
        target, vector = product[row], left[row]
        for i in range(len(vector)):
            factor, other = np.float64(vector[i]), right[i]
            for j in range(len(target)):
                target[j] += factor * other[j]
    return product


@_compiled
def gram(vectors: np.ndarray) -> np.ndarray:
    """The lower triangle of the sum of y y^T over the rows y, (rank, rank)."""
    size = vectors.shape[1]
    matrix, block, weights = np.zeros((size, size)), np.zeros((AT_A_TIME, size)), np.ones(AT_A_TIME)
    _add_rows(vectors, np.arange(len(vectors)), block, weights, matrix)
    return matrix


@_compiled
def _add_rows(
    features: np.ndarray, rows: np.ndarray, block: np.ndarray, weights: np.ndarray, matrix: np.ndarray
) -> None:
    """Adds sum of x x^T over these rows of `features` to the lower triangle; `block` and `weights` are workspace."""
    for start in range(0, len(rows), AT_A_TIME):
        for q in range(AT_A_TIME):
            weights[q] = 1.0 if start + q < len(rows) else 0.0
            if start + q < len(rows):
                _copy(features[rows[start + q]], block[q])
        _add_outer_products(block, weights, matrix)


@_compiled
def sum_grams(starts: np.ndarray, items: np.ndarray, features: np.ndarray) -> np.ndarray:
    """(g, k (k + 1) / 2): the sum of x x^T over the features of each group's rows, as `lower`.

    Args:
        starts: (g + 1,), where each group of rows starts.
        items: (n,) the row in `features` of each row.
        features: (m, k) float64.
    """
    size = features.shape[1]
    lower = np.empty((len(starts) - 1, size * (size + 1) // 2))
    matrix, vectors, weights = np.empty((size, size)), np.zeros((AT_A_TIME, size)), np.ones(AT_A_TIME)
    for group in range(len(starts) - 1):
        matrix[:] = 0
        _add_rows(features, items[starts[group] : starts[group + 1]], vectors, weights, matrix)
        place = 0
        for i in range(size):
            _copy(matrix[i, : i + 1], lower[group, place : place + i + 1])
            place += i + 1
    return lower


@_compiled
def factorise(grams: np.ndarray, pulls: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """(g, k (k + 1) / 2): the Cholesky factor of each group's Gram matrix with pulls (k,) added to its diagonal.

    Args:
        grams: Result of `sum_grams`.
        pulls: (k,).
        scales: (g,), factors of the pulls of each group.
    """
    factors = grams.copy()
    for group in range(len(factors)):
        lower = factors[group]
        start = 0
        for i in range(len(pulls)):
            row = lower[start : start + i + 1]
            row[i] += pulls[i] * scales[group]
            other_start = 0
            for j in range(i):
                other, known = lower[other_start : other_start + j + 1], 0.0
                for k in range(j):
                    known += row[k] * other[k]
                row[j] = (row[j] - known) * other[j]
                other_start += j + 1
            known = 0.0
            for k in range(i):
                known += row[k] * row[k]
            row[i] = 1 / np.sqrt(row[i] - known)
            start += i + 1
    return factors


@_compiled
def solve_ridges(
    factors: np.ndarray, starts: np.ndarray, items: np.ndarray, features: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """(g, k): the weights of each group's ridge regression of its targets on its features.

    Args:
        factors: Result of `factorise`.
        starts: (g + 1,), where each group of rows starts.
        items: (n,) the row in `features` of each row.
        features: (m, k) float64.
        targets: (n,) float64.
    """
    size = features.shape[1]
    weights = np.zeros((len(starts) - 1, size))
    for group in range(len(starts) - 1):
        right, lower = weights[group], factors[group]
        for row in range(starts[group], starts[group + 1]):
            target, vector = targets[row], features[items[row]]
            for i in range(size):
                right[i] += target * vector[i]
        start = 0
        for i in range(size):
            before = 0.0
            for k in range(i):
                before += lower[start + k] * right[k]
            right[i] = (right[i] - before) * lower[start + i]
            start += i + 1
        for i in range(size - 1, -1, -1):
            start -= i + 1
            right[i] *= lower[start + i]
            for k in range(i):
                right[k] -= lower[start + k] * right[i]
    return weights


@_compiled
def predict(groups: np.ndarray, items: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n,): the dot product of row groups_n of `left` and row items_n of `right`, in float64."""
    products = np.empty(len(groups))
    for row in range(len(groups)):
        one, two, product = left[groups[row]], right[items[row]], 0.0
        for i in range(left.shape[1]):
            product += np.float64(one[i]) * np.float64(two[i])
        products[row] = product
    return products
