"""The lists of all ranking models: the same by Spark and in memory."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from movie_recs.data.schemas import RATINGS, TABLES
from movie_recs.model.factor_model import FactorModel
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.fit import fit_parts
from movie_recs.ranking.leaderboard import Contest, list_by_spark, list_in_memory
from movie_recs.ranking.candidate import RankingCandidate

MOVIE_IDS, K, NEWCOMER = np.arange(1, 31, dtype=np.int32), 4, 99
WEIGHTS = {"star_weight": 0.4, "half_life": 3, "old_weight": 0.1}
PARAMETERS = RankingParameters.model_validate(
    {
        "preference": {"star_weight": 0.3},
        "tuning": {
            "grid": {"rank": 3, "reg_param": 0.1, "alpha": 2, "max_iter": 2},
            "ease_reg": 3,
            "ease_rank": 100,
            "weight_grid": WEIGHTS,
            "als_weight": 0.5,
            "seed": 1,
        },
        "evaluation": {"k": K, "damping": 10},
    }
)
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
def lists(spark, train) -> tuple[pd.DataFrame, pd.DataFrame]:
    ratings = spark.createDataFrame(train, RATINGS).cache()
    rng = np.random.default_rng(6)
    sides = [
        spark.createDataFrame(
            [(each, float(rng.normal()), rng.normal(size=2).tolist()) for each in ids],
            "id int, bias float, features array<float>",
        )
        for ids in (range(1, 21), MOVIE_IDS.tolist())
    ]
    parts = fit_parts(ratings, MOVIE_IDS, ALS, PARAMETERS, "kernel")
    users = ratings.select("user_id").distinct().union(spark.createDataFrame([(NEWCOMER,)], "user_id int"))
    contest = Contest(parts, CANDIDATES, FactorModel(3.5, *sides), ratings, users)
    made = [make(contest, PARAMETERS) for make in (list_by_spark, list_in_memory)]
    assert {", ".join(f"{name} {kind}" for name, kind in each.dtypes) for each in made} == {TABLES["ranking.lists"]}
    order = ["model", "user_id", "rank"]
    return tuple(each.toPandas().sort_values(order, ignore_index=True) for each in made)


def test_both_ways_give_the_same_lists_to_the_bit(lists):
    pd.testing.assert_frame_equal(*lists, check_exact=True)


def test_every_model_ranks_for_every_user_what_she_has_not_rated(lists, train):
    found, _ = lists
    lengths = found.groupby(["model", "user_id"])["rank"].apply(list)
    models = {"random", "most_popular", "damped_mean", "rating_by_stars", *CANDIDATES}
    assert set(lengths.index) == {(model, user) for model in models for user in [*range(1, 21), NEWCOMER]}
    assert all(ranks == list(range(1, 1 + (3 if user == 1 else K))) for (_, user), ranks in lengths.items())
    assert found.merge(train, on=["user_id", "movie_id"]).empty


def test_a_newcomer_gets_what_is_rated_much_of_late(lists, train):
    age = (train["rated_at"].max() - train["rated_at"]).dt.days
    popularity = (2.0 ** (-age / 365)).groupby(train["movie_id"]).sum()
    found = lists[0].query("user_id == @NEWCOMER")
    for model in CANDIDATES:
        assert found.loc[found["model"] == model, "movie_id"].tolist() == popularity.nlargest(K).index.tolist()
