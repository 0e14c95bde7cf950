"""Ranking models against numpy: what is fitted, what they are composed of, and the order of lists."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from movie_recs.data.blocks import local_blocks, open_blocks
from movie_recs.data.schemas import RATINGS
from movie_recs.model.factor_model import FactorModel, arrays
from movie_recs.model.top_n import top_n
from movie_recs.model.users import add_newcomers, fold_in
from movie_recs.ranking import fit as ranking_fit
from movie_recs.ranking.baselines import recent_popularity
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import (
    TIE_BREAK,
    RankingParts,
    collect_parts,
    compose,
    fit_als,
    fit_candidate,
    fit_ease,
    fit_sequential,
    make_parts,
)
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.preferences import make_rule

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
NEXT = {"model": "sequential", "sequential_reg": 3, "sequential_weight": 1.5}
SEQUENTIAL, OF_BLEND = (each.model_copy(update=NEXT) for each in (EASE, BLEND))


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
def local(ratings):
    return local_blocks(ratings, MOVIE_IDS)


@pytest.fixture(scope="module")
def blocks(ratings, carrier):
    blocks = open_blocks(carrier, ratings, MOVIE_IDS)
    yield blocks
    blocks.close()


@pytest.fixture(scope="module")
def parts(spark, ratings, local) -> RankingParts:
    als_model = fit_als(local, ALS, PARAMETERS, spark)
    ease_items = fit_ease(local, EASE, PARAMETERS)
    following = fit_sequential(local, SEQUENTIAL, PARAMETERS, ease_items)
    return make_parts(als_model, ratings, MOVIE_IDS, ease_items)._replace(sequential_items=following)


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


def with_preference(**changes) -> RankingParameters:
    return PARAMETERS.model_copy(update={"preference": PREFERENCE.model_copy(update=changes)})


COMPILED = PARAMETERS.model_copy(update={"tuning": PARAMETERS.tuning.model_copy(update={"final_fit": "compiled"})})


def scores_of(als_model) -> np.ndarray:
    """Of all pairs that the model knows."""
    users, items = (
        np.stack(side.toPandas().sort_values("id")["features"].to_list())
        for side in (als_model.userFactors, als_model.itemFactors)
    )
    return (users @ items.T).ravel()


def test_a_compiled_final_fit_ranks_as_spark_mls(spark, local):
    """From other first values, so that single places may differ."""
    long = ALS.model_copy(update={"max_iter": 30})
    sparks, ours = (fit_als(local, long, parameters, spark) for parameters in (PARAMETERS, COMPILED))
    assert sparks.rank == ours.rank == long.rank
    assert np.corrcoef(scores_of(sparks), scores_of(ours))[0, 1] > 0.99


def test_a_compiled_final_fit_is_the_same_on_either_carrier(spark, blocks, local):
    found, expected = (fit_als(each, ALS, COMPILED, spark) for each in (blocks, local))
    np.testing.assert_allclose(scores_of(found), scores_of(expected), atol=1e-4)


class TestFitAls:
    # The means are 3 and 4; with star_weight 0.6 the lowest weight is a tenth, not 1 - 0.6 * 2.
    ROWS = ((1, 10, 1.0), (1, 20, 3.0), (1, 30, 5.0), (2, 20, 3.5), (2, 30, 4.5), (3, 40, 2.0))

    @pytest.mark.parametrize(
        ("preferred", "expected"),
        [
            ("all", [(1, 10, 0.1), (1, 20, 1.0), (1, 30, 2.2), (2, 20, 0.7), (2, 30, 1.3), (3, 40, 1.0)]),
            ("liked", [(1, 30, 1.0), (2, 30, 1.0)]),
            ("above_mean", [(1, 20, 0.4), (1, 30, 1.6), (2, 30, 1.0), (3, 40, 1.0)]),
        ],
    )
    def test_what_is_fitted_are_the_preferences_with_their_weights(
        self, spark, carrier, monkeypatch, preferred, expected
    ):
        """The weights are by the mean of the ratings that count."""
        rows = [(*row, None) for row in self.ROWS]
        blocks = open_blocks(carrier, spark.createDataFrame(rows, RATINGS), np.array([10, 20, 30, 40], np.int32))
        monkeypatch.setattr(ranking_fit, "fit_implicit_als", lambda fit_input, als, seed: fit_input.ratings)
        weighted = fit_als(blocks, ALS, with_preference(preferred=preferred, star_weight=0.6), spark)
        assert weighted.dtypes == [("user_id", "int"), ("movie_id", "int"), ("rating", "float")]
        found = sorted(tuple(row) for row in weighted.collect())
        assert found == [(user, movie, pytest.approx(weight)) for user, movie, weight in expected]
        blocks.close()

    def test_a_train_users_own_ratings_give_her_factors_of_the_fit_back(self, spark, ratings, local):
        """The last step of Spark ML's ALS solves the users. No rating is so low that it counts a tenth."""
        parameters = with_preference(star_weight=0.1)
        fit = fit_als(local, ALS, parameters, spark)
        rule = make_rule(IMPLICIT_ALS, parameters.preference, RANK, 0)
        movies = fit.itemFactors.selectExpr("id", "cast(0 as float) as bias", "features")
        found = {row["id"]: row["features"] for row in fold_in(FactorModel(0.0, None, movies, rule), ratings).collect()}
        fitted = {row["id"]: row["features"] for row in fit.userFactors.collect()}
        assert found.keys() == fitted.keys()
        expected = np.array(list(fitted.values()))
        distances = np.linalg.norm(np.array([found[user] for user in fitted]) - expected, axis=1)
        assert (distances < 1e-3 * np.linalg.norm(expected, axis=1)).all()


class TestParts:
    def test_als_is_spark_mls_with_zeros_for_what_nobody_rated(self, parts, factors):
        assert set(factors[1]) == set(MOVIE_IDS[:-1].tolist())
        np.testing.assert_array_equal(parts.als_items[:-1], [factors[1][movie] for movie in MOVIE_IDS[:-1].tolist()])
        assert not parts.als_items[-1].any()

    def test_the_bias_is_too_small_to_matter_but_between_equal_scores(self, parts, ratings):
        np.testing.assert_allclose(parts.bias, recent_popularity(ratings, MOVIE_IDS) * TIE_BREAK)
        assert parts.bias.max() == TIE_BREAK == 1e-6

    def test_ease_is_of_the_preferences_alone(self, ratings, local):
        liked = fit_ease(local, EASE, with_preference(preferred="liked"))
        alone = fit_ease(local_blocks(ratings.filter("rating >= 4"), MOVIE_IDS), EASE, PARAMETERS)
        np.testing.assert_allclose(liked @ liked.T, alone @ alone.T, atol=1e-6)
        everything = fit_ease(local, EASE, PARAMETERS)
        assert np.abs(liked @ liked.T - everything @ everything.T).max() > 0.1


class TestFitCandidate:
    @pytest.fixture
    def fitted_als(self, parts, monkeypatch):
        """Implicit ALS is not fitted again."""
        monkeypatch.setattr(ranking_fit, "fit_implicit_als", lambda fit_input, als, seed: parts.als_model)

    def test_its_als_is_spark_mls_of_the_weighted_preferences(self, ratings, factors):
        fit = fit_candidate(ratings, MOVIE_IDS, IMPLICIT_ALS, ALS, PARAMETERS, "spark")
        found = {row["id"]: row["features"] for row in fit.als_model.itemFactors.collect()}
        assert found.keys() == factors[1].keys()
        for movie, features in found.items():
            np.testing.assert_allclose(features, factors[1][movie], atol=1e-6)

    @pytest.mark.parametrize("candidate", [IMPLICIT_ALS, RECENT_ALS, EASE, BLEND, OF_BLEND], ids=str)
    def test_both_carriers_fit_the_same_model(self, ratings, carrier, parts, candidate, local, spark, fitted_als):
        """Signs of singular vectors are arbitrary; scores are not."""
        found = fit_candidate(ratings, MOVIE_IDS, candidate, ALS, PARAMETERS, carrier).factor_model
        expected = compose(parts, candidate, PREFERENCE, local, spark)
        assert found.rule == expected.rule
        scores = []
        for model in (found, expected):
            users, items = arrays(model.users), arrays(model.items)
            assert users.ids.tolist() == list(range(1, USERS + 1))
            assert items.ids.tolist() == MOVIE_IDS.tolist()
            assert not users.bias.any()
            scores.append(items.bias + users.features @ items.features.T)
        np.testing.assert_allclose(*scores, atol=1e-6)
        assert np.ptp(scores[0]) > 0.1

    def test_without_ease_nothing_is_decomposed(self, ratings, monkeypatch, fitted_als):
        monkeypatch.setattr(ranking_fit, "decompose", None)
        model = fit_candidate(ratings, MOVIE_IDS, RECENT_ALS, ALS, PARAMETERS).factor_model
        assert model.rule.sizes == (RANK, 0)

    @pytest.mark.parametrize("candidate", [RECENT_ALS, BLEND, OF_BLEND], ids=str)
    def test_a_known_users_ratings_give_her_vector_back(self, ratings, candidate, fitted_als):
        model = fit_candidate(ratings, MOVIE_IDS, candidate, ALS, PARAMETERS).factor_model
        users, again = arrays(model.users), arrays(fold_in(model, ratings))
        assert again.ids.tolist() == users.ids.tolist()
        np.testing.assert_array_equal(again.features, users.features)


class TestCollectParts:
    """The parts of a saved fit."""

    @pytest.fixture
    def decomposed(self, monkeypatch) -> list[int]:
        """An entry a decomposition."""
        decomposed, decompose = [], ranking_fit.decompose

        def counted(*arguments):
            decomposed.append(1)
            return decompose(*arguments)

        monkeypatch.setattr(ranking_fit, "decompose", counted)
        return decomposed

    @pytest.mark.parametrize("candidate", [EASE, BLEND], ids=str)
    def test_eases_features_are_those_of_the_saved_winner_to_the_bit(
        self, spark, ratings, blocks, local, parts, candidate, decomposed
    ):
        winner = compose(parts, candidate, PREFERENCE, local, spark)
        mixed = winner._replace(items=winner.items.repartition(3, "id"))
        found = collect_parts(parts.als_model, mixed, blocks, ratings, EASE, PARAMETERS)
        assert not decomposed
        np.testing.assert_array_equal(found.ease_items, parts.ease_items)
        np.testing.assert_array_equal(found.als_items, parts.als_items)
        np.testing.assert_array_equal(found.bias, parts.bias)

    @pytest.mark.parametrize("candidate", [SEQUENTIAL, OF_BLEND], ids=str)
    def test_so_are_the_sequential_ones(self, spark, ratings, blocks, local, parts, candidate, monkeypatch):
        winner = compose(parts, candidate, PREFERENCE, local, spark)
        monkeypatch.setattr(ranking_fit, "fit_sequential", None)
        found = collect_parts(parts.als_model, winner, blocks, ratings, EASE, PARAMETERS, sequential=candidate)
        np.testing.assert_array_equal(found.ease_items, parts.ease_items)
        np.testing.assert_array_equal(found.sequential_items, parts.sequential_items)

    @pytest.mark.parametrize("candidate", [EASE, RECENT_ALS], ids=str)
    def test_or_fitted_on_the_same_ease(self, spark, ratings, blocks, local, parts, candidate):
        winner = compose(parts, candidate, PREFERENCE, local, spark)
        found = collect_parts(parts.als_model, winner, blocks, ratings, EASE, PARAMETERS, sequential=SEQUENTIAL)
        products = (each.ease_items.astype(float) @ each.sequential_items.T for each in (found, parts))
        np.testing.assert_allclose(*products, atol=1e-6)

    def test_without_them_the_preferences_are_decomposed_once(self, spark, ratings, blocks, local, parts, decomposed):
        winner = compose(parts, RECENT_ALS, PREFERENCE, local, spark)
        found = collect_parts(parts.als_model, winner, blocks, ratings, EASE, PARAMETERS)
        assert decomposed == [1]
        products = (each.ease_items.astype(float) @ each.ease_items.T for each in (found, parts))
        np.testing.assert_allclose(*products, atol=1e-6)


class TestCompose:
    def test_lists_of_implicit_als_are_those_of_spark_mls_own_factors(
        self, spark, blocks, parts, factors, ratings, rated
    ):
        model = compose(parts, IMPLICIT_ALS, PREFERENCE, blocks, spark)
        users, items = factors
        assert users.keys() == set(rated["user_id"])
        bias = dict(zip(MOVIE_IDS.tolist(), parts.bias, strict=True))
        expected = {}
        for user, own in rated.groupby("user_id")["movie_id"]:
            scores = {movie: users[user] @ items.get(movie, np.zeros(RANK)) + bias[movie] for movie in bias}
            expected[user] = sorted(scores.keys() - set(own), key=lambda movie: (-scores[movie], movie))
        assert lists_of(model, list(users), ratings) == expected

    def test_each_model_has_the_features_that_it_uses(self, spark, blocks, parts):
        ease_size = parts.ease_items.shape[1]
        sizes = {IMPLICIT_ALS: (RANK, 0), RECENT_ALS: (RANK, 0), EASE: (0, ease_size), BLEND: (RANK, ease_size)}
        for candidate, (als_size, ease_size) in sizes.items():
            model = compose(parts, candidate, PREFERENCE, blocks, spark)
            assert model.rule.sizes == (als_size, ease_size)
            features = np.stack(model.items.toPandas().sort_values("id")["features"])
            ease = parts.ease_items if ease_size else np.zeros((MOVIES, 0))
            als = parts.als_items if als_size else np.zeros((MOVIES, 0))
            np.testing.assert_array_equal(features, np.hstack([als, ease]))

    def test_a_blends_score_is_als_times_its_weight_plus_eases(self, spark, blocks, parts):
        als, ease, both = (
            arrays(model.users).features @ arrays(model.items).features.T
            for model in (compose(parts, each, PREFERENCE, blocks, spark) for each in (RECENT_ALS, EASE, BLEND))
        )
        assert np.ptp(als) > 0.1
        assert np.ptp(ease) > 0.1
        np.testing.assert_allclose(both, 0.5 * als + ease, atol=1e-6)

    def test_what_is_rated_next_is_added_with_its_weight(self, spark, blocks, parts):
        model = compose(parts, OF_BLEND, PREFERENCE, blocks, spark)
        blend = compose(parts, BLEND, PREFERENCE, blocks, spark)
        sides = ((arrays(each.users), arrays(each.items)) for each in (model, blend))
        both, alone = (users.features @ items.features[:-1].T for users, items in sides)
        following = arrays(blend.users).features[:, RANK:] @ parts.sequential_items.T
        assert np.ptp(following) > 0.1
        np.testing.assert_allclose(both, alone + 1.5 * following, atol=1e-6)

    def test_who_has_no_history_gets_what_was_rated_most_of_late(self, spark, blocks, parts, ratings):
        model = add_newcomers(
            compose(parts, BLEND, PREFERENCE, blocks, spark), spark.createDataFrame([(900,), (1,)], "user_id int")
        )
        popularity = recent_popularity(ratings, MOVIE_IDS)
        expected = sorted(zip(-popularity, MOVIE_IDS.tolist(), strict=True))
        assert len(np.unique(popularity)) == MOVIES
        assert lists_of(model, [900], ratings) == {900: [movie for _, movie in expected]}
        assert model.users.filter("id = 1").count() == 1
