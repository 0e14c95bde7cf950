"""Trials of ranking models: all movies are ranked for each user, and her held-out ones looked for in the list."""

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
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
        seed: Seed of the factors' first values.
    """

    blocks: Blocks[Interactions]
    preference: PreferenceParameters
    ease_rank: int
    k: int
    seed: int

    def missing_folds(self, trials: list[Trial]) -> list[int]:  # noqa: ARG002 - no fold shares more than its ratings
        """None."""
        return []

    def fit_shared(self, fold: int) -> None:
        """Nothing."""

    def with_shared(self, parts: dict[int, None]) -> "RankingTrialData":  # noqa: ARG002 - as `missing_folds`
        """The same."""
        return self

    def open(self, fold: int) -> "RankingFold":
        """The fold."""
        return RankingFold(self, fold)


class FoldBlock(NamedTuple):
    """A block's ratings for one fold.

    Args:
        seen: The preferences in all other folds.
        times: (n,) of the preferences.
        stars: (n,) float64, their weights by stars in a fit.
        rated: Ids of the movies rated in all other folds, user after user.
        rated_counts: (u,), how many each user has.
        held_out: (h,) int64, the held-out ratings, each the user's row times the number of movies plus the movie's.
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
    """The preferences of all folds but one, the ratings of that one, and what was fitted last."""

    def __init__(self, data: RankingTrialData, fold: int):
        self._data = data
        self._blocks = data.blocks.map(partial(_open_block, fold, data.preference))

    def measure(self, candidates: list[RankingCandidate]) -> Iterator[Measures]:
        """`ndcg`, the mean over the users with a held-out rating, and its standard error."""
        fits = self._fit_als(candidates)
        factors, done = None, 0
        for candidate in candidates:
            if candidate.als is not None and candidate.max_iter != done:
                factors, done = next(fits), candidate.max_iter
            als_items = self._nothing if factors is None else factors.items
            own = self._nothing if candidate.ease_reg is None else self._ease(candidate.ease_reg)
            items = np.hstack([als_items, own])
            if candidate.weights is None:
                users = factors.users
            else:
                rule = make_rule(candidate, self._data.preference, als_items.shape[1], own.shape[1])
                users = self._blocks.map(partial(_fold_users, rule, items))
            yield self._ndcg(users, items)

    def _fit_als(self, candidates: list[RankingCandidate]) -> Iterator[Factors]:
        """The factors after each number of alternations that the candidates have, ascending."""
        first, iterations = candidates[0], sorted({each.max_iter for each in candidates if each.als})
        targets = self._blocks.map(_targets)
        return fit_factors(targets, first.als, iterations, self._data.seed, first.alpha)

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
    """The NDCG of each user of a block with a held-out rating; 0 for one that has no list."""
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
