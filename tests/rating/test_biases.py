"""Damped biases and tastes against the linear system that they solve, and what they say of movies nobody has rated."""

from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from movie_recs.als.parameters import AlsParameters
from movie_recs.data import blocks as data_blocks
from movie_recs.data.blocks import Blocks, local_blocks, open_blocks, spark_blocks
from movie_recs.data.interactions import NO_FOLD, Interactions, select_seen
from movie_recs.model.scoring import score
from movie_recs.rating import biases
from movie_recs.rating import features as movie_features
from movie_recs.rating.biases import Baseline, SolvedUsers, count_ratings, fit_biases, prepare_users, score_pairs
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue, fit_audience
from movie_recs.rating.fit import fit_compiled
from movie_recs.rating.parameters import BaselineParameters, FeatureWeights

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
USERS = np.arange(1, 8)

BIASES = BaselineParameters(user_damping=2, movie_damping=3)
TASTE = BaselineParameters(user_damping=2, movie_damping=3, taste_reg=1.5, prior_reg=1e-9)
TASTE_AND_PRIOR = TASTE.model_copy(update={"prior_reg": 4})
PROBLEMS = [(parameters, held_out) for parameters in (BIASES, TASTE, TASTE_AND_PRIOR) for held_out in (NO_FOLD, 0, 1)]
ONE_OF_EACH = PROBLEMS[::4]  # of each kind and of each fold
NAMES = {id(BIASES): "biases", id(TASTE): "taste", id(TASTE_AND_PRIOR): "prior"}


def name_of(value) -> str:
    return NAMES.get(id(value)) or f"fold {value}"


def to_frame(spark, rows):
    return spark.createDataFrame(rows, "user_id int, movie_id int, rating float, fold int")


@pytest.fixture(scope="module")
def ratings(spark):
    return to_frame(spark, ROWS).cache()


@pytest.fixture(scope="module")
def blocks(ratings, carrier):
    blocks = open_blocks(carrier, ratings, IDS)
    yield blocks
    blocks.close()


def fit(blocks: Blocks[Interactions], parameters: BaselineParameters, held_out: int = NO_FOLD) -> Baseline:
    """As trials and fits put the functions together."""
    seen = blocks.map(partial(select_seen, held_out=held_out))
    counts = count_ratings(seen)
    features = np.zeros((len(IDS), 0))
    if parameters.taste_reg:
        features = movie_features.movie_features(CATALOGUE, counts.by_movie, None)
    return fit_biases(prepare_users(seen, features), counts, features, parameters)


def weights_of(baseline: Baseline) -> np.ndarray:
    """(users, 1 + features), the bias first."""
    return np.vstack(baseline.users.collect(lambda solved: solved.weights))


def assert_alike(one: Baseline, other: Baseline, atol: float = 0.0):
    assert one.side.parameters == other.side.parameters
    for field in ("intercept", "bias", "features", "ratings"):
        np.testing.assert_allclose(getattr(one.side, field), getattr(other.side, field), rtol=0, atol=atol)
    np.testing.assert_allclose(weights_of(one), weights_of(other), rtol=0, atol=atol)


def converged(blocks: Blocks[Interactions], *problem, tolerance: float = 1e-7) -> Baseline:
    """Down to the last digits, or not quite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(biases, "TOLERANCE", tolerance)
        patch.setattr(biases, "MOST_TURNS", 200)
        return fit(blocks, *problem)


def fit_model(ratings, parameters: BaselineParameters, carrier: str = "local"):
    candidate = RatingCandidate(model="baseline", **parameters.model_dump())
    return fit_compiled(ratings, CATALOGUE, candidate, 1, carrier)


@pytest.fixture(scope="module")
def bias_model(ratings):
    return fit_model(ratings, BIASES)


@pytest.fixture(scope="module")
def taste_model(ratings):
    return fit_model(ratings, TASTE)


def scores_of(spark, model, *pairs: tuple[int, int]) -> list[float]:
    scored = score(model, spark.createDataFrame(pairs, "user_id int, movie_id int")).collect()
    found = {(row["user_id"], row["movie_id"]): row["score"] for row in scored}
    return [found[pair] for pair in pairs]


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


@pytest.mark.parametrize(("parameters", "held_out"), PROBLEMS, ids=name_of)
def test_a_fit_solves_one_linear_system_in_all_unknowns(ratings, parameters, held_out):
    assert_solves(converged(local_blocks(ratings, IDS), parameters, held_out), parameters, held_out)


def test_so_does_one_on_either_carrier(blocks):
    """Down to a ten-thousandth of a star, which takes fewer turns."""
    assert_solves(converged(blocks, TASTE, 0, tolerance=1e-4), TASTE, 0, atol=1e-3)


def assert_solves(baseline: Baseline, parameters: BaselineParameters, held_out: int, atol: float = 1e-5):
    seen = TABLE[TABLE["fold"] != held_out]
    user_bias, tastes, movie_bias = solve_at_once(seen, parameters)
    assert baseline.side.intercept == pytest.approx(seen["rating"].mean())
    np.testing.assert_allclose(baseline.side.bias, movie_bias, atol=atol)
    np.testing.assert_allclose(baseline.side.features, centred_features(seen)[:, : tastes.shape[1]], atol=1e-12)
    expected = np.zeros((len(USERS), 1 + tastes.shape[1]))  # for a user without ratings
    expected[np.isin(USERS, seen["user_id"])] = np.column_stack([user_bias, tastes])
    np.testing.assert_allclose(weights_of(baseline), expected, atol=atol)


@pytest.mark.parametrize(("parameters", "held_out"), ONE_OF_EACH, ids=name_of)
def test_both_carriers_stop_at_the_same_place_near_the_solution(blocks, ratings, parameters, held_out):
    local = local_blocks(ratings, IDS)
    found, solution = fit(blocks, parameters, held_out), converged(local, parameters, held_out)
    change = np.sqrt(found.side.ratings @ (found.side.bias - solution.side.bias) ** 2 / found.side.ratings.sum())
    assert 0 < change < 4 * biases.TOLERANCE
    assert_alike(found, fit(local, parameters, held_out), atol=1e-9)


def test_a_score_is_intercept_and_biases_and_taste(ratings):
    baseline = fit(local_blocks(ratings, IDS), TASTE, 0)
    side, (solved,) = baseline.side, baseline.users.collect(lambda solved: solved)
    assert isinstance(solved, SolvedUsers)
    users, movies = np.array([0, 2, 6, 6]), np.array([0, 6, 1, 7])  # the last user has no ratings
    found = score_pairs(side, solved, users, movies)
    for value, user, movie in zip(found, users, movies, strict=True):
        bias, *taste = solved.weights[user]
        assert value == pytest.approx(side.intercept + side.bias[movie] + bias + taste @ side.features[movie])
    np.testing.assert_allclose(found[2:], side.intercept + side.bias[[1, 7]], atol=1e-12)


def test_ratings_are_counted_by_movie(blocks):
    counts = count_ratings(blocks.map(partial(select_seen, held_out=1)))
    assert counts.by_movie.tolist() == [2, 3, 3, 0, 2, 1, 0, 0]
    assert counts.stars == TABLE[TABLE["fold"] == 0]["rating"].sum()


def test_without_any_feature_a_taste_is_a_bias(ratings):
    seen = local_blocks(ratings, IDS).map(select_seen)
    nothing = np.zeros((len(IDS), 0))
    bias, taste = (
        fit_biases(prepare_users(seen, nothing), count_ratings(seen), nothing, each) for each in (BIASES, TASTE)
    )
    np.testing.assert_allclose(taste.side.bias, bias.side.bias, atol=1e-12)


def test_ratings_that_are_all_equal_are_predicted(spark, ratings):
    fours = fit_model(ratings.withColumn("rating", F.lit(4.0).cast("float")), TASTE)
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


def test_the_same_ratings_give_the_same_model_however_they_come(ratings, carrier):
    shuffled = ratings.repartition(7, "movie_id").sortWithinPartitions("rating")
    found, again = (fit_model(each, BIASES, carrier) for each in (ratings, shuffled))
    assert again.intercept == found.intercept
    for one, other in ((found.users, again.users), (found.items, again.items)):
        assertDataFrameEqual(one, other, rtol=0, atol=0)


def test_more_blocks_give_the_same_fit(ratings, monkeypatch):
    """What a block holds may all be held out."""
    monkeypatch.setattr(data_blocks, "RATINGS_PER_BLOCK", 3)
    many = spark_blocks(ratings, IDS)
    assert many.collect(lambda block: set(block.folds.tolist())) == [{0, 1}] * 4 + [{0}]
    parameters, held_out = TASTE_AND_PRIOR, 0
    assert_alike(fit(many, parameters, held_out), fit(local_blocks(ratings, IDS), parameters, held_out), atol=1e-9)
    many.close()


# Folds.


@pytest.mark.parametrize("parameters", [BIASES, TASTE_AND_PRIOR], ids=name_of)
def test_a_fit_does_not_see_the_stars_of_its_held_out_fold(spark, ratings, parameters):
    others = [(user, movie, 5.5 - stars if fold == 0 else stars, fold) for user, movie, stars, fold in ROWS]
    one, other = local_blocks(ratings, IDS), local_blocks(to_frame(spark, others), IDS)
    assert_alike(fit(one, parameters, 0), fit(other, parameters, 0))
    assert np.abs(fit(one, parameters, 1).side.bias - fit(other, parameters, 1).side.bias).max() > 0.1


def test_nor_does_an_audience_see_who_rated_what_in_it(ratings, monkeypatch):
    monkeypatch.setattr(movie_features, "AUDIENCE", AlsParameters(rank=2, reg_param=0.1, max_iter=2))
    # Users keep their first values.
    zero = ratings.withColumn(
        "movie_id", F.when(F.col("fold") == 0, NEW_HORROR).otherwise(F.col("movie_id")).cast("int")
    )
    one, other = (
        fit_audience(local_blocks(table, IDS).map(partial(select_seen, held_out=0)), 1) for table in (ratings, zero)
    )
    np.testing.assert_array_equal(one, other)
    assert one.any()
    assert not one[IDS == NEW_HORROR].any()
