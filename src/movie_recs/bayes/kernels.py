"""Compiled loops of the Bayesian factorisation: posteriors of users and of movies, each a normal distribution.

They are one file because Numba's cache does not notice a change of a compiled function in another file. Each loop runs
in one thread and in one order, so that the same arrays give the same bits.

A user's vector is z = (bias, weights of the movies' features, factors) of length d = c + r, of which the first c belong
to x = (1, features), known exactly. A movie's is v = (bias, factors) of length 1 + r, which has a posterior of its own.
`lower` is the lower triangle of a symmetric matrix, row after row.
"""

from collections.abc import Callable

import numpy as np
from numba import njit

AT_A_TIME = 4  # vectors of movies, or rows of a matrix, that are read in one pass
LANES = 8  # rows are padded to a multiple of as many numbers, which a processor adds at once

_compiled: Callable = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


@_compiled
def _factorise(matrix: np.ndarray) -> None:
    """The Cholesky factor in place of the lower triangle, its diagonal as its inverse.

    `als.kernels` factorises while it solves, and refuses what is not positive definite. It has a loop of its own, as
    Numba's cache does not notice a change in another file; a test holds both equal.
    """
    size = len(matrix)
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
            known = 0.0
            for k in range(i):
                known += row[k] * row[k]
            row[i] = 1 / np.sqrt(row[i] - known)


@_compiled
def _solve(factor: np.ndarray, right: np.ndarray) -> None:
    """Solves the system of the factor in place of the right-hand side."""
    size = len(right)
    for i in range(size):
        before = 0.0
        for k in range(i):
            before += factor[i, k] * right[k]
        right[i] = (right[i] - before) * factor[i, i]
    for i in range(size - 1, -1, -1):
        right[i] *= factor[i, i]
        for k in range(i):
            right[k] -= factor[i, k] * right[i]


@_compiled
def _invert(factor: np.ndarray, workspace: np.ndarray, inverse: np.ndarray) -> None:
    """The lower triangle of the inverse of the matrix that was factorised: the product of the factor's inverses.

    `workspace` has zeros above its diagonal, which are read where four of its rows are added at a time.
    """
    size = len(factor)
    for i in range(size):
        row, line, whole = workspace[i], factor[i], i - i % AT_A_TIME
        for j in range(i):
            row[j] = 0.0
        for k in range(0, whole, AT_A_TIME):
            one, two, three, four = workspace[k], workspace[k + 1], workspace[k + 2], workspace[k + 3]
            a, b, c, d = line[k], line[k + 1], line[k + 2], line[k + 3]
            for j in range(k + AT_A_TIME):
                row[j] += a * one[j] + b * two[j] + c * three[j] + d * four[j]
        for k in range(whole, i):
            value, other = line[k], workspace[k]
            for j in range(k + 1):
                row[j] += value * other[j]
        for j in range(i):
            row[j] *= -line[i]
        row[i] = line[i]
    for i in range(size):
        for j in range(i + 1):
            inverse[i, j] = 0.0
    whole = size - size % AT_A_TIME
    for k in range(0, whole, AT_A_TIME):
        one, two, three, four = workspace[k], workspace[k + 1], workspace[k + 2], workspace[k + 3]
        for i in range(k + AT_A_TIME):
            a, b, c, d, target = one[i], two[i], three[i], four[i], inverse[i]
            for j in range(i + 1):
                target[j] += a * one[j] + b * two[j] + c * three[j] + d * four[j]
    for k in range(whole, size):
        row = workspace[k]
        for i in range(k + 1):
            value, target = row[i], inverse[i]
            for j in range(i + 1):
                target[j] += value * row[j]


@_compiled
def sum_grams(starts: np.ndarray, movies: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(u, c (c + 1) / 2): the sum of x x^T over each user's movies, as `lower`.

    Args:
        starts: (u + 1,), where each user's ratings begin.
        movies: (n,), rows of `known`.
        known: (m, c) float64, the movies' x.
    """
    size = known.shape[1]
    lower = np.zeros((len(starts) - 1, size * (size + 1) // 2))
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            vector, place = known[movies[row]], 0
            for i in range(size):
                target, value = lower[user, place : place + i + 1], vector[i]
                for j in range(i + 1):
                    target[j] += value * vector[j]
                place += i + 1
    return lower


@_compiled
def sum_rows(starts: np.ndarray, movies: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(u, c): the sum of x over each user's movies; arguments as for `sum_grams`."""
    sums = np.zeros((len(starts) - 1, known.shape[1]))
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            vector, target = known[movies[row]], sums[user]
            for i in range(len(target)):
                target[i] += vector[i]
    return sums


@_compiled
def _posterior(
    gram: np.ndarray,
    products: np.ndarray,
    squares: float,
    tau: float,
    precision: np.ndarray,
    pull: np.ndarray,
    factor: np.ndarray,
    workspace: np.ndarray,
    covariance: np.ndarray,
    mean: np.ndarray,
) -> float:
    """A user's posterior given 1 / variance of her noise, written to `mean` and the lower triangle of `covariance`.

        S = (P + tau E[X^T X])^-1,    z = S (pull + tau E[X^T y])

    Args:
        gram: (d, d), the lower triangle of E[X^T X].
        products: (d,), E[X^T y].
        squares: E[y^T y].
        tau: 1 / variance of her noise.
        precision: (d, d), P.
        pull: (d,), P times the mean of her prior.
        factor: Workspace, (d, d).
        workspace: The same, zeros above the diagonal.
        covariance: (d, d), overwritten.
        mean: (d,), overwritten.

    Returns:
        The expected sum of her squared errors, E[y^T y] - 2 z E[X^T y] + sum of E[X^T X] * (S + z z^T).
    """
    size = len(mean)
    for i in range(size):
        mean[i] = pull[i] + tau * products[i]
        for j in range(i + 1):
            factor[i, j] = precision[i, j] + tau * gram[i, j]
    _factorise(factor)
    _solve(factor, mean)
    _invert(factor, workspace, covariance)
    errors = squares
    for i in range(size):
        twice = 0.0
        for j in range(i):
            twice += gram[i, j] * (covariance[i, j] + mean[i] * mean[j])
        errors += 2 * twice + gram[i, i] * (covariance[i, i] + mean[i] * mean[i]) - 2 * mean[i] * products[i]
    return errors


@_compiled
def _add(source: np.ndarray, target: np.ndarray) -> None:
    for i in range(len(target)):
        target[i] += source[i]


@_compiled
def _gather(vectors: np.ndarray, rows: np.ndarray, block: np.ndarray) -> None:
    """Writes these rows of `vectors`, `AT_A_TIME` at most, to the block; rows beyond them become zeros."""
    for q in range(AT_A_TIME):
        target = block[q]
        if q < len(rows):
            source = vectors[rows[q]]
            for i in range(len(source)):
                target[i] = source[i]
        else:
            for i in range(len(target)):
                target[i] = 0.0


@_compiled
def _add_combination(weights: np.ndarray, block: np.ndarray, target: np.ndarray) -> None:
    """Adds the sum of weights_q block_q over its `AT_A_TIME` rows to the target."""
    first, second, third, fourth = block[0], block[1], block[2], block[3]
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    for i in range(len(target)):
        target[i] += a * first[i] + b * second[i] + c * third[i] + d * fourth[i]


@_compiled
def _multiply(line: np.ndarray, block: np.ndarray, products: np.ndarray) -> None:
    """Writes the dot products of the line and the block's `AT_A_TIME` rows."""
    first, second, third, fourth = block[0], block[1], block[2], block[3]
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    for i in range(len(line)):
        a += line[i] * first[i]
        b += line[i] * second[i]
        c += line[i] * third[i]
        d += line[i] * fourth[i]
    products[0], products[1], products[2], products[3] = a, b, c, d


@_compiled
def update_users(
    starts: np.ndarray,
    movies: np.ndarray,
    targets: np.ndarray,
    grams: np.ndarray,
    vectors: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
    precision: np.ndarray,
    pulls: np.ndarray,
    taus: np.ndarray,
    shape: float,
    rate: float,
    solved: np.ndarray,
    moments: np.ndarray,
    products_by_movie: np.ndarray,
    second: np.ndarray,
) -> None:
    """Some users' posteriors given the movies', and what the movies' need of them.

    Args:
        starts: (u + 1,), where each user's ratings begin; a user without ratings is left out.
        movies: (n,), rows of `vectors`.
        targets: (n,), ratings minus the intercept.
        grams: Result of `sum_grams`.
        vectors: (m, d), the movies' x and mean factors.
        means: (m, 1 + r), the movies' mean v.
        covariances: (m, (1 + r) (2 + r) / 2), of v, as `lower`.
        precision: (d, d), P.
        pulls: (u, d), P times the mean of each user's prior.
        taus: (u,), 1 / variance of each user's noise, overwritten by its new mean.
        shape: Shape of the prior of tau.
        rate: Its rate.
        solved: (u, d), overwritten by the means of z.
        moments: (m, (1 + r) (2 + r) / 2): the sum of tau E[(1, p) (1, p)^T] over a movie's ratings is added, as
            `lower`.
        products_by_movie: (m, 1 + r): the sum of tau E[(1, p) (target - b_u - w . f)] is added.
        second: (d, d): the sum of E[z z^T] over the users is added to the lower triangle.
    """
    size, r = vectors.shape[1], means.shape[1] - 1
    c, width, triangle = size - r, size + -size % LANES, covariances.shape[1]
    gram, factor, workspace = np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    covariance, products, factor_rows = np.zeros((size, size)), np.empty(width), np.empty((r, width))
    block, weights, lefts = np.zeros((AT_A_TIME, width)), np.empty(AT_A_TIME), np.empty(AT_A_TIME)
    spread, own, lines = np.empty(triangle), np.empty(triangle), np.zeros((1 + r, width))
    for user in range(len(starts) - 1):
        first, last = starts[user], starts[user + 1]
        if first == last:
            continue
        products[:] = 0
        factor_rows[:] = 0
        spread[:] = 0
        squares = 0.0
        for start in range(first, last, AT_A_TIME):
            _gather(vectors, movies[start : min(start + AT_A_TIME, last)], block)
            for q in range(AT_A_TIME):
                weights[q] = 0.0
                if start + q < last:
                    movie = movies[start + q]
                    weights[q] = targets[start + q] - means[movie, 0]
                    _add(covariances[movie], spread)
                    squares += weights[q] * weights[q]
            _add_combination(weights, block, products)
            for i in range(r):
                for q in range(AT_A_TIME):
                    weights[q] = block[q, c + i]
                _add_combination(weights, block, factor_rows[i])
        squares += spread[0]
        place = 0
        for i in range(c):
            for j in range(i + 1):
                gram[i, j] = grams[user, place + j]
            place += i + 1
        place = 1
        for i in range(r):
            products[c + i] -= spread[place]
            for j in range(c):
                gram[c + i, j] = factor_rows[i, j]
            for j in range(i + 1):
                gram[c + i, c + j] = factor_rows[i, c + j] + spread[place + 1 + j]
            place += i + 2
        mean = solved[user]
        errors = _posterior(
            gram, products, squares, taus[user], precision, pulls[user], factor, workspace, covariance, mean
        )
        tau = (shape + (last - first) / 2) / (rate + errors / 2)
        taus[user] = tau
        for i in range(size):
            for j in range(i + 1):
                second[i, j] += covariance[i, j] + mean[i] * mean[j]
        own[0] = tau
        place = 1
        for i in range(r):
            own[place] = tau * mean[c + i]
            for j in range(i + 1):
                own[place + 1 + j] = tau * (covariance[c + i, c + j] + mean[c + i] * mean[c + j])
            place += i + 2
        for j in range(c):
            lines[0, j] = mean[j]
            for i in range(r):
                lines[1 + i, j] = covariance[c + i, j]
        for start in range(first, last, AT_A_TIME):
            _gather(vectors, movies[start : min(start + AT_A_TIME, last)], block)
            for i in range(1 + r):
                _multiply(lines[i], block, weights)
                for q in range(min(AT_A_TIME, last - start)):
                    right = products_by_movie[movies[start + q]]
                    if i == 0:
                        lefts[q] = targets[start + q] - weights[q]
                        right[0] += tau * lefts[q]
                        _add(own, moments[movies[start + q]])
                    else:
                        right[i] += tau * (lefts[q] * mean[c + i - 1] - weights[q])


@_compiled
def update_movies(
    moments: np.ndarray,
    products: np.ndarray,
    precision: np.ndarray,
    pulls: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
) -> None:
    """The movies' posteriors given the users'; a movie without ratings has its prior.

    Args:
        moments: Result of `update_users`.
        products: The same.
        precision: (1 + r, 1 + r), of the prior.
        pulls: (m, 1 + r), the precision times the mean of each movie's prior.
        means: (m, 1 + r), overwritten.
        covariances: (m, (1 + r) (2 + r) / 2), overwritten, as `lower`.
    """
    size = means.shape[1]
    factor, workspace, covariance = np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    for movie in range(len(means)):
        mean, place = means[movie], 0
        for i in range(size):
            mean[i] = pulls[movie, i] + products[movie, i]
            for j in range(i + 1):
                factor[i, j] = precision[i, j] + moments[movie, place + j]
            place += i + 1
        _factorise(factor)
        _solve(factor, mean)
        _invert(factor, workspace, covariance)
        place = 0
        for i in range(size):
            for j in range(i + 1):
                covariances[movie, place + j] = covariance[i, j]
            place += i + 1


@_compiled
def settle_users(
    starts: np.ndarray,
    movies: np.ndarray,
    targets: np.ndarray,
    vectors: np.ndarray,
    spread: np.ndarray,
    precision: np.ndarray,
    regressors: np.ndarray,
    effects: np.ndarray,
    shape: float,
    rate: float,
    tolerance: float,
    solved: np.ndarray,
    taus: np.ndarray,
) -> None:
    """The posteriors of users given the movies' alone: z and the noise in turns, until the noise no longer changes.

    Args:
        starts: (u + 1,), where each user's ratings begin; one without ratings gets zeros, and tau = shape / rate.
        movies: (n,), rows of `vectors`.
        targets: (n,), ratings minus the intercept and the movies' biases.
        vectors: (m, d), the movies' x and mean factors.
        spread: (1 + r, 1 + r), the covariance of v in the mean over ratings.
        precision: (d, d), P.
        regressors: (u, g), g of each user.
        effects: (g, d), B P.
        shape: Shape of the prior of tau.
        rate: Its rate.
        tolerance: The relative change of tau at which it counts as settled.
        solved: (u, d), overwritten by the means of z.
        taus: (u,), overwritten by the tau that z was solved with.
    """
    size, r = vectors.shape[1], len(spread) - 1
    c = size - r
    gram, factor, workspace = np.zeros((size, size)), np.zeros((size, size)), np.zeros((size, size))
    covariance, products, pull = np.zeros((size, size)), np.empty(size), np.empty(size)
    for user in range(len(starts) - 1):
        first, last = starts[user], starts[user + 1]
        mean, count = solved[user], last - first
        tau = shape / rate
        taus[user] = tau
        for i in range(size):
            mean[i], products[i], pull[i] = 0.0, 0.0, 0.0
            for j in range(i + 1):
                gram[i, j] = 0.0
        if count == 0:
            continue
        for j in range(len(effects)):  # a matrix product would sum in an order that depends on the number of users
            for i in range(size):
                pull[i] += regressors[user, j] * effects[j, i]
        squares = count * spread[0, 0]
        for row in range(first, last):
            x, target = vectors[movies[row]], targets[row]
            squares += target * target
            for i in range(size):
                value, line = x[i], gram[i]
                products[i] += target * value
                for j in range(i + 1):
                    line[j] += value * x[j]
        for i in range(r):
            products[c + i] -= count * spread[1 + i, 0]
            for j in range(i + 1):
                gram[c + i, c + j] += count * spread[1 + i, 1 + j]
        for _ in range(100):
            taus[user] = tau
            errors = _posterior(gram, products, squares, tau, precision, pull, factor, workspace, covariance, mean)
            tau = (shape + count / 2) / (rate + errors / 2)
            if abs(tau - taus[user]) <= tolerance * tau:
                break
