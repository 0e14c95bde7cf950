"""EASE as a factor model against the closed form that its paper gives, from a dense inverse."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from movie_recs.als.compiled import Targets
from movie_recs.data.blocks import LocalBlocks, open_blocks
from movie_recs.data.interactions import Interactions, select_seen
from movie_recs.ranking import ease
from movie_recs.ranking.ease import Spectrum, decompose, ease_features, self_influence, side_rows
from movie_recs.ranking.parameters import SideWeights

ALL = 1000  # singular vectors: more than there are
SHAPES = [(12, 25), (25, 25), (60, 25)]


def rated_at_random(users: int, movies: int) -> np.ndarray:
    """Who rated what: about a third; the first user rated nothing, and nobody the last movie."""
    rated = np.random.default_rng(users).random((users, movies)) < 1 / 3
    rated[0], rated[:, -1] = False, False
    return rated


def preferences(rated: np.ndarray) -> LocalBlocks[Targets]:
    users, movies = (each.astype(np.int32) for each in np.nonzero(rated))
    ids = (np.arange(size, dtype=np.int32) for size in rated.shape)
    nothing = np.zeros(len(users), np.int16), np.zeros(len(users), np.int64)
    interactions = Interactions(users, movies, np.ones(len(users), np.float32), *nothing, *ids)
    return LocalBlocks(alike(interactions), interactions.user_ids, interactions.movie_ids)


def alike(interactions: Interactions, held_out: int = -1) -> Targets:
    """The ratings of all other folds, whose stars count the same."""
    seen = select_seen(interactions, held_out)
    return Targets(seen, np.ones(len(seen.users), np.float32))


def weighted(rated: np.ndarray) -> np.ndarray:
    """X: 1 / n^(1/4) for each of a user's n ratings, over the root mean square of those of all ratings."""
    counts = rated.sum(axis=1, keepdims=True)
    x = rated / np.maximum(counts, 1) ** 0.25
    return x / np.sqrt((x**2).sum() / rated.sum())


def steck(matrix: np.ndarray, reg: float) -> np.ndarray:
    """The weight of each movie (row) for each movie (column), whose diagonal is 0: Steck 2019, eq. 8."""
    inverse = np.linalg.inv(matrix.T @ matrix + reg * np.eye(matrix.shape[1]))
    return -inverse / np.diag(inverse) * (1 - np.eye(len(inverse)))


def projection(vectors: np.ndarray) -> np.ndarray:
    """Equal for vectors that span the same, whatever their signs."""
    return vectors @ vectors.T


def gram(spectrum: Spectrum) -> np.ndarray:
    """X^T X, of all singular vectors."""
    return (spectrum.vectors * spectrum.squares) @ spectrum.vectors.T


def test_a_ratings_weight_falls_with_the_fourth_root_of_the_users_number_of_ratings():
    """16 ratings and 1: their weights are as 1 to 2, so the mean square is (16 a^2 + 4 a^2) / 17 = 1."""
    rated = np.zeros((2, 20), bool)
    rated[0, :16], rated[1, 3] = True, True
    least = np.sqrt(17 / 20)
    x = np.array([[least] * 16 + [0] * 4, np.eye(20)[3] * 2 * least])
    np.testing.assert_allclose(weighted(rated), x)
    np.testing.assert_allclose(gram(decompose(preferences(rated), ALL, 1)), x.T @ x, atol=1e-12)


class TestScores:
    @pytest.mark.parametrize("reg", [0.5, 20.0])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_of_movies_that_a_user_has_not_rated_are_those_of_the_closed_form(self, shape, reg):
        rated = rated_at_random(*shape)
        features = ease_features(decompose(preferences(rated), ALL, 1), reg).astype(float)
        scores = (rated * self_influence(features)) @ features @ features.T
        expected = rated.astype(float) @ steck(weighted(rated), reg)
        assert np.abs(expected[~rated]).max() > 0.1
        np.testing.assert_allclose(scores[~rated], expected[~rated], atol=1e-5)

    def test_what_nobody_rated_has_no_features(self):
        features = ease_features(decompose(preferences(rated_at_random(60, 25)), ALL, 1), 2.0)
        assert not features[-1].any()
        assert features[:-1].any(axis=1).all()

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_movies_influence_on_itself_follows_from_its_features(self, shape):
        """d = 1 - v D v^T of the definition, which is also reg times the diagonal of the inverse."""
        rated, reg = rated_at_random(*shape), 3.0
        features = ease_features(decompose(preferences(rated), ALL, 1), reg)
        inverse = np.linalg.inv(weighted(rated).T @ weighted(rated) + reg * np.eye(shape[1]))
        np.testing.assert_allclose(self_influence(features), reg * np.diag(inverse), rtol=1e-5)

    def test_one_decomposition_serves_every_regularisation(self):
        rated = rated_at_random(60, 25)
        spectrum = decompose(preferences(rated), ALL, 1)
        for reg in (0.1, 1.0, 1000.0):
            features = ease_features(spectrum, reg).astype(float)
            weights = (features * self_influence(features)[:, None]) @ features.T
            np.fill_diagonal(weights, 0)
            np.testing.assert_allclose(weights, steck(weighted(rated), reg), atol=1e-5)


class TestDecompose:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_it_gives_the_singular_values_and_vectors_in_ascending_order(self, shape):
        rated = rated_at_random(*shape)
        matrix, spectrum = weighted(rated), decompose(preferences(rated), ALL, 1)
        values = np.linalg.svd(matrix, compute_uv=False)[::-1]
        np.testing.assert_allclose(spectrum.squares, values[values > 1e-6] ** 2, rtol=1e-9)
        np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(len(spectrum.squares)), atol=1e-9)
        np.testing.assert_allclose(gram(spectrum), matrix.T @ matrix, atol=1e-9)

    def test_values_of_zero_are_left_out(self):
        """Four users rated the same: there is one direction only."""
        same = np.tile(np.array([1, 0, 1, 1, 0], bool), (4, 1))
        spectrum = decompose(preferences(same), ALL, 1)
        np.testing.assert_allclose(spectrum.squares, [4 * 3])
        np.testing.assert_allclose(projection(spectrum.vectors), np.outer(*[[1, 0, 1, 1, 0]] * 2) / 3, atol=1e-12)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_of_less_rank_it_keeps_the_largest(self, shape):
        preferred = preferences(rated_at_random(*shape))
        whole, some = decompose(preferred, ALL, 1), decompose(preferred, 4, 1)
        assert some.vectors.shape == (25, 4)
        np.testing.assert_allclose(some.squares, whole.squares[-4:])
        np.testing.assert_allclose(projection(some.vectors), projection(whole.vectors[:, -4:]), atol=1e-9)

    def test_all_singular_vectors_of_a_large_matrix_can_be_had_too(self, monkeypatch):
        preferred = preferences(rated_at_random(60, 25))
        exact = decompose(preferred, ALL, 1)
        monkeypatch.setattr(ease, "LARGEST_EXACT", 10)
        np.testing.assert_array_equal(decompose(preferred, None, 1).vectors, exact.vectors)


@pytest.fixture(scope="module", params=[400, 200], ids=["more users", "fewer users"])
def preferred(request) -> LocalBlocks[Targets]:
    """Of 400 or 200 users and 300 movies of ten kinds, of which each user likes some. Nobody rated the last ten."""
    rng, users = np.random.default_rng(3), request.param
    likes = rng.random((users, 10)) < 0.3
    rated = rng.random((users, 300)) < np.where(likes[:, rng.integers(0, 10, 300)], 0.6, 0.05)
    rated[:, -10:] = False
    return preferences(rated)


@pytest.fixture(scope="module")
def exact(preferred) -> Spectrum:
    return decompose(preferred, None, 1)


class TestApproximation:
    RANK = 10

    @pytest.fixture
    def approximate(self, monkeypatch):
        monkeypatch.setattr(ease, "LARGEST_EXACT", 10)
        return decompose

    def test_it_is_near_to_the_exact_one(self, preferred, exact, approximate):
        found = approximate(preferred, self.RANK, 1)
        assert found.vectors.shape == (300, self.RANK)
        assert found.vectors.dtype == np.float32
        np.testing.assert_allclose(found.squares, exact.squares[-self.RANK :], rtol=1e-4)
        np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(self.RANK), atol=1e-5)
        cosines = np.linalg.svd(found.vectors.T @ exact.vectors[:, -self.RANK :], compute_uv=False)
        assert cosines.min() > 0.999

    def test_the_signs_are_fixed(self, preferred, approximate):
        """The entry that is furthest from 0 is positive, whatever the first vectors are."""
        one, other = (approximate(preferred, 5, seed).vectors for seed in (1, -(2**63)))
        for vectors in (one, other):
            assert (vectors[np.abs(vectors).argmax(axis=0), np.arange(5)] > 0).all()
        np.testing.assert_allclose(one[:, -1], other[:, -1], atol=1e-3)

    def test_the_number_of_threads_changes_no_bit(self, preferred, approximate, monkeypatch):
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        alone = approximate(preferred, self.RANK, 1)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        together = approximate(preferred, self.RANK, 1)
        np.testing.assert_array_equal(alone.vectors, together.vectors)

    def test_where_the_basis_would_be_the_whole_space_it_is_exact(self, approximate):
        preferred = preferences(rated_at_random(60, 25))
        whole = decompose(preferred, None, 1)
        np.testing.assert_allclose(approximate(preferred, 9, 1).squares, whole.largest(9).squares)


# Few users, few movies, and neither where more than 7 are many.
@pytest.mark.parametrize(("shape", "largest"), [((7, 9), 4000), ((14, 9), 4000), ((60, 70), 7), ((80, 70), 7)])
def test_on_either_carrier_it_is_the_decomposition_of_the_same_matrix(spark, carrier, monkeypatch, shape, largest):
    """The first user's ratings are held out, and she has a row of zeros."""
    rated = rated_at_random(*shape)
    rows = [(int(user), int(movie), 4.0, 0) for user, movie in np.argwhere(rated)] + [(0, 2, 4.0, 1)]
    ratings = spark.createDataFrame(rows, "user_id int, movie_id int, rating float, fold int")
    blocks = open_blocks(carrier, ratings, np.arange(shape[1], dtype=np.int32))
    monkeypatch.setattr(ease, "LARGEST_EXACT", largest)
    spectrum = decompose(blocks.map(partial(alike, held_out=1)), 3, 1)
    blocks.close()
    assert len(blocks.user_ids) == shape[0]
    if largest < min(shape):
        approximate = decompose(preferences(rated), 3, 1)
        np.testing.assert_allclose(spectrum.squares, approximate.squares, rtol=1e-5)
        np.testing.assert_allclose(spectrum.vectors, approximate.vectors, atol=1e-4)
        return
    _, values, vectors = np.linalg.svd(weighted(rated), full_matrices=False)
    np.testing.assert_allclose(spectrum.squares, values[2::-1] ** 2, rtol=1e-6)
    np.testing.assert_allclose(projection(spectrum.vectors), projection(vectors[:3].T), atol=1e-6)


class TestRelaxedDiagonal:
    @pytest.mark.parametrize("diagonal", [0.05, 0.3])
    def test_scores_are_those_of_the_regression_whose_diagonal_is_bounded(self, diagonal):
        """Moon, Kim & Lee 2023: the column of a movie is that of a ridge regression where its diagonal is below."""
        rated, reg = rated_at_random(60, 25), 3.0
        inverse = np.linalg.inv(weighted(rated).T @ weighted(rated) + reg * np.eye(25))
        ridge = np.eye(25) - reg * inverse
        is_below = np.diag(ridge) <= diagonal
        assert is_below.any()
        assert not is_below.all()
        expected = np.where(is_below, ridge, np.eye(25) - (1 - diagonal) * inverse / np.diag(inverse))
        assert np.diag(expected) == pytest.approx(np.minimum(np.diag(ridge), diagonal))
        features = ease_features(decompose(preferences(rated), ALL, 1), reg, diagonal).astype(float)
        scores = (features * self_influence(features, diagonal)[:, None]) @ features.T
        off = ~np.eye(25, dtype=bool)
        np.testing.assert_allclose(scores[off], expected[off], atol=1e-5)


class TestSide:
    MOVIES = pd.DataFrame(
        {"year": [1990, 1990, None, 2010] * 6 + [2000], "genres": [["War"], [], ["War", "Drama"]] * 8 + [[]]}
    )

    @pytest.mark.parametrize("shape", SHAPES)
    def test_known_features_are_more_rows_of_the_regression(self, shape):
        rated, side = rated_at_random(*shape), side_rows(self.MOVIES, SideWeights(genres=2, year=0.5))
        assert side.shape == (2 + 12, 25)
        x = np.vstack([weighted(rated), side.toarray()])
        np.testing.assert_allclose(gram(decompose(preferences(rated), ALL, 1, side)), x.T @ x, atol=1e-9)

    def test_a_weight_of_0_leaves_a_kind_out(self):
        assert side_rows(self.MOVIES, SideWeights(genres=1)).toarray()[:, 0].tolist() == [0, 1]  # Drama, War
        assert side_rows(self.MOVIES, SideWeights()).shape == (0, 25)

    @pytest.mark.parametrize("users", [60, 22])  # more rows than movies, and fewer
    def test_an_approximation_has_them_too(self, monkeypatch, users):
        monkeypatch.setattr(ease, "LARGEST_EXACT", 5)
        monkeypatch.setattr(ease, "SUBSPACE", 10)
        rated, side = rated_at_random(users, 25), side_rows(self.MOVIES, SideWeights(genres=5))
        some, whole = decompose(preferences(rated), 2, 1, side), decompose(preferences(rated), None, 1, side).largest(2)
        np.testing.assert_allclose(some.squares, whole.squares, rtol=1e-4)
        np.testing.assert_allclose(projection(some.vectors), projection(whole.vectors), atol=1e-4)
