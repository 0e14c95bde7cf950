"""Damped biases and tastes against the linear system that they solve, and what they say of movies nobody has rated."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from movie_recs.model.factor_model import score
from movie_recs.als.parameters import AlsParameters
from movie_recs.rating.parameters import BaselineParameters, FeatureWeights
from movie_recs.rating import biases as baselines
from movie_recs.rating import features as movie_features
from movie_recs.rating.biases import NO_FOLD, Problem, cross_val_scores, fit_baseline, fit_movie_sides, in_blocks
from movie_recs.rating.features import Catalogue

HALF = 0.5**0.5
NEW_COMEDY, NEW_HORROR = 70, 80  # nobody has rated them
IDS = np.array([10, 20, 30, 40, 50, 60, NEW_COMEDY, NEW_HORROR], np.int32)
GENRES = np.array([[1, 0], [1, 0], [0, 1], [0, 1], [HALF, HALF], [0, 0], [1, 0], [0, 1.0]])  # comedy, horror
CATALOGUE = Catalogue(IDS, GENRES, FeatureWeights(genres=1, year=0, popularity=0.5, audience=0))

STRANGER = 99
ROWS = [  # user, movie, stars, fold; comedies are liked, but not by user 3; 7 and 60 are in fold 0 only, 6 and 40 in 1
    (1, 10, 5.0, 0), (1, 20, 4.0, 1), (1, 30, 2.0, 0), (1, 40, 1.5, 1),
    (2, 10, 4.5, 1), (2, 20, 5.0, 0), (2, 50, 3.0, 1), (2, 60, 3.5, 0),
    (3, 30, 4.5, 0), (3, 40, 5.0, 1), (3, 10, 2.0, 1), (3, 50, 3.5, 0),
    (4, 20, 3.5, 0), (4, 40, 2.5, 1),
    (5, 10, 4.0, 0), (5, 30, 1.0, 1), (5, 50, 2.0, 0), (5, 20, 4.5, 1),
    (6, 10, 3.0, 1), (6, 20, 3.5, 1),
    (7, 20, 4.0, 0), (7, 30, 3.0, 0),
]  # fmt: skip
TABLE = pd.DataFrame(ROWS, columns=["user_id", "movie_id", "rating", "fold"])

BIASES = BaselineParameters(user_damping=2, movie_damping=3)
TASTE = BaselineParameters(user_damping=2, movie_damping=3, taste_reg=1.5, prior_reg=1e-9)
TASTE_AND_PRIOR = TASTE.model_copy(update={"prior_reg": 4})
PROBLEMS = [
    Problem(parameters, held_out) for parameters in (BIASES, TASTE, TASTE_AND_PRIOR) for held_out in (NO_FOLD, 0, 1)
]
PLACES = [pytest.param(place, id=f"{place // 3}-{problem.held_out}") for place, problem in enumerate(PROBLEMS)]


def to_frame(spark, rows):
    return spark.createDataFrame(rows, "user_id int, movie_id int, rating float, fold int")


@pytest.fixture(scope="module")
def ratings(spark):
    return to_frame(spark, ROWS).cache()


@pytest.fixture(scope="module")
def blocks(ratings):
    return in_blocks(ratings).cache()


@pytest.fixture(scope="module")
def converged(ratings):
    """The fits of `PROBLEMS`, down to the last digits; many turns, so few tasks a turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TOLERANCE", 1e-7)
        patch.setattr(baselines, "MOST_TURNS", 200)
        patch.setattr(baselines, "LEAST_BLOCKS", 1)
        return fit_movie_sides(in_blocks(ratings).cache(), CATALOGUE, PROBLEMS)


@pytest.fixture(scope="module")
def sides(blocks):
    """The fits of `PROBLEMS`, as every run has them."""
    return fit_movie_sides(blocks, CATALOGUE, PROBLEMS)


@pytest.fixture(scope="module")
def scores(blocks, converged):
    return cross_val_scores(blocks, converged).toPandas()


@pytest.fixture(scope="module")
def bias_model(ratings):
    return fit_baseline(ratings, CATALOGUE, BIASES)


@pytest.fixture(scope="module")
def taste_model(ratings):
    return fit_baseline(ratings, CATALOGUE, TASTE)


def scores_of(spark, model, *pairs: tuple[int, int]) -> list[float]:
    scored = score(model, spark.createDataFrame(pairs, "user_id int, movie_id int")).collect()
    found = {(row["user_id"], row["movie_id"]): row["score"] for row in scored}
    return [found[pair] for pair in pairs]


def assert_alike(some, others, atol: float = 0.0):
    for one, other in zip(some, others, strict=True):
        assert one.problem == other.problem
        for field in ("intercept", "ids", "bias", "features", "ratings"):
            np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=0, atol=atol)


# The solution by other means.


def centred_features(seen: pd.DataFrame) -> np.ndarray:
    ratings = np.array([(seen["movie_id"] == id_).sum() for id_ in IDS])
    features = np.column_stack([GENRES, 0.5 * np.log(1 + ratings)])
    return features - features[np.searchsorted(IDS, seen["movie_id"])].mean(axis=0)


def solve_at_once(seen: pd.DataFrame, parameters: BaselineParameters) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """b_u, w_u and b_i from one linear system in b_u, b_i, w_u and g.

    It is that of least squares: a row a rating, and a row a pull, whose target is 0. Where `prior_reg` counts, the
    turns lead not quite to that minimum: the users' mean weights v are the movies' when these are solved for, so that
    n_i f_i . v is added to what their biases have to explain.
    """
    users, size = seen["user_id"].unique(), 3 if parameters.taste_reg else 0
    features = centred_features(seen)[:, :size]
    edges = np.cumsum([0, len(users), len(IDS), len(users) * size, size])
    user, movie, taste, prior = (np.arange(*pair) for pair in pairwise(edges))
    taste = taste.reshape(len(users), size)

    def row(weight: float, *terms: tuple[np.ndarray, np.ndarray | float]) -> np.ndarray:
        values = np.zeros(edges[-1])
        for columns, coefficients in terms:
            values[columns] = coefficients
        return np.sqrt(weight) * values

    u, i = np.searchsorted(users, seen["user_id"]), np.searchsorted(IDS, seen["movie_id"])
    rows = [row(1, (user[a], 1), (movie[b], 1), (taste[a], features[b])) for a, b in zip(u, i, strict=True)]
    rows += [row(parameters.user_damping, (each, 1)) for each in user]
    rows += [row(parameters.movie_damping, (movie[b], 1), (prior, -features[b])) for b in range(len(IDS))]
    rows += [row(parameters.taste_reg, (each, 1)) for each in taste.ravel()]
    rows += [row(parameters.prior_reg, (each, 1)) for each in prior]
    system, targets = np.array(rows), np.zeros(len(rows))
    targets[: len(seen)] = seen["rating"] - seen["rating"].mean()
    left = system.T @ system
    if parameters == TASTE_AND_PRIOR:
        for b, id_ in enumerate(IDS):
            left[movie[b], taste] -= (seen["movie_id"] == id_).sum() * features[b] / len(users)
    solution = np.linalg.solve(left, system.T @ targets)
    return solution[user], solution[taste], solution[movie]


@pytest.mark.parametrize("place", PLACES)
def test_a_fit_solves_one_linear_system_in_all_unknowns(converged, scores, place):
    parameters, held_out = PROBLEMS[place]
    seen = TABLE[TABLE["fold"] != held_out]
    user_bias, tastes, movie_bias = solve_at_once(seen, parameters)
    np.testing.assert_allclose(converged[place].bias, movie_bias, atol=1e-5)
    assert converged[place].intercept == pytest.approx(seen["rating"].mean())

    users = seen["user_id"].unique()
    rows = scores[(scores["problem"] == place) & scores["user_id"].isin(users)]
    u, i = np.searchsorted(users, rows["user_id"]), np.searchsorted(IDS, rows["movie_id"])
    expected = seen["rating"].mean() + user_bias[u] + movie_bias[i]
    if parameters.taste_reg:
        expected += (tastes[u] * centred_features(seen)[i]).sum(axis=1)
    np.testing.assert_allclose(rows["score"], expected, atol=1e-5)


def test_a_run_stops_near_the_solution(sides, converged):
    for side, solution in zip(sides, converged, strict=True):
        change = np.sqrt(side.ratings @ (side.bias - solution.bias) ** 2 / side.ratings.sum())
        assert change < 4 * baselines.TOLERANCE


def test_features_are_centred_over_the_ratings_that_a_fit_sees(converged):
    for side in converged:
        seen = TABLE[TABLE["fold"] != side.problem.held_out]
        features = centred_features(seen)[:, : side.features.shape[1]]
        np.testing.assert_allclose(side.features, features, atol=1e-12)


def test_without_any_feature_a_taste_is_a_bias(blocks):
    weights = FeatureWeights(genres=0, year=0, popularity=0, audience=0)
    nothing = Catalogue(IDS, np.zeros((len(IDS), 0)), weights)
    bias, taste = fit_movie_sides(blocks, nothing, [Problem(BIASES), Problem(TASTE)])
    np.testing.assert_allclose(taste.bias, bias.bias, atol=1e-12)


def test_ratings_that_are_all_equal_are_predicted(spark, ratings):
    fours = fit_baseline(ratings.withColumn("rating", F.lit(4.0).cast("float")), CATALOGUE, TASTE)
    pairs = (1, 10), (1, NEW_COMEDY), (6, 60), (STRANGER, 30), (STRANGER, NEW_HORROR), (STRANGER, 12345)
    np.testing.assert_allclose(scores_of(spark, fours, *pairs), 4, atol=1e-6)


# Movies and users that nobody knows.


def test_biases_alone_do_not_tell_new_movies_apart(spark, bias_model):
    comedy, horror = scores_of(spark, bias_model, (1, NEW_COMEDY), (1, NEW_HORROR))
    assert comedy == horror


def test_a_new_movie_is_worth_what_its_genres_are_worth(spark, taste_model):
    comedy, horror = scores_of(spark, taste_model, (STRANGER, NEW_COMEDY), (STRANGER, NEW_HORROR))
    assert comedy > horror + 0.3


def test_a_users_own_taste_adds_to_a_new_movie(spark, taste_model):
    def prefers_comedy(user_id: int) -> float:
        comedy, horror = scores_of(spark, taste_model, (user_id, NEW_COMEDY), (user_id, NEW_HORROR))
        return comedy - horror

    everyone = prefers_comedy(STRANGER)
    assert prefers_comedy(1) > everyone + 0.3
    assert prefers_comedy(3) < 0 < everyone


def test_a_new_user_is_scored_by_the_movies_biases(spark, taste_model):
    bias = {row["id"]: row["bias"] for row in taste_model.items.collect()}
    found = scores_of(spark, taste_model, *((STRANGER, id_) for id_ in IDS.tolist()))
    above = [one - bias[id_] for one, id_ in zip(found, IDS.tolist(), strict=True)]
    mean_bias = taste_model.users.agg(F.avg("bias")).first()[0]
    # But for the last turn's rest, mean weights are 0: the mean taste is in the movies' biases.
    np.testing.assert_allclose(above, taste_model.intercept + mean_bias, atol=0.02)
    assert max(bias.values()) - min(bias.values()) > 0.5


# The same ratings give the same model.


def test_the_same_ratings_give_the_same_model_however_they_come(ratings, taste_model):
    shuffled = ratings.repartition(7, "movie_id").sortWithinPartitions("rating")
    again = fit_baseline(shuffled, CATALOGUE, TASTE)
    assert again.intercept == taste_model.intercept
    for one, other in ((taste_model.users, again.users), (taste_model.items, again.items)):
        assertDataFrameEqual(one, other, rtol=0, atol=0)


def test_users_are_whole_in_blocks_and_in_order(ratings, monkeypatch):
    def partitions():
        parts = in_blocks(ratings.repartition(3)).rdd.glom().collect()
        assert sum(map(len, parts)) == len(ROWS)
        pairs = [[(row["user_id"], row["movie_id"]) for row in part] for part in parts]
        assert all(part == sorted(part) for part in pairs)
        users = [user for part in pairs for user in {user for user, _ in part}]
        assert sorted(users) == [1, 2, 3, 4, 5, 6, 7]
        return len(parts)

    assert partitions() == baselines.LEAST_BLOCKS == 4  # on the tests' two cores
    monkeypatch.setattr(baselines, "RATINGS_PER_BLOCK", 4)
    assert partitions() == 6  # 22 ratings


def test_more_blocks_give_the_same_fits(ratings, sides, monkeypatch):
    monkeypatch.setattr(baselines, "RATINGS_PER_BLOCK", 3)
    blocks = in_blocks(ratings).cache()
    folds = [{row["fold"] for row in part} for part in blocks.rdd.glom().collect()]
    assert {1} in folds  # what a block holds may all be held out
    assert set() in folds
    some = slice(0, None, 4)  # one of each kind, one of each fold
    assert_alike(fit_movie_sides(blocks, CATALOGUE, PROBLEMS[some]), sides[some], atol=1e-9)


def test_problems_solved_together_are_what_each_is_alone(blocks, sides, monkeypatch):
    monkeypatch.setattr(baselines, "SUMS_AT_A_TIME", 1)
    alone = slice(0, None, 4)  # one of each kind, one of each fold
    assert_alike(fit_movie_sides(blocks, CATALOGUE, PROBLEMS[alone]), sides[alone], atol=1e-12)


# Folds.


def test_a_fit_does_not_see_the_stars_of_its_held_out_fold(spark, sides):
    others = [(user, movie, 5.5 - stars if fold == 0 else stars, fold) for user, movie, stars, fold in ROWS]
    without_0, without_1 = slice(1, None, 3), slice(2, None, 3)
    again = fit_movie_sides(in_blocks(to_frame(spark, others)), CATALOGUE, PROBLEMS)
    assert_alike(again[without_0], sides[without_0])
    for one, other in zip(again[without_1], sides[without_1], strict=True):
        assert np.abs(one.bias - other.bias).max() > 0.1


def test_a_fit_does_not_see_who_rated_what_in_its_held_out_fold(blocks, ratings, monkeypatch):
    monkeypatch.setattr(movie_features, "AUDIENCE", AlsParameters(rank=2, reg_param=0.1, max_iter=2))
    with_audience = CATALOGUE._replace(weights=CATALOGUE.weights.model_copy(update={"audience": 0.7}))
    only_1 = in_blocks(ratings.filter("fold = 1"))
    (without_0,) = fit_movie_sides(blocks, with_audience, [Problem(TASTE_AND_PRIOR, 0)], seed=1)
    (alone,) = fit_movie_sides(only_1, with_audience, [Problem(TASTE_AND_PRIOR)], seed=1)
    assert without_0.features.shape[1] == 5  # two genres, popularity, audience
    assert_alike([without_0], [alone._replace(problem=without_0.problem)], atol=1e-12)


def test_cross_val_scores_have_each_rating_once_a_problem(scores):
    for place, problem in enumerate(PROBLEMS):
        rows = scores[scores["problem"] == place].sort_values(["user_id", "movie_id"])
        expected = TABLE.sort_values(["user_id", "movie_id"])
        for column in ("user_id", "movie_id", "rating"):
            assert rows[column].tolist() == expected[column].tolist()
        assert rows["held_out"].tolist() == (expected["fold"] == problem.held_out).tolist()
    assert len(scores) == len(PROBLEMS) * len(ROWS)


def test_a_rating_is_warm_if_the_fit_knows_its_user_and_its_movie(scores):
    cold = {
        NO_FOLD: set(),
        0: {(7, 20), (7, 30), (2, 60)},
        1: {(6, 10), (6, 20), (1, 40), (3, 40), (4, 40)},
    }
    for place, problem in enumerate(PROBLEMS):
        rows = scores[(scores["problem"] == place) & ~scores["warm"]]
        assert set(zip(rows["user_id"], rows["movie_id"], strict=True)) == cold[problem.held_out]


def test_held_out_ratings_are_scored_as_the_model_of_the_other_folds_scores_them(blocks, ratings, sides):
    place = PROBLEMS.index(Problem(TASTE_AND_PRIOR, 0))
    parameters, fold = PROBLEMS[place]
    model = fit_baseline(ratings.filter(F.col("fold") != fold), CATALOGUE, parameters)
    by_fit = cross_val_scores(blocks, sides).filter((F.col("problem") == place) & F.col("held_out"))
    both = score(model, by_fit, "by_model").filter("user_id <> 7").toPandas()
    assert len(both) == 9
    np.testing.assert_allclose(both["score"], both["by_model"], atol=1e-4)


def test_a_held_out_user_without_other_ratings_is_scored_by_the_movies_biases(scores, converged):
    for place in (1, 4, 7):
        rows = scores[(scores["problem"] == place) & (scores["user_id"] == 7)].sort_values("movie_id")
        bias = converged[place].bias[np.searchsorted(IDS, [20, 30])]
        np.testing.assert_allclose(rows["score"], converged[place].intercept + bias, atol=1e-12)
