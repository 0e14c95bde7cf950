"""Reasons for the scores of one user: her own ratings that add most to each."""

from functools import cached_property

import numpy as np

from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, Explainer, Rule

MOST_USES = 2  # of one rating in the reasons of a list


class Reasons:
    """Finds the reasons, exactly (`Rule.explainer`), for one user after the other.

    Args:
        rule: The rule of the model whose scores are explained.
        items: Its movies.
        intercept: Its intercept.
        most: The largest number of ratings to name; only those with a positive term are named.
        for_people: Names only ratings that a person would give as a reason: of at least the user's own mean, and none
            more than `MOST_USES` times among the scores that are explained together, the highest of which come first.
    """

    def __init__(self, rule: Rule, items: Arrays, intercept: float, most: int, for_people: bool = False):
        self._rule, self._items, self._intercept, self._most = rule, items, intercept, most
        self._for_people = for_people

    @cached_property
    def _explain(self) -> Explainer:
        return self._rule.explainer(self._items, self._intercept)  # once for all users

    def __call__(self, ratings: Interactions, asked: np.ndarray) -> list[list[int]]:
        """The movies of her strongest ratings for each score, the strongest first.

        Args:
            ratings: All ratings of one user, with `items.ids` as `movie_ids`; at least one.
            asked: (scores,), ids of the movies whose scores are explained.
        """
        ids = self._items.ids
        movies, terms = self._explain(ratings, self._items.rows_of(asked))
        if not self._for_people:
            return [ids[movies[_strongest(row, self._most)]].tolist() for row in terms]
        place_of = {movie: place for place, movie in enumerate(ratings.movies.tolist())}
        stars = ratings.ratings[[place_of[movie] for movie in movies.tolist()]]
        is_named, uses = stars >= ratings.ratings.mean(), np.zeros(len(movies), int)
        named: dict[int, list[int]] = {}
        for place in np.lexsort((asked, -terms.sum(axis=1))).tolist():
            best = _strongest(np.where(is_named & (uses < MOST_USES), terms[place], 0.0), self._most)
            uses[best] += 1
            named[place] = ids[movies[best]].tolist()
        return [named[place] for place in range(len(asked))]


def _strongest(terms: np.ndarray, most: int) -> np.ndarray:
    """The places of the largest positive terms, the largest first."""
    best = np.argsort(-terms, kind="stable")[:most]
    return best[terms[best] > 0]
