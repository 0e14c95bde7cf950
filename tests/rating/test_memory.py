"""What a rating trial takes of memory, by hand, and the carrier that follows from it."""

from types import SimpleNamespace

import numpy as np
import pytest

from movie_recs.bayes.parameters import BayesGrid
from movie_recs.bayes.turn import PARTS
from movie_recs.rating.features import AUDIENCE, Catalogue
from movie_recs.rating.memory import choose_rating_carrier, estimate_bayes, estimate_memory
from movie_recs.rating.parameters import FeatureWeights, RatingTuningParameters
from movie_recs.tuning import memory
from movie_recs.tuning.memory import Choice, DataSize

SESSION = SimpleNamespace(conf=SimpleNamespace(get=lambda key, default: default))

SIZE = DataSize(100_000, 600, 1000)
CATALOGUE = Catalogue(
    np.arange(1, 11, dtype=np.int32), np.zeros((10, 3)), FeatureWeights(genres=1, year=1, popularity=1, audience=1)
)
TUNING = RatingTuningParameters(
    baseline_grid={name: [5] for name in ("user_damping", "movie_damping", "taste_reg", "prior_reg")},
    grid={"rank": [10, 5], "reg_param": [0.1], "max_iter": [10]},
    seed=1,
)


def test_memory_is_estimated_by_hand():
    """Six features have a triangle of 21 numbers."""
    process, ratings = 350 * 2**20, 110 * 100_000
    users = 8 * 600 * (2 * 21 + 2 * 10)
    movies = 8 * 1000 * (2 * 6 + 2 * 10 + 10 * 20)
    assert AUDIENCE.rank == 20
    assert estimate_memory(SIZE, 10, 6) == process + ratings + users + movies


def test_a_bayesian_model_is_estimated_by_hand():
    """Six features and rank 2: vectors of 8, posteriors of 3 means and 6 covariances; four parts of the users."""
    users, movies = 600 * (21 + 3 * 8), 1000 * (2 * 8 + 7 * 9)
    assert PARTS == 4
    assert estimate_bayes(SIZE, 2, 6) == 8 * (users + movies)


@pytest.mark.parametrize("change", [{"ratings": 200_000}, {"users": 1200}, {"movies": 2000}])
def test_the_estimate_grows_with_the_data(change):
    assert estimate_memory(SIZE._replace(**change), 10, 6) > estimate_memory(SIZE, 10, 6)


@pytest.mark.parametrize(("missing", "expected"), [(0, "local"), (1, "spark")])
def test_auto_is_local_where_the_richest_candidate_fits_into_a_tasks_memory(monkeypatch, missing, expected):
    """Three features are known; a bias, the popularity and the audience are added."""
    needed = estimate_memory(SIZE, 10, 1 + 3 + 1 + 20)
    monkeypatch.setattr(memory, "memory_for_python", lambda *_: needed - missing)
    assert choose_rating_carrier("auto", SIZE, CATALOGUE, TUNING, SESSION).carrier == expected
    grid = BayesGrid(rank=[3, 4], max_iter=1, most_ratings=SIZE.ratings)
    monkeypatch.setattr(memory, "memory_for_python", lambda *_: needed + estimate_bayes(SIZE, 4, 25) - missing)
    tuning = TUNING.model_copy(update={"bayes": grid})
    assert choose_rating_carrier("auto", SIZE, CATALOGUE, tuning, SESSION).carrier == expected


def test_a_bayesian_model_that_is_left_out_takes_no_memory(monkeypatch):
    monkeypatch.setattr(memory, "memory_for_python", lambda *_: estimate_memory(SIZE, 10, 1 + 3 + 1 + 20))
    for most_ratings, expected in ((SIZE.ratings, "spark"), (SIZE.ratings - 1, "local")):
        grid = BayesGrid(rank=4, max_iter=1, most_ratings=most_ratings)
        tuning = TUNING.model_copy(update={"bayes": grid})
        assert choose_rating_carrier("auto", SIZE, CATALOGUE, tuning, SESSION).carrier == expected


@pytest.mark.parametrize("named", ["local", "spark"])
def test_a_carrier_that_is_named_is_taken_whatever_it_needs(monkeypatch, named):
    monkeypatch.setattr(memory, "memory_for_python", None)
    assert choose_rating_carrier(named, SIZE, CATALOGUE, TUNING, None) == Choice(named)
