"""What a search uses of data of any size."""

import pandas as pd
import pytest

from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import DataSize
from movie_recs.tuning.parameters import SearchParameters
from movie_recs.tuning.part import ON_SAMPLE, choose_part, finalists, settle

TUNING = SearchParameters(one_fold_from=1000, most_ratings=2000, seed=42)
FOLDS = 5


@pytest.fixture(scope="module")
def ratings(spark):
    """400 users with ten ratings each."""
    return spark.range(4000).selectExpr("cast(id % 400 as int) as user_id", "cast(id / 400 as int) as movie_id").cache()


def test_few_ratings_are_used_whole(ratings, caplog):
    size = DataSize(999, 400, 10)
    assert choose_part(ratings, size, FOLDS, TUNING) == (ratings, FOLDS, size, False)
    assert caplog.messages == []


def test_from_a_size_on_one_fold_is_held_out(ratings, caplog):
    caplog.set_level("INFO")
    size = DataSize(1000, 400, 10)
    assert choose_part(ratings, size, FOLDS, TUNING) == (ratings, [0], size, False)
    assert "Tuning holds out one fold of 5, as there are 1,000 ratings" in caplog.messages


def test_the_folds_of_a_temporal_split_stay(ratings):
    assert choose_part(ratings, DataSize(1000, 400, 10), [3], TUNING).folds == [3]


def test_of_many_ratings_it_is_a_sample_of_the_users_with_all_of_theirs(ratings, caplog):
    caplog.set_level("INFO")
    part = choose_part(ratings, DataSize(4000, 400, 10), FOLDS, TUNING)
    assert part.size == DataSize(2000, 200, 10)
    assert part.is_sample
    counts = part.ratings.groupBy("user_id").count().toPandas().set_index("user_id")["count"]
    assert set(counts) == {10}
    assert 160 < len(counts) < 240
    assert "Tuning sees 50 % of the users, as there are 4,000 ratings" in caplog.messages
    again = choose_part(ratings.repartition(7), DataSize(4000, 400, 10), FOLDS, TUNING)
    assert set(again.ratings.toPandas()["user_id"]) == set(counts.index)
    other = choose_part(ratings, DataSize(4000, 400, 10), FOLDS, TUNING.model_copy(update={"seed": 1}))
    assert set(other.ratings.toPandas()["user_id"]) != set(counts.index)


def results(*rows: tuple) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["model", "user_damping", "movie_damping", "mean_rmse", "error"])
    return table.reindex(columns=[*RatingCandidate.model_fields, "mean_rmse", "error"])


def test_the_best_of_each_model_are_measured_on_all_and_decide():
    on_sample = results(("bias", 1, 1, 0.9, ""), ("bias", 2, 2, 0.8, ""), ("bias", 3, 3, 0.7, "gains too little"))
    (best,) = finalists(on_sample, RatingCandidate, ["bias", "taste"])
    assert (best.user_damping, best.movie_damping) == (2, 2)
    settled = settle(on_sample, results(("bias", 2, 2, 0.95, "")))
    assert settled["error"].tolist() == [ON_SAMPLE, ON_SAMPLE, "gains too little", ""]
    assert best_candidate(settled, RatingCandidate, "bias") == best
