"""Trials of rating models: biases, tastes and factors, or all in one, and their errors on a held-out fold."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np

from movie_recs.als import kernels
from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.ridge import with_ones
from movie_recs.bayes.fit import BayesFit, fit_bayes, solve_users
from movie_recs.bayes.parameters import BayesParameters
from movie_recs.data.block_types import Blocks, add_up
from movie_recs.data.interactions import Interactions, Seen, select_seen
from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.rating.biases import (
    Baseline,
    MovieSide,
    RatingCounts,
    SolvedUsers,
    UserSystems,
    count_ratings,
    fit_biases,
    prepare_users,
    score_pairs,
)
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue, fit_audience, movie_features
from movie_recs.rating.parameters import BaselineParameters
from movie_recs.tuning.trial import Measures, Trial


class RatingTrialData(NamedTuple):
    """What rating trials need.

    Args:
        blocks: The train ratings with their folds.
        catalogue: The movies; None if no candidate has a taste.
        seed: Seed of the initial factors.
        audience: Results of `fit_audience` by held-out fold.
        scale: The scale of the ratings.
    """

    blocks: Blocks[Interactions]
    catalogue: Catalogue | None
    seed: int
    audience: dict[int, np.ndarray]
    scale: Scale = HALF_STARS

    def missing_parts(self, trials: list[Trial[RatingCandidate]]) -> list[int]:
        """Folds of trials with a taste whose audience factors have not been fitted yet."""
        if self.catalogue is None or not self.catalogue.weights.audience:
            return []
        tasted = {trial.fold for trial in trials if trial.candidate.has_taste}
        return sorted(tasted - set(self.audience))

    def fit_shared(self, fold: int) -> np.ndarray:
        """The audience factors of the ratings outside the fold."""
        return fit_audience(self.blocks.map(partial(select_seen, held_out=fold)), self.seed)

    def with_shared(self, parts: dict[int, np.ndarray]) -> "RatingTrialData":
        """The data with these audience factors as well."""
        return self._replace(audience={**self.audience, **parts})

    def only(self, fold: int | None) -> "RatingTrialData":
        """The data with the audience factors of this fold alone."""
        return self._replace(audience={each: factors for each, factors in self.audience.items() if each == fold})

    def open(self, fold: int) -> "RatingFold":
        """The fold."""
        return RatingFold(self, fold)


class FoldBlock(NamedTuple):
    """A block's ratings for one fold.

    Args:
        seen: Ratings of all other folds.
        users: (h,) rows of the held-out ratings.
        movies: (h,) rows of the held-out ratings.
        stars: (h,) float64.
    """

    seen: Seen
    users: np.ndarray
    movies: np.ndarray
    stars: np.ndarray


class ScoredBlock(NamedTuple):
    """A block with the scores of its held-out pairs, (h,), and the residuals of the ratings seen, (n,), if read."""

    block: FoldBlock
    scores: np.ndarray
    residuals: np.ndarray


class RatingFold:
    """A held-out fold, the ratings of all others, and the baseline that was fitted last."""

    def __init__(self, data: RatingTrialData, fold: int):
        self._data, self._fold = data, fold
        self._blocks = data.blocks.map(partial(_open_block, fold))
        self._last: Baseline | None = None

    def share(self, data: RatingTrialData) -> None:
        """See `carriers.Fold`."""
        self._data = data

    def measure(self, candidates: list[RatingCandidate]) -> Iterator[Measures]:
        """`rmse`, its standard error `rmse_se`, and `rmse_warm` of each candidate.

        They differ in `max_iter` alone, so one without factors is the only one.
        """
        if candidates[0].bayes:
            yield from self._measure_bayes(candidates[0].bayes, [each.iterations for each in candidates])
            return
        als, parameters = candidates[0].als, candidates[0].baseline
        if parameters is None:
            scored = self._blocks.map(_score_zero)
        else:
            baseline = self._fit_baseline(parameters)
            scored = self._blocks.zip(baseline.users).map(partial(_score, baseline.side))
        counts = self._counts.by_movie
        if als is None:
            yield self._errors(scored.collect(partial(_sum_errors, self._data.scale, counts)))
            return
        scored = scored.keep()  # every alternation reads the residuals
        iterations = [each.iterations for each in candidates]
        try:
            for users, items in fit_factors(scored.map(_targets), als, iterations, self._data.seed):
                both = scored.zip(users)
                means = None if parameters else self._mean_factors(both, items)
                yield self._errors(
                    both.collect(partial(_sum_errors_with_factors, self._data.scale, counts, items, means))
                )
        finally:
            scored.close()

    def _measure_bayes(self, parameters: BayesParameters, iterations: list[int]) -> Iterator[Measures]:
        counts = self._counts.by_movie
        for fit in fit_bayes(self._seen, self._features, parameters, iterations, self._data.seed):
            scored = self._blocks.map(partial(_score_posteriors, fit))
            yield self._errors(scored.collect(partial(_sum_errors, self._data.scale, counts)))

    def _mean_factors(
        self, both: Blocks[tuple[ScoredBlock, np.ndarray]], items: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The factors of an unknown user and an unknown movie: the means of the known ones, as in `scoring.score`.

        That is without a baseline; factors that follow one are zeros, as in the composed model.
        """
        sums = both.collect(_sum_factors)
        user = add_up(total for total, _ in sums) / sum(users for _, users in sums)
        return user, items[self._counts.by_movie > 0].mean(axis=0, dtype=float)

    def _errors(self, sums: list[np.ndarray]) -> Measures:
        squares, fourths, rows, warm_squares, warm_rows = add_up(sums)
        mean = squares / max(rows, 1)
        return {
            "rmse": np.sqrt(mean) if rows else None,
            "rmse_se": np.sqrt((fourths / rows - mean**2) / (4 * mean * rows)) if rows and mean else None,
            "rmse_warm": np.sqrt(warm_squares / warm_rows) if warm_rows else None,
        }

    def _fit_baseline(self, parameters: BaselineParameters) -> Baseline:
        last = self._last  # another thread may set it
        if last is None or last.side.parameters != parameters:
            users, features = self._biases if parameters.taste_reg is None else self._tastes
            self._last = last = fit_biases(users, self._counts, features, parameters)
        return last

    @cached_property
    def _seen(self) -> Blocks[Seen]:
        return self._blocks.map(lambda block: block.seen)

    @cached_property
    def _counts(self) -> RatingCounts:
        return count_ratings(self._seen)

    @cached_property
    def _biases(self) -> tuple[Blocks[UserSystems], np.ndarray]:
        features = np.zeros((len(self._data.blocks.movie_ids), 0))
        return prepare_users(self._seen, features), features

    @cached_property
    def _features(self) -> np.ndarray:
        if self._data.catalogue is None:
            raise ValueError("A taste needs the movies.")
        audience = self._data.audience.get(self._fold)
        return movie_features(self._data.catalogue, self._counts.by_movie, audience)

    @cached_property
    def _tastes(self) -> tuple[Blocks[UserSystems], np.ndarray]:
        return prepare_users(self._seen, self._features), self._features


def _open_block(fold: int, interactions: Interactions) -> FoldBlock:
    held_out = interactions.folds == fold
    users, movies = interactions.users[held_out], interactions.movies[held_out]
    return FoldBlock(select_seen(interactions, fold), users, movies, interactions.ratings[held_out].astype(float))


def _score(side: MovieSide, pair: tuple[FoldBlock, SolvedUsers]) -> ScoredBlock:
    block, solved = pair
    residuals = block.seen.ratings - score_pairs(side, solved, block.seen.users, block.seen.movies)
    return ScoredBlock(block, score_pairs(side, solved, block.users, block.movies), residuals)


def _score_zero(block: FoldBlock) -> ScoredBlock:
    return ScoredBlock(block, np.zeros(len(block.users)), block.seen.ratings)


def _score_posteriors(fit: BayesFit, block: FoldBlock) -> ScoredBlock:
    means = solve_users(fit, block.seen).means
    products = kernels.predict(block.users, block.movies, means, with_ones(fit.features))
    return ScoredBlock(block, fit.intercept + fit.bias[block.movies] + products, np.zeros(0))


def _targets(scored: ScoredBlock) -> Targets:
    return Targets(scored.block.seen, scored.residuals.astype(np.float32))


def _sum_factors(pair: tuple[ScoredBlock, np.ndarray]) -> tuple[np.ndarray, int]:
    """The sum of the factors of users with a rating, and the number of these users."""
    scored, users = pair
    rated = scored.block.seen.rated_users
    return users[rated].sum(axis=0, dtype=float), int(rated.sum())


def _sum_errors_with_factors(
    scale: Scale,
    movie_counts: np.ndarray,
    items: np.ndarray,
    means: tuple[np.ndarray, np.ndarray] | None,
    pair: tuple[ScoredBlock, np.ndarray],
) -> np.ndarray:
    scored, users = pair
    block = scored.block
    left, right = users[block.users].astype(float), items[block.movies].astype(float)
    if means is not None:
        left[~block.seen.rated_users[block.users]], right[movie_counts[block.movies] == 0] = means
    products = np.einsum("ij,ij->i", left, right)
    return _sum_errors(scale, movie_counts, scored._replace(scores=scored.scores + products))


def _sum_errors(scale: Scale, movie_counts: np.ndarray, scored: ScoredBlock) -> np.ndarray:
    """Sums over the held-out ratings: squared errors, their squares, rows; squared errors and rows of the warm ones.

    A rating is warm if its user and its movie are in `seen`.
    """
    block = scored.block
    squares = (block.stars - np.clip(scored.scores, scale.least, scale.most)) ** 2
    warm = squares[block.seen.rated_users[block.users] & (movie_counts[block.movies] > 0)]
    return np.array([squares.sum(), (squares**2).sum(), len(squares), warm.sum(), len(warm)])
