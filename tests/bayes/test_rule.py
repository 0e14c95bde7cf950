"""Users' posteriors from their ratings, by an independent solution, and reasons that add up."""

import numpy as np
import pytest

from movie_recs.bayes.rule import PosteriorRule
from movie_recs.data.interactions import Interactions, rows_of
from movie_recs.model.factor_model import Arrays, with_zeros

MU, FEATURES, RANK = 3.5, 3, 2
SIZE = 1 + FEATURES + RANK


def nested(matrix: np.ndarray) -> tuple:
    return tuple(map(tuple, matrix.tolist()))


@pytest.fixture(scope="module")
def rule() -> PosteriorRule:
    rng = np.random.default_rng(1)
    root, spread = rng.normal(size=(SIZE, SIZE)), rng.normal(size=(1 + RANK, 1 + RANK)) / 3
    return PosteriorRule(
        features=FEATURES,
        rank=RANK,
        precision=nested(root @ root.T + 3 * np.eye(SIZE)),
        weights=nested(rng.normal(size=(2 + FEATURES, SIZE)) / 4),
        spread=nested(spread @ spread.T),
        centre=2.0,
        shape=5.0,
        rate=4.0,
    )


@pytest.fixture(scope="module")
def items() -> Arrays:
    """Movies 1-20."""
    rng = np.random.default_rng(2)
    return with_zeros(np.arange(1, 21), rng.normal(0, 0.5, 20), rng.normal(size=(20, FEATURES + RANK)))


def rated(items: Arrays, *rows: tuple[int, int, float]) -> Interactions:
    """Ratings (user, movie, stars), by user."""
    users, movies, stars = (np.array(column) for column in zip(*rows, strict=True))
    user_ids, places = np.unique(users, return_inverse=True)
    zeros = np.zeros(len(users), np.int64)
    places, movies = places.astype(np.int32), rows_of(movies, items.ids).astype(np.int32)
    return Interactions(places, movies, stars.astype(np.float32), zeros, zeros, user_ids, items.ids)


@pytest.fixture(scope="module")
def ratings(items) -> Interactions:
    """Of user 1 twelve, of user 2 one, of user 3 five."""
    rng = np.random.default_rng(3)
    rows = [(user, movie + 1, rng.integers(1, 11) / 2) for user, n in ((1, 12), (2, 1), (3, 5)) for movie in range(n)]
    return rated(items, *rows)


def posterior(rule: PosteriorRule, items: Arrays, movies: np.ndarray, stars: np.ndarray) -> np.ndarray:
    """z by the formula of the module, its tau by 200 turns."""
    precision, spread = np.array(rule.precision), np.array(rule.spread)
    x = np.hstack([np.ones((len(movies), 1)), items.features[movies]])
    y, number = stars - MU - items.bias[movies], len(movies)
    g = [*x[:, : 1 + FEATURES].mean(axis=0), np.log(number) - rule.centre]
    prior = np.array(g) @ np.array(rule.weights)
    gram, right, squares = x.T @ x, x.T @ y, y @ y + number * spread[0, 0]
    gram[-RANK:, -RANK:] += number * spread[1:, 1:]
    right[-RANK:] -= number * spread[1:, 0]
    tau = rule.shape / rule.rate
    for _ in range(200):
        covariance = np.linalg.inv(precision + tau * gram)
        z = covariance @ (precision @ prior + tau * right)
        errors = squares - 2 * z @ right + (gram * (covariance + np.outer(z, z))).sum()
        tau = (rule.shape + number / 2) / (rule.rate + errors / 2)
    return z


def test_a_vector_is_the_mean_of_the_posterior(rule, items, ratings):
    bias, features = rule.user_vectors(ratings, items, MU)
    for user in range(3):
        own = ratings.users == user
        expected = posterior(rule, items, ratings.movies[own], ratings.ratings[own])
        np.testing.assert_allclose([bias[user], *features[user]], expected, atol=1e-4)


def test_a_user_whose_ratings_are_not_explained_is_believed_less(rule, items):
    """Her tau falls, and with it what her ratings say: the vector is nearer to that of the prior."""
    rng = np.random.default_rng(4)
    truth = rng.normal(size=SIZE)
    movies, noise = np.arange(20, dtype=np.int32), rng.choice([-1.0, 1.0], 20)
    vectors = np.hstack([np.ones((20, 1)), items.features[:20]])
    taus = [
        rule.posteriors(np.array([0, 20]), movies, vectors @ truth + strength * noise, vectors).taus[0]
        for strength in (0.1, 1.0, 3.0)
    ]
    assert taus[0] > 2 * taus[1] > 4 * taus[2]


def test_one_part_is_the_whole_vector(rule):
    assert rule.sizes == (FEATURES + RANK,)


@pytest.mark.parametrize("user", [0, 1, 2])
def test_terms_of_her_ratings_add_up_to_a_score(rule, items, ratings, user):
    own = ratings.users == user
    rows = zip(ratings.movie_ids[ratings.movies[own]], ratings.ratings[own], strict=True)
    alone = rated(items, *((1, movie, stars) for movie, stars in rows))
    bias, features = rule.user_vectors(alone, items, MU)
    asked = np.array([0, 7, 19])
    movies, terms, _ = rule.explainer(items, MU)(alone, asked)
    assert movies.tolist() == alone.movies.tolist()
    np.testing.assert_allclose(terms.sum(axis=1), bias[0] + items.features[asked] @ features[0], atol=1e-9)


def test_more_stars_for_a_movie_count_for_its_like(rule, items):
    """The movie itself, in whose direction the posterior moves; the other ratings' terms move with tau alone."""
    few = [(1, movie, 3.0) for movie in range(1, 6)]
    low, high = ([*few, (1, 6, stars)] for stars in (1.0, 5.0))
    asked = np.array([5])
    terms = [rule.explainer(items, MU)(rated(items, *rows), asked).terms[0, 5] for rows in (low, high)]
    assert terms[1] > terms[0]


def test_ratings_of_unknown_movies_say_nothing(rule, items):
    known = rated(items, (1, 3, 5.0), (1, 4, 1.0))
    more = rated(items, (1, 3, 5.0), (1, 4, 1.0), (1, 77, 0.5), (2, 99, 5.0))
    one, other = (rule.user_vectors(each, items, MU) for each in (known, more))
    np.testing.assert_array_equal(other.features[0], one.features[0])
    assert (other.bias[1], other.features[1].tolist()) == (0, [0] * (FEATURES + RANK))
    nobody = rated(items, (2, 99, 5.0))
    assert rule.explainer(items, MU)(nobody, np.array([1, 2])).terms.shape == (2, 0)


def test_other_users_do_not_change_a_bit(rule, items, ratings):
    third = ratings.users == 2
    rows = zip(ratings.movie_ids[ratings.movies[third]], ratings.ratings[third], strict=True)
    alone = rule.user_vectors(rated(items, *((3, movie, stars) for movie, stars in rows)), items, MU)
    together = rule.user_vectors(ratings, items, MU)
    np.testing.assert_array_equal(alone.features[0], together.features[2])
