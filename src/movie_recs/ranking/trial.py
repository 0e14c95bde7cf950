"""Trials of ranking models: all movies are ranked for each user, and the list is compared with her held-out ones."""

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from itertools import groupby
from typing import NamedTuple

import numpy as np

from movie_recs.als.compiled import Factors, Targets, fit_factors
from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import (
    Interactions,
    Seen,
    is_in_sample,
    select_seen,
    take,
    take_users,
)
from movie_recs.model.exact_search import DOT, NOTHING, Items, best_items, prepare_items, prepare_queries
from movie_recs.model.search import BLOCK
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import Spectrum, decompose, ease_features
from movie_recs.ranking.metrics import ndcg_of_lists
from movie_recs.ranking.parameters import PreferenceParameters
from movie_recs.ranking.preferences import PreferenceRule, make_rule, select_preferred, weigh, weighted_targets
from movie_recs.tuning.trial import Measures, Trial


class Part(NamedTuple):
    """A decomposition that trials share: of the preferences outside a fold, with this many singular vectors."""

    fold: int
    rank: int


class RankingTrialData(NamedTuple):
    """What ranking trials need.

    Args:
        blocks: The train ratings with their folds, in the catalogue of all movies that may be recommended.
        preference: Which ratings count in a fit, and how much.
        k: Length of the lists.
        seed: Seed of initial factors and vectors, and of the sample of users.
        most_measured: About how many users' lists are measured, a sample of all.
        spectra: Results of `fit_shared`, for each fold that of the highest rank so far.
    """

    blocks: Blocks[Interactions]
    preference: PreferenceParameters
    k: int
    seed: int
    most_measured: int
    spectra: dict[Part, Spectrum]

    def missing_parts(self, trials: list[Trial[RankingCandidate]]) -> list[Part]:
        """For each fold the decomposition with the highest rank of these trials, where there is not one yet."""
        ranks: dict[int, int] = {}
        for candidate, fold in trials:
            if candidate.ease_rank is not None:
                ranks[fold] = max(ranks.get(fold, 0), candidate.ease_rank)
        known = {part.fold: part.rank for part in self.spectra}
        return [Part(fold, rank) for fold, rank in sorted(ranks.items()) if rank > known.get(fold, 0)]

    def fit_shared(self, part: Part) -> Spectrum:
        """The decomposition."""
        return self.open(part.fold).decompose(part.rank)

    def with_shared(self, parts: dict[Part, Spectrum]) -> "RankingTrialData":
        """The data with these decompositions as well."""
        folds = {part.fold for part in parts}
        others = {part: spectrum for part, spectrum in self.spectra.items() if part.fold not in folds}
        return self._replace(spectra=others | parts)

    def only(self, fold: int | None) -> "RankingTrialData":
        """The data with the decomposition of this fold alone."""
        return self._replace(spectra={part: each for part, each in self.spectra.items() if part.fold == fold})

    def open(self, fold: int) -> "RankingFold":
        """The fold."""
        return RankingFold(self, fold)


class AskedUsers(NamedTuple):
    """The users of a block whose lists are measured on a fold.

    Args:
        rows: (a,), their rows in the block.
        seen: Their preferences in all other folds.
        times: (n,), times of the preferences.
        rated: Ids of the movies rated in all other folds, user after user.
        rated_counts: (a,), number of these of each user.
        held_out: (h,) int64, ascending: user * number of movies + movie row of each held-out rating.
        relevant: (a,), number of held-out ratings, at least 1.
    """

    rows: np.ndarray
    seen: Seen
    times: np.ndarray
    rated: np.ndarray
    rated_counts: np.ndarray
    held_out: np.ndarray
    relevant: np.ndarray


class RankingFold:
    """A held-out fold, the preferences in all others, and the users whose lists are measured."""

    def __init__(self, data: RankingTrialData, fold: int):
        self._data, self._fold = data, fold
        self._targets = data.blocks.map(partial(_open_block, fold, data.preference))
        share = data.most_measured / max(len(data.blocks.user_ids), 1)
        self._asked = data.blocks.map(partial(_ask, fold, data.preference, share, data.seed))

    def measure(self, candidates: list[RankingCandidate]) -> Iterator[Measures]:
        """`ndcg`, the mean over the users that are asked, and its standard error."""
        als = candidates[0].als
        by_iterations = [(number, list(same)) for number, same in groupby(candidates, lambda each: each.iterations)]
        iterations = [number for number, _ in by_iterations]
        fits = None if als is None else fit_factors(self._targets, als, iterations, self._data.seed, als.alpha)
        for _, same in by_iterations:
            factors = None if fits is None else next(fits)
            for candidate in same:
                yield self._measure(candidate, factors)

    def decompose(self, rank: int | None) -> Spectrum:
        """The decomposition of the preferences that a fit sees; None for all singular vectors."""
        return decompose(self._targets.map(lambda block: block.seen), rank, self._data.seed)

    def _measure(self, candidate: RankingCandidate, factors: Factors | None) -> Measures:
        als_items = self._nothing if factors is None else factors.items
        ease_items = self._nothing
        if candidate.ease_reg is not None:
            ease_items = self._ease(candidate.ease_rank, candidate.ease_reg)
        items = np.hstack([als_items, ease_items])
        if factors is not None and candidate.weights is None:
            return self._ndcg(self._asked.zip(factors.users).map(_fitted_users), items)
        rule = make_rule(candidate, self._data.preference, als_items.shape[1], ease_items.shape[1])
        return self._ndcg(self._asked.map(partial(_fold_users, rule, items)), items)

    @lru_cache(maxsize=1)  # noqa: B019 - candidates of the same EASE follow one another; a fold is short-lived
    def _ease(self, rank: int | None, reg: float) -> np.ndarray:
        if rank is None:
            return ease_features(self._whole_spectrum, reg)
        shared = [each for part, each in self._data.spectra.items() if part.fold == self._fold and part.rank >= rank]
        return ease_features(shared[0].largest(rank) if shared else self.decompose(rank), reg)

    @cached_property
    def _whole_spectrum(self) -> Spectrum:
        return self.decompose(None)

    @property
    def _nothing(self) -> np.ndarray:
        return np.zeros((len(self._data.blocks.movie_ids), 0), np.float32)

    def _ndcg(self, users: Blocks[np.ndarray], items: np.ndarray) -> Measures:
        catalogue = prepare_items(self._data.blocks.movie_ids, np.zeros(len(items)), items, DOT)
        values = np.concatenate(self._asked.zip(users).collect(partial(_ndcg_of_users, catalogue, self._data.k)))
        if not len(values):
            return {"ndcg": None, "ndcg_se": None}
        spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
        return {"ndcg": values.mean(), "ndcg_se": spread}


def _open_block(fold: int, preference: PreferenceParameters, interactions: Interactions) -> Targets:
    """The preferences outside the fold, which a fit sees."""
    return weighted_targets(preference, take(interactions, interactions.folds != fold))


def _ask(
    fold: int, preference: PreferenceParameters, share: float, seed: int, interactions: Interactions
) -> AskedUsers:
    relevant = np.bincount(interactions.users[interactions.folds == fold], minlength=len(interactions.user_ids))
    rows = np.flatnonzero((relevant > 0) & is_in_sample(interactions.user_ids, share, seed))
    own = take_users(interactions, rows)
    held_out, rated = take(own, own.folds == fold), take(own, own.folds != fold)
    preferred = select_preferred(rated, preference.preferred, preference.scale.liked)
    return AskedUsers(
        rows,
        select_seen(preferred),
        preferred.times,
        own.movie_ids[rated.movies],
        np.bincount(rated.users, minlength=len(rows)),
        np.sort(held_out.users.astype(np.int64) * len(own.movie_ids) + held_out.movies),
        relevant[rows],
    )


def _fitted_users(pair: tuple[AskedUsers, np.ndarray]) -> np.ndarray:
    asked, factors = pair
    return factors[asked.rows]


def _fold_users(rule: PreferenceRule, items: np.ndarray, asked: AskedUsers) -> np.ndarray:
    seen = asked.seen
    weights = weigh(seen.user_starts, seen.ratings, asked.times, seen.movies, rule.weights)
    return rule.fold(seen.user_starts, seen.movies, weights, items)


def _ndcg_of_users(items: Items, k: int, pair: tuple[AskedUsers, np.ndarray]) -> np.ndarray:
    """The NDCG of each user that is asked; 0 for one without a list."""
    asked, users = pair
    if not len(asked.rows):
        return np.zeros(0)
    queries = prepare_queries(np.zeros(len(users)), users, asked.rated, asked.rated_counts, items)
    hits = np.zeros((len(users), k), bool)
    for rows, lists in best_items(queries, items, min(k, len(items.ids)), BLOCK):
        pairs = np.arange(rows.start, rows.stop)[:, None] * len(asked.seen.movie_ids) + lists.places
        places = np.minimum(np.searchsorted(asked.held_out, pairs), len(asked.held_out) - 1)
        hits[rows, : pairs.shape[1]] = (asked.held_out[places] == pairs) & (lists.scores > NOTHING)
    hits[asked.rated_counts == 0] = False
    return ndcg_of_lists(hits, asked.relevant)
