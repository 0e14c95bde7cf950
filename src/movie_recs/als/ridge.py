"""Users' vectors from their ratings: a ridge regression on the movies' features for each part of a vector in turn.

With X the rated movies' features of a part (a column of ones first where the part has the user's bias), y the residuals
of her ratings after the intercept, the movies' biases and the parts before it, and C = diag(`Ridge.pulls`),

    p_u = M y,    M = (X^T X + C)^-1 X^T

which is the user step of ALS-WR (Zhou, Wilkinson, Schreiber & Pan 2008, section 3.1) for factors, and a ridge
regression (Hoerl & Kennard 1970) for tastes and biases.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from movie_recs.als import kernels
from movie_recs.data.interactions import Interactions, compact, starts_of, take
from movie_recs.model.factor_model import Arrays, Contributions, Explainer, Folder, Vectors

LEAST_PULL = 1e-9  # without it the system of a user with few ratings is singular


class Ridge(NamedTuple):
    """How one part of a user's vector follows from her ratings, the movies' side being fixed.

    It minimises the squared error of the residuals after the parts before it, plus

        bias_damping b_u^2 + reg_param |p_u|^2        (both times her number of ratings if `per_rating`)

    Args:
        size: Number of features of this part; 0 for a bias alone.
        reg_param: Pull of the features to 0.
        bias_damping: Pull of the user's bias to 0; None if this part has no bias.
        per_rating: Whether the pull grows with her number of ratings, as in ALS-WR.
    """

    size: int
    reg_param: float
    bias_damping: float | None = None
    per_rating: bool = False

    @property
    def pulls(self) -> np.ndarray:
        """The diagonal of C for a user with one rating."""
        bias = [] if self.bias_damping is None else [self.bias_damping]
        return np.maximum([*bias, *[self.reg_param] * self.size], LEAST_PULL)

    def scales(self, ratings: np.ndarray) -> np.ndarray:
        """(u,): the factors of the pulls for users with these numbers of ratings."""
        return np.maximum(ratings, 1).astype(float) if self.per_rating else np.ones(len(ratings))


class Systems(NamedTuple):
    """The normal equations of the ridge regressions of some users.

    Args:
        starts: (u + 1,), where each user's ratings begin.
        users: (n,) int32.
        movies: (n,) int32, rows of `features`.
        features: (m, k) float64.
        lower: (u, k (k + 1) / 2): X^T X of each user, or the Cholesky factor of X^T X + C.
    """

    starts: np.ndarray
    users: np.ndarray
    movies: np.ndarray
    features: np.ndarray
    lower: np.ndarray

    def damped(self, ridge: Ridge) -> "Systems":
        """The systems with the ridge's pulls added to X^T X and factorised, ready to be solved."""
        scales = ridge.scales(np.diff(self.starts))
        return self._replace(lower=kernels.factorise(self.lower, ridge.pulls, scales))

    def solve(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The users' weights, (u, k), and the residual of each target, (n,)."""
        weights = kernels.solve_ridges(self.lower, self.starts, self.movies, self.features, targets)
        return weights, targets - kernels.predict(self.users, self.movies, weights, self.features)


def sum_systems(starts: np.ndarray, users: np.ndarray, movies: np.ndarray, features: np.ndarray) -> Systems:
    """X^T X of each user; arguments as in `Systems`."""
    return Systems(starts, users, movies, features, kernels.sum_grams(starts, movies, features))


def with_ones(features: np.ndarray) -> np.ndarray:
    """(m, 1 + k): a column of ones first, whose weight is the user's bias."""
    return np.hstack([np.ones((len(features), 1)), features])


class RidgeRule(NamedTuple):
    """A `Rule` by which each part of a user's vector is a ridge regression on the residuals of the parts before it.

    Args:
        ridges: One for each part, in their order.
    """

    ridges: tuple[Ridge, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """See `Rule`."""
        return tuple(ridge.size for ridge in self.ridges)

    def folder(self, items: Arrays, intercept: float) -> Folder:
        """See `Rule`."""
        return partial(self._vectors, items, intercept)

    def user_vectors(self, ratings: Interactions, items: Arrays, intercept: float) -> Vectors:
        """See `Rule`."""
        return self.folder(items, intercept)(ratings)

    def _vectors(self, items: Arrays, intercept: float, ratings: Interactions) -> Vectors:
        known = _known(ratings, items)
        starts = starts_of(known.users, len(known.user_ids))
        targets = known.ratings.astype(float) - intercept - items.bias[known.movies]
        bias, weights = np.zeros(len(known.user_ids)), [np.zeros((len(known.user_ids), 0))]
        rated, movies = compact(known.movies, len(items.features))  # of one user few
        for ridge, part in zip(self.ridges, self._parts(items.features[rated]), strict=True):
            solution, targets = sum_systems(starts, known.users, movies, part).damped(ridge).solve(targets)
            if ridge.bias_damping is not None:
                bias, solution = solution[:, 0], solution[:, 1:]
            weights.append(solution)
        return Vectors(bias, np.hstack(weights))

    def explainer(self, items: Arrays, intercept: float) -> Explainer:
        """See `Rule`."""
        return partial(self._contributions, items, intercept, self._parts(items.features))

    def _contributions(
        self, items: Arrays, intercept: float, parts: list[np.ndarray], ratings: Interactions, asked: np.ndarray
    ) -> Contributions:
        """See `Explainer`.

        With M and X as above, X_i the features of the movie to explain, and parts a, b, ..., exactly

            b_u + p_u . q_i = (X_i,a M_a + X_i,b M_b (I - X_a M_a) + ...) y

        a sum over her rated movies (Hu, Koren & Volinsky 2008, section 5, for a model of one part).
        """
        known = _known(ratings, items)
        targets = known.ratings.astype(float) - intercept - items.bias[known.movies]
        influence = np.zeros((len(asked), len(targets)))
        before: list[tuple[np.ndarray, np.ndarray]] = []
        for ridge, features in zip(self.ridges, parts, strict=True):
            part = features[known.movies]
            pulls = ridge.pulls * ridge.scales(np.array([len(part)]))
            solver = np.linalg.solve(part.T @ part + np.diag(pulls), part.T)
            effect = features[asked] @ solver
            for earlier_part, earlier_solver in reversed(before):
                effect = effect - effect @ earlier_part @ earlier_solver
            influence += effect
            before.append((part, solver))
        return Contributions(known.movies, influence * targets)

    def _parts(self, features: np.ndarray) -> list[np.ndarray]:
        """The columns (m, k) float64 of each part, with a column of ones first where it has the bias."""
        edges = np.cumsum(self.sizes)[:-1]
        parts = np.split(features.astype(float), edges, axis=1)[: len(self.ridges)]
        return [
            np.ascontiguousarray(part) if ridge.bias_damping is None else with_ones(part)
            for ridge, part in zip(self.ridges, parts, strict=True)
        ]


def _known(ratings: Interactions, items: Arrays) -> Interactions:
    return take(ratings, ratings.movies < len(items.ids))
