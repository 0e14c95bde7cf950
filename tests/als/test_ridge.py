"""Users' vectors by ridge regressions: by hand, against NumPy, and taken apart into what each rating adds."""

import numpy as np
import pytest

from movie_recs.als.ridge import LEAST_PULL, Ridge, RidgeRule, sum_systems, with_ones
from movie_recs.data.interactions import Interactions
from movie_recs.model.factor_model import Arrays, with_zeros

MU = 3.2
TWO_PARTS = RidgeRule((Ridge(2, 1.5, bias_damping=4.0), Ridge(3, 0.2, per_rating=True)))
THREE_PARTS = RidgeRule((*TWO_PARTS.ridges[:1], Ridge(1, 0.7), Ridge(2, 0.1, per_rating=True)))


def rated(items: Arrays, *rows: tuple[int, int, float]) -> Interactions:
    """Ratings (user, movie, stars), by user, then by movie."""
    users, movies, stars = (np.array(column) for column in zip(*rows, strict=True))
    user_ids, places = np.unique(users, return_inverse=True)
    nothing = np.zeros(len(rows), np.int64)
    columns = places.astype(np.int32), items.rows_of(movies).astype(np.int32), stars.astype(np.float32)
    return Interactions(*columns, nothing.astype(np.int16), nothing, user_ids, items.ids)


@pytest.fixture
def items() -> Arrays:
    """Movies 1-20 with random biases and five features."""
    rng = np.random.default_rng(5)
    return with_zeros(np.arange(1, 21), rng.normal(0, 0.5, 20), rng.normal(size=(20, 5)))


@pytest.fixture
def ratings(items) -> Interactions:
    """Users 1, 2 and 3 with 12, 1 and 5 ratings."""
    rng = np.random.default_rng(4)
    movies = {user: np.sort(rng.permutation(20)[:count]) + 1 for user, count in ((1, 12), (2, 1), (3, 5))}
    rows = [(user, movie, rng.integers(1, 11) / 2) for user, own in movies.items() for movie in own]
    return rated(items, *rows)


def ridge_by_least_squares(features: np.ndarray, targets: np.ndarray, pulls: list[float]) -> np.ndarray:
    """A pull is one more row, which is wanted to be 0."""
    rows = np.vstack([features, np.diag(np.sqrt(pulls))])
    return np.linalg.lstsq(rows, np.append(targets, np.zeros(len(pulls))), rcond=None)[0]


class TestRidge:
    def test_pulls_are_those_of_the_bias_and_of_each_feature(self):
        assert Ridge(2, 1.5, bias_damping=4.0).pulls.tolist() == [4.0, 1.5, 1.5]
        assert Ridge(2, 1.5).pulls.tolist() == [1.5, 1.5]
        assert Ridge(0, 1.5, bias_damping=4.0).pulls.tolist() == [4.0]

    def test_there_is_always_some_pull(self):
        assert Ridge(2, 0.0, bias_damping=0.0).pulls.tolist() == [LEAST_PULL] * 3

    def test_pulls_grow_with_the_ratings_only_where_they_are_per_rating(self):
        counts = np.array([7, 1, 0])
        assert Ridge(1, 0.5).scales(counts).tolist() == [1, 1, 1]
        assert Ridge(1, 0.5, per_rating=True).scales(counts).tolist() == [7, 1, 1]


def test_systems_give_the_weights_of_each_user_and_what_they_leave(items, ratings):
    features, ridge = with_ones(items.features[:20]), Ridge(5, 0.7, bias_damping=2.0, per_rating=True)
    starts, targets = np.array([0, 12, 13, 18]), ratings.ratings.astype(float)
    weights, left = sum_systems(starts, ratings.users, ratings.movies, features).damped(ridge).solve(targets)
    for user, (first, count) in enumerate([(0, 12), (12, 1), (13, 5)]):
        own = slice(first, first + count)
        x = features[ratings.movies[own]]
        expected = ridge_by_least_squares(x, targets[own], [2.0 * count, *[0.7 * count] * 5])
        np.testing.assert_allclose(weights[user], expected, atol=1e-10)
        np.testing.assert_allclose(left[own], targets[own] - x @ expected, atol=1e-10)


class TestUserVectors:
    # What mu = 3 leaves of her ratings of movies 1 and 2, whose features are 1 and 2, is y = (1, -1).
    @pytest.mark.parametrize(
        ("ridge", "bias", "features"),
        [
            (Ridge(1, 0.5), 0, [(1 - 2) / (1 + 4 + 0.5)]),
            (Ridge(1, 0.5, per_rating=True), 0, [(1 - 2) / (1 + 4 + 0.5 * 2)]),
            # (2 + 1) b + 3 p = 0 and 3 b + (5 + 1) p = -1
            (Ridge(1, 1.0, bias_damping=1.0), 1 / 3, [-1 / 3]),
            # (2 + 2) b + 3 p = 0 and 3 b + (5 + 4) p = -1
            (Ridge(1, 2.0, bias_damping=1.0, per_rating=True), 1 / 9, [-4 / 27]),
        ],
        ids=["features", "per rating", "with a bias", "with a bias, per rating"],
    )
    def test_a_ridge_regression_by_hand(self, ridge, bias, features):
        two = with_zeros(np.array([1, 2]), np.zeros(2), np.array([[1.0], [2.0]]))
        vectors = RidgeRule((ridge,)).user_vectors(rated(two, (7, 1, 4.0), (7, 2, 2.0)), two, 3.0)
        assert vectors.bias.tolist() == [pytest.approx(bias)]
        assert vectors.features.tolist() == [pytest.approx(features)]

    def test_a_bias_alone_is_the_damped_mean_of_what_the_movies_biases_leave(self):
        three = with_zeros(np.array([1, 2, 3]), np.array([0.5, -0.5, 9.0]), np.zeros((3, 0)))
        own = rated(three, (7, 1, 5.0), (7, 2, 4.0), (8, 1, 3.0))
        vectors = RidgeRule((Ridge(0, 0.0, bias_damping=2.0),)).user_vectors(own, three, 3.0)
        assert vectors.bias.tolist() == pytest.approx([(1.5 + 1.5) / (2 + 2), -0.5 / (1 + 2)])
        assert vectors.features.shape == (2, 0)

    def test_each_part_explains_what_those_before_it_leave(self, items, ratings):
        bias, features = TWO_PARTS.user_vectors(ratings, items, MU)
        for user in range(3):
            own = ratings.users == user
            rows = ratings.movies[own]
            left, x = ratings.ratings[own] - MU - items.bias[rows], items.features[rows]
            first = ridge_by_least_squares(with_ones(x[:, :2]), left, [4.0, 1.5, 1.5])
            left = left - with_ones(x[:, :2]) @ first
            second = ridge_by_least_squares(x[:, 2:], left, [0.2 * len(rows)] * 3)
            np.testing.assert_allclose([bias[user], *features[user]], [*first, *second], atol=1e-6)

    def test_without_a_pull_fewer_ratings_than_features_are_met_exactly(self, items):
        own = rated(items, (1, 1, 5.0), (2, 1, 1.0), (2, 2, 4.0))
        bias, features = RidgeRule((Ridge(5, 0.0),)).user_vectors(own, items, MU)
        scores = (
            MU + bias[own.users] + items.bias[own.movies] + (features[own.users] * items.features[own.movies]).sum(1)
        )
        np.testing.assert_allclose(scores, own.ratings, atol=1e-6)

    def test_ratings_of_unknown_movies_say_nothing(self, items):
        known = rated(items, (1, 3, 5.0), (1, 4, 1.0))
        more = rated(items, (1, 3, 5.0), (1, 4, 1.0), (1, 77, 0.5), (2, 99, 5.0))
        one, other = (TWO_PARTS.user_vectors(each, items, MU) for each in (known, more))
        np.testing.assert_array_equal(other.features[0], one.features[0])
        assert (other.bias[1], other.features[1].tolist()) == (0, [0] * 5)  # she has rated nothing that is known

    def test_other_users_do_not_change_a_bit(self, items, ratings):
        third = ratings.users == 2
        rows = zip(ratings.movie_ids[ratings.movies[third]], ratings.ratings[third], strict=True)
        alone = TWO_PARTS.user_vectors(rated(items, *((3, movie, stars) for movie, stars in rows)), items, MU)
        together = TWO_PARTS.user_vectors(ratings, items, MU)
        np.testing.assert_array_equal(
            np.append(alone.bias, alone.features), np.append(together.bias[2], together.features[2])
        )


@pytest.mark.parametrize("rule", [TWO_PARTS, THREE_PARTS], ids=["two parts", "three parts"])
class TestContributions:
    MOVIES, STARS = np.arange(1, 11), np.array([5, 0.5, 3, 4, 4.5, 1, 2, 3.5, 5, 2.5])
    ASKED = np.arange(10, 20)  # rows of movies 11-20

    def of(self, items, stars, user=1):
        return rated(items, *((user, movie, each) for movie, each in zip(self.MOVIES, stars, strict=True)))

    def scores(self, rule, items, stars) -> np.ndarray:
        (bias,), (features,) = rule.user_vectors(self.of(items, stars), items, MU)
        return bias + items.features[self.ASKED] @ features

    def test_they_add_up_exactly_to_what_the_user_adds_to_the_score(self, rule, items):
        movies, terms, _ = rule.explainer(items, MU)(self.of(items, self.STARS), self.ASKED)
        assert movies.tolist() == list(range(10))
        assert terms.shape == (10, 10)
        np.testing.assert_allclose(terms.sum(axis=1), self.scores(rule, items, self.STARS), atol=1e-9)

    def test_each_is_what_a_raised_rating_adds_by_how_far_the_rating_is_from_expected(self, rule, items):
        terms = rule.explainer(items, MU)(self.of(items, self.STARS), self.ASKED).terms
        before = self.scores(rule, items, self.STARS)
        for place, stars in enumerate(self.STARS):
            raised = self.scores(rule, items, self.STARS + (np.arange(10) == place))
            expected = (raised - before) * (stars - MU - items.bias[place])
            np.testing.assert_allclose(terms[:, place], expected, atol=1e-9)

    def test_ratings_of_unknown_movies_add_nothing(self, rule, items):
        known = rule.explainer(items, MU)(self.of(items, self.STARS), self.ASKED)
        own = self.of(items, self.STARS)
        more = own._replace(
            **{name: np.append(getattr(own, name), value).astype(getattr(own, name).dtype)
               for name, value in {"users": 0, "movies": 20, "ratings": 5, "folds": 0, "times": 0}.items()}
        )  # fmt: skip
        for one, other in zip(known, rule.explainer(items, MU)(more, self.ASKED), strict=True):
            np.testing.assert_array_equal(one, other)
