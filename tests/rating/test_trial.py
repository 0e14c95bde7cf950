"""Rating trials: their errors are those of fitted models, cold rows included, on either carrier."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.als.parameters import AlsParameters
from movie_recs.data.blocks import local_blocks, open_blocks
from movie_recs.data.interactions import select_seen
from movie_recs.model.scoring import score
from movie_recs.rating import biases
from movie_recs.rating import features as movie_features
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue, fit_audience
from movie_recs.rating.fit import fit_compiled
from movie_recs.rating.metrics import rating_errors
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.trial import RatingFold, RatingTrialData
from movie_recs.tuning.trial import Trial

COLD_USER, COLD_MOVIE, NEVER_RATED, SEED = 99, 55, 60, 1  # the first two in fold 0 only
IDS = np.array([*range(1, 21), COLD_MOVIE, NEVER_RATED], np.int32)
WEIGHTS = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0.7)
CATALOGUE = Catalogue(IDS, np.random.default_rng(9).random((len(IDS), 2)), WEIGHTS)
FACTORS = {"rank": 2, "reg_param": 0.1, "max_iter": 2}
DAMPINGS = {"user_damping": 5, "movie_damping": 3}
TASTES = {**DAMPINGS, "taste_reg": 4, "prior_reg": 3}
PLAIN = RatingCandidate(model="als", **FACTORS)
BIAS = RatingCandidate(model="bias", **DAMPINGS)
TASTE = RatingCandidate(model="taste", **TASTES)
TASTE_ALS = RatingCandidate(model="taste_als", **TASTES, **FACTORS)
BAYES = RatingCandidate(model="bayes", rank=2, max_iter=2)
CANDIDATES = [PLAIN, BIAS, TASTE, TASTE_ALS, BAYES]


@pytest.fixture(scope="module", autouse=True)
def few_passes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(biases, "MOST_TURNS", 3)
        patch.setattr(movie_features, "AUDIENCE", AlsParameters(rank=2, reg_param=0.1, max_iter=1))
        yield


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Half of the pairs of 24 users and 20 movies, in two folds; a user and a movie in the first only."""
    rng = np.random.default_rng(8)
    user, movie = np.nonzero(rng.random((24, 20)) < 0.5)
    stars = 3 + rng.normal(0, 0.5, 24)[user] + rng.normal(0, 1, 20)[movie] + rng.normal(0, 0.5, len(user))
    table = pd.DataFrame({"user_id": user + 1, "movie_id": movie + 1, "rating": np.round(2 * stars).clip(1, 10) / 2})
    table["fold"] = (user + movie) % 2
    cold = [(COLD_USER, 3, 5.0, 0), (COLD_USER, COLD_MOVIE, 0.5, 0), (1, COLD_MOVIE, 4.5, 0)]
    return pd.concat([table, pd.DataFrame(cold, columns=table.columns)], ignore_index=True)


def to_frame(spark, table: pd.DataFrame):
    return spark.createDataFrame(table, "user_id int, movie_id int, rating float, fold int")


@pytest.fixture(scope="module")
def ratings(spark, table):
    return to_frame(spark, table).cache()


def data_of(blocks, *folds: int) -> RatingTrialData:
    """With the audience of these folds."""
    data = RatingTrialData(blocks, CATALOGUE, SEED, {})
    return data.with_shared({fold: data.fit_shared(fold) for fold in folds})


@pytest.fixture(scope="module")
def local(ratings) -> RatingTrialData:
    return data_of(local_blocks(ratings, IDS), 0, 1)


@pytest.fixture(scope="module")
def data(ratings, carrier):
    blocks = open_blocks(carrier, ratings, IDS)
    yield data_of(blocks, 0)
    blocks.close()


@pytest.fixture(scope="module")
def measured(data) -> list[dict[str, float]]:
    """Of `CANDIDATES` on fold 0."""
    fold = data.open(0)
    return [dict(*fold.measure([candidate])) for candidate in CANDIDATES]


def errors_of(scored) -> dict[str, float]:
    row = rating_errors(scored).first()
    squares = (F.least(F.greatest("score", F.lit(0.5)), F.lit(5.0)) - F.col("rating")) ** 2
    spread, rows = scored.agg(F.stddev_pop(squares), F.count("*")).first()  # by the delta method
    return {**{name: row[name] for name in ("rmse", "rmse_warm")}, "rmse_se": spread / (2 * row["rmse"] * rows**0.5)}


@pytest.mark.parametrize("place", [1, 2, 3, 4], ids=lambda place: CANDIDATES[place].model)
def test_errors_are_those_of_the_model_of_the_other_folds(measured, ratings, place):
    """In float64, and as `rating_errors` has them by Spark; a fitted table is float32."""
    train, held_out = ratings.filter("fold = 1"), ratings.filter("fold = 0")
    model = fit_compiled(train, CATALOGUE, CANDIDATES[place], SEED)
    # The trial's cold user is nobody, with zeros; to a saved model she is the average user.
    zeros = F.transform("features", lambda value: F.lit(0.0).cast("float"))
    nobody = model.users.limit(1).select(F.lit(COLD_USER).alias("id"), F.lit(0.0).cast("float").alias("bias"), zeros)
    model = model._replace(users=model.users.union(nobody))
    is_cold = (F.col("user_id") == COLD_USER) | (F.col("movie_id") == COLD_MOVIE)
    expected = errors_of(score(model, held_out.withColumn("warm", ~is_cold)))
    assert measured[place] == pytest.approx(expected, abs=1e-6)
    assert abs(expected["rmse"] - expected["rmse_warm"]) > 1e-3


def test_of_plain_als_cold_rows_have_mean_factors(measured, table, ratings):
    """Scores beyond the stars are cut."""
    held_out = table[table["fold"] == 0]
    seen = local_blocks(ratings, IDS).map(partial(select_seen, held_out=0))
    targets = seen.map(lambda block: Targets(block, block.ratings.astype(np.float32)))
    ((users, items),) = fit_factors(targets, PLAIN.als, [PLAIN.max_iter], SEED)
    users, items = users.block.astype(float), items.astype(float)
    users[-1] = users[:-1].mean(axis=0)  # the cold user has the highest id
    items[20] = items[:20].mean(axis=0)
    rows = np.searchsorted(seen.user_ids, held_out["user_id"]), np.searchsorted(IDS, held_out["movie_id"])
    scores = (users[rows[0]] * items[rows[1]]).sum(axis=1)
    assert scores.max() > 5 or scores.min() < 0.5
    squares = (held_out["rating"].to_numpy() - scores.clip(0.5, 5)) ** 2
    is_warm = (held_out["user_id"] != COLD_USER) & (held_out["movie_id"] != COLD_MOVIE)
    expected = {"rmse": np.sqrt(squares.mean()), "rmse_warm": np.sqrt(squares[is_warm.to_numpy()].mean())}
    expected["rmse_se"] = squares.std(ddof=0) / (2 * expected["rmse"] * len(squares) ** 0.5)
    assert measured[0] == pytest.approx(expected, abs=1e-6)


def test_both_carriers_measure_the_same(measured, local):
    for candidate, found in zip(CANDIDATES, measured, strict=True):
        (expected,) = local.open(0).measure([candidate])
        assert found == pytest.approx(expected, abs=1e-6)


def test_without_cold_rows_both_errors_are_one(local):
    for candidate in CANDIDATES:
        (found,) = local.open(1).measure([candidate])
        assert found["rmse"] == found["rmse_warm"]


def test_without_warm_rows_their_error_is_none(spark, table):
    """All that is held out is by a user whom no fit has seen."""
    only_cold = table[(table["fold"] == 1) | (table["user_id"] == COLD_USER)]
    (found,) = data_of(local_blocks(to_frame(spark, only_cold), IDS)).open(0).measure([BIAS])
    assert found["rmse"] > 0
    assert found["rmse_warm"] is None


def test_a_fold_without_ratings_has_no_error(local):
    (found,) = local.open(7).measure([BIAS])
    assert found == {"rmse": None, "rmse_se": None, "rmse_warm": None}


@pytest.mark.parametrize("candidate", [PLAIN, TASTE_ALS, BAYES], ids=str)
def test_trials_that_differ_in_max_iter_are_one_fit_with_the_same_errors(data, local, candidate):
    path = [candidate.model_copy(update={"max_iter": number}) for number in (1, 2)]
    together = list(data.open(0).measure(path))
    alone = [dict(*local.open(0).measure([each])) for each in path]
    assert together == [pytest.approx(each, abs=1e-6) for each in alone]
    assert abs(together[0]["rmse"] - together[1]["rmse"]) > 1e-3


def test_candidates_of_one_fold_do_not_change_each_other(local, measured):
    fold = local.open(0)
    for candidate, expected in [*zip(CANDIDATES, measured, strict=True)][::-1]:
        assert dict(*fold.measure([candidate])) == pytest.approx(expected, abs=1e-6)


class TestAudience:
    def test_is_missing_for_the_folds_of_tastes_that_have_none_yet(self, local):
        trials = [
            Trial(TASTE, 3),
            Trial(TASTE_ALS, 1),
            Trial(BIAS, 5),
            Trial(PLAIN, 6),
            Trial(TASTE, 2),
            Trial(BAYES, 4),
        ]
        assert local.missing_parts(trials) == [2, 3, 4]

    def test_is_missing_nowhere_where_it_has_no_weight(self, local):
        weights = WEIGHTS.model_copy(update={"audience": 0})
        without = local._replace(catalogue=CATALOGUE._replace(weights=weights), audience={})
        assert without.missing_parts([Trial(TASTE, 0)]) == []
        assert local._replace(catalogue=None, audience={}).missing_parts([Trial(PLAIN, 0)]) == []

    def test_is_that_of_who_rated_what_outside_the_fold(self, local, ratings):
        others = local_blocks(ratings.filter("fold = 1"), IDS).map(select_seen)
        assert local.audience[0].shape == (len(IDS), 2)
        # A user's first values are drawn by her place; the one who is in fold 0 only is the last.
        np.testing.assert_array_equal(local.audience[0], fit_audience(others, SEED))

    def test_is_the_same_on_both_carriers(self, data, local):
        np.testing.assert_allclose(data.audience[0], local.audience[0], rtol=0, atol=1e-6)

    def test_counts_in_a_taste(self, local):
        (with_it,), (without,) = (each.open(0).measure([TASTE]) for each in (local, local._replace(audience={})))
        assert abs(with_it["rmse"] - without["rmse"]) > 1e-4


def test_held_out_stars_influence_no_fit(spark, table):
    """With other stars held out, only the errors differ; with other stars elsewhere, the scores do."""

    def scores(changed: pd.DataFrame) -> list[np.ndarray]:
        fold = data_of(local_blocks(to_frame(spark, changed), IDS), 0).open(0)
        found = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RatingFold, "_errors", lambda self, sums: found.append(sums))
            patch.setattr("movie_recs.rating.trial._sum_errors", lambda scale, counts, scored: scored.scores)
            for candidate in CANDIDATES:
                list(fold.measure([candidate]))
        return [scores for (scores,) in found]

    before = scores(table)
    held_out_changed, others_changed = (
        table.assign(rating=np.where(table["fold"] == fold, 5.5 - table["rating"], table["rating"])) for fold in (0, 1)
    )
    for one, other in zip(before, scores(held_out_changed), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(before, scores(others_changed), strict=True):
        assert np.abs(one - other).max() > 0.1
