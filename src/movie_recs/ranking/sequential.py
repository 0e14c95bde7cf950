"""What a user rates next, as a part of a ranking score: a ridge regression of users' futures on their pasts.

It is the transition model SLIT (Choi, Kim, Lee, Shim & Lee 2021) on EASE's vectors. Each user's preferences, in the
order of time, are cut at each of `CUTS`. At a cut, p is her vector in EASE from those before it, by the rule that makes
it, and y_i = 2^(-k / HALF_LIFE) for the movie i that she rated as number k after it, k = 0 being the first; y_i is 0
for every other movie. With Z the rows p and Y the rows y of all users and cuts,

    t_i = (Z^T Z + reg I)^-1 Z^T y_i,    score(u, i) = p_u . f_i + weight p_u . t_i

where f_i are the features of EASE. So a user's vector needs nothing beside EASE's own, fold-in and reasons are sums
over her ratings as before, and the regression has the size of EASE's rank, not that of the users or movies.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve
from scipy.sparse import csr_array

from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import Interactions, compact, starts_of, take
from movie_recs.model.factor_model import Arrays, with_zeros
from movie_recs.ranking.preferences import PreferenceRule, later_preferences, select_preferred

# Of 1, 2, 3, 4, 6 and 8 cuts, and half-lives of 5 to 50, the best in cross-validation by time, flat around the best.
CUTS = (0.3, 0.5, 0.7, 0.85)  # shares of a user's preferences that are her past
HALF_LIFE = 20.0  # number of ratings after a cut that halve the weight of the next ones


class Moments(NamedTuple):
    """What the regression needs of the ratings: `gram`, Z^T Z (r, r), and `products`, Y^T Z (m, r), float64."""

    gram: np.ndarray
    products: np.ndarray


class _BlockMoments(NamedTuple):
    """Those of a block, its products only for the movies that occur: (m,) bool."""

    gram: np.ndarray
    occurs: np.ndarray
    products: np.ndarray


def sequence_moments(blocks: Blocks[Interactions], rule: PreferenceRule, ease_items: np.ndarray) -> Moments:
    """The moments of the users' pasts and futures, of EASE's part of the rule alone.

    Args:
        blocks: The ratings, all of which have a time.
        rule: How a user's vector is made; which ratings count, and how much.
        ease_items: (m, r) float32, EASE's features.
    """
    side = with_zeros(blocks.movie_ids, np.zeros(len(ease_items)), ease_items)
    rank = ease_items.shape[1]
    gram, products = np.zeros((rank, rank)), np.zeros(ease_items.shape)
    for block in blocks.collect(partial(_block_moments, rule, side)):
        gram += block.gram
        products[block.occurs] += block.products
    return Moments(gram, products)


def sequential_features(moments: Moments, reg: float) -> np.ndarray:
    """The vectors t_i of the module's docstring, (m, r) float32."""
    system = moments.gram + reg * np.eye(len(moments.gram))
    return np.ascontiguousarray(solve(system, moments.products.T, assume_a="pos").T, dtype=np.float32)


def _block_moments(rule: PreferenceRule, side: Arrays, ratings: Interactions) -> _BlockMoments:
    preferred = select_preferred(ratings, rule.preferred, rule.liked)
    fold = rule._replace(als_size=0, preferred="all", sequential_weight=0.0).folder(side, 0.0)
    counts = np.diff(starts_of(preferred.users, len(preferred.user_ids)))
    place = counts[preferred.users] - 1 - later_preferences(preferred)
    occurs, columns = compact(preferred.movies, len(side.ids))
    rank = side.features.shape[1]
    gram, products = np.zeros((rank, rank)), np.zeros((np.count_nonzero(occurs), rank))
    for cut in CUTS:
        after = place - np.floor(cut * counts).astype(int)[preferred.users]
        pasts = fold(take(preferred, after < 0)).features.astype(float)
        is_next = after >= 0
        values, pairs = 2.0 ** (-after[is_next] / HALF_LIFE), (columns[is_next], preferred.users[is_next])
        gram += pasts.T @ pasts
        products += csr_array((values, pairs), shape=(len(products), len(pasts))) @ pasts
    return _BlockMoments(gram, occurs, products)
