"""ALS by compiled loops: Spark ML's objective, explicit or implicit, on either carrier.

It runs in milliseconds what costs Spark ML a dozen jobs, so trials and features use it; the models that are saved have
Spark ML's factors (`spark_ml`).
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from movie_recs.als import kernels
from movie_recs.als.parameters import AlsParameters
from movie_recs.data.blocks import Blocks, Entries
from movie_recs.data.interactions import Seen

EXPLICIT = -1.0  # no alpha: ratings are targets, not confidences
DRAWN_AT_A_TIME = 100_000  # users' first values


class Targets(NamedTuple):
    """What factors are fitted to: the ratings of whole users and a float32 (n,) for each, in their order."""

    seen: Seen
    values: np.ndarray


class Factors(NamedTuple):
    """Users' factors (users of the block, rank) by block, and items' (m, rank), float32; zeros without ratings."""

    users: Blocks[np.ndarray]
    items: np.ndarray


def fit_factors(
    targets: Blocks[Targets],
    parameters: AlsParameters,
    iterations: Iterable[int],
    seed: int,
    alpha: float = EXPLICIT,
    start: np.ndarray | None = None,
) -> Iterator[Factors]:
    """The factors after each of these numbers of alternations.

    The objective, the order of the two halves and the distribution of the users' first values, uniform on the sphere,
    are Spark ML's; the values themselves are not.

    Args:
        targets: Stars, what a baseline leaves of them, or weights of preferences.
        parameters: Rank and regularisation.
        iterations: Ascending.
        seed: Seed of the users' first values.
        alpha: The implicit model's confidence is 1 + alpha |r|; negative for the explicit model.
        start: The users' first values, (users, rank) float32, instead of random ones.

    Raises:
        ArithmeticError: A system of normal equations is singular.
    """
    first_values = partial(draw_on_sphere, key=[seed % 2**64, parameters.rank], size=parameters.rank)
    users = targets.map(partial(_first_values, first_values if start is None else partial(_rows_of, start)))
    entries = targets.by_movie(_entries)
    try:
        done = 0
        for wanted in iterations:
            for _ in range(done, wanted):
                items = entries.solve(users, partial(_solve, parameters.reg_param, alpha))
                users = targets.map(partial(_solve_users, items, parameters.reg_param, alpha))
            done = wanted
            yield Factors(users, items)
    finally:
        entries.close()


def draw_on_sphere(first: int, count: int, key: list[int] | int, size: int) -> np.ndarray:
    """(count, size) float32: rows `first` and on of a sequence of random points, uniform on the unit sphere.

    Args:
        first: Rows before them in the sequence.
        count: Number of rows.
        key: Seed of the sequence.
        size: Length of a row.
    """
    generator = np.random.default_rng(key)
    for start in range(0, first, DRAWN_AT_A_TIME):
        generator.standard_normal((min(DRAWN_AT_A_TIME, first - start), size), dtype=np.float32)
    values = generator.standard_normal((count, size), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _first_values(draw: partial[np.ndarray], block: Targets) -> np.ndarray:
    values = draw(block.seen.first_user, len(block.seen.user_ids))
    values[~block.seen.rated_users] = 0
    return values


def _rows_of(values: np.ndarray, first: int, count: int) -> np.ndarray:
    return values[first : first + count].copy()


def _entries(block: Targets) -> Entries:
    return Entries(block.seen.users + np.int32(block.seen.first_user), block.seen.movies, block.values)


def _solve_users(items: np.ndarray, reg_param: float, alpha: float, block: Targets) -> np.ndarray:
    return _solve(reg_param, alpha, block.seen.user_starts, block.seen.movies, block.values, items)


def _solve(
    reg_param: float, alpha: float, starts: np.ndarray, others: np.ndarray, values: np.ndarray, fixed: np.ndarray
) -> np.ndarray:
    """Half an alternation: the factors of one side, zeros for a group without ratings; see `kernels.solve_factors`."""
    solved = np.zeros((len(starts) - 1, fixed.shape[1]), np.float32)
    if kernels.solve_factors(starts, others, values, fixed, solved, reg_param, alpha) >= 0:
        raise ArithmeticError("the normal equations are singular: raise reg_param, or lower the rank")
    return solved
