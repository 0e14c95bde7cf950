"""Whether one model is better than another on the same test users, or by chance alone."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

GROUPS = 10_000
PERMUTATIONS = 9_999
AT_A_TIME = 500  # permutations, whose signs are in memory together
ROUNDING = 1e-9  # of a sum of differences: sums of the same numbers in another order are equal


def sums_by_user(rows: DataFrame, sums: dict[str, Column]) -> pd.DataFrame:
    """Sums over the rows of each user; with more than `GROUPS` users, over those of groups drawn by a hash of the user.

    Args:
        rows: (user_id, ...).
        sums: Aggregates that are sums, by their names; null becomes 0.

    Returns:
        (users int, *sums float), at most `GROUPS` rows, the same order for the same users.
    """
    by_user = rows.groupBy("user_id").agg(F.lit(1).alias("users"), *(value.alias(name) for name, value in sums.items()))
    found = by_user.limit(GROUPS + 1).toPandas()
    key = "user_id"
    if len(found) > GROUPS:
        key = "group"
        group = F.pmod(F.xxhash64("user_id"), F.lit(GROUPS)).alias(key)
        found = by_user.groupBy(group).agg(*(F.sum(name).alias(name) for name in ("users", *sums))).toPandas()
    return found.sort_values(key, ignore_index=True).drop(columns=key).fillna(0)


def compare(
    pairs: Sequence[tuple[str, str]],
    models: Sequence[str],
    losses: np.ndarray,
    deviations: np.ndarray,
    sums: np.ndarray,
    n: int,
) -> pd.DataFrame:
    """How much better one model is than another on the same rows, and the probability of such a gain by chance.

    Args:
        pairs: (before, after), names of models.
        models: The models (k,) in the order of the columns.
        losses: (k,), each model's loss over all rows, of which lower is better.
        deviations: (users or groups, k), sums of the rows' deviations from the loss (`standard_errors`).
        sums: (users or groups, k), what adds up to the losses.
        n: Number of rows.

    Returns:
        (model, other, gain, gain_se, p, p_holm), one row per pair: `gain` is the loss of `other`, the one before, minus
        that of `model`; `p` is `permutation_p`, and `p_holm` adjusted for the number of pairs (Holm 1979).
    """
    before, after = (np.array([models.index(pair[side]) for pair in pairs], int) for side in (0, 1))
    p = permutation_p(sums[:, before] - sums[:, after])
    return pd.DataFrame(
        {
            "model": [pair[1] for pair in pairs],
            "other": [pair[0] for pair in pairs],
            "gain": losses[before] - losses[after],
            "gain_se": standard_errors(deviations[:, before] - deviations[:, after], n),
            "p": p,
            "p_holm": holm(p),
        }
    )


def permutation_p(differences: np.ndarray, seed: int = 0) -> np.ndarray:
    """(pairs,): the probability of sums of differences as large as these between models that are as good as each other.

    A paired permutation test (Fisher 1935; Smucker, Allan & Carterette 2007): each user's difference could as well have
    the other sign.

        p = (1 + permutations with |sum of differences| at least as large) / (1 + permutations)

    Args:
        differences: (users or groups, pairs); p is 1 where no user differs.
        seed: Seed of the signs.
    """
    rng = np.random.default_rng(seed)
    threshold = np.abs(differences.sum(axis=0)) - ROUNDING * np.abs(differences).sum(axis=0)
    as_large = np.zeros(differences.shape[1], np.int64)
    for start in range(0, PERMUTATIONS, AT_A_TIME):
        signs = rng.integers(0, 2, (min(AT_A_TIME, PERMUTATIONS - start), len(differences)), np.int8) * 2.0 - 1
        as_large += (np.abs(signs @ differences) >= threshold).sum(axis=0)
    return (1 + as_large) / (1 + PERMUTATIONS)


def holm(p: np.ndarray) -> np.ndarray:
    """The p values (n,) adjusted: the k-th smallest times n - k + 1, at most 1, and not below a smaller one's."""
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1)[np.argsort(order)]


def standard_errors(influences: np.ndarray, n: int) -> np.ndarray:
    """Standard errors of means over n rows, from sums (users or groups, means) of the rows' deviations from the means.

        se = sqrt(U / (U - 1) sum over users of (sum of her deviations)^2) / n

    with users as clusters (Liang & Zeger 1986), as the rows of a user are correlated. NaN with one user.
    """
    users = len(influences)
    if users < 2:
        return np.full(influences.shape[1], np.nan)
    return np.sqrt(users / (users - 1) * (influences**2).sum(axis=0)) / n


def pairs_of(models: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair (before, after) of a table's rows, in the table's order."""
    return list(combinations(models, 2))
