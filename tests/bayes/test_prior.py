"""The learned prior: by an independent formula, and on planted vectors."""

import numpy as np
import pytest

from movie_recs.bayes.prior import PULL, Moments, Prior, first_prior, learn_prior

VARIANCES = np.array([0.3, 0.1])


def moments_of(vectors: np.ndarray, regressors: np.ndarray, covariance: np.ndarray) -> Moments:
    """Of posteriors with these means and all the same covariance."""
    second = vectors.T @ vectors + len(vectors) * covariance
    return Moments(len(vectors), regressors.T @ vectors, np.tril(second))


def test_before_any_data_a_vector_is_pulled_to_zero_by_its_variance():
    prior = first_prior(VARIANCES, regressors=3)
    np.testing.assert_allclose(prior.precision, [[1 / 0.3, 0], [0, 10]])
    assert not prior.pulls(np.ones((4, 3))).any()


def test_pulls_are_the_precision_times_the_predicted_vector():
    prior = Prior(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 0.0], [0.5, -1.0]]))
    (pulls,) = prior.pulls(np.array([[1.0, 2.0]]))  # predicts (2, -2)
    np.testing.assert_allclose(pulls, [2 * 2 - 2, 2 - 3 * 2])


def test_the_covariance_counts_what_the_regression_leaves_what_is_uncertain_and_the_strength():
    rng = np.random.default_rng(1)
    regressors, vectors = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    covariance = np.array([[0.2, 0.1], [0.1, 0.3]])
    gram = regressors.T @ regressors
    prior = learn_prior(moments_of(vectors, regressors, covariance), gram, VARIANCES, strength=7.0)
    padded = np.vstack([regressors, np.sqrt(PULL) * np.eye(3)]), np.vstack([vectors, np.zeros((3, 2))])
    expected = np.linalg.lstsq(*padded, rcond=None)[0]  # the pull as further rows
    np.testing.assert_allclose(prior.weights, expected)
    left = padded[1] - padded[0] @ expected
    scatter = left.T @ left + 40 * covariance + 7 * np.diag(VARIANCES)
    np.testing.assert_allclose(np.linalg.inv(prior.precision), scatter / 47)


def test_a_planted_prior_is_found():
    rng = np.random.default_rng(2)
    regressors, weights = rng.normal(size=(50_000, 2)), np.array([[0.5, -0.2], [0.0, 0.3]])
    covariance = np.array([[0.4, 0.15], [0.15, 0.2]])
    vectors = regressors @ weights + rng.multivariate_normal([0, 0], covariance, 50_000)
    found = learn_prior(
        moments_of(vectors, regressors, np.zeros((2, 2))), regressors.T @ regressors, VARIANCES, strength=10.0
    )
    np.testing.assert_allclose(found.weights, weights, atol=0.01)
    np.testing.assert_allclose(np.linalg.inv(found.precision), covariance, atol=0.01)
    assert found.precision == pytest.approx(found.precision.T)
