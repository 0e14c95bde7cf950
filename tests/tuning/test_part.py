"""What a search uses of data of any size."""

import pytest

from movie_recs.tuning.memory import DataSize
from movie_recs.tuning.parameters import SearchParameters
from movie_recs.tuning.part import choose_part

TUNING = SearchParameters(one_fold_from=1000, most_ratings=2000, seed=42)
FOLDS = 5


@pytest.fixture(scope="module")
def ratings(spark):
    """400 users with ten ratings each."""
    return spark.range(4000).selectExpr("cast(id % 400 as int) as user_id", "cast(id / 400 as int) as movie_id").cache()


def test_few_ratings_are_used_whole(ratings, caplog):
    size = DataSize(999, 400, 10)
    assert choose_part(ratings, size, FOLDS, TUNING) == (ratings, FOLDS, size)
    assert caplog.messages == []


def test_from_a_size_on_one_fold_is_held_out(ratings, caplog):
    caplog.set_level("INFO")
    size = DataSize(1000, 400, 10)
    assert choose_part(ratings, size, FOLDS, TUNING) == (ratings, [0], size)
    assert "Tuning holds out one fold of 5, as there are 1,000 ratings" in caplog.messages


def test_the_folds_of_a_temporal_split_stay(ratings):
    assert choose_part(ratings, DataSize(1000, 400, 10), [3], TUNING).folds == [3]


def test_of_many_ratings_it_is_a_sample_of_the_users_with_all_of_theirs(ratings, caplog):
    caplog.set_level("INFO")
    part = choose_part(ratings, DataSize(4000, 400, 10), FOLDS, TUNING)
    assert part.size == DataSize(2000, 200, 10)
    counts = part.ratings.groupBy("user_id").count().toPandas().set_index("user_id")["count"]
    assert set(counts) == {10}
    assert 160 < len(counts) < 240
    assert "Tuning sees 50 % of the users, as there are 4,000 ratings" in caplog.messages
    again = choose_part(ratings.repartition(7), DataSize(4000, 400, 10), FOLDS, TUNING)
    assert set(again.ratings.toPandas()["user_id"]) == set(counts.index)
    other = choose_part(ratings, DataSize(4000, 400, 10), FOLDS, TUNING.model_copy(update={"seed": 1}))
    assert set(other.ratings.toPandas()["user_id"]) != set(counts.index)
