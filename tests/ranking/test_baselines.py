"""Ranking models that are the same for everybody, and the popularity that orders equal movies, by hand."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from movie_recs.data.schemas import RATINGS
from movie_recs.ranking.baselines import baseline_scores, recent_popularity

IDS = np.array([10, 20, 30, 40], np.int32)
DAY_ONE = datetime(2020, 1, 1)


@pytest.fixture(scope="module")
def few(spark):
    """Movies 10 (twice 5 stars), 20 (1, 2 and 3 stars), 30 (5 stars) and 40, which nobody has rated."""
    rows = [(1, 10, 5.0, None), (2, 10, 5.0, None), (1, 20, 1.0, None), (2, 20, 2.0, None), (3, 20, 3.0, None)]
    return spark.createDataFrame([*rows, (3, 30, 5.0, None)], RATINGS).cache()


def test_most_popular_counts_ratings(few):
    assert baseline_scores("most_popular", few, IDS, 1).tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize("damping", [1, 100])
def test_damped_mean_adds_ratings_at_the_mean_of_all(few, damping):
    """Which is 3.5, that of what nobody has rated."""
    stars, counts = np.array([10, 6, 5, 0]), np.array([2, 3, 1, 0])
    expected = (stars + 3.5 * damping) / (counts + damping)
    np.testing.assert_allclose(baseline_scores("damped_mean", few, IDS, damping), expected)


class TestRecentPopularity:
    def test_a_rating_counts_half_a_year_before_the_newest(self, spark):
        """10: 1 + 1/2; 20: 1/4; 30: 3/4 by three ratings of two years before."""
        ages = {10: (0, 365), 20: (730,), 30: (730, 730, 730)}
        rows = [
            (user, movie, 3.0, DAY_ONE - timedelta(days=age))
            for movie, own in ages.items()
            for user, age in enumerate(own)
        ]
        found = recent_popularity(spark.createDataFrame(rows, RATINGS), IDS)
        np.testing.assert_allclose(found, [1, 1 / 6, 1 / 2, 0])

    def test_without_times_every_rating_counts_the_same(self, spark):
        rows = [(user, movie, 3.0, None) for movie, count in ((10, 1), (30, 4), (40, 2)) for user in range(count)]
        found = recent_popularity(spark.createDataFrame(rows, RATINGS), IDS)
        np.testing.assert_allclose(found, [1 / 4, 0, 1, 1 / 2])
