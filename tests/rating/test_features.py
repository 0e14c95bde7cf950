"""What is known of each movie, as numbers: by hand, and for its audience on two camps of users."""

import numpy as np
import pytest

from movie_recs.als.parameters import AlsParameters
from movie_recs.data.blocks import open_blocks
from movie_recs.data.interactions import select_seen
from movie_recs.data.movie_features import CENTRES
from movie_recs.rating import features as movie_features
from movie_recs.rating.features import Catalogue, audience_directions, describe_movies, fit_audience
from movie_recs.rating.parameters import FeatureWeights

GENRES = FeatureWeights(genres=1, year=0, popularity=0, audience=0)
YEAR = FeatureWeights(genres=0, year=1, popularity=0, audience=0)
HALF = 1 / np.sqrt(2)


def describe(spark, rows, weights):
    return describe_movies(spark.createDataFrame(rows, "movie_id int, year int, genres array<string>"), weights)


def bumps(years_off: list[float]) -> np.ndarray:
    """exp(-(d / 8)^2 / 2) for each distance from a centre."""
    return np.exp(-(np.array(years_off) ** 2) / 128)


def test_the_genres_of_a_movie_have_length_one_whatever_their_number(spark):
    rows = [(1, 1999, ["Horror"]), (2, 1999, ["Drama", "Comedy"]), (3, 1999, ["Horror", "Drama", "Comedy"])]
    third = 1 / np.sqrt(3)
    expected = [[0, 0, 1], [HALF, HALF, 0], [third, third, third]]  # Comedy, Drama, Horror
    np.testing.assert_allclose(describe(spark, rows, GENRES).features, expected)


def test_a_movie_without_genres_has_zeros(spark):
    rows = [(1, 1999, ["Drama"]), (2, 1999, [])]
    np.testing.assert_array_equal(describe(spark, rows, GENRES).features, [[1], [0]])


def test_a_year_lights_up_the_centres_around_it(spark):
    features = describe(spark, [(1, 1938, []), (2, 1934, []), (3, 2018, [])], YEAR).features
    assert features.shape == (3, 12)
    np.testing.assert_allclose(features[0, :4], bumps([8, 0, 8, 16]))  # 1938 is the second centre
    np.testing.assert_allclose(features[1, :4], bumps([4, 4, 12, 20]))  # halfway between the first two
    np.testing.assert_allclose(features[2, -3:], bumps([16, 8, 0]))
    assert features[0, 1] == features[2, 11] == 1
    np.testing.assert_allclose(features[1, 0], 0.8824969)


def test_years_outside_the_centres_fade_out(spark):
    features = describe(spark, [(1, 1902, []), (2, 2026, [])], YEAR).features
    np.testing.assert_allclose(features[0], bumps(1902 - CENTRES))
    assert features[0].argmax() == 0
    assert features[1].argmax() == 11


def test_a_movie_without_a_year_is_the_mean_of_those_with_one(spark):
    features = describe(spark, [(1, 1938, []), (2, None, []), (3, 1978, [])], YEAR).features
    np.testing.assert_allclose(features[1], (bumps(1938 - CENTRES) + bumps(1978 - CENTRES)) / 2)


def test_years_are_zeros_if_no_movie_has_one(spark):
    features = describe(spark, [(1, None, []), (2, None, [])], YEAR).features
    np.testing.assert_array_equal(features, np.zeros((2, 12)))


def test_a_weight_multiplies_its_kind_of_feature(spark):
    rows = [(1, 1938, ["Drama", "Comedy"]), (2, 1990, ["Drama"])]
    both = describe(spark, rows, FeatureWeights(genres=3, year=0.5, popularity=0, audience=0)).features
    genres, year = describe(spark, rows, GENRES).features, describe(spark, rows, YEAR).features
    np.testing.assert_allclose(both, np.hstack([3 * genres, 0.5 * year]))


@pytest.mark.parametrize(("weights", "size"), [((1, 0, 0), 2), ((0, 1, 0), 12), ((1, 1, 0), 14), ((0, 0, 1), 0)])
def test_a_weight_of_zero_leaves_its_kind_out(spark, weights, size):
    genres, year, popularity = weights
    rows = [(1, 1938, ["Drama", "Comedy"]), (2, 1990, ["Drama"])]
    catalogue = describe(spark, rows, FeatureWeights(genres=genres, year=year, popularity=popularity, audience=0))
    assert catalogue.features.shape == (2, size)


def test_movies_are_by_ascending_id_however_they_come(spark):
    rows = [(30, 1938, ["Drama"]), (2, 1990, ["Comedy"]), (100, 1950, ["Comedy", "Drama"]), (7, None, [])]
    weights = FeatureWeights(genres=1, year=1, popularity=0, audience=0)
    catalogue, ordered = describe(spark, rows, weights), describe(spark, sorted(rows), weights)
    assert catalogue.ids.tolist() == [2, 7, 30, 100]
    assert catalogue.ids.dtype == np.int32
    np.testing.assert_allclose(catalogue.features[:, :2], [[1, 0], [0, 0], [0, 1], [HALF, HALF]])
    np.testing.assert_allclose(catalogue.features, ordered.features)


# What follows from the ratings of a fit.

IDS = np.array([2, 4, 6, 8, 10, 12, 99], np.int32)  # nobody has rated 99
EVEN = np.array([2, 4, 6])
PAIRS = [(user, movie + 6 * (user % 2)) for user in range(1, 13) for movie in EVEN.tolist() if (user + movie) % 5]
COUNTS = np.array([sum(movie == id_ for _, movie in PAIRS) for id_ in IDS])


@pytest.fixture(scope="module")
def ratings(spark):
    """Users with even numbers rate movies 2, 4 and 6, the others 8, 10 and 12."""
    rows = [(*pair, 3.0) for pair in PAIRS]
    return spark.createDataFrame(rows, "user_id int, movie_id int, rating float").cache()


@pytest.fixture(scope="module")
def few_alternations():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(movie_features, "AUDIENCE", AlsParameters(rank=20, reg_param=0.1, max_iter=2))
        yield


def factors_of(carrier, ratings) -> np.ndarray:
    blocks = open_blocks(carrier, ratings, IDS)
    try:
        return fit_audience(blocks.map(select_seen), seed=1)
    finally:
        blocks.close()


@pytest.fixture(scope="module")
def factors(carrier, ratings, few_alternations) -> np.ndarray:
    return factors_of(carrier, ratings)


@pytest.fixture(scope="module")
def audience(factors) -> np.ndarray:
    return audience_directions(factors, COUNTS)


def test_features_are_less_their_mean_over_the_ratings():
    genres = np.array([[1, 0]] * 3 + [[0, 1]] * 4)
    catalogue = Catalogue(IDS, genres, FeatureWeights(genres=1, year=0, popularity=0.5, audience=0))
    features = movie_features.movie_features(catalogue, COUNTS, None)
    expected = np.column_stack([genres, 0.5 * np.log(1 + COUNTS)])
    expected -= np.mean([expected[movie == IDS][0] for _, movie in PAIRS], axis=0)
    np.testing.assert_allclose(features, expected)


def test_movies_with_one_audience_point_one_way(audience):
    np.testing.assert_allclose(np.linalg.norm(audience[:6], axis=1), 1)
    likeness = audience[:6] @ audience[:6].T
    assert min(likeness[:3, :3].min(), likeness[3:, 3:].min()) > 0.4
    assert np.abs(likeness[:3, 3:]).max() < 0.2


def test_a_movie_without_an_audience_is_the_mean_over_the_ratings(audience):
    np.testing.assert_allclose(audience[6], COUNTS @ audience / COUNTS.sum())
    catalogue = Catalogue(IDS, np.zeros((7, 0)), FeatureWeights(genres=0, year=0, popularity=0, audience=0.7))
    features = movie_features.movie_features(catalogue, COUNTS, audience)
    np.testing.assert_allclose(features, 0.7 * (audience - audience[6]), atol=1e-7)  # factors are float32


def test_factors_have_one_row_a_movie_and_zeros_where_nobody_rated(factors):
    assert factors.shape == (len(IDS), 20)
    assert factors[:6].any(axis=1).all()
    assert not factors[6].any()


def test_both_carriers_have_the_same_audience(ratings, factors, few_alternations):
    np.testing.assert_allclose(factors, factors_of("local", ratings), rtol=0, atol=1e-6)


def test_the_audience_is_the_same_whatever_the_stars_and_the_order(spark, factors, few_alternations, carrier):
    rows = [(*pair, 0.5 + number % 10 / 2) for number, pair in enumerate(reversed(PAIRS))]
    rated = spark.createDataFrame(rows, "user_id int, movie_id int, rating float").repartition(3, "movie_id")
    np.testing.assert_array_equal(factors_of(carrier, rated), factors)
