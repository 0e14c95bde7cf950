"""Lists of the second stage: the first stage's best candidates in another order."""

from typing import NamedTuple

import numpy as np

from movie_recs.data.interactions import Interactions, take, take_users
from movie_recs.model.arrangement import Arrangement, arrange
from movie_recs.model.exact_search import Items
from movie_recs.ranking.rerank.features import Candidates, FirstStage, describe_candidates
from movie_recs.ranking.rerank.lambdamart import Reranker

CANDIDATES = 150  # of each list, or more where the list or its arrangement needs more

Found = dict[str, np.ndarray]  # the columns id, rank, item_id and value of `search.search`


class SecondStage(NamedTuple):
    """What puts candidates in another order."""

    stage: FirstStage
    reranker: Reranker

    def candidates(self, n: int, arrangement: Arrangement) -> int:
        """How many of the first stage's best candidates a list of n is made of."""
        return max(CANDIDATES, arrangement.candidates(n))

    def lists(self, found: Found, ratings: Interactions, items: Items, n: int, arrangement: Arrangement) -> Found:
        """Lists of n, whose values are the second stage's scores; a user without ratings keeps the first stage's list.

        Args:
            found: Lists of the first stage, of `candidates(n, arrangement)` places.
            ratings: All ratings of their users, with the ids of the stage's movies as `movie_ids`.
            items: The items that were searched.
            n: Length of the lists.
            arrangement: How they are made.
        """
        ordered = self._order(found, ratings)
        kept = ordered["rank"] <= arrangement.candidates(n)
        return arrange({name: column[kept] for name, column in ordered.items()}, items, n, arrangement)

    def _order(self, found: Found, ratings: Interactions) -> Found:
        if not len(found["id"]):
            return found
        by_user = np.lexsort((found["rank"], found["id"]))
        found = {name: column[by_user] for name, column in found.items()}
        candidates, rows, own = find_candidates(found, ratings)
        values = found["value"].astype(float)
        values[rows] = self.reranker.scores(describe_candidates(self.stage, own, candidates))
        order = np.lexsort((found["item_id"], -values, found["id"]))
        ids = found["id"]  # the same in either order
        ranks = np.arange(len(ids)) - np.searchsorted(ids, ids) + 1
        return {
            "id": ids,
            "rank": ranks.astype(np.int32),
            "item_id": found["item_id"][order],
            "value": values[order],
        }


def find_candidates(found: Found, ratings: Interactions) -> tuple[Candidates, np.ndarray, Interactions]:
    """The candidates of the users with ratings, their rows, and the ratings of these users.

    Args:
        found: Lists of the first stage, by user; at least one.
        ratings: As in `SecondStage.lists`.
    """
    first, last = np.searchsorted(ratings.user_ids, [found["id"].min(), found["id"].max() + 1])
    near = take(ratings, np.arange(*np.searchsorted(ratings.users, [first, last])))
    asked = np.isin(near.user_ids, found["id"]) & (np.bincount(near.users, minlength=len(near.user_ids)) > 0)
    own = take_users(near, np.flatnonzero(asked))
    rows = np.flatnonzero(np.isin(found["id"], own.user_ids))
    users = np.searchsorted(own.user_ids, found["id"][rows])
    movies = np.searchsorted(own.movie_ids, found["item_id"][rows])
    return Candidates(users, movies, found["value"][rows]), rows, own
