"""Trials of ranking models: all movies are ranked for each user, and the list is compared with her held-out ones."""

from collections.abc import Iterator
from functools import cached_property, lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import ImplicitAlsParameters
from movie_recs.data.blocks import Blocks
from movie_recs.data.interactions import (
    Interactions,
    is_in_sample,
    outside,
    starts_of,
    take,
    take_users,
)
from movie_recs.data.scale import Scale
from movie_recs.model.exact_search import DOT, NOTHING, Items, best_items, prepare_items, prepare_queries
from movie_recs.model.factor_model import Arrays, ItemSide, Vectors, with_zeros
from movie_recs.model.search import BLOCK
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import Spectrum, decompose, ease_features
from movie_recs.ranking.metrics import best_gains, gains_of, ndcg_of_lists
from movie_recs.ranking.parameters import PreferenceParameters
from movie_recs.ranking.preferences import PreferenceRule, make_rule, weighted_targets
from movie_recs.ranking.sequential import Moments, sequence_moments, sequential_features
from movie_recs.ranking.stars import join_items, join_users, predicted_stars, rating_vectors
from movie_recs.tuning.trial import Measures, Trial

WITHOUT_ADDITIONS = dict.fromkeys(("sequential_reg", "sequential_weight", "stars_weight"))


class Part(NamedTuple):
    """A decomposition that trials share: of the preferences outside a fold, with this many singular vectors."""

    fold: int
    rank: int


class AlsPart(NamedTuple):
    """A fit of ALS that trials share: of the preferences outside a fold. Its movies' factors are enough for them."""

    fold: int
    als: ImplicitAlsParameters


class RankingTrialData(NamedTuple):
    """What ranking trials need.

    Args:
        blocks: The train ratings with their folds, in the catalogue of all movies that may be recommended.
        preference: Which ratings count in a fit, and how much.
        relevance: What is relevant, as in `metrics.gains_of`.
        k: Length of the lists.
        seed: Seed of initial factors and vectors, and of the sample of users.
        most_measured: About how many users' lists are measured in a fold, a sample of all.
        spectra: Decompositions, for each fold that of the highest rank so far.
        als_items: Movies' factors of fits of ALS, (m, rank) float32.
        side: (features, movies), see `ease.side_rows`.
        stars: By held-out fold, the rating model of the ratings outside it, of the catalogue's movies; empty without.
    """

    blocks: Blocks[Interactions]
    preference: PreferenceParameters
    relevance: str
    k: int
    seed: int
    most_measured: int
    spectra: dict[Part, Spectrum]
    side: csr_array | None = None
    stars: dict[int, ItemSide] = {}  # noqa: RUF012 - never changed
    als_items: dict[AlsPart, np.ndarray] = {}  # noqa: RUF012 - never changed

    def missing_parts(self, trials: list[Trial[RankingCandidate]]) -> list[Part | AlsPart]:
        """What these trials share and is not there yet.

        That is for each fold the decomposition with the highest rank; and each ALS whose movies' factors are all that
        its trials need, as users' vectors follow from their ratings.
        """
        fits = {(trial, AlsPart(trial.fold, trial.candidate.als)) for trial in trials if trial.candidate.als}
        paths = {trial.path for trial, _ in fits if trial.candidate.weights is None}  # which make a fit of their own
        needed = {part for trial, part in fits if trial.path not in paths}
        alternations = sorted(needed - set(self.als_items), key=lambda part: (part.fold, str(part.als)))
        return [*self._missing_spectra(trials), *alternations]

    def _missing_spectra(self, trials: list[Trial[RankingCandidate]]) -> list[Part]:
        ranks: dict[int, int] = {}
        for candidate, fold in trials:
            if candidate.ease_rank is not None:
                ranks[fold] = max(ranks.get(fold, 0), candidate.ease_rank)
        known = {part.fold: part.rank for part in self.spectra}
        return [Part(fold, rank) for fold, rank in sorted(ranks.items()) if rank > known.get(fold, 0)]

    def fit_shared(self, part: Part | AlsPart) -> Spectrum | np.ndarray:
        """The decomposition, or the movies' factors."""
        fold = self.open(part.fold)
        return fold.fit_als(part.als) if isinstance(part, AlsPart) else fold.decompose(part.rank)

    def with_shared(self, parts: dict[Part | AlsPart, Any]) -> "RankingTrialData":
        """The data with these results of `fit_shared` as well."""
        fitted = {part: items for part, items in parts.items() if isinstance(part, AlsPart)}
        new = {part: spectrum for part, spectrum in parts.items() if isinstance(part, Part)}
        folds = {part.fold for part in new}
        others = {part: spectrum for part, spectrum in self.spectra.items() if part.fold not in folds}
        return self._replace(spectra=others | new, als_items=self.als_items | fitted)

    def only(self, fold: int | None) -> "RankingTrialData":
        """The data with the shared fits and the rating model of this fold alone."""
        return self._replace(
            spectra={part: each for part, each in self.spectra.items() if part.fold == fold},
            als_items={part: each for part, each in self.als_items.items() if part.fold == fold},
            stars={each: side for each, side in self.stars.items() if each == fold},
        )

    def open(self, fold: int) -> "RankingFold":
        """The fold."""
        return RankingFold(self, fold)


class Aim(NamedTuple):
    """What a list of `k` movies is measured by: what is relevant, see `metrics.gains_of`, on this scale."""

    relevance: str
    scale: Scale
    k: int


class AskedUsers(NamedTuple):
    """The users of a block whose lists are measured on a fold.

    Args:
        rows: (a,), their rows in the block.
        rated: Their ratings in all other folds.
        held_out: (h,) int64, ascending: user * number of movies + movie row of each held-out rating.
        gains: (h,), what each of these gains.
        best: (a, k), the highest gains of each user, descending; 0 where there are fewer.
    """

    rows: np.ndarray
    rated: Interactions
    held_out: np.ndarray
    gains: np.ndarray
    best: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(a,): each user's number of ratings in the other folds."""
        return np.bincount(self.rated.users, minlength=len(self.rows))


class Measured(NamedTuple):
    """The lists of a block's users: `ndcg` (a,), and of how many recommendations how many are below the user's mean."""

    ndcg: np.ndarray
    below: int
    recommended: int


class RankingFold:
    """A held-out fold, the preferences in all others, and the users whose lists are measured."""

    def __init__(self, data: RankingTrialData, fold: int):
        self._data, self._fold = data, fold
        self._targets = data.blocks.map(partial(_open_block, fold, data.preference))
        share = data.most_measured / max(len(data.blocks.user_ids), 1)
        aim = Aim(data.relevance, data.preference.scale, data.k)
        self._asked = data.blocks.map(partial(_ask, fold, aim, share, data.seed + fold))
        self._stars = data.stars.get(fold)
        self._last_ease: tuple[tuple[int | None, float, float], np.ndarray] | None = None

    def share(self, data: RankingTrialData) -> None:
        """See `carriers.Fold`."""
        self._data, self._last_ease = data, None  # a decomposition of more vectors has others in the last digits

    def measure(self, candidates: list[RankingCandidate]) -> Iterator[Measures]:
        """`ndcg`, the mean over the users that are asked, and its standard error; `below_mean` with a rating model."""
        als, shared = candidates[0].als, [self._als_items(each) for each in candidates]
        known = [items for items in shared if items is not None]
        if als is None or len(known) == len(candidates):
            for candidate, items in zip(candidates, known, strict=True):
                yield self._measure(candidate, items)
            return
        by_iterations = [(number, list(same)) for number, same in groupby(candidates, lambda each: each.iterations)]
        iterations = [number for number, _ in by_iterations]
        fits = fit_factors(self._targets, als, iterations, self._data.seed, als.alpha)
        for (_, same), factors in zip(by_iterations, fits, strict=True):
            for candidate in same:
                yield self._measure(candidate, factors.items, factors.users)

    def fit_als(self, als: ImplicitAlsParameters) -> np.ndarray:
        """The movies' factors, (m, rank) float32."""
        (factors,) = fit_factors(self._targets, als, [als.max_iter], self._data.seed, als.alpha)
        return factors.items

    def decompose(self, rank: int | None) -> Spectrum:
        """The decomposition of the preferences that a fit sees; None for all singular vectors."""
        return decompose(self._targets, rank, self._data.seed, self._data.side)

    def _als_items(self, candidate: RankingCandidate) -> np.ndarray | None:
        """The movies' factors if no fit is needed for them: of no ALS, or of one whose movies are enough and known."""
        if candidate.als is None:
            return self._nothing
        return None if candidate.weights is None else self._data.als_items.get(AlsPart(self._fold, candidate.als))

    def _measure(
        self, candidate: RankingCandidate, als_items: np.ndarray, als_users: Blocks[np.ndarray] | None = None
    ) -> Measures:
        ease_items = self._ease_items(candidate)
        following = self._nothing
        if candidate.sequential_reg is not None:
            base = candidate.model_copy(update=WITHOUT_ADDITIONS)
            following = sequential_features(self._moments(base), candidate.sequential_reg)
        items = np.hstack([als_items, ease_items, following])
        if als_users is not None and candidate.weights is None:
            return self._measures(self._asked.zip(als_users).map(_fitted_users), items)
        rule = make_rule(candidate, self._data.preference, als_items.shape[1], ease_items.shape[1])
        side = with_zeros(self._data.blocks.movie_ids, np.zeros(len(items)), items)
        users = self._asked.map(partial(_fold_users, rule, side))
        if candidate.stars_weight is None:
            return self._measures(users, items)
        if self._stars is None:
            raise ValueError(f"{candidate} needs a rating model.")
        weight = candidate.stars_weight / self._data.preference.scale.star
        join = partial(_join_users, self._stars.intercept, weight)
        return self._measures(users.zip(self._star_users).map(join), join_items(items, self._stars))

    def _ease_items(self, candidate: RankingCandidate) -> np.ndarray:
        if candidate.ease_reg is None:
            return self._nothing
        key = candidate.ease_rank, candidate.ease_reg, candidate.ease_diagonal or 0.0
        last = self._last_ease  # candidates of the same EASE follow one another; another thread may set it
        if last is None or last[0] != key:
            self._last_ease = last = key, self._ease(*key)
        return last[1]

    @lru_cache(maxsize=1)  # noqa: B019 - candidates of the same base follow one another; a fold is short-lived
    def _moments(self, base: RankingCandidate) -> Moments:
        ease_items = self._ease_items(base)
        rule = make_rule(base, self._data.preference, 0, ease_items.shape[1])
        return sequence_moments(self._data.blocks.map(partial(outside, self._fold)), rule, ease_items)

    def _ease(self, rank: int | None, reg: float, diagonal: float) -> np.ndarray:
        if rank is None:
            return ease_features(self._whole_spectrum, reg, diagonal)
        shared = [each for part, each in self._data.spectra.items() if part.fold == self._fold and part.rank >= rank]
        return ease_features(shared[0].largest(rank) if shared else self.decompose(rank), reg, diagonal)

    @cached_property
    def _star_users(self) -> Blocks[Vectors | None]:
        return self._asked.map(lambda asked: asked.rated).map(partial(rating_vectors, self._stars))

    @cached_property
    def _whole_spectrum(self) -> Spectrum:
        return self.decompose(None)

    def _listed_rows(self, items: np.ndarray) -> np.ndarray:
        """The movies that a list can have. Of those with the score 0, as zeros have, the first few are enough."""
        zeros = np.flatnonzero(~items.any(axis=1))
        return np.delete(np.arange(len(items)), zeros[self._data.k + self._most_rated :])

    @cached_property
    def _most_rated(self) -> int:
        return max(self._asked.collect(lambda asked: int(asked.counts.max(initial=0))))

    @property
    def _nothing(self) -> np.ndarray:
        return np.zeros((len(self._data.blocks.movie_ids), 0), np.float32)

    def _measures(self, users: Blocks[np.ndarray], items: np.ndarray) -> Measures:
        rows = self._listed_rows(items)
        catalogue = prepare_items(self._data.blocks.movie_ids[rows], np.zeros(len(rows)), items[rows], DOT)
        both = self._asked.zip(users).zip(self._star_users)
        found = both.collect(partial(_measure_users, catalogue, self._data.k, self._stars))
        values = np.concatenate([each.ndcg for each in found])
        if not len(values):
            return {"ndcg": None, "ndcg_se": None}
        spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
        recommended = sum(each.recommended for each in found)
        below = sum(each.below for each in found) / recommended if recommended and self._stars else None
        return {"ndcg": values.mean(), "ndcg_se": spread, "below_mean": below}


def _open_block(fold: int, preference: PreferenceParameters, interactions: Interactions) -> Targets:
    """The preferences outside the fold, which a fit sees."""
    return weighted_targets(preference, outside(fold, interactions))


def _ask(fold: int, aim: Aim, share: float, seed: int, interactions: Interactions) -> AskedUsers:
    gains = gains_of(interactions.ratings.astype(float), aim.relevance, aim.scale) * (interactions.folds == fold)
    most = np.bincount(interactions.users, gains, len(interactions.user_ids))
    rows = np.flatnonzero((most > 0) & is_in_sample(interactions.user_ids, share, seed))
    own = take_users(interactions, rows)
    held_out = take(own, own.folds == fold)
    pairs = held_out.users.astype(np.int64) * len(own.movie_ids) + held_out.movies
    order = np.argsort(pairs)
    gains = gains_of(held_out.ratings.astype(float), aim.relevance, aim.scale)
    best = best_gains(starts_of(held_out.users, len(rows)), gains, aim.k)
    return AskedUsers(rows, outside(fold, own), pairs[order], gains[order], best)


def _fitted_users(pair: tuple[AskedUsers, np.ndarray]) -> np.ndarray:
    asked, factors = pair
    return factors[asked.rows]


def _fold_users(rule: PreferenceRule, items: Arrays, asked: AskedUsers) -> np.ndarray:
    return rule.user_vectors(asked.rated, items, 0.0).features


def _join_users(intercept: float, weight: float, pair: tuple[np.ndarray, Vectors]) -> np.ndarray:
    return join_users(*pair, intercept, weight).features


def _measure_users(
    items: Items, k: int, stars: ItemSide | None, pair: tuple[tuple[AskedUsers, np.ndarray], Vectors | None]
) -> Measured:
    """The lists of the users that are asked; NDCG is 0 for one without a list."""
    (asked, users), star_users = pair
    rated, number = asked.rated, len(asked.rows)
    if not number:
        return Measured(np.zeros(0), 0, 0)
    counts = asked.counts
    queries = prepare_queries(np.zeros(number), users, rated.movie_ids[rated.movies], counts, items)
    gains, below, recommended = np.zeros((number, k)), 0, 0
    means = np.bincount(rated.users, rated.ratings, number) / np.maximum(counts, 1)
    movies = np.searchsorted(rated.movie_ids, items.ids)
    for rows, lists in best_items(queries, items, min(k, len(items.ids)), BLOCK):
        filled = (lists.scores > NOTHING) & (counts[rows, None] > 0)
        listed = movies[lists.places]
        pairs = np.arange(rows.start, rows.stop)[:, None] * len(rated.movie_ids) + listed
        places = np.minimum(np.searchsorted(asked.held_out, pairs), len(asked.held_out) - 1)
        gains[rows, : pairs.shape[1]] = asked.gains[places] * ((asked.held_out[places] == pairs) & filled)
        if stars is not None and star_users is not None:
            vectors = Vectors(star_users.bias[rows], star_users.features[rows])
            below += int(np.sum((predicted_stars(vectors, stars, listed) < means[rows, None]) & filled))
            recommended += int(np.sum(filled))
    return Measured(ndcg_of_lists(gains, asked.best), below, recommended)
