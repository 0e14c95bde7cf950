"""Trials as Spark tasks: the same outcomes however they are spread, one failure not the end of the others."""

import os
import time

import numpy as np
import pandas as pd
import pytest

from movie_recs.als.compiled import UserRidges, collect_interactions, fit_factors, select_seen
from movie_recs.rating.parameters import FeatureWeights
from movie_recs.rating.features import Catalogue
from movie_recs.rating.trial import collect_trial_data
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.tuning.compiled_trials import KernelEngine, _paths
from movie_recs.tuning.trial import Trial

COLD_USER, COLD_MOVIE = 99, 55  # in fold 0 only
BASELINE = {"user_damping": 5, "movie_damping": 3, "taste_reg": 4, "prior_reg": 3}


def plain(rank=2, reg_param=0.1, max_iter=5) -> RatingCandidate:
    return RatingCandidate(model="als", rank=rank, reg_param=reg_param, max_iter=max_iter)


TASTE = RatingCandidate(model="taste", **BASELINE)
TASTE_ALS = RatingCandidate(model="taste_als", **BASELINE, rank=2, reg_param=0.1, max_iter=5)
BIAS_ALS = RatingCandidate(model="bias_als", user_damping=5, movie_damping=3, rank=2, reg_param=0.1, max_iter=5)
CANDIDATES = [plain(), plain(max_iter=2), plain(rank=3), TASTE, TASTE_ALS]
TRIALS = [Trial(candidate, fold) for candidate in CANDIDATES for fold in (0, 1)]


@pytest.fixture(scope="module")
def ratings(spark):
    rng = np.random.default_rng(8)
    user, movie = np.nonzero(rng.random((40, 30)) < 0.5)
    stars = np.round(2 * np.clip(3 + rng.normal(size=40)[user] / 2 + rng.normal(size=30)[movie], 0.5, 5)) / 2
    table = pd.DataFrame({"user_id": user + 1, "movie_id": movie + 1, "rating": stars})
    table["fold"] = rng.integers(0, 2, len(table))
    table.loc[len(table)] = (COLD_USER, 1, 4.5, 0)
    table.loc[len(table)] = (1, COLD_MOVIE, 1.5, 0)
    table = table.astype({"user_id": "int32", "movie_id": "int32", "rating": "float32", "fold": "int32"})
    return spark.createDataFrame(table).cache()


@pytest.fixture(scope="module")
def catalogue():
    ids = np.array([*range(1, 31), COLD_MOVIE], dtype=np.int32)
    weights = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0.7)
    return Catalogue(ids, np.random.default_rng(9).random((len(ids), 3)), weights)


@pytest.fixture(scope="module")
def engine(spark, ratings, catalogue):
    with KernelEngine(spark.sparkContext, collect_trial_data(ratings, catalogue, seed=1)) as engine:
        yield engine


@pytest.fixture(scope="module")
def outcomes(engine):
    return errors(engine.run(TRIALS))


def errors(ended) -> dict:
    return {
        trial: (outcome.measures.get("rmse"), outcome.measures.get("rmse_warm"), outcome.error)
        for trial, outcome in ended
    }


def test_every_trial_ends_once(outcomes):
    assert set(outcomes) == set(TRIALS)
    assert all(rmse > 0 and not error for rmse, _, error in outcomes.values())


def test_outcomes_do_not_depend_on_how_trials_are_spread(engine, outcomes):
    one_by_one = {trial: found for each in TRIALS for trial, found in errors(engine.run([each])).items()}
    assert one_by_one == outcomes
    assert errors(engine.run(TRIALS[::-1])) == outcomes


def test_cold_rows_count_in_one_error_and_not_in_the_other(outcomes):
    for candidate in CANDIDATES:
        assert outcomes[Trial(candidate, 0)][0] != outcomes[Trial(candidate, 0)][1]
        assert outcomes[Trial(candidate, 1)][0] == outcomes[Trial(candidate, 1)][1]


@pytest.mark.parametrize("place", [0, 5], ids=["plain", "on a baseline"])
def test_cold_rows_have_mean_factors_or_on_a_baseline_none(ratings, engine, place):
    candidate = [*CANDIDATES, BIAS_ALS][place]
    interactions = collect_interactions(ratings)  # no catalogue is needed
    seen = select_seen(interactions, 0)
    rows = np.flatnonzero(interactions.folds == 0)
    u, i = interactions.users[rows], interactions.movies[rows]
    base, left = 0.0, seen.ratings
    if candidate.baseline:
        tastes = UserRidges(seen, np.zeros((len(interactions.movie_ids), 0))).fit(candidate.baseline, 0)
        base, left = tastes.scores(u, i), seen.ratings - tastes.scores(seen.users, seen.movies)
    ((users, items),) = fit_factors(seen, left.astype(np.float32), candidate.als, [candidate.max_iter], 1)
    users, items = users.astype(float), items.astype(float)
    if not candidate.baseline:
        cold_user, cold_movie = (
            np.searchsorted(*both)
            for both in ((interactions.user_ids, COLD_USER), (interactions.movie_ids, COLD_MOVIE))
        )
        users[cold_user] = np.delete(users, cold_user, axis=0).mean(axis=0)
        items[cold_movie] = np.delete(items, cold_movie, axis=0).mean(axis=0)
    scores = np.clip(base + (users[u] * items[i]).sum(axis=1), 0.5, 5)
    expected = np.sqrt(np.mean((interactions.ratings[rows] - scores) ** 2))
    ((rmse, _, _),) = errors(engine.run([Trial(candidate, 0)])).values()
    assert rmse == pytest.approx(expected, rel=1e-9)


def test_trials_that_differ_in_max_iter_alone_are_one_fit():
    fits = [[(trial.candidate.max_iter, trial.fold) for trial in path] for path in _paths(TRIALS)]
    assert [(2, 0), (5, 0)] in fits
    assert [(2, 1), (5, 1)] in fits
    assert sum(map(len, fits)) == len(TRIALS) == len(fits) + 2


def test_a_singular_candidate_is_recorded_and_the_others_go_on(engine, outcomes):
    singular = Trial(plain(rank=25, reg_param=0), 0)
    found = errors(engine.run([singular, *TRIALS]))
    assert found.pop(singular)[2].startswith("fold 0: the normal equations are singular")
    assert found == outcomes


def test_a_fold_without_ratings_is_recorded(engine):
    ((_, _, error),) = errors(engine.run([Trial(plain(), 7)])).values()
    assert error == "fold 7: it has no ratings to measure the fit on"


class Deadly(int):
    """A fold that ends the worker which is told of it, as the machine does when memory is short."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_trial_that_kills_its_worker_harms_no_other(engine, outcomes):
    killing = Trial(plain(rank=4), Deadly(0))
    found = errors(engine.run([killing, *TRIALS]))
    assert found.pop(killing)[2].startswith("fold 0: ")
    assert found == outcomes


def test_closing_it_early_cancels_its_job(spark, engine, monkeypatch):
    monkeypatch.setattr("movie_recs.tuning.compiled_trials.uuid4", lambda: "closed")
    slow = [Trial(plain(rank=30, reg_param=0.01 * number, max_iter=1000), 0) for number in range(1, 40)]
    running = engine.run([Trial(TASTE, 0), *slow])
    next(running)
    running.close()
    tracker = spark.sparkContext.statusTracker()
    (job,) = tracker.getJobIdsForGroup("trials-closed")
    deadline = time.monotonic() + 5
    while tracker.getActiveJobsIds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not tracker.getActiveJobsIds()
    assert tracker.getJobInfo(job).status == "FAILED"  # without a cancellation it ends by itself, and SUCCEEDED
