"""ALS by compiled loops: Spark ML's objective, explicit or implicit, on either carrier.

A fit takes milliseconds where Spark ML runs a dozen jobs, so trials and features use it; saved models have Spark ML's
factors (`spark_ml`).
"""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from movie_recs.als import kernels
from movie_recs.als.parameters import AlsParameters
from movie_recs.data.block_types import Blocks, Entries
from movie_recs.data.interactions import Seen
from movie_recs.threads import cores, in_threads

EXPLICIT = -1.0  # no alpha: ratings are targets, not confidences
DRAWN_AT_A_TIME = 100_000  # rows that are skipped at a time


class Targets(NamedTuple):
    """What factors are fitted to: `values`, (n,) float32, one for each rating of `seen`."""

    seen: Seen
    values: np.ndarray


class Factors(NamedTuple):
    """Float32 user factors by block, (users of the block, rank), and item factors, (m, rank); zeros without ratings."""

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

    As in Spark ML are the objective, the order of the two half steps, and the distribution of the initial user factors,
    uniform on the unit sphere; the random numbers are others.

    Args:
        targets: Stars, residuals of a baseline, or weights of preferences.
        parameters: Rank and regularisation.
        iterations: Ascending.
        seed: Seed of the initial user factors.
        alpha: The implicit model's confidence is 1 + alpha |r|; negative for the explicit model.
        start: Initial user factors, (users, rank) float32, instead of random ones.

    Raises:
        ArithmeticError: A system of normal equations is singular.
    """
    draw = partial(draw_on_sphere, key=[seed % 2**64, parameters.rank], size=parameters.rank)
    users = targets.map(partial(_initial_factors, draw if start is None else partial(_rows_of, start)))
    entries = targets.by_movie(_entries)
    try:
        done = 0
        for number in iterations:
            for _ in range(done, number):
                items = entries.solve(users, partial(solve_side, parameters.reg_param, alpha))
                users = targets.map(partial(_solve_users, items, parameters.reg_param, alpha))
            done = number
            yield Factors(users, items)
    finally:
        entries.close()


def draw_on_sphere(first: int, count: int, key: list[int] | int, size: int) -> np.ndarray:
    """(count, size) float32: rows from `first` on of a sequence of random points, uniform on the unit sphere.

    Args:
        first: Number of rows of the sequence to skip.
        count: Number of rows.
        key: Seed of the sequence.
        size: Length of a row.
    """
    generator = np.random.default_rng(key)
    for start in range(0, first, DRAWN_AT_A_TIME):
        generator.standard_normal((min(DRAWN_AT_A_TIME, first - start), size), dtype=np.float32)
    values = generator.standard_normal((count, size), dtype=np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def _initial_factors(draw: partial[np.ndarray], block: Targets) -> np.ndarray:
    values = draw(block.seen.first_user, len(block.seen.user_ids))
    values[~block.seen.rated_users] = 0
    return values


def _rows_of(values: np.ndarray, first: int, count: int) -> np.ndarray:
    return values[first : first + count].copy()


def _entries(block: Targets) -> Entries:
    return Entries(block.seen.users + np.int32(block.seen.first_user), block.seen.movies, block.values)


def _solve_users(items: np.ndarray, reg_param: float, alpha: float, block: Targets) -> np.ndarray:
    return solve_side(reg_param, alpha, block.seen.user_starts, block.seen.movies, block.values, items)


def base_of(fixed: np.ndarray, alpha: float) -> np.ndarray:
    """(rank, rank): what the normal equations of all groups share, the other side (h, rank) being fixed."""
    return np.zeros((fixed.shape[1], fixed.shape[1])) if alpha < 0 else kernels.gram(fixed)


def solve_side(
    reg_param: float,
    alpha: float,
    starts: np.ndarray,
    others: np.ndarray,
    values: np.ndarray,
    fixed: np.ndarray,
    base: np.ndarray | None = None,
) -> np.ndarray:
    """Half an alternation: the factors of one side, zeros for a group without ratings; see `kernels.solve_factors`.

    Groups are solved on all cores, each in the same way whatever their number. `base` is `base_of(fixed, alpha)`, for
    callers that solve for the same fixed side again and again.

    Raises:
        ArithmeticError: A system of normal equations is singular.
    """
    base = base_of(fixed, alpha) if base is None else base
    solved = np.zeros((len(starts) - 1, fixed.shape[1]), np.float32)
    is_dual = kernels.use_dual(starts, len(fixed), fixed.shape[1], reg_param, alpha)

    def solve_some(groups: tuple[int, int]) -> bool:
        first, last = groups
        own = starts[first : last + 1], others, values, fixed, base, solved[first:last]
        return kernels.solve_factors(*own, reg_param, alpha, is_dual) < 0

    edges = np.searchsorted(starts, np.linspace(0, starts[-1], cores() + 1)[1:-1])  # about as many ratings in each part
    if not all(in_threads(solve_some, pairwise([0, *edges.tolist(), len(starts) - 1]))):
        raise ArithmeticError("the normal equations are singular: raise reg_param, or lower the rank")
    return solved
