"""The composed model on planted ratings: down to their noise, and each rung gains where its part was planted, only."""

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from movie_recs.als.parameters import AlsParameters
from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.movie_features import genre_features
from movie_recs.model.factor_model import FactorModel, arrays
from movie_recs.model.scoring import score
from movie_recs.model.users import fold_in
from movie_recs.rating import biases
from movie_recs.rating import features as movie_features
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import describe_movies
from movie_recs.rating.fit import fit_candidate, fit_compiled
from movie_recs.rating.ladder import COMPARED_WITH, Ladder, nothing, score_ladder
from movie_recs.rating.metrics import rating_errors, rmse_gains
from movie_recs.rating.parameters import FeatureWeights, RatingTuningParameters
from movie_recs.rating.search import search
from movie_recs.tuning.cross_validation import best_candidate

NOISE = 0.5  # stars, as all strengths are
NAMES = np.array(["Action", "Comedy", "Drama"])
WEIGHTS = FeatureWeights(genres=1, year=0, popularity=0, audience=0)
RANK = 2


def planted(spark, users: int, movies: int, bias: float = 0, taste: float = 0, factors: float = 0):
    """Four in five of all pairs, rated 2.75 + b_u + b_i + w_u . f_i + p_u . q_i + noise, and the movies.

    The arguments are the parts' standard deviations (`bias`: of users' and of movies'), 0 for what is not there. Parts
    are apart: users' and movies' effects have mean 0, and q is orthogonal to the features f.

    Returns:
        (user_id, movie_id, rating, noise, fold), folds 0 to 4 at random; the catalogue.
    """
    rng = np.random.default_rng(3)

    def normal(*shape: int) -> np.ndarray:
        draws = rng.normal(size=shape)
        return draws - draws.mean(axis=0)

    genres = [list(NAMES[has]) for has in rng.random((movies, len(NAMES))) < 0.4]
    table = pd.DataFrame({"movie_id": np.arange(1, movies + 1), "year": 1999, "genres": genres})
    features = genre_features(table["genres"])
    features -= features.mean(axis=0)
    hidden = normal(movies, RANK)
    hidden -= features @ np.linalg.lstsq(features, hidden, rcond=None)[0]
    tastes, products = normal(users, features.shape[1]) @ features.T, normal(users, RANK) @ hidden.T
    truth = 2.75 + bias * (normal(users, 1) + normal(movies))
    truth += taste * tastes / tastes.std() + factors * products / products.std()

    user, movie = np.nonzero(rng.random(truth.shape) < 0.8)
    noise = rng.normal(0, NOISE, len(user))
    ratings = pd.DataFrame(
        {
            "user_id": user + 1,
            "movie_id": movie + 1,
            "rating": truth[user, movie] + noise,
            "noise": noise,
            "fold": rng.integers(0, 5, len(user)),
        }
    ).astype({"user_id": "int32", "movie_id": "int32", "rating": "float32", "fold": "int32"})
    assert ((ratings["rating"] < 0.5) | (ratings["rating"] > 5)).mean() < 0.01  # scores are clipped there
    return spark.createDataFrame(ratings).cache(), describe_movies(spark.createDataFrame(table), WEIGHTS)


def kept(model: FactorModel) -> FactorModel:
    """In memory, as a run has it on disk: each use would fold in all users again."""
    return model._replace(users=model.users.cache(), items=model.items.cache())


def gains_of(predictions, *models: str) -> dict[str, dict[str, float]]:
    return (
        rmse_gains(predictions, [(COMPARED_WITH[model], model) for model in models]).set_index("model").to_dict("index")
    )


def gains_clearly(gain: dict[str, float]) -> bool:
    return gain["gain"] > 5 * gain["gain_se"] and gain["gain"] > 0.02


def gains_nothing(gain: dict[str, float]) -> bool:
    return abs(gain["gain"]) < 0.002  # stars; 0.4 % of the noise


# All parts: 190 train ratings a user and 160 a movie, so that little is left to know of their 6 and 3 numbers.

DAMPINGS = {"user_damping": 3, "movie_damping": 3}  # about noise^2 / strength^2, as is taste_reg
FACTORS = {"rank": RANK, "reg_param": 0.015, "max_iter": 5}
TASTE_ALS = RatingCandidate(model="taste_als", **DAMPINGS, taste_reg=3, prior_reg=1, **FACTORS)
BIAS_ALS = RatingCandidate(model="bias_als", **DAMPINGS, **FACTORS)
PLAIN = RatingCandidate(model="als", rank=8, reg_param=0.2, max_iter=5)


@pytest.fixture(scope="module")
def everything(spark):
    return planted(spark, users=250, movies=300, bias=0.3, taste=0.3, factors=0.3)


@pytest.fixture(scope="module")
def fits(everything):
    ratings, catalogue = everything
    fits = [fit_candidate(ratings.filter("fold > 0"), catalogue, each, seed=1) for each in (TASTE_ALS, BIAS_ALS)]
    return [fit._replace(factor_model=kept(fit.factor_model)) for fit in fits]


@pytest.fixture(scope="module")
def models(fits):
    taste_als, bias_als = (fit.factor_model for fit in fits)
    reference = kept(FactorModel(3.0, bias_als.users.limit(1), bias_als.items.limit(1), bias_als.rule))
    return Ladder(reference, reference, bias_als, taste_als, nothing(reference.users.sparkSession))


@pytest.fixture(scope="module")
def predictions(everything, models):
    return score_ladder(models, everything[0].filter("fold = 0")).cache()


def test_the_test_error_is_that_of_the_planted_noise(predictions):
    found = rating_errors(predictions.select("rating", F.col("taste_als").alias("score"), F.lit(True).alias("warm")))
    noise = predictions.agg(F.sqrt(F.avg(F.col("noise") ** 2))).first()[0]
    assert noise < found.first()["rmse"] < 1.03 * noise


def test_each_rung_gains_where_its_part_was_planted(predictions):
    gains = gains_of(predictions, "bias", "bias_als", "taste", "taste_als")
    assert all(gains_clearly(gain) for gain in gains.values()), gains


def test_the_first_rung_is_the_train_mean(everything, predictions):
    train_mean = everything[0].filter("fold > 0").agg(F.avg("rating")).first()[0]
    lowest, highest = predictions.agg(F.min("global_mean"), F.max("global_mean")).first()
    assert lowest == highest == pytest.approx(train_mean, abs=1e-9)


def test_a_rule_has_a_ridge_for_the_baseline_and_one_for_the_factors(fits):
    taste_als, bias_als = (fit.factor_model.rule for fit in fits)
    factors = Ridge(RANK, 0.015, per_rating=True)
    assert taste_als == RidgeRule((Ridge(3, 3.0, bias_damping=3.0), factors))
    assert bias_als == RidgeRule((Ridge(0, 0.0, bias_damping=3.0), factors))


def test_scores_are_the_sum_of_intercept_biases_taste_and_spark_mls_model(fits, predictions):
    for name, size, fit in zip(("taste_als", "bias_als"), (3, 0), fits, strict=True):
        rows = fit.als_model.transform(predictions.limit(2000)).toPandas()
        users, items = (
            table.toPandas().set_index("id").loc[rows[column]]
            for table, column in ((fit.factor_model.users, "user_id"), (fit.factor_model.items, "movie_id"))
        )
        tastes, features = (np.stack(table["features"])[:, :size].astype(float) for table in (users, items))
        biases = users["bias"].to_numpy(float) + items["bias"].to_numpy(float)
        expected = fit.factor_model.intercept + biases + (tastes * features).sum(axis=1) + rows["prediction"]
        np.testing.assert_allclose(rows[name], expected, atol=1e-4)


def test_a_candidate_without_a_baseline_is_plain_als(spark):
    ratings, catalogue = planted(spark, users=20, movies=20, factors=0.3)
    reference = RatingCandidate(model="reference_als", rank=2, reg_param=0.1, max_iter=2)
    fit = fit_candidate(ratings, catalogue, reference, seed=1)
    both = fit.als_model.transform(score(fit.factor_model, ratings)).toPandas()
    np.testing.assert_allclose(both["score"], both["prediction"], atol=1e-4)


@pytest.mark.parametrize("candidate", [TASTE_ALS, PLAIN], ids=["taste_als", "als"])
def test_a_compiled_final_fit_is_as_good_as_spark_mls(everything, candidate):
    """From other first values: the regularised squared error and the test RMSE are within 0.1 %."""
    ratings, catalogue = everything
    train, test = ratings.filter("fold > 0"), ratings.filter("fold = 0")
    longer = candidate.model_copy(update={"max_iter": 30})
    measured = []
    for final_fit in ("spark", "compiled"):
        fit = fit_candidate(train, catalogue, longer, seed=1, final_fit=final_fit)
        model = kept(fit.factor_model)
        squares = score(model, train).agg(F.sum((F.col("rating") - F.col("score")) ** 2)).first()[0]
        pulls = 0.0
        for side, key in ((fit.als_model.userFactors, "user_id"), (fit.als_model.itemFactors, "movie_id")):
            norm = F.aggregate("features", F.lit(0.0), lambda total, value: total + value * value)
            counts = train.groupBy(F.col(key).alias("id")).count()
            pulls += side.join(counts, "id").agg(F.sum(F.col("count") * norm)).first()[0]
        errors = rating_errors(score(model, test).withColumn("warm", F.lit(True))).first()
        measured.append((squares + candidate.reg_param * pulls, errors["rmse"]))
    for ours, sparks in zip(*measured, strict=True):
        assert ours == pytest.approx(sparks, rel=1e-3)


def test_a_winner_without_factors_has_an_als_model_beside_it(everything):
    ratings, catalogue = everything
    taste = TASTE_ALS.without_factors.model_copy(update={"model": "taste"})
    als = AlsParameters(rank=2, reg_param=0.1, max_iter=1)
    for final_fit in ("spark", "compiled"):
        fit = fit_candidate(ratings, catalogue, taste, 1, plain_als=als, final_fit=final_fit)
        assert fit.als_model.rank == 2
        assert len(fit.factor_model.items.first()["features"]) == 3
        assert fit.als_model.userFactors.count() == 250
    with pytest.raises(ValueError, match="no factors"):
        fit_candidate(ratings, catalogue, taste, 1)


# Either carrier, with a movie that nobody has rated.

WITH_AUDIENCE = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0.7)


@pytest.fixture(scope="module")
def few(spark):
    """20 users and 15 movies, of which the first is new; the catalogue counts who rated what. Fits take two turns."""
    ratings, catalogue = planted(spark, users=20, movies=15, bias=0.3, factors=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(biases, "MOST_TURNS", 2)
        patch.setattr(movie_features, "AUDIENCE", AlsParameters(rank=2, reg_param=0.1, max_iter=1))
        yield ratings.filter("movie_id > 1").cache(), catalogue._replace(weights=WITH_AUDIENCE)


FEW = RatingCandidate(model="taste_als", **DAMPINGS, taste_reg=3, prior_reg=1, rank=2, reg_param=0.1, max_iter=2)


def assert_same_model(one: FactorModel, other: FactorModel, atol: float):
    assert one.rule == other.rule
    assert one.intercept == pytest.approx(other.intercept, abs=1e-9)
    for sides in ((one.users, other.users), (one.items, other.items)):
        for ours, theirs in zip(*map(arrays, sides), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)


BAYES = RatingCandidate(model="bayes", rank=2, max_iter=2)


def test_a_bayesian_model_has_an_als_model_beside_it_and_a_vector_for_every_movie(few):
    als = AlsParameters(rank=3, reg_param=0.1, max_iter=1)
    fit = fit_candidate(*few, BAYES, 1, plain_als=als)
    assert fit.als_model.rank == 3
    items = arrays(fit.factor_model.items)
    assert items.features.shape == (16, 3 + 1 + 2 + 2)
    assert items.features[0].any()
    assert fit.factor_model.rule.sizes == (8,)
    with pytest.raises(ValueError, match="no factors"):
        fit_candidate(*few, BAYES, 1)


def test_both_carriers_fit_the_same_bayesian_model(few):
    ours, theirs = (fit_compiled(*few, BAYES, 1, carrier) for carrier in ("local", "spark"))
    assert ours.intercept == pytest.approx(theirs.intercept, abs=1e-9)
    for sides in ((ours.users, theirs.users), (ours.items, theirs.items)):
        for one, other in zip(*map(arrays, sides), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_both_carriers_fit_the_same_candidate(few):
    """The factors are Spark ML's, of what baselines that are equal to the last digits leave."""
    found = fit_candidate(*few, FEW, 1, "spark")
    assert_same_model(found.factor_model, fit_candidate(*few, FEW, 1).factor_model, atol=1e-5)
    items = arrays(found.factor_model.items)
    assert items.features.shape == (16, 3 + 1 + 2 + 2)
    assert not items.features[0, -2:].any()  # ALS does not know the new movie
    assert items.features[0, :-2].any()


@pytest.mark.parametrize("candidate", [FEW, BAYES], ids=["taste_als", "bayes"])
def test_the_rule_gives_the_users_of_a_compiled_fit(few, candidate):
    """A user's vector is what the rule makes of her ratings: the fit ends with the users."""
    found = kept(fit_compiled(*few, candidate, 1))
    again, users = arrays(fold_in(found, few[0])), arrays(found.users)
    np.testing.assert_allclose(again.bias, users.bias, atol=1e-5)
    np.testing.assert_allclose(again.features, users.features, atol=1e-5)


# Some parts only, and every pull either weak or strong, as cross-validation has it.

TUNING = RatingTuningParameters(
    baseline_grid={"user_damping": [3, 1e4], "movie_damping": [3, 1e4], "taste_reg": [3, 1e4], "prior_reg": 1},
    grid={"rank": RANK, "reg_param": [0.03, 1], "max_iter": 2},
    beyond_edges=False,
    seed=1,
)


@pytest.mark.parametrize("parts", [{"taste": 0.3}, {"bias": 0.3, "factors": 0.3}], ids=["taste", "biases and factors"])
def test_a_rung_gains_nothing_where_its_part_was_not_planted(spark, parts):
    ratings, catalogue = planted(spark, users=200, movies=150, **parts)
    train, test = ratings.filter("fold > 0").withColumn("fold", F.col("fold") % 2), ratings.filter("fold = 0")
    results = search(train, catalogue, TUNING, AlsParameters(rank=1, reg_param=1, max_iter=1), folds=2)
    bias, taste_als = (best_candidate(results, RatingCandidate, model) for model in ("bias", "taste_als"))
    assert (bias.user_damping, bias.movie_damping) == ((3, 3) if "bias" in parts else (1e4, 1e4))
    assert taste_als.taste_reg == (3 if "taste" in parts else 1e4)
    assert taste_als.reg_param == (0.03 if "factors" in parts else 1)

    bias_model = kept(fit_compiled(train, catalogue, bias, seed=1))
    everything = kept(fit_candidate(train, catalogue, taste_als, seed=1).factor_model)
    predictions = score_ladder(Ladder(bias_model, bias_model, bias_model, everything, nothing(spark)), test).cache()
    gains = gains_of(predictions, "bias", "taste", "taste_als")
    for part, rung in (("bias", "bias"), ("taste", "taste"), ("factors", "taste_als")):
        assert (gains_clearly if part in parts else gains_nothing)(gains[rung]), (rung, gains[rung])
