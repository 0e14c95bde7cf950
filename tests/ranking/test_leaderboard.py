"""The lists of all ranking models: whom they are for, what they hold, and that both carriers make the same."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from ranking.parameters import WEIGHTS, small_parameters

from movie_recs.data.blocks import local_blocks, open_blocks
from movie_recs.data.schemas import RATINGS, TABLES
from movie_recs.model.factor_model import FACTORS, FactorModel
from movie_recs.model.top_n import top_n
from movie_recs.model.users import fold_in
from movie_recs.ranking.baselines import baseline_scores
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.fit import RankingParts, compose, fit_als, fit_ease, make_parts
from movie_recs.ranking.leaderboard import ListingTask, list_movies
from movie_recs.ranking.parameters import RankingParameters

MOVIE_IDS, K, NEWCOMER = np.arange(1, 31, dtype=np.int32), 4, 99
PARAMETERS = small_parameters(K)
ALS = PARAMETERS.tuning.grid.candidates()[0]
CANDIDATES = {
    "implicit_als": RankingCandidate(model="implicit_als", **ALS.model_dump()),
    "ease": RankingCandidate(model="ease", ease_reg=3, **WEIGHTS),
    "blend": RankingCandidate(model="blend", **ALS.model_dump(), ease_reg=3, als_weight=0.5, **WEIGHTS),
}


@pytest.fixture(scope="module")
def train() -> pd.DataFrame:
    """Users 1 to 20; user 1 has rated all movies but three."""
    rng = np.random.default_rng(5)
    rated = rng.random((20, len(MOVIE_IDS))) < 0.4
    rated[0] = MOVIE_IDS > 3
    users, movies = np.nonzero(rated)
    days = [datetime(2020, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 900, len(users))]
    stars = rng.integers(1, 11, len(users)) / 2
    return pd.DataFrame({"user_id": users + 1, "movie_id": movies + 1, "rating": stars, "rated_at": days})


@pytest.fixture(scope="module")
def ratings(spark, train):
    return spark.createDataFrame(train, RATINGS).cache()


@pytest.fixture(scope="module")
def local(ratings):
    return local_blocks(ratings, MOVIE_IDS)


@pytest.fixture(scope="module")
def parts(spark, ratings, local) -> RankingParts:
    return make_parts(
        fit_als(local, ALS, PARAMETERS, spark), ratings, MOVIE_IDS, fit_ease(local, CANDIDATES["ease"], PARAMETERS)
    )


@pytest.fixture(scope="module")
def rating_model(spark) -> FactorModel:
    """It does not know the newcomer."""
    rng = np.random.default_rng(6)
    sides = [
        spark.createDataFrame([(each, float(rng.normal()), rng.normal(size=2).tolist()) for each in ids], FACTORS)
        for ids in (range(1, 21), MOVIE_IDS.tolist())
    ]
    return FactorModel(3.5, *(side.cache() for side in sides))


@pytest.fixture(scope="module")
def make_lists(spark, ratings, parts, rating_model):
    users = ratings.select("user_id").distinct().union(spark.createDataFrame([(NEWCOMER,)], "user_id int"))

    def make(carrier: str, parameters: RankingParameters = PARAMETERS) -> pd.DataFrame:
        blocks = open_blocks(carrier, ratings, MOVIE_IDS)
        try:
            made = list_movies(ListingTask(parts, CANDIDATES, rating_model, ratings, blocks, users), parameters)
            assert ", ".join(f"{name} {kind}" for name, kind in made.dtypes) == TABLES["ranking.lists"]
            return made.toPandas().sort_values(["model", "user_id", "rank"], ignore_index=True)
        finally:
            blocks.close()

    return make


@pytest.fixture(scope="module")
def lists(make_lists, carrier) -> pd.DataFrame:
    return make_lists(carrier)


def test_both_carriers_give_the_same_lists(make_lists, lists):
    pd.testing.assert_frame_equal(lists, make_lists("local"), rtol=0, atol=1e-6)


def test_every_model_ranks_for_every_user_what_she_has_not_rated(lists, train):
    lengths = lists.groupby(["model", "user_id"])["rank"].apply(list)
    models = {"random", "most_popular", "damped_mean", "rating_by_stars", *CANDIDATES}
    assert set(lengths.index) == {(model, user) for model in models for user in [*range(1, 21), NEWCOMER]}
    assert all(ranks == list(range(1, 1 + (3 if user == 1 else K))) for (_, user), ranks in lengths.items())
    assert lists.merge(train, on=["user_id", "movie_id"]).empty


@pytest.mark.parametrize("name", ["rating_by_stars", *CANDIDATES])
def test_a_models_lists_are_the_top_n_of_its_scores(spark, lists, ratings, local, parts, rating_model, name):
    model = rating_model
    if name in CANDIDATES:
        model = compose(parts, CANDIDATES[name], PARAMETERS.preference, local, spark)
    users, seen = ratings.select("user_id").distinct(), ratings.select("user_id", "movie_id")
    expected = top_n(model, users, seen, K).toPandas().sort_values(["user_id", "rank"], ignore_index=True)
    found = lists[(lists["model"] == name) & (lists["user_id"] != NEWCOMER)]
    found = found.drop(columns=["model", "predicted_stars"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["most_popular", "damped_mean"])
def test_a_baseline_ranks_alike_for_everybody(lists, ratings, train, name):
    scores = baseline_scores(name, ratings, MOVIE_IDS, PARAMETERS.evaluation.damping)
    for user, found in lists[lists["model"] == name].groupby("user_id"):
        left = np.setdiff1d(MOVIE_IDS, train.loc[train["user_id"] == user, "movie_id"])
        expected = sorted(left.tolist(), key=lambda movie: (-scores[movie - 1], movie))[:K]
        assert found["movie_id"].tolist() == expected
        np.testing.assert_allclose(found["score"], scores[np.array(expected) - 1], rtol=1e-6)


def test_random_lists_differ_by_user_and_by_seed(make_lists, lists):
    def random_lists(table: pd.DataFrame) -> dict[int, tuple[int, ...]]:
        by_user = table[(table["model"] == "random") & (table["user_id"] != NEWCOMER)].groupby("user_id")
        return {user: tuple(movies) for user, movies in by_user["movie_id"]}

    found = random_lists(lists)
    assert len(set(found.values())) == len(found) == 20
    other = PARAMETERS.model_copy(update={"tuning": PARAMETERS.tuning.model_copy(update={"seed": -6})})
    others = random_lists(make_lists("local", other))
    assert sum(found[user] == others[user] for user in found) < 3


def test_a_newcomer_gets_what_is_rated_much_of_late(lists, train):
    age = (train["rated_at"].max() - train["rated_at"]).dt.days
    popularity = (2.0 ** (-age / 365)).groupby(train["movie_id"]).sum()
    found = lists[lists["user_id"] == NEWCOMER]
    for model in CANDIDATES:
        assert found.loc[found["model"] == model, "movie_id"].tolist() == popularity.nlargest(K).index.tolist()


def test_by_stars_a_newcomer_gets_the_highest_movie_biases(lists, rating_model):
    """A user without ratings has no bias and no taste."""
    bias = {row["id"]: row["bias"] for row in rating_model.items.collect()}
    found = lists[(lists["user_id"] == NEWCOMER) & (lists["model"] == "rating_by_stars")]
    assert found["movie_id"].tolist() == sorted(bias, key=bias.get, reverse=True)[:K]
    np.testing.assert_allclose(found["score"], [3.5 + bias[movie] for movie in found["movie_id"]], rtol=1e-6)


def test_a_new_users_lists_follow_from_her_ratings_and_leave_them_out(
    spark, ratings, lists, local, parts, rating_model, carrier
):
    """Each has the ratings of a user of the fit, and gets that user's list, or that by the model's rule."""
    twins = ratings.withColumn("user_id", ratings.user_id + 100)
    users = twins.select("user_id").distinct()
    known = rating_model.users.withColumn("id", rating_model.users.id + 100)
    blocks = open_blocks(carrier, twins, MOVIE_IDS)
    try:
        model = rating_model._replace(users=known)
        made = list_movies(ListingTask(parts, CANDIDATES, model, ratings, blocks, users, are_new=True), PARAMETERS)
        found = made.toPandas().sort_values(["model", "user_id", "rank"], ignore_index=True)
    finally:
        blocks.close()
    found["user_id"] -= 100
    als = compose(parts, CANDIDATES["implicit_als"], PARAMETERS.preference, local, spark)
    by_rule = top_n(als._replace(users=fold_in(als, ratings)), ratings.select("user_id"), ratings, K).toPandas()
    expected = pd.concat(
        [
            lists[(lists["user_id"] != NEWCOMER) & (lists["model"] != "implicit_als")],
            by_rule.assign(model="implicit_als"),
        ]
    ).sort_values(["model", "user_id", "rank"], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected[found.columns], rtol=0, atol=1e-6)
