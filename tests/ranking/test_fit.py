"""Ranking models in Spark against numpy: what counts, what is fitted, and the order of lists."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from pyspark.testing import assertDataFrameEqual

from movie_recs.data.schemas import RATINGS
from movie_recs.datasets.models import FactorModelDataset
from movie_recs.model.factor_model import FactorModel, Folding, add_newcomers, arrays
from movie_recs.model.top_n import top_n
from movie_recs.ranking.parameters import PreferenceParameters, RankingParameters, RatingWeights
from movie_recs.ranking import fit as ranking_model
from movie_recs.ranking.ease import ease_features
from movie_recs.ranking.fit import (
    TIE_BREAK,
    RankingParts,
    _decompose_by_spark,
    _decompose_in_memory,
    compose,
    fit_baseline,
    fit_parts,
    preferences,
    recent_popularity,
)
from movie_recs.ranking.preferences import are_preferred, fold_in_preferences, weigh_stars
from movie_recs.ranking.candidate import RankingCandidate

USERS, MOVIES, RANK = 25, 15, 3
MOVIE_IDS = np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32)  # nobody has rated the last
DAY_ONE = datetime(2020, 1, 1)
PARAMETERS = RankingParameters.model_validate(
    {
        "preference": {"star_weight": 0.3},
        "tuning": {
            "grid": {"rank": RANK, "reg_param": 0.1, "alpha": 2, "max_iter": 3},
            "ease_reg": 2,
            "ease_rank": 100,
            "weight_grid": {"star_weight": 0.4, "half_life": 4, "old_weight": 0.3},
            "als_weight": 0.5,
            "seed": 1,
        },
        "evaluation": {"k": 5, "damping": 10},
    }
)
PREFERENCE, (ALS,) = PARAMETERS.preference, PARAMETERS.tuning.grid.candidates()
WEIGHTS = {"star_weight": 0.4, "half_life": 4, "old_weight": 0.3}
IMPLICIT_ALS = RankingCandidate(model="implicit_als", **ALS.model_dump())
RECENT_ALS = RankingCandidate(model="recent_als", **ALS.model_dump(), **WEIGHTS)
EASE = RankingCandidate(model="ease", ease_reg=2, **WEIGHTS)
BLEND = RankingCandidate(model="blend", **ALS.model_dump(), ease_reg=2, als_weight=0.5, **WEIGHTS)


@pytest.fixture(scope="module")
def rated() -> pd.DataFrame:
    """About half of the pairs of users 1-25 and the movies but the last, in three years; by user, then by movie."""
    rng = np.random.default_rng(7)
    users, movies = np.nonzero(rng.random((USERS, MOVIES - 1)) < 0.5)
    table = {"user_id": users + 1, "movie_id": 10 * movies + 10, "rating": rng.integers(1, 11, len(users)) / 2}
    days = [DAY_ONE + timedelta(days=int(day)) for day in rng.integers(0, 1000, len(users))]
    return pd.DataFrame({**table, "rated_at": days})


@pytest.fixture(scope="module")
def ratings(spark, rated):
    return spark.createDataFrame(rated, RATINGS).cache()


@pytest.fixture(scope="module")
def parts(ratings) -> RankingParts:
    return fit_parts(ratings, MOVIE_IDS, ALS, PARAMETERS, "kernel")


@pytest.fixture(scope="module")
def factors(parts) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Spark ML's own, by id."""
    sides = parts.als_model.userFactors, parts.als_model.itemFactors
    return tuple({row["id"]: np.array(row["features"]) for row in side.collect()} for side in sides)


def lists_of(model: FactorModel, users: list[int], seen, n: int = 100) -> dict[int, list[int]]:
    """The movies of each user's list, the best first."""
    asked = seen.sparkSession.createDataFrame([(user,) for user in users], "user_id int")
    rows = top_n(model, asked, seen.select("user_id", "movie_id"), n).orderBy("user_id", "rank").collect()
    return {user: [row["movie_id"] for row in rows if row["user_id"] == user] for user in users}


class TestPreferences:
    @pytest.mark.parametrize("preferred", ["all", "liked", "above_mean"])
    def test_they_are_those_of_the_kernel_engine_with_the_same_weights(self, ratings, rated, preferred):
        """`preferences.are_preferred`, and `preferences.weigh_stars` of those that are."""
        counts = rated.groupby("user_id").size()
        kept = are_preferred(np.append(0, counts.cumsum()), rated["rating"].to_numpy(), preferred)
        own = rated[kept]
        assert 0 < len(own) <= len(rated) - (preferred != "all")
        counts = own.groupby("user_id").size()
        weights = weigh_stars(np.append(0, counts.cumsum()), own["rating"].to_numpy(), 0.7)
        assert weights.min() == 0.1 or preferred != "all"
        found = preferences(ratings, PreferenceParameters(preferred=preferred, star_weight=0.7))
        assert found.dtypes == ratings.dtypes
        table = found.toPandas().sort_values(["user_id", "movie_id"], ignore_index=True)
        columns = ["user_id", "movie_id", "rated_at"]
        pd.testing.assert_frame_equal(table[columns], own[columns].reset_index(drop=True), check_dtype=False)
        np.testing.assert_allclose(table["rating"], weights, rtol=1e-6)


class TestBaselines:
    """Movies 10 (twice 5 stars), 20 (1, 2 and 3 stars), 30 (5 stars) and 40, which nobody has rated."""

    IDS = np.array([10, 20, 30, 40], np.int32)

    @pytest.fixture
    def few(self, spark):
        rows = [(1, 10, 5.0, None), (2, 10, 5.0, None), (1, 20, 1.0, None), (2, 20, 2.0, None), (3, 20, 3.0, None)]
        return spark.createDataFrame([*rows, (3, 30, 5.0, None)], RATINGS)

    def biases(self, name: str, ratings, seed: int = 1, damping: float = 1) -> list[float]:
        model = fit_baseline(name, ratings, self.IDS, seed, damping)
        rows = model.items.orderBy("id").collect()
        assert [(row["id"], row["features"]) for row in rows] == [(movie, []) for movie in self.IDS]
        return [row["bias"] for row in rows]

    def test_most_popular_counts_ratings(self, few):
        assert self.biases("most_popular", few) == [2, 3, 1, 0]

    @pytest.mark.parametrize("damping", [1, 100])
    def test_damped_mean_adds_ratings_at_the_mean_of_all(self, few, damping):
        """Which is 3.5, that of what nobody has rated."""
        stars, counts = np.array([10, 6, 5, 0]), np.array([2, 3, 1, 0])
        expected = (stars + 3.5 * damping) / (counts + damping)
        assert self.biases("damped_mean", few, damping=damping) == pytest.approx(expected.tolist())

    def test_random_is_what_the_seed_draws_for_each_user(self, few):
        models = [fit_baseline("random", few, self.IDS, seed, 1) for seed in (5, 5, -6)]
        one, again, other = (arrays(model.users).features[:-1] for model in models)
        np.testing.assert_array_equal(one, again)
        assert (one != other).all()
        assert len(np.unique(one, axis=0)) == 3
        lists = lists_of(models[0], [1, 2, 3], few.limit(0))
        assert all(sorted(each) == self.IDS.tolist() for each in lists.values())
        assert len({tuple(each) for each in lists.values()}) > 1

    def test_everybody_gets_the_same_list_but_for_what_she_has_rated(self, few):
        """By damped means: 13.5 / 3, 9.5 / 4, 8.5 / 2 and 3.5."""
        model = fit_baseline("damped_mean", few, self.IDS, 1, 1)
        assert lists_of(model, [1, 2, 3], few.limit(0)) == {user: [10, 30, 40, 20] for user in (1, 2, 3)}
        assert lists_of(model, [1, 3], few) == {1: [30, 40], 3: [10, 40]}


class TestRecentPopularity:
    IDS = np.array([10, 20, 30, 40], np.int32)

    def test_a_rating_counts_half_a_year_before_the_newest(self, spark):
        """10: 1 + 1/2; 20: 1/4; 30: 3/4 by three ratings of two years before."""
        ages = {10: (0, 365), 20: (730,), 30: (730, 730, 730)}
        rows = [
            (user, movie, 3.0, DAY_ONE - timedelta(days=age))
            for movie, own in ages.items()
            for user, age in enumerate(own)
        ]
        found = recent_popularity(spark.createDataFrame(rows, RATINGS), self.IDS)
        np.testing.assert_allclose(found, [1, 1 / 6, 1 / 2, 0])

    def test_without_times_every_rating_counts_the_same(self, spark):
        rows = [(user, movie, 3.0, None) for movie, count in ((10, 1), (30, 4), (40, 2)) for user in range(count)]
        found = recent_popularity(spark.createDataFrame(rows, RATINGS), self.IDS)
        np.testing.assert_allclose(found, [1 / 4, 0, 1, 1 / 2])


class TestParts:
    def test_als_is_spark_mls_with_zeros_for_what_nobody_rated(self, parts, factors):
        assert set(factors[1]) == set(MOVIE_IDS[:-1].tolist())
        np.testing.assert_array_equal(parts.als_items[:-1], [factors[1][movie] for movie in MOVIE_IDS[:-1].tolist()])
        assert not parts.als_items[-1].any()

    def test_the_bias_is_too_small_to_matter_but_between_equal_scores(self, parts, ratings):
        np.testing.assert_allclose(parts.bias, recent_popularity(ratings, MOVIE_IDS) * TIE_BREAK)
        assert parts.bias.max() == TIE_BREAK == 1e-6

    def test_an_als_that_is_given_is_not_fitted_again(self, parts, ratings, monkeypatch):
        monkeypatch.setattr(ranking_model, "fit_weighted_als", None)
        again = fit_parts(ratings, MOVIE_IDS, ALS, PARAMETERS, "kernel", parts.als_model)
        assert again.als_model is parts.als_model
        np.testing.assert_array_equal(again.als_items, parts.als_items)
        np.testing.assert_array_equal(again.spectrum.squares, parts.spectrum.squares)

    def test_spark_decomposes_into_what_memory_does(self, ratings):
        """The largest values, ascending. Signs are arbitrary; products of features are not. (`test_ranking_search`
        compares the two engines' NDCG with all vectors.)"""
        counted, rank = preferences(ratings, PREFERENCE), 4
        both = (_decompose_in_memory, _decompose_by_spark)
        memory, spark = (decompose(counted, MOVIE_IDS, rank, 1) for decompose in both)
        assert spark.vectors.shape == memory.vectors.shape == (MOVIES, rank)
        np.testing.assert_allclose(spark.squares, memory.squares, rtol=1e-6)
        for reg in (1.0, 20.0):
            one, other = (ease_features(spectrum, reg).astype(float) for spectrum in (memory, spark))
            np.testing.assert_allclose(other @ other.T, one @ one.T, atol=1e-5)


@pytest.mark.parametrize("engine", ["kernel", "spark"])
class TestCompose:
    def test_lists_of_implicit_als_are_those_of_spark_mls_own_factors(self, engine, parts, factors, ratings, rated):
        model = compose(parts, IMPLICIT_ALS, PREFERENCE, ratings, engine)
        users, items = factors
        assert users.keys() == set(rated["user_id"])
        bias = dict(zip(MOVIE_IDS.tolist(), parts.bias, strict=True))
        expected = {}
        for user, own in rated.groupby("user_id")["movie_id"]:
            scores = {movie: users[user] @ items.get(movie, np.zeros(RANK)) + bias[movie] for movie in bias}
            expected[user] = sorted(scores.keys() - set(own), key=lambda movie: (-scores[movie], movie))
        assert lists_of(model, list(users), ratings) == expected

    def test_each_model_has_the_features_that_it_uses(self, engine, parts, ratings):
        ease_size = len(parts.spectrum.squares)
        sizes = {IMPLICIT_ALS: (RANK, 0), RECENT_ALS: (RANK, 0), EASE: (0, ease_size), BLEND: (RANK, ease_size)}
        for candidate, (als_size, ease_size) in sizes.items():
            model = compose(parts, candidate, PREFERENCE, ratings, engine)
            assert (model.folding.als_size, model.folding.ease_size) == (als_size, ease_size)
            features = np.stack(model.items.toPandas().sort_values("id")["features"])
            ease = ease_features(parts.spectrum, 2.0) if ease_size else np.zeros((MOVIES, 0))
            als = parts.als_items if als_size else np.zeros((MOVIES, 0))
            np.testing.assert_array_equal(features, np.hstack([als, ease]))

    def test_a_blends_score_is_als_times_its_weight_plus_eases(self, engine, parts, ratings):
        als, ease, both = (
            arrays(model.users).features @ arrays(model.items).features.T
            for model in (compose(parts, each, PREFERENCE, ratings, engine) for each in (RECENT_ALS, EASE, BLEND))
        )
        assert np.ptp(als) > 0.1
        assert np.ptp(ease) > 0.1
        np.testing.assert_allclose(both, 0.5 * als + ease, atol=1e-6)

    def test_who_has_no_history_gets_what_was_rated_most_of_late(self, engine, spark, parts, ratings):
        model = add_newcomers(
            compose(parts, BLEND, PREFERENCE, ratings, engine), spark.createDataFrame([(900,), (1,)], "user_id int")
        )
        popularity = recent_popularity(ratings, MOVIE_IDS)
        expected = sorted(zip(-popularity, MOVIE_IDS.tolist(), strict=True))
        assert len(np.unique(popularity)) == MOVIES
        assert lists_of(model, [900], ratings) == {900: [movie for _, movie in expected]}
        assert model.users.filter("id = 1").count() == 1


class TestSaving:
    def test_a_loaded_ranking_model_folds_in_as_the_saved_one(self, spark, tmp_path):
        weights = RatingWeights(star_weight=0.2, half_life=5, old_weight=0.1)
        folding = Folding(2, 1, "above_mean", weights, 0.6, 0.3, 2.0)
        items = spark.createDataFrame(
            [(10, 0.5, [1.0, 2.0, 0.5]), (20, 0.0, [0.3, -1.0, 2.0])], "id int, bias float, features array<float>"
        )
        ratings = spark.createDataFrame([(1, 10, 4.0, DAY_ONE), (1, 20, 3.0, None), (2, 20, 5.0, DAY_ONE)], RATINGS)
        model = FactorModel(0.0, None, items, folding=folding)
        model = model._replace(users=fold_in_preferences(model, ratings))
        dataset = FactorModelDataset(filepath=str(tmp_path / "model"))
        dataset.save(model)
        loaded = dataset.load()
        assert loaded.folding == folding
        assert loaded.ridges == ()
        assertDataFrameEqual(fold_in_preferences(loaded, ratings), model.users, rtol=0, atol=0)
