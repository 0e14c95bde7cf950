"""The ladder on models of three numbers: each rung is so many parts of a model, by hand."""

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import FACTORS, FactorModel
from movie_recs.rating.ladder import COMPARED_WITH, Ladder, nothing, score_ladder

RUNGS = ["global_mean", "bias", "reference_als", "als", "bias_als", "taste", "taste_als", "bayes"]
BIAS, TASTE, FACTOR = Ridge(0, 0.0, 5.0), Ridge(1, 8.0, 5.0), Ridge(1, 0.1, per_rating=True)


def model(spark, intercept, user, item, *ridges) -> FactorModel:
    """User 1 and movie 10 with a bias and a vector each."""
    sides = (spark.createDataFrame([(number, *values)], FACTORS) for number, values in ((1, user), (10, item)))
    return FactorModel(intercept, *sides, RidgeRule(ridges))


def test_rungs_are_the_parts_of_the_models_in_their_order(spark):
    bias_als = model(spark, 3.0, (0.5, [2.0]), (0.25, [0.125]), BIAS, FACTOR)
    taste_als = model(spark, 3.5, (1.0, [2.0, 4.0]), (-0.5, [0.5, 0.25]), TASTE, FACTOR)
    reference = model(spark, 0.0, (0.0, [1.5]), (0.0, [2.0]), FACTOR)
    pairs = spark.createDataFrame([(1, 10, 4.0)], "user_id int, movie_id int, rating float")
    als = model(spark, 0.0, (0.0, [1.0]), (0.0, [3.5]), FACTOR)
    bayes = model(spark, 3.0, (0.5, [1.0]), (0.25, [0.5]))
    scored = score_ladder(Ladder(reference, als, bias_als, taste_als, bayes), pairs)
    assert scored.columns == ["user_id", "movie_id", "rating", *RUNGS]
    (row,) = scored.collect()
    expected = {
        "global_mean": 3.0,
        "bias": 3.75,  # and 0.5 and 0.25
        "reference_als": 3.0,
        "als": 3.5,
        "bias_als": 4.0,  # and 2 / 8
        "taste": 5.0,  # 3.5 and 1 - 0.5, and 2 / 2
        "taste_als": 6.0,  # and 4 / 4
        "bayes": 4.25,  # 3.0, 0.5 + 0.25, and 1 / 2
    }
    assert row.asDict() == {"user_id": 1, "movie_id": 10, "rating": 4.0, **expected}


def test_a_model_that_was_left_out_has_no_score(spark):
    one = model(spark, 3.0, (0.5, [2.0]), (0.25, [0.125]), BIAS, FACTOR)
    pairs = spark.createDataFrame([(1, 10, 4.0)], "user_id int, movie_id int, rating float")
    (row,) = score_ladder(Ladder(one, one, one, one, nothing(spark)), pairs).collect()
    assert row["bayes"] is None
    assert row["bias_als"] == 4.0


def test_every_rung_is_compared_with_one_below():
    assert list(COMPARED_WITH) == RUNGS
    for place, rung in enumerate(RUNGS[1:], 1):
        assert COMPARED_WITH[rung] in RUNGS[:place]
