"""Scores of small models, by hand, and scores as stars."""

import numpy as np
import pytest

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import FactorModel
from movie_recs.model.scoring import score, score_models, to_stars

FACTORS = "id int, bias float, features array<float>"


def factors(spark, rows):
    return spark.createDataFrame(rows, FACTORS)


@pytest.fixture(scope="module")
def tiny(spark) -> FactorModel:
    """mu 3; users 1 and 2, movies 10, 20 and 30."""
    users = factors(spark, [(1, 0.5, [1.0, 0.0]), (2, -0.5, [0.0, 2.0])])
    items = factors(spark, [(10, 0.25, [1.0, 1.0]), (20, -0.25, [2.0, 0.0]), (30, 0.75, [0.0, -1.0])])
    return FactorModel(3.0, users.cache(), items.cache())


def test_a_score_is_the_mean_and_both_biases_and_the_dot_product(spark, tiny):
    pairs = spark.createDataFrame(
        [(1, 20, "a"), (2, 30, "b"), (1, 99, "c"), (77, 20, "d"), (77, 99, "e"), (1, 20, "a")],
        "user_id int, movie_id int, note string",
    )
    scored = score(tiny, pairs)
    assert scored.columns == ["user_id", "movie_id", "note", "score"]
    # The average user has bias 0 and features (0.5, 1), the average movie bias 0.25 and features (1, 0).
    assert sorted(tuple(row) for row in scored.collect()) == [
        (1, 20, "a", 3 + 0.5 - 0.25 + 2),
        (1, 20, "a", 3 + 0.5 - 0.25 + 2),  # a pair that comes twice leaves twice
        (1, 99, "c", 3 + 0.5 + 0.25 + 1),
        (2, 30, "b", 3 - 0.5 + 0.75 - 2),
        (77, 20, "d", 3 + 0.0 - 0.25 + 1),
        (77, 99, "e", 3 + 0.0 + 0.25 + 0.5),
    ]


def test_scores_of_several_models_stand_side_by_side(spark, tiny):
    pairs = spark.createDataFrame([(1, 10), (2, 20)], "user_id int, movie_id int")
    scored = score(tiny._replace(intercept=4.0), score(tiny, pairs, "three"), "four")
    assert scored.dtypes == [("user_id", "int"), ("movie_id", "int"), ("three", "double"), ("four", "double")]
    assert sorted(tuple(row) for row in scored.collect()) == [(1, 10, 4.75, 5.75), (2, 20, 2.25, 3.25)]
    in_one_pass = score_models(pairs, [(tiny, {"three": None}), (tiny._replace(intercept=4.0), {"four": None})])
    assert in_one_pass.dtypes == scored.dtypes
    assert sorted(in_one_pass.collect()) == sorted(scored.collect())


def test_without_pairs_there_are_no_scores(spark, tiny):
    assert score(tiny, spark.createDataFrame([], "user_id int, movie_id int")).collect() == []


def test_a_model_without_factors_scores_by_its_biases(spark):
    biases = FactorModel(3.5, factors(spark, [(1, 0.5, [])]), factors(spark, [(10, -0.25, []), (20, 0.25, [])]))
    pairs = spark.createDataFrame([(1, 10), (2, 30)], "user_id int, movie_id int")
    assert sorted(row["score"] for row in score(biases, pairs).collect()) == [3.5 + 0.5 - 0.25, 3.5 + 0.5 + 0.0]


BIAS_AND_ONE, ONE_MORE = Ridge(1, 8.0, bias_damping=5.0), Ridge(1, 0.1, per_rating=True)


def test_the_first_parts_score_without_those_after_them(spark, tiny):
    """Features are (1, 0) . (2, 0), (0, 2) . (1, 1), and for the unknown user the average (0.5, 1) . (0, -1)."""
    model = tiny._replace(rule=RidgeRule((BIAS_AND_ONE, ONE_MORE)))
    pairs = spark.createDataFrame([(1, 20), (2, 10), (77, 30)], "user_id int, movie_id int")
    scored = score_models(pairs, [(model, {"none": 0, "one": 1, "two": 2, "all": None})]).orderBy("user_id", "movie_id")
    whole = [3 + 0.5 - 0.25 + 2, 3 - 0.5 + 0.25 + 0 + 2, 3 + 0.0 + 0.75 + 0 - 1]
    expected = {"none": [3.0] * 3, "one": [3 + 0.5 - 0.25 + 2, 3 - 0.5 + 0.25 + 0, 3 + 0.0 + 0.75 + 0]}
    assert scored.columns == ["user_id", "movie_id", "none", "one", "two", "all"]
    assert scored.drop("user_id", "movie_id").toPandas().to_dict("list") == {**expected, "two": whole, "all": whole}


def test_a_model_without_a_rule_has_no_parts_but_its_whole_and_its_intercept(spark, tiny):
    pairs = spark.createDataFrame([(1, 20)], "user_id int, movie_id int")
    assert tuple(score_models(pairs, [(tiny, {"none": 0, "all": None})]).first())[2:] == (3.0, 3 + 0.5 - 0.25 + 2)


def test_stars_are_scores_within_half_a_star_and_five(spark):
    frame = spark.createDataFrame([(-1.0,), (0.5,), (3.3,), (5.0,), (7.0,)], "score double")
    assert [row[0] for row in frame.select(to_stars("score")).collect()] == [0.5, 0.5, 3.3, 5.0, 5.0]


def test_a_score_that_is_no_number_gives_no_stars(spark):
    (row,) = spark.sql("select double('NaN') score").select(to_stars("score").alias("stars")).collect()
    assert np.isnan(row["stars"])
