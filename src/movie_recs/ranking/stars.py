"""Predicted stars as a part of a ranking score, so that lists hold what a user would like, not only would rate.

    score(u, i) = ranking score(u, i) + weight * predicted rating(u, i)

The predicted stars are an intercept, two biases and a dot product, so the sum is a factor model as well. Its item
vectors are those of the ranking model, those of the rating model and, as a last feature, the movie's bias in the rating
model; so a user without ratings, whose vector is zero, keeps the ranking model's list for newcomers.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, Contributions, Explainer, Folder, ItemSide, Rule, Vectors
from movie_recs.model.pairs import score_pairs, take_vectors
from movie_recs.ranking.preferences import PreferenceRule


class StarsRule(NamedTuple):
    """A `Rule` by which a user's vector is that of the ranking model beside that of the rating model.

    Args:
        preference: The rule of the ranking model.
        rating: The rule of the rating model.
        intercept: The intercept of the rating model.
        weight: Weight of the predicted ratings, per unit of their scale.
    """

    preference: PreferenceRule
    rating: Rule
    intercept: float
    weight: float

    @property
    def sizes(self) -> tuple[int, ...]:
        """See `Rule`."""
        return *self.preference.sizes, *self.rating.sizes, 1

    def folder(self, items: Arrays, intercept: float) -> Folder:  # noqa: ARG002 - see `Rule`
        """See `Rule`."""
        own, rating = self.split(items)
        return partial(self._vectors, self.preference.folder(own, 0.0), self.rating.folder(rating, self.intercept))

    def user_vectors(self, ratings: Interactions, items: Arrays, intercept: float) -> Vectors:
        """See `Rule`."""
        return self.folder(items, intercept)(ratings)

    def explainer(self, items: Arrays, intercept: float) -> Explainer:  # noqa: ARG002 - see `Rule`
        """See `Rule`; what the stars owe to the movie's bias and to the intercept is no rating's, and is the rest."""
        own, rating = self.split(items)
        both = self.preference.explainer(own, 0.0), self.rating.explainer(rating, self.intercept)
        return partial(self._contributions, *both, self.weight * (self.intercept + rating.bias))

    def _vectors(self, of_preferences: Folder, of_stars: Folder, ratings: Interactions) -> Vectors:
        vectors, stars = of_preferences(ratings), of_stars(ratings)
        has_ratings = np.bincount(ratings.users, minlength=len(ratings.user_ids)) > 0
        return join_users(vectors.features, stars, self.intercept, self.weight, has_ratings)

    def _contributions(
        self,
        of_preferences: Explainer,
        of_stars: Explainer,
        of_movies: np.ndarray,
        ratings: Interactions,
        asked: np.ndarray,
    ) -> Contributions:
        preferences, stars = of_preferences(ratings, asked), of_stars(ratings, asked)
        terms = self.weight * stars.terms
        terms[:, np.searchsorted(stars.movies, preferences.movies)] += preferences.terms
        return Contributions(stars.movies, terms, of_movies[asked])

    def split(self, items: Arrays) -> tuple[Arrays, Arrays]:
        """The movies' side of the ranking model and of the rating model."""
        own, rating, bias = np.split(items.features, [sum(self.preference.sizes), items.features.shape[1] - 1], axis=1)
        return Arrays(items.ids, items.bias, own), Arrays(items.ids, bias[:, 0].astype(float), rating)


def join_items(own: np.ndarray, stars: ItemSide) -> np.ndarray:
    """The item vectors (m, k + r + 1) float32 of both models; `stars` has the m movies of `own` (m, k)."""
    return np.hstack([own, stars.items.features[:-1], stars.items.bias[:-1, None]]).astype(np.float32)


def join_users(
    own: np.ndarray, stars: Vectors, intercept: float, weight: float, has_ratings: np.ndarray | None = None
) -> Vectors:
    """The users' side of both models.

    Args:
        own: (u, k), vectors of the ranking model.
        stars: The users' side of the rating model.
        intercept: Intercept of the rating model.
        weight: Weight of the predicted stars.
        has_ratings: (u,) bool, False for users whose vectors stay zero; None if all have ratings.
    """
    weights = np.full(len(own), weight) if has_ratings is None else weight * has_ratings
    features = np.hstack([own, weights[:, None] * stars.features, weights[:, None]])
    return Vectors(weights * (intercept + stars.bias), features.astype(np.float32))


def predicted_stars(users: Vectors, stars: ItemSide, movies: np.ndarray) -> np.ndarray:
    """(u, k) float64: predicted stars of each user's own movies.

    Args:
        users: The users' side of the rating model.
        stars: Its movies' side.
        movies: (u, k), rows of the movies' side.
    """
    number = movies.shape[1]
    repeated = Vectors(np.repeat(users.bias, number), np.repeat(users.features, number, axis=0))
    scores = score_pairs(stars.intercept, repeated, take_vectors(stars.items, movies.ravel()))
    return scores.reshape(movies.shape)


def rating_vectors(stars: ItemSide | None, ratings: Interactions) -> Vectors | None:
    """The users' side of the rating model for the users of a block; None without a rating model."""
    return None if stars is None else stars.rule.user_vectors(ratings, stars.items, stars.intercept)
