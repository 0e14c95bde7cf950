"""What the second stage knows of a candidate: the same function for training, evaluation, lists and the service.

Of each of the models, its score, and the score's z-score and rank among the candidates of the list; of the predicted
stars also their difference from the user's mean. Of the movie, its mean of stars, how often it has been rated, its year
and its genres, by themselves and against the movies that the user has rated. Of the user, how many ratings she has,
their mean, and how long she has been here. Nothing is taken from the times of others' ratings.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

import numpy as np
from scipy.sparse import csr_array

from movie_recs.data.interactions import Interactions, starts_of, take
from movie_recs.data.movie_filters import MovieFacts
from movie_recs.model.factor_model import Arrays, Folder, ItemSide
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule

MODELS = ("als", "ease", "sequential")  # the parts of `PreferenceRule.sizes`
ROWS_AT_A_TIME = 5_000  # candidates whose vectors are in memory: 56 MB of 700 features
DAMPING = 5.0  # ratings
DAY = 86_400_000_000  # microseconds
NO_TIME = np.iinfo(np.int64).min


class Known(NamedTuple):
    """What is known of the m movies of a model, in the order of its ids.

    Args:
        popularity: (m,), log(1 + number of ratings).
        shares: (m,), number of ratings over that of all movies.
        stars: (m,), the mean of a movie's ratings and of `DAMPING` more at the mean of all; None for events.
        years: (m,), NaN where the year is not known.
        genres: (m, g), 1 / number of the movie's genres for each that it has.
    """

    popularity: np.ndarray
    shares: np.ndarray
    stars: np.ndarray | None
    years: np.ndarray
    genres: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray, facts: MovieFacts, sums: np.ndarray | None) -> "Known":
        """The known movies.

        Args:
            ids: (m,), ascending.
            facts: All movies, these among them, by ascending id, and the number of their ratings.
            sums: The sum of each one's ratings; None for events.
        """
        rows, counts = np.searchsorted(facts.ids, ids), facts.rated.astype(float)
        total = max(counts.sum(), 1.0)
        stars = None if sums is None else (sums + DAMPING * sums.sum() / total) / (counts + DAMPING)
        has = np.zeros((len(facts.ids), len(facts.genres)), np.float32)
        for place, movies in enumerate(facts.genres.values()):
            has[movies, place] = 1
        has /= np.maximum(has.sum(axis=1, keepdims=True), 1)
        stars = None if stars is None else stars[rows]
        return cls(np.log1p(counts[rows]), counts[rows] / total, stars, facts.years[rows], has[rows])


@dataclass(frozen=True)
class FirstStage:
    """The models whose candidates are put in another order.

    Args:
        ranking: The ranking model.
        stars: The rating model of the same movies; None for events.
        known: What is known of these movies.
        star: A star on the scale of the ratings.
    """

    ranking: ItemSide
    stars: ItemSide | None
    known: Known
    star: float = 1.0

    @cached_property
    def parts(self) -> tuple[PreferenceRule, Arrays]:
        """The rule and the movies of the ranking model without predicted stars."""
        rule, items = self.ranking.rule, self.ranking.items
        if isinstance(rule, StarsRule):
            return rule.preference, rule.split(items)[0]
        return cast(PreferenceRule, rule), items

    @cached_property
    def fold_preferences(self) -> Folder:
        """Makes the users' vectors in that model; what all users share is computed once."""
        rule, items = self.parts
        return rule.folder(items, 0.0)

    @cached_property
    def fold_stars(self) -> Folder:
        """The same of the rating model.

        Raises:
            ValueError: There is none.
        """
        if self.stars is None:
            raise ValueError("Events have no rating model.")
        return self.stars.rule.folder(self.stars.items, self.stars.intercept)


class Candidates(NamedTuple):
    """The candidates of some lists, list after list.

    Args:
        users: (n,) ascending, rows of the users.
        movies: (n,), rows of the movies.
        scores: (n,) float64, the first stage's, descending in each list.
    """

    users: np.ndarray
    movies: np.ndarray
    scores: np.ndarray


def describe_candidates(stage: FirstStage, ratings: Interactions, candidates: Candidates) -> dict[str, np.ndarray]:
    """The features by name, each (n,) float64, in one order; those of a model that there is not are left out.

    Args:
        stage: The first stage.
        ratings: All ratings of the users, with the ids of the stage's movies as `movie_ids`; each user has some.
        candidates: The candidates.
    """
    ratings, number = take(ratings, ratings.movies < len(ratings.movie_ids)), len(ratings.user_ids)
    features = {"score": candidates.scores} | _scores(stage, ratings, candidates)
    for name in list(features):
        features |= _within_lists(name, features[name], candidates.users, number)
    return features | _profiles(stage, ratings, candidates, features.get("stars"))


def _scores(stage: FirstStage, ratings: Interactions, candidates: Candidates) -> dict[str, np.ndarray]:
    """The score by each model that the first stage is made of."""
    rule, items = stage.parts
    users = stage.fold_preferences(ratings).features
    found, first = {}, 0
    for name, size in zip(MODELS, rule.sizes, strict=False):
        if size:
            part = slice(first, first + size)
            found[name] = _products(users[:, part], items.features[:, part], candidates)
        first += size
    if stage.stars is not None:
        intercept, sides = stage.stars.intercept, stage.stars.items
        own = stage.fold_stars(ratings)
        products = _products(own.features, sides.features, candidates)
        biases = own.bias[candidates.users] + sides.bias[candidates.movies]
        found["stars"] = (intercept + biases + products) / stage.star
    return found


def _products(users: np.ndarray, items: np.ndarray, candidates: Candidates) -> np.ndarray:
    """(n,) float64: the products of the vectors of each pair."""
    found = np.empty(len(candidates.users))
    for first in range(0, len(found), ROWS_AT_A_TIME):
        rows = slice(first, first + ROWS_AT_A_TIME)
        left, right = users[candidates.users[rows]], items[candidates.movies[rows]]
        found[rows] = np.einsum("ij,ij->i", left.astype(float), right.astype(float))
    return found


def _within_lists(name: str, values: np.ndarray, users: np.ndarray, number: int) -> dict[str, np.ndarray]:
    """The z-scores of the values in their lists, and their ranks from 0; of equal values the earlier is higher."""
    counts = np.maximum(np.bincount(users, minlength=number), 1)
    means = np.bincount(users, values, number) / counts
    deviations = values - means[users]
    spread = np.sqrt(np.bincount(users, deviations**2, number) / counts)[users]
    order = np.lexsort((-values, users))
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values)) - np.searchsorted(users, users)
    z = np.divide(deviations, spread, out=np.zeros(len(values)), where=spread > 0)
    return {f"{name}_z": z, f"{name}_rank": ranks}


def _profiles(
    stage: FirstStage, ratings: Interactions, candidates: Candidates, stars: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The movies by themselves and against those that the user has rated, and the user."""
    known, users, movies, number = stage.known, candidates.users, candidates.movies, len(ratings.user_ids)
    counts = np.bincount(ratings.users, minlength=number)

    def mean_of(values: np.ndarray) -> np.ndarray:
        """(u,): the mean over each user's ratings that have a value."""
        has = np.isfinite(values)
        sums = np.bincount(ratings.users[has], values[has], number)
        number_of = np.bincount(ratings.users[has], minlength=number)
        return np.divide(sums, number_of, out=np.full(number, np.nan), where=number_of > 0)

    found = {}
    if stars is not None:
        mean = mean_of(ratings.ratings.astype(float) / stage.star)[users]
        found = {"stars_above_mean": stars - mean, "mean_stars": mean}
    if known.stars is not None:
        found["stars_by_all"] = known.stars[movies] / stage.star
    popularity, years = mean_of(known.popularity[ratings.movies])[users], mean_of(known.years[ratings.movies])[users]
    rated = csr_array(
        (np.ones(len(ratings.users)), ratings.movies, starts_of(ratings.users, number)), (number, len(known.genres))
    )
    usual = known.shares @ known.genres
    tastes = rated @ known.genres / np.maximum(counts, 1)[:, None]
    return {
        **found,
        "popularity": known.popularity[movies],
        "popularity_above_own": known.popularity[movies] - popularity,
        "year": known.years[movies],
        "years_after_own": known.years[movies] - years,
        "genres": np.einsum("ij,ij->i", tastes[users], known.genres[movies]),
        "genres_above_usual": np.einsum("ij,ij->i", (tastes - usual)[users], known.genres[movies]),
        "number_of_ratings": np.log1p(counts)[users],
        "days": _days(ratings)[users],
    }


def _days(ratings: Interactions) -> np.ndarray:
    """(u,): log(1 + days from a user's first rating to her last); 0 without times."""
    number, has = len(ratings.user_ids), ratings.times > NO_TIME
    first, last = np.full(number, np.inf), np.full(number, -np.inf)
    np.minimum.at(first, ratings.users[has], ratings.times[has])
    np.maximum.at(last, ratings.users[has], ratings.times[has])
    return np.log1p(np.maximum(last - first, 0) / DAY)
