"""Trials of ranking models: all movies are ranked for each user, and the list is compared with her held-out ones."""

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from itertools import groupby
from typing import NamedTuple

import numpy as np

from movie_recs.als.compiled import Factors, Targets, fit_factors
from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import Interactions, Seen, select_seen, take
from movie_recs.model.exact_search import DOT, NOTHING, Items, best_items, prepare_items, prepare_queries
from movie_recs.model.top_n import BLOCK
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import Spectrum, decompose, ease_features
from movie_recs.ranking.metrics import ndcg_of_lists
from movie_recs.ranking.parameters import PreferenceParameters, RatingWeights
from movie_recs.ranking.preferences import PreferenceRule, are_preferred, make_rule, weigh, weigh_stars
from movie_recs.tuning.trial import Measures, Trial


class RankingTrialData(NamedTuple):
    """What ranking trials need.

    Args:
        blocks: The train ratings with their folds, in the catalogue of all movies that may be recommended.
        preference: Which ratings count in a fit, and how much.
        ease_rank: See `ease.decompose`.
        k: Length of the lists.
        seed: Seed of the initial factors.
    """

    blocks: Blocks[Interactions]
    preference: PreferenceParameters
    ease_rank: int
    k: int
    seed: int

    def missing_folds(self, trials: list[Trial[RankingCandidate]]) -> list[int]:  # noqa: ARG002 - nothing is shared
        """None: the trials of a fold share no fit."""
        return []

    def fit_shared(self, fold: int) -> None:
        """Does nothing."""

    def with_shared(self, parts: dict[int, None]) -> "RankingTrialData":  # noqa: ARG002 - as `missing_folds`
        """The same data."""
        return self

    def open(self, fold: int) -> "RankingFold":
        """The fold."""
        return RankingFold(self, fold)


class FoldBlock(NamedTuple):
    """A block's ratings for one fold.

    Args:
        seen: The preferences in all other folds.
        times: (n,), times of the preferences.
        stars: (n,) float64, weights of the preferences in a fit.
        rated: Ids of the movies rated in all other folds, user after user.
        rated_counts: (u,), number of these of each user.
        held_out: (h,) int64, ascending: user row * number of movies + movie row of each held-out rating.
        relevant: (u,), number of held-out ratings.
    """

    seen: Seen
    times: np.ndarray
    stars: np.ndarray
    rated: np.ndarray
    rated_counts: np.ndarray
    held_out: np.ndarray
    relevant: np.ndarray


class RankingFold:
    """A held-out fold, the preferences in all others, and the decomposition of these."""

    def __init__(self, data: RankingTrialData, fold: int):
        self._data = data
        self._blocks = data.blocks.map(partial(_open_block, fold, data.preference))

    def measure(self, candidates: list[RankingCandidate]) -> Iterator[Measures]:
        """`ndcg`, the mean over the users with a held-out rating, and its standard error."""
        als, targets = candidates[0].als, self._blocks.map(_targets)
        by_iterations = [(number, list(same)) for number, same in groupby(candidates, lambda each: each.iterations)]
        iterations = [number for number, _ in by_iterations]
        fits = None if als is None else fit_factors(targets, als, iterations, self._data.seed, als.alpha)
        for _, same in by_iterations:
            factors = None if fits is None else next(fits)
            for candidate in same:
                yield self._measure(candidate, factors)

    def _measure(self, candidate: RankingCandidate, factors: Factors | None) -> Measures:
        als_items = self._nothing if factors is None else factors.items
        ease_items = self._nothing if candidate.ease_reg is None else self._ease(candidate.ease_reg)
        items = np.hstack([als_items, ease_items])
        if factors is not None and candidate.weights is None:
            return self._ndcg(factors.users, items)
        rule = make_rule(candidate, self._data.preference, als_items.shape[1], ease_items.shape[1])
        return self._ndcg(self._blocks.map(partial(_fold_users, rule, items)), items)

    @lru_cache(maxsize=1)  # noqa: B019 - candidates of the same regularisation follow one another; a fold is short-lived
    def _ease(self, reg: float) -> np.ndarray:
        return ease_features(self._spectrum, reg)

    @cached_property
    def _spectrum(self) -> Spectrum:
        return decompose(self._blocks.map(lambda block: block.seen), self._data.ease_rank, self._data.seed)

    @property
    def _nothing(self) -> np.ndarray:
        return np.zeros((len(self._data.blocks.movie_ids), 0), np.float32)

    def _ndcg(self, users: Blocks[np.ndarray], items: np.ndarray) -> Measures:
        catalogue = prepare_items(self._data.blocks.movie_ids, np.zeros(len(items)), items, DOT)
        values = np.concatenate(self._blocks.zip(users).collect(partial(_ndcg_of_users, catalogue, self._data.k)))
        if not len(values):
            return {"ndcg": None, "ndcg_se": None}
        spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
        return {"ndcg": values.mean(), "ndcg_se": spread}


def _open_block(fold: int, preference: PreferenceParameters, interactions: Interactions) -> FoldBlock:
    everything = select_seen(interactions, fold)
    rows = np.flatnonzero(interactions.folds != fold)
    kept = are_preferred(everything.user_starts, everything.ratings, preference.preferred)
    preferred = take(interactions, rows[kept])
    seen = select_seen(preferred)
    held_out = interactions.folds == fold
    users, movies = interactions.users[held_out], interactions.movies[held_out]
    return FoldBlock(
        seen,
        preferred.times,
        weigh_stars(seen.user_starts, seen.ratings, preference.star_weight),
        interactions.movie_ids[everything.movies],
        np.diff(everything.user_starts),
        np.sort(users.astype(np.int64) * len(interactions.movie_ids) + movies),
        np.bincount(users, minlength=len(interactions.user_ids)),
    )


def _targets(block: FoldBlock) -> Targets:
    return Targets(block.seen, block.stars.astype(np.float32))


def _fold_users(rule: PreferenceRule, items: np.ndarray, block: FoldBlock) -> np.ndarray:
    seen, weights = block.seen, _weigh(block, rule.weights)
    return rule.fold(seen.user_starts, seen.movies, weights, items)


def _weigh(block: FoldBlock, weights: RatingWeights) -> np.ndarray:
    seen = block.seen
    return weigh(seen.user_starts, seen.ratings, block.times, seen.movies, weights)


def _ndcg_of_users(items: Items, k: int, pair: tuple[FoldBlock, np.ndarray]) -> np.ndarray:
    """The NDCG of each user of a block with a held-out rating; 0 for one without a list."""
    block, users = pair
    measured = np.flatnonzero(block.relevant)
    if not len(measured):
        return np.zeros(0)
    queries = prepare_queries(np.zeros(len(users)), users, block.rated, block.rated_counts, items)
    hits = np.zeros((len(users), k), bool)
    for rows, lists in best_items(queries, items, min(k, len(items.ids)), BLOCK):
        pairs = np.arange(rows.start, rows.stop)[:, None] * len(block.seen.movie_ids) + lists.places
        places = np.minimum(np.searchsorted(block.held_out, pairs), len(block.held_out) - 1)
        hits[rows, : pairs.shape[1]] = (block.held_out[places] == pairs) & (lists.scores > NOTHING)
    hits[block.rated_counts == 0] = False
    return ndcg_of_lists(hits[measured], block.relevant[measured])
