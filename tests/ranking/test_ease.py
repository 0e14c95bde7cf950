"""EASE as a factor model against the closed form that its paper gives, from a dense inverse."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from movie_recs.ranking import ease
from movie_recs.ranking.ease import decompose, ease_features, interaction_matrix, self_influence

ALL = 1000  # singular vectors: more than there are
SHAPES = [(12, 25), (25, 25), (60, 25)]


def rated_at_random(users: int, movies: int) -> np.ndarray:
    """Who rated what: about a third; the first user rated nothing, and nobody the last movie."""
    rated = np.random.default_rng(users).random((users, movies)) < 1 / 3
    rated[0], rated[:, -1] = False, False
    return rated


def weighted(rated: np.ndarray) -> csr_array:
    starts = np.append(0, np.cumsum(rated.sum(axis=1)))
    return interaction_matrix(starts, np.nonzero(rated)[1], rated.shape[1])


def steck(matrix: csr_array, reg: float) -> np.ndarray:
    """The weight of each movie (row) for each movie (column), whose diagonal is 0: Steck 2019, eq. 8."""
    inverse = np.linalg.inv((matrix.T @ matrix).toarray() + reg * np.eye(matrix.shape[1]))
    return -inverse / np.diag(inverse) * (1 - np.eye(len(inverse)))


def projection(vectors: np.ndarray) -> np.ndarray:
    """Equal for vectors that span the same, whatever their signs."""
    return vectors @ vectors.T


class TestInteractionMatrix:
    def test_a_ratings_weight_falls_with_the_fourth_root_of_the_users_number_of_ratings(self):
        """16 ratings and 1: their weights are as 1 to 2, so the mean square is (16 a^2 + 4 a^2) / 17 = 1."""
        matrix = interaction_matrix(np.array([0, 16, 17]), np.append(np.arange(16), 3), 20).toarray()
        least = np.sqrt(17 / 20)
        np.testing.assert_allclose(matrix[0], [least] * 16 + [0] * 4)
        np.testing.assert_allclose(matrix[1], np.eye(20)[3] * 2 * least)

    def test_the_mean_square_of_the_weights_is_one(self):
        rated = rated_at_random(60, 25)
        values = weighted(rated).data
        assert len(values) == rated.sum()
        assert len(np.unique(values.round(9))) > 5
        assert np.mean(values**2) == pytest.approx(1)

    def test_who_rated_nothing_has_a_row_and_what_nobody_rated_a_column_of_zeros(self):
        rated = rated_at_random(12, 25)
        np.testing.assert_array_equal(weighted(rated).toarray() > 0, rated)
        nobody = interaction_matrix(np.zeros(4, int), np.zeros(0, int), 5)
        assert nobody.shape == (3, 5)
        assert nobody.nnz == 0


class TestScores:
    @pytest.mark.parametrize("reg", [0.5, 20.0])
    @pytest.mark.parametrize("shape", SHAPES)
    def test_of_movies_that_a_user_has_not_rated_are_those_of_the_closed_form(self, shape, reg):
        rated = rated_at_random(*shape)
        matrix = weighted(rated)
        features = ease_features(decompose(matrix, ALL, 1), reg).astype(float)
        scores = (rated * self_influence(features)) @ features @ features.T
        expected = rated.astype(float) @ steck(matrix, reg)
        assert np.abs(expected[~rated]).max() > 0.1
        np.testing.assert_allclose(scores[~rated], expected[~rated], atol=1e-5)

    def test_what_nobody_rated_has_no_features(self):
        features = ease_features(decompose(weighted(rated_at_random(60, 25)), ALL, 1), 2.0)
        assert not features[-1].any()
        assert features[:-1].any(axis=1).all()

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_movies_influence_on_itself_follows_from_its_features(self, shape):
        """d = 1 - v D v^T of the definition, which is also reg times the diagonal of the inverse."""
        matrix, reg = weighted(rated_at_random(*shape)), 3.0
        features = ease_features(decompose(matrix, ALL, 1), reg)
        inverse = np.linalg.inv((matrix.T @ matrix).toarray() + reg * np.eye(shape[1]))
        np.testing.assert_allclose(self_influence(features), reg * np.diag(inverse), rtol=1e-5)

    def test_one_decomposition_serves_every_regularisation(self):
        matrix = weighted(rated_at_random(60, 25))
        spectrum = decompose(matrix, ALL, 1)
        for reg in (0.1, 1.0, 1000.0):
            features = ease_features(spectrum, reg).astype(float)
            weights = (features * self_influence(features)[:, None]) @ features.T
            np.fill_diagonal(weights, 0)
            np.testing.assert_allclose(weights, steck(matrix, reg), atol=1e-5)


class TestDecompose:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_it_gives_the_singular_values_and_vectors_in_ascending_order(self, shape):
        matrix = weighted(rated_at_random(*shape))
        spectrum = decompose(matrix, ALL, 1)
        values = np.linalg.svd(matrix.toarray(), compute_uv=False)[::-1]
        np.testing.assert_allclose(spectrum.squares, values[values > 1e-6] ** 2, rtol=1e-9)
        np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(len(spectrum.squares)), atol=1e-9)
        rebuilt = (spectrum.vectors * spectrum.squares) @ spectrum.vectors.T
        np.testing.assert_allclose(rebuilt, (matrix.T @ matrix).toarray(), atol=1e-9)

    def test_values_of_zero_are_left_out(self):
        """Four users rated the same: there is one direction only."""
        same = interaction_matrix(np.arange(0, 13, 3), np.tile([0, 2, 3], 4), 5)
        spectrum = decompose(same, ALL, 1)
        np.testing.assert_allclose(spectrum.squares, [4 * 3])
        np.testing.assert_allclose(projection(spectrum.vectors), np.outer(*[[1, 0, 1, 1, 0]] * 2) / 3, atol=1e-12)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_of_less_rank_it_keeps_the_largest(self, shape):
        matrix = weighted(rated_at_random(*shape))
        whole, some = decompose(matrix, ALL, 1), decompose(matrix, 4, 1)
        assert some.vectors.shape == (25, 4)
        np.testing.assert_allclose(some.squares, whole.squares[-4:])
        np.testing.assert_allclose(projection(some.vectors), projection(whole.vectors[:, -4:]), atol=1e-9)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_large_matrix_is_decomposed_by_iteration_into_the_same(self, shape, monkeypatch):
        matrix = weighted(rated_at_random(*shape))
        exact = decompose(matrix, 6, 1)
        monkeypatch.setattr(ease, "LARGEST_EXACT", 10)
        monkeypatch.setattr(ease, "eigh", None)  # it is not called
        iterated, again = decompose(matrix, 6, 1), decompose(matrix, 6, 1)
        np.testing.assert_allclose(iterated.squares, exact.squares, rtol=1e-9)
        signs = np.sign((iterated.vectors * exact.vectors).sum(axis=0))
        np.testing.assert_allclose(iterated.vectors * signs, exact.vectors, atol=1e-8)
        np.testing.assert_array_equal(again.vectors, iterated.vectors)

    def test_a_large_matrix_has_one_vector_less_than_its_size_at_most(self, monkeypatch):
        monkeypatch.setattr(ease, "LARGEST_EXACT", 10)
        matrix = weighted(rated_at_random(60, 25))
        assert decompose(matrix, ALL, 1).vectors.shape == (25, 24)

    def test_a_seed_may_be_negative_as_sparks_are(self, monkeypatch):
        monkeypatch.setattr(ease, "LARGEST_EXACT", 10)
        matrix = weighted(rated_at_random(60, 25))
        np.testing.assert_allclose(decompose(matrix, 3, -(2**63)).squares, decompose(matrix, 3, 5).squares)
