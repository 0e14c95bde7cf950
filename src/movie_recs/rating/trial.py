"""Trials of rating models on ratings in memory: biases, tastes and factors, and their errors on a held-out fold."""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from pyspark.sql import DataFrame

from movie_recs.als.compiled import (
    Interactions,
    Seen,
    Tastes,
    UserRidges,
    collect_interactions,
    fit_audience,
    fit_factors,
    movie_features,
    select_seen,
)
from movie_recs.data.schemas import MAX_STARS, MIN_STARS
from movie_recs.parameters import BaselineParameters
from movie_recs.rating.features import Catalogue
from movie_recs.tuning.candidate import RatingCandidate
from movie_recs.tuning.trial import Measures, Trial


class RatingTrialData(NamedTuple):
    """All ratings and movies, and each fold's audience factors, as `fit_audience` gives them."""

    interactions: Interactions
    catalogue: Catalogue | None
    seed: int
    audience: dict[int, np.ndarray]

    def lacking(self, trials: list[Trial]) -> list[int]:
        """Folds of trials with a taste whose audience factors have not been fitted yet."""
        if self.catalogue is None or not self.catalogue.weights.audience:
            return []
        tasted = {trial.fold for trial in trials if trial.candidate.taste_reg is not None}
        return sorted(tasted - set(self.audience))

    def prepare(self, fold: int) -> np.ndarray:
        """The audience factors of the ratings outside the fold."""
        return fit_audience(select_seen(self.interactions, fold), self.seed)

    def prepared(self, parts: dict[int, np.ndarray]) -> "RatingTrialData":
        """With these audience factors besides."""
        return self._replace(audience={**self.audience, **parts})

    def open(self, fold: int) -> "RatingFold":
        """The fold."""
        return RatingFold(self, fold)


def collect_trial_data(train_ratings: DataFrame, catalogue: Catalogue | None, seed: int) -> RatingTrialData:
    """What rating trials need.

    Args:
        train_ratings: (user_id int, movie_id int, rating float in stars, fold int).
        catalogue: The movies, all that are rated among them; None if no candidate has a baseline.
        seed: Of the factors' first values.
    """
    interactions = collect_interactions(train_ratings, None if catalogue is None else catalogue.ids)
    return RatingTrialData(interactions, catalogue, seed, {})


class RatingFold:
    """The ratings of all folds but one, those of that one, and what was fitted last."""

    def __init__(self, data: RatingTrialData, fold: int):
        self.data, self.fold = data, fold
        held_out = data.interactions.folds == fold
        self.seen: Seen = select_seen(data.interactions, fold)
        self.users, self.movies = data.interactions.users[held_out], data.interactions.movies[held_out]
        self.stars = data.interactions.ratings[held_out].astype(float)
        self.warm = self.seen.rated_users[self.users] & (self.seen.movie_counts[self.movies] > 0)
        self._last: Tastes | None = None

    def measure(self, candidates: list[RatingCandidate]) -> Iterator[Measures]:
        """`rmse` and `rmse_warm` of each, which differ in `max_iter` alone; of a baseline there is one."""
        candidate = candidates[0]
        if candidate.als is None:
            yield self._errors(self._baseline(candidate.baseline).scores(self.users, self.movies))
            return
        if candidate.baseline is None:
            base, left = 0.0, self.seen.ratings
        else:
            tastes = self._baseline(candidate.baseline)
            base = tastes.scores(self.users, self.movies)
            left = self.seen.ratings - tastes.scores(self.seen.users, self.seen.movies)
        iterations = [each.max_iter for each in candidates]
        fits = fit_factors(self.seen, left.astype(np.float32), candidate.als, iterations, self.data.seed)
        for factors in fits:
            yield self._errors(base + self._products(*factors, with_baseline=candidate.baseline is not None))

    def _products(self, users: np.ndarray, items: np.ndarray, with_baseline: bool) -> np.ndarray:
        """What the factors say of the held-out pairs: of those that are unknown nothing, or as `model.score` the mean.

        As in the composed model, where factors follow a baseline, those of an unknown movie or user are zeros.
        """
        vectors = users[self.users].astype(float), items[self.movies].astype(float)
        if not with_baseline:
            are_users, are_rated = self.seen.rated_users, self.seen.movie_counts > 0
            vectors[0][~are_users[self.users]] = users[are_users].mean(axis=0, dtype=float)
            vectors[1][~are_rated[self.movies]] = items[are_rated].mean(axis=0, dtype=float)
        return np.einsum("ij,ij->i", *vectors)

    def _errors(self, scores: np.ndarray) -> Measures:
        squares = (self.stars - np.clip(scores, MIN_STARS, MAX_STARS)) ** 2
        warm = squares[self.warm]
        return {
            "rmse": np.sqrt(squares.mean()) if len(squares) else None,
            "rmse_warm": np.sqrt(warm.mean()) if len(warm) else None,
        }

    def _baseline(self, parameters: BaselineParameters) -> Tastes:
        if self._last is None or self._last.side.problem.parameters != parameters:
            ridges = self._biases if parameters.taste_reg is None else self._tastes
            self._last = ridges.fit(parameters, self.fold)
        return self._last

    @cached_property
    def _biases(self) -> UserRidges:
        return UserRidges(self.seen, np.zeros((len(self.seen.movie_counts), 0)))

    @cached_property
    def _tastes(self) -> UserRidges:
        data = self.data
        return UserRidges(self.seen, movie_features(self.seen, data.catalogue, data.audience.get(self.fold)))
