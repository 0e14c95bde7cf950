"""Reasons for the scores of one user: her own ratings that add most to each."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, Explainer, Rule

MOST_USES = 2  # of one rating in the reasons of a list


class Reason(NamedTuple):
    """A rated movie's id, and the share of the score that its rating adds; None where the score is not positive."""

    movie: int
    share: float | None


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

    def __call__(self, ratings: Interactions, asked: np.ndarray) -> list[list[Reason]]:
        """Her strongest ratings for each score, the strongest first.

        The share of rating j is its term over the model's score of the movie,

            share_j = term_j / score,    score = mu + b_i + b_u + p_u . q_i = mu + b_i + rest + the sum of all terms

        so that the shares of all her ratings, those that add nothing or less among them, sum to 1 where the score has
        no part that is no rating's. Shares may exceed 1 where other ratings take away.

        Args:
            ratings: All ratings of one user, with `items.ids` as `movie_ids`; at least one.
            asked: (scores,), ids of the movies whose scores are explained.
        """
        rows = self._items.rows_of(asked)
        movies, terms, unexplained = self._explain(ratings, rows)
        own = terms.sum(axis=1)
        scores = self._intercept + self._items.bias[rows] + unexplained + own
        rated = self._items.ids[movies]
        if not self._for_people:
            each = zip(terms, scores, strict=True)
            return [_reasons(rated, row, score, _strongest(row, self._most)) for row, score in each]
        place_of = {movie: place for place, movie in enumerate(ratings.movies.tolist())}
        stars = ratings.ratings[[place_of[movie] for movie in movies.tolist()]]
        is_named, uses = stars >= ratings.ratings.mean(), np.zeros(len(movies), int)
        named: dict[int, list[Reason]] = {}
        for place in np.lexsort((asked, -own)).tolist():
            best = _strongest(np.where(is_named & (uses < MOST_USES), terms[place], 0.0), self._most)
            uses[best] += 1
            named[place] = _reasons(rated, terms[place], scores[place], best)
        return [named[place] for place in range(len(asked))]


def _strongest(terms: np.ndarray, most: int) -> np.ndarray:
    """The places of the largest positive terms, the largest first."""
    best = np.argsort(-terms, kind="stable")[:most]
    return best[terms[best] > 0]


def _reasons(movies: np.ndarray, terms: np.ndarray, score: float, best: np.ndarray) -> list[Reason]:
    shares = terms[best] / score if score > 0 else np.full(len(best), None)
    return [Reason(*each) for each in zip(movies[best].tolist(), shares.tolist(), strict=True)]
