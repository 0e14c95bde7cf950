"""Trials of ranking models on ratings in memory: all movies are ranked for each user, her held-out ones looked for."""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame

from movie_recs.als.compiled import Interactions, Seen, collect_interactions, fit_factors, select_seen
from movie_recs.model.exact_search import DOT, NOTHING, best_items, prepare_items, prepare_queries
from movie_recs.model.top_n import BLOCK
from movie_recs.parameters import PreferenceParameters
from movie_recs.ranking.ease import Spectrum, decompose, ease_features, interaction_matrix
from movie_recs.ranking.metrics import ndcg_of_lists
from movie_recs.ranking.preferences import are_preferred, make_folding, user_vectors, weigh, weigh_stars
from movie_recs.tuning.candidate import RankingCandidate
from movie_recs.tuning.trial import Measures, Trial


class RankingTrialData(NamedTuple):
    """All ratings, what counts as a preference, and the length of the lists.

    ease_rank: as of `ease.decompose`.
    """

    interactions: Interactions
    preference: PreferenceParameters
    ease_rank: int
    k: int
    seed: int

    def lacking(self, trials: list[Trial]) -> list[int]:  # noqa: ARG002 - no fold shares more than its ratings
        """None."""
        return []

    def prepare(self, fold: int) -> None:
        """Nothing."""

    def prepared(self, parts: dict[int, None]) -> "RankingTrialData":  # noqa: ARG002 - as `lacking`
        """The same."""
        return self

    def open(self, fold: int) -> "RankingFold":
        """The fold."""
        return RankingFold(self, fold)


def collect_ranking_data(
    train_ratings: DataFrame, movie_ids: np.ndarray, preference: PreferenceParameters, ease_rank: int, k: int, seed: int
) -> RankingTrialData:
    """What ranking trials need.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, rated_at timestamp, fold int).
        movie_ids: (m,) ascending, all movies that may be recommended.
        preference: Which ratings count in a fit.
        ease_rank: As of `ease.decompose`.
        k: Length of the lists.
        seed: Of the factors' first values.
    """
    return RankingTrialData(collect_interactions(train_ratings, movie_ids), preference, ease_rank, k, seed)


class RankingFold:
    """The preferences of all folds but one, the ratings of that one, and what was fitted last."""

    def __init__(self, data: RankingTrialData, fold: int):
        self.data = data
        everything = select_seen(data.interactions, fold)
        rows = np.flatnonzero(data.interactions.folds != fold)
        kept = are_preferred(everything.user_starts, everything.ratings, data.preference.preferred)
        self.preferred = _take(data.interactions, rows[kept])
        self.seen: Seen = select_seen(self.preferred)
        self.rated, self.rated_counts = data.interactions.movie_ids[everything.movies], np.diff(everything.user_starts)
        held_out = data.interactions.folds == fold
        users, movies = data.interactions.users[held_out], data.interactions.movies[held_out]
        self.relevant = np.bincount(users, minlength=len(self.rated_counts))
        self.held_out = np.sort(users.astype(np.int64) * len(data.interactions.movie_ids) + movies)
        self.stars = weigh_stars(self.seen.user_starts, self.seen.ratings, data.preference.star_weight)

    def measure(self, candidates: list[RankingCandidate]) -> Iterator[Measures]:
        """`ndcg`, the mean over the users with a held-out rating, and its standard error."""
        fits = self._fit_als(candidates)
        factors, done = None, 0
        for candidate in candidates:
            if candidate.als is not None and candidate.max_iter != done:
                factors, done = next(fits), candidate.max_iter
            if candidate.ease_reg is None:
                parts = factors[1], np.zeros((len(factors[1]), 0), np.float32)
            else:
                own = self._ease(candidate.ease_reg)
                parts = np.zeros((len(own), 0), np.float32) if factors is None else factors[1], own
            items = np.hstack(parts)
            if candidate.weights is None:
                users = factors[0]
            else:
                folding = make_folding(candidate, self.data.preference, *(part.shape[1] for part in parts))
                users = user_vectors(self.seen.user_starts, self.seen.movies, self._weigh(candidate), items, folding)
            yield self._ndcg(users, items)

    def _fit_als(self, candidates: list[RankingCandidate]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The factors of users and movies after each number of alternations that the candidates have, ascending."""
        first, iterations = candidates[0], sorted({each.max_iter for each in candidates if each.als})
        return fit_factors(self.seen, self.stars.astype(np.float32), first.als, iterations, self.data.seed, first.alpha)

    @lru_cache(maxsize=1)  # noqa: B019 - candidates of the same regularisation follow one another; a fold is short-lived
    def _ease(self, reg: float) -> np.ndarray:
        return ease_features(self._spectrum, reg)

    @cached_property
    def _spectrum(self) -> Spectrum:
        matrix = interaction_matrix(self.seen.user_starts, self.seen.movies, len(self.seen.movie_ids))
        return decompose(matrix, self.data.ease_rank, self.data.seed)

    def _weigh(self, candidate: RankingCandidate) -> np.ndarray:
        return weigh(
            self.seen.user_starts, self.seen.ratings, self.preferred.times, self.seen.movies, candidate.weights
        )

    def _ndcg(self, users: np.ndarray, items: np.ndarray) -> Measures:
        measured = np.flatnonzero(self.relevant)
        if not len(measured):
            return {"ndcg": None, "ndcg_se": None}
        catalogue = prepare_items(self.data.interactions.movie_ids, np.zeros(len(items)), items, DOT)
        nothing = np.zeros(len(users))
        queries = prepare_queries(nothing, users, self.rated, self.rated_counts, catalogue)
        hits = np.zeros((len(users), self.data.k), bool)
        for rows, lists in best_items(queries, catalogue, min(self.data.k, len(items)), BLOCK):
            pairs = np.arange(rows.start, rows.stop)[:, None] * len(items) + lists.places
            places = np.minimum(np.searchsorted(self.held_out, pairs), len(self.held_out) - 1)
            hits[rows, : pairs.shape[1]] = (self.held_out[places] == pairs) & (lists.scores > NOTHING)
        hits[self.rated_counts == 0] = False  # they have no list
        values = ndcg_of_lists(hits[measured], self.relevant[measured])
        spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
        return {"ndcg": values.mean(), "ndcg_se": spread}


def _take(interactions: Interactions, rows: np.ndarray) -> Interactions:
    return interactions._replace(
        users=interactions.users[rows],
        movies=interactions.movies[rows],
        ratings=interactions.ratings[rows],
        folds=interactions.folds[rows],
        times=interactions.times[rows],
    )
