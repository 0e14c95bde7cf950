"""A user's preferences from her ratings, and her vector in a ranking model.

Some of her ratings count as preferences (`are_preferred`), each with a weight w:

    s = max(1 + star_weight (r - mean of her r), 0.1)
    a = old_weight + (1 - old_weight) 2^(-later / half_life),   later = number of her preferences after it
    w = s a / (mean of s a over her preferences)

A ranking model's item vectors have two parts, one of which may be empty. With y_i and f_i those of movie i, and n
the number of her preferences i,

    implicit ALS: p = als_weight (sum over all j y_j y_j^T + sum alpha w_i y_i y_i^T + lambda n I)^-1
                                 sum (1 + alpha w_i) y_i        (the user step of Hu, Koren & Volinsky 2008, eq. 4)
    EASE:         p = sum w_i d_i f_i                           (`ease` defines d)

A third part, of what a user rates next (`sequential`), has EASE's p once more, times its weight. So neither new ratings
nor new users need a fit.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from movie_recs.als.compiled import Targets, base_of, solve_side
from movie_recs.data.interactions import Interactions, compact, select_seen, starts_of, take
from movie_recs.data.scale import HALF_STARS
from movie_recs.model.factor_model import Arrays, Contributions, Explainer, Folder, Vectors
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.ease import self_influence
from movie_recs.ranking.parameters import PreferenceParameters, RatingWeights

LEAST_WEIGHT = 0.1  # of a preference of few stars: the movie was watched and rated


class Movies(NamedTuple):
    """The movies' side as the rule uses it: what the systems of all users share.

    Args:
        factors: (m, als_size) float32, contiguous: ALS's part.
        own: (m, ease_size) float32: EASE's part.
        following: (m, ease_size) float32: the sequential part; (m, 0) without one.
        base: (als_size, als_size): the lower triangle of the sum of y y^T over all movies.
    """

    factors: np.ndarray
    own: np.ndarray
    following: np.ndarray
    base: np.ndarray


class PreferenceRule(NamedTuple):
    """A `Rule` by which a user's vector follows from her preferences.

    Args:
        als_size: Number of features of implicit ALS's part, which comes first.
        ease_size: Number of features of EASE's part.
        preferred: Which ratings count: `all`, `liked` or `above_mean`.
        weights: How much each of them counts.
        als_weight: Multiplies ALS's part.
        reg_param: lambda of ALS.
        alpha: alpha of ALS.
        liked: From which rating on a movie is liked.
        ease_diagonal: xi of EASE.
        sequential_weight: Multiplies the sequential part, which comes last and has EASE's size; 0 without one.
    """

    als_size: int
    ease_size: int
    preferred: str
    weights: RatingWeights
    als_weight: float = 1.0
    reg_param: float = 0.0
    alpha: float = 0.0
    liked: float = HALF_STARS.liked
    ease_diagonal: float = 0.0
    sequential_weight: float = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """See `Rule`."""
        return (self.als_size, self.ease_size, *([self.ease_size] if self.sequential_weight else []))

    def folder(self, items: Arrays, intercept: float) -> Folder:  # noqa: ARG002 - see `Rule`
        """See `Rule`."""
        return partial(self._vectors, self.movies(items.features[:-1]))

    def user_vectors(self, ratings: Interactions, items: Arrays, intercept: float) -> Vectors:
        """See `Rule`."""
        return self.folder(items, intercept)(ratings)

    def movies(self, features: np.ndarray) -> Movies:
        """The movies' side from its vectors, (m, the sum of `sizes`), ALS's part first."""
        factors, own, following = self.split(features.astype(np.float32, copy=False))
        factors = np.ascontiguousarray(factors)
        return Movies(factors, own, following, base_of(factors, self.alpha))

    def split(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The parts of the movies' features: of ALS, of EASE, and the sequential one."""
        als, ease, sequential = np.split(features, [self.als_size, self.als_size + self.ease_size], axis=1)
        return als, ease, sequential

    def fold(self, starts: np.ndarray, rated: np.ndarray, weights: np.ndarray, movies: Movies) -> np.ndarray:
        """(u, k) float32: the users' vectors.

        Args:
            starts: (u + 1,), where each user's preferences begin.
            rated: (n,) int32, rows of `movies`.
            weights: (n,) float32.
            movies: The movies' side.
        """
        users = len(starts) - 1
        factors = np.zeros((users, self.als_size), np.float32)
        if self.als_size:
            systems = starts, rated, weights, movies.factors, movies.base
            factors = solve_side(self.reg_param, self.alpha, *systems)
            factors *= np.float32(self.als_weight)
        occurs, places = compact(rated, len(movies.own))  # of one user few, so that a service can answer at once
        own = movies.own[occurs]
        rows = csr_array(
            (weights * self_influence(own, self.ease_diagonal)[places], places, starts), shape=(users, len(own))
        )
        vectors = (rows @ own).astype(np.float32)
        again = [np.float32(self.sequential_weight) * vectors] if self.sequential_weight else []
        return np.hstack([factors, vectors, *again])

    def explainer(self, items: Arrays, intercept: float) -> Explainer:  # noqa: ARG002 - see `Rule`
        """See `Rule`."""
        return partial(self._contributions, self.movies(items.features[:-1]))

    def _vectors(self, movies: Movies, ratings: Interactions) -> Vectors:
        vectors = self.fold(*self._weighted(ratings, movies), movies)
        return Vectors(np.zeros(len(vectors)), vectors)

    def _contributions(self, side: Movies, ratings: Interactions, asked: np.ndarray) -> Contributions:
        """See `Explainer`.

        The term of her preference j is, of ALS's part, als_weight y_i^T (...)^-1 y_j (1 + alpha w_j), the exact
        decomposition of Hu, Koren & Volinsky 2008, section 5; of EASE's, w_j d_j f_j . f_i; and of the sequential
        part, sequential_weight w_j d_j f_j . t_i.
        """
        _, movies, weights = self._weighted(ratings, side)
        mine = side.own[movies].astype(float)
        scored = side.own[asked].astype(float)
        if self.sequential_weight:
            scored += self.sequential_weight * side.following[asked]
        terms = scored @ (mine * (weights * self_influence(mine, self.ease_diagonal))[:, None]).T
        if self.als_size and len(movies):
            rated_factors, more = side.factors[movies].astype(float), self.alpha * weights
            system = side.base + np.tril(side.base, -1).T + (rated_factors.T * more) @ rated_factors
            system += self.reg_param * len(movies) * np.eye(self.als_size)
            effect = np.linalg.solve(system, rated_factors.T * (1 + more))
            terms += self.als_weight * side.factors[asked].astype(float) @ effect
        return Contributions(movies, terms)

    def _weighted(self, ratings: Interactions, movies: Movies) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The users' preferences among the known movies: starts (u + 1,), movies (n,), weights (n,)."""
        preferred = select_preferred(ratings, self.preferred, self.liked)
        known = take(preferred, preferred.movies < len(movies.own))
        starts = starts_of(known.users, len(known.user_ids))
        stars = known.ratings.astype(float)
        return starts, known.movies, weigh(starts, stars, known.times, known.movies, self.weights)


def make_rule(
    candidate: RankingCandidate, preference: PreferenceParameters, als_size: int, ease_size: int
) -> PreferenceRule:
    """How a user's vector is made in the candidate's model.

    Args:
        candidate: Hyperparameters.
        preference: Which ratings count, and their weights if the candidate has none of its own.
        als_size: Number of features of the ALS part.
        ease_size: Number of features of the EASE part.
    """
    preferred, scale = preference.preferred, preference.scale
    weights = candidate.weights or RatingWeights(star_weight=preference.star_weight)
    weights = weights.model_copy(update={"star_weight": weights.star_weight / scale.star})
    als = candidate.als
    rule = PreferenceRule(
        als_size,
        ease_size,
        preferred,
        weights,
        liked=scale.liked,
        ease_diagonal=candidate.ease_diagonal or 0.0,
        sequential_weight=candidate.sequential_weight or 0.0,
    )
    if als is None:
        return rule._replace(als_size=0)
    als_weight = 1.0 if candidate.als_weight is None else candidate.als_weight
    return rule._replace(als_weight=als_weight, reg_param=als.reg_param, alpha=als.alpha)


def select_preferred(ratings: Interactions, preferred: str, liked: float) -> Interactions:
    """The ratings that count, see `are_preferred`."""
    starts = starts_of(ratings.users, len(ratings.user_ids))
    return take(ratings, are_preferred(starts, ratings.ratings.astype(float), preferred, liked))


def weighted_targets(preference: PreferenceParameters, ratings: Interactions) -> Targets:
    """What implicit ALS is fitted to: the ratings that count, and their weights s of the module's docstring."""
    seen = select_seen(select_preferred(ratings, preference.preferred, preference.scale.liked))
    star_weight = preference.star_weight / preference.scale.star
    return Targets(seen, weigh_stars(seen.user_starts, seen.ratings, star_weight).astype(np.float32))


def are_preferred(starts: np.ndarray, stars: np.ndarray, preferred: str, liked: float) -> np.ndarray:
    """(n,) bool: which ratings count.

    Args:
        starts: (u + 1,), where each user's rows begin.
        stars: (n,).
        preferred: `all`; `liked`, at least the value of that name; `above_mean`, at least the user's own mean.
        liked: From which rating on a movie is liked.
    """
    if preferred == "liked":
        return stars >= liked
    return stars >= means_of(starts, stars) if preferred == "above_mean" else np.ones(len(stars), bool)


def weigh_stars(starts: np.ndarray, stars: np.ndarray, star_weight: float) -> np.ndarray:
    """(n,): s of the module's docstring."""
    return np.maximum(1 + star_weight * (stars - means_of(starts, stars)), LEAST_WEIGHT)


def weigh(
    starts: np.ndarray, stars: np.ndarray, times: np.ndarray, movies: np.ndarray, weights: RatingWeights
) -> np.ndarray:
    """(n,) float32: w of the module's docstring.

    Args:
        starts: (u + 1,), where each user's rows begin.
        stars: (n,).
        times: (n,); of equal times the movie of the higher id is the later.
        movies: (n,).
        weights: The weights of stars and age.
    """
    values = weigh_stars(starts, stars, weights.star_weight)
    if weights.half_life is not None and weights.old_weight is not None:
        later = _later(starts, times, movies)
        values *= weights.old_weight + (1 - weights.old_weight) * 2.0 ** (-later / weights.half_life)
    return (values / means_of(starts, values)).astype(np.float32)


def later_preferences(preferred: Interactions) -> np.ndarray:
    """(n,): number of the user's preferences after each; of equal times the movie of the higher id is the later."""
    return _later(starts_of(preferred.users, len(preferred.user_ids)), preferred.times, preferred.movies)


def _later(starts: np.ndarray, times: np.ndarray, movies: np.ndarray) -> np.ndarray:
    counts = np.diff(starts)
    order = np.lexsort((movies, times, np.repeat(np.arange(len(counts)), counts)))
    later = np.empty(len(times), np.int64)
    later[order] = np.repeat(starts[1:], counts) - 1 - np.arange(len(times))
    return later


def means_of(starts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n,): each row's mean over the rows of its user."""
    counts = np.diff(starts)
    sums = np.bincount(np.repeat(np.arange(len(counts)), counts), values, len(counts))
    return np.repeat(sums / np.maximum(counts, 1), counts)
