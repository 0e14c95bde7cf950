"""Reasons for the scores of one user: her own ratings that add most to each."""

from functools import cached_property

import numpy as np

from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, Explainer, Rule


class Reasons:
    """Finds the reasons, exactly (`Rule.explainer`), for one user after the other.

    Args:
        rule: The rule of the model whose scores are explained.
        items: Its movies.
        intercept: Its intercept.
        most: The largest number of ratings to name; only those with a positive term are named.
    """

    def __init__(self, rule: Rule, items: Arrays, intercept: float, most: int):
        self._rule, self._items, self._intercept, self._most = rule, items, intercept, most

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
        order = np.argsort(-terms, axis=1, kind="stable")[:, : self._most]
        return [ids[movies[best[row[best] > 0]]].tolist() for row, best in zip(terms, order, strict=True)]
