"""The search on a few ratings: which rows it gives, and that its errors are those of models fitted one by one."""

import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyspark.sql import functions as F

from movie_recs.als.parameters import AlsParameters
from movie_recs.bayes.parameters import BayesGrid
from movie_recs.data import blocks
from movie_recs.model.scoring import score
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.rating.features import Catalogue
from movie_recs.rating.fit import fit_compiled
from movie_recs.rating.metrics import rating_errors
from movie_recs.rating.parameters import BaselineGrid, FeatureWeights, RatingTuningParameters
from movie_recs.rating.search import compare, first_values, for_all_users, search
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import IN_THIS_PROCESS, Choice, DataSize
from movie_recs.tuning.trial import Outcome
from movie_recs.tuning.trial_log import TrialLog

FOLDS = 2
REFERENCE = AlsParameters(rank=1, reg_param=0.2, max_iter=2)
TUNING = RatingTuningParameters(
    baseline_grid={"user_damping": [2, 50], "movie_damping": 3, "taste_reg": [5, 8], "prior_reg": 10},
    grid={"rank": [1, 2], "reg_param": 0.1, "max_iter": 2},
    seed=1,
    beyond_edges=False,
)
MODELS = ["bias"] * 2 + ["taste"] * 4 + ["reference_als"] + ["als"] * 2 + ["bias_als"] * 2 + ["taste_als"] * 2
COLD_MOVIE = 31  # in fold 1 only


@pytest.fixture(scope="module")
def ratings(spark):
    """Half of the pairs of 40 users and 30 movies, rated by user, movie and chance; and one movie by two users."""
    rng = np.random.default_rng(8)
    user, movie = np.nonzero(rng.random((40, 30)) < 0.5)
    stars = 3 + rng.normal(0, 0.7, 40)[user] + rng.normal(0, 0.5, 30)[movie] + rng.normal(0, 0.7, len(user))
    table = pd.DataFrame({"user_id": user + 1, "movie_id": movie + 1, "rating": np.round(2 * stars) / 2})
    table["rating"] = table["rating"].clip(0.5, 5)
    table["fold"] = rng.integers(0, FOLDS, len(table))
    table.loc[len(table)] = (1, COLD_MOVIE, 4.5, 1)
    table.loc[len(table)] = (2, COLD_MOVIE, 1.5, 1)
    table = table.astype({"user_id": "int32", "movie_id": "int32", "rating": "float32", "fold": "int32"})
    return spark.createDataFrame(table).cache()


@pytest.fixture(scope="module")
def catalogue():
    features = np.random.default_rng(9).random((COLD_MOVIE, 3))
    weights = FeatureWeights(genres=1, year=0, popularity=0.5, audience=0)
    return Catalogue(np.arange(1, COLD_MOVIE + 1, dtype=np.int32), features, weights)


def search_on(ratings, catalogue, log=None, carrier="local", **changes):
    tuning = TUNING.model_copy(update=changes)
    return search(ratings, catalogue, tuning, REFERENCE, FOLDS, Choice(carrier), log)


@pytest.fixture(scope="module")
def log_path(tmp_path_factory) -> str:
    return f"{tmp_path_factory.mktemp('search')}/finished_trials.jsonl"


@pytest.fixture(scope="module")
def results(ratings, catalogue, log_path):
    """Logged."""
    return search_on(ratings, catalogue, TrialLog(LocalFileSystem(), log_path))


def test_each_model_has_a_row_a_combination(results):
    assert results["model"].tolist() == MODELS
    biases = results[results["model"] == "bias"]
    assert list(zip(biases["user_damping"], biases["movie_damping"], strict=True)) == [(2, 3), (50, 3)]
    tastes = results[results["model"] == "taste"]
    assert list(zip(tastes["user_damping"], tastes["taste_reg"], strict=True)) == [(2, 5), (2, 8), (50, 5), (50, 8)]
    assert results.loc[results["model"].isin(["bias", "taste"]), "rank"].isna().all()
    assert (results["error"] == "").all()
    assert results[["mean_rmse", "std_error", "mean_rmse_warm", "seconds"]].notna().all(axis=None)


def test_factors_are_tried_on_what_the_best_baselines_leave(results):
    for model in ("bias", "taste"):
        tried = results[results["model"] == f"{model}_als"]
        best = best_candidate(results, RatingCandidate, model).baseline
        assert tried["rank"].tolist() == [1, 2]
        for _, row in tried.iterrows():
            assert RatingCandidate(**row[list(RatingCandidate.model_fields)].dropna()).baseline == best
    (reference,) = results[results["model"] == "reference_als"].to_dict("records")
    assert AlsParameters(**{name: reference[name] for name in AlsParameters.model_fields}) == REFERENCE
    assert np.isnan(reference["user_damping"])


@pytest.mark.parametrize("model", ["taste", "taste_als"])
def test_an_error_is_that_of_models_fitted_on_the_other_folds(results, ratings, catalogue, model):
    best = best_candidate(results, RatingCandidate, model)
    errors = []
    for fold in range(FOLDS):
        train, held_out = ratings.filter(F.col("fold") != fold), ratings.filter(F.col("fold") == fold)
        fitted = fit_compiled(train, catalogue, best, TUNING.seed)
        known = train.groupBy("movie_id").agg(F.lit(True).alias("known"))  # every user has ratings in both folds
        held_out = held_out.join(known, "movie_id", how="left").withColumn("warm", F.col("known").isNotNull())
        errors.append(rating_errors(score(fitted, held_out)).first())
    assert [error["n"] - error["n_warm"] for error in errors] == [0, 2]
    row = results.loc[results.loc[results["model"] == model, "mean_rmse"].idxmin()]
    first, second = (error["rmse"] for error in errors)
    assert row["mean_rmse"] == pytest.approx((first + second) / 2, abs=1e-6)
    assert row["std_error"] == pytest.approx(abs(first - second) / 2, abs=1e-6)
    assert row["mean_rmse_warm"] == pytest.approx(np.mean([error["rmse_warm"] for error in errors]), abs=1e-6)


def test_the_spark_carrier_finds_the_same_winner_with_the_same_errors(ratings, catalogue, monkeypatch):
    monkeypatch.setattr(blocks, "LEAST_BLOCKS", 2)
    grid = TUNING.grid.model_copy(update={"rank": [2], "max_iter": [1]})
    baselines = BaselineGrid(user_damping=[2], movie_damping=3, taste_reg=[5, 50], prior_reg=10)
    local, spark = (
        search_on(ratings, catalogue, carrier=carrier, grid=grid, baseline_grid=baselines)
        for carrier in ("local", "spark")
    )
    assert local["model"].tolist() == ["bias", "taste", "taste", "reference_als", "als", "bias_als", "taste_als"]
    pd.testing.assert_frame_equal(local.drop(columns="seconds"), spark.drop(columns="seconds"), rtol=0, atol=1e-6)
    winners = [best_candidate(results, RatingCandidate, "taste_als") for results in (local, spark)]
    assert winners[0] == winners[1]


def test_bayesian_models_are_searched_where_they_have_a_grid(results, ratings, catalogue):
    found = search_on(ratings, catalogue, bayes=BayesGrid(rank=[1, 2], max_iter=2, most_ratings=1))
    assert found["model"].tolist() == [*MODELS, "bayes", "bayes"]
    assert found["rank"].tolist()[-2:] == [1, 2]
    assert found["mean_rmse"].notna().all()
    pd.testing.assert_frame_equal(found[: len(MODELS)].drop(columns="seconds"), results.drop(columns="seconds"))


def test_bayesian_models_are_left_out_of_data_above_their_limit(caplog):
    caplog.set_level("INFO")
    tuning = TUNING.model_copy(update={"bayes": BayesGrid(rank=1, max_iter=2, most_ratings=100)})
    assert tuning.suited_to(100) == tuning
    assert not caplog.records
    assert tuning.suited_to(101).bayes is None
    assert "bayes is left out: 101 ratings, rating.tuning.bayes.most_ratings is 100" in caplog.text
    assert TUNING.suited_to(101) == TUNING


def test_a_fit_that_fails_is_recorded_and_the_others_go_on(ratings, catalogue):
    """Without a pull the normal equations of more factors than movies are singular."""
    grid = TUNING.grid.model_copy(update={"rank": [2, 60], "reg_param": [0.0]})
    results = search_on(ratings, catalogue, grid=grid)
    failed = results["rank"] == 60
    assert results["model"].tolist() == MODELS
    assert results.loc[failed, "model"].tolist() == ["als", "bias_als", "taste_als"]
    for error in results.loc[failed, "error"]:
        assert error.startswith("fold 0: the normal equations are singular")
        assert "; fold 1: the normal equations are singular" in error
    assert results.loc[failed, "mean_rmse"].isna().all()
    assert results.loc[~failed, "mean_rmse"].notna().all()
    assert best_candidate(results, RatingCandidate, "taste_als").rank == 2


@pytest.mark.parametrize(
    ("size", "first"),
    [
        (DataSize(100_836, 610, 9_742), [0.2, 0.3]),
        (DataSize(1_000_209, 6_040, 3_706), [0.05, 0.075]),  # 211 ratings, five times as many
        (DataSize(284_000, 7_400, 105_000), [0.8, 1.2]),  # 10
    ],
)
def test_first_values_of_auto_halve_where_the_density_doubles(size, first):
    tuning = RatingTuningParameters.model_validate(
        {**TUNING.model_dump(), "grid": {"rank": 1, "reg_param": "auto", "max_iter": 2}}
    )
    assert first_values(tuning, size).grid.reg_param == pytest.approx(first)
    assert first_values(TUNING, size) is TUNING


def test_finalists_are_measured_with_the_reg_param_of_denser_data_too():
    taste = RatingCandidate(model="taste", user_damping=5, movie_damping=3, taste_reg=8, prior_reg=10)
    reference, als = (
        RatingCandidate(model=model, rank=5, reg_param=0.1, max_iter=10) for model in ("reference_als", "als")
    )
    measured = for_all_users([taste, reference, als], DataSize(5_000, 100, 100), DataSize(6_000, 120, 100))
    assert measured == [taste, reference, als]  # 1.1 times as dense: the nearest power of two is 1
    measured = for_all_users([taste, reference, als], DataSize(5_000, 100, 100), DataSize(20_000, 400, 100))
    assert measured == [taste, reference, als, als.model_copy(update={"reg_param": 0.05})]


class Killed(BaseException):
    """As SIGKILL: nothing in the library catches it."""


class DyingLog(TrialLog):
    """Ends the run after some trials."""

    left = 15

    def add(self, *arguments):
        super().add(*arguments)
        self.left -= 1
        if not self.left:
            raise Killed


class TestTrialLog:
    @pytest.fixture
    def begun(self, monkeypatch):
        """All trials that have been run."""
        begun, run = [], TrialRunner.run

        def spied(self, trials):
            begun.extend(trials)
            return run(self, trials)

        monkeypatch.setattr(TrialRunner, "run", spied)
        return begun

    @pytest.fixture
    def asked(self, monkeypatch):
        """All trials that are to be run; none is."""
        asked = []

        def spied(self, trials):
            asked.extend(trials)
            yield from ((trial, Outcome({"rmse": 1.0, "rmse_warm": 1.0}, 0.0)) for trial in trials)

        monkeypatch.setattr(TrialRunner, "run", spied)
        return asked

    def test_a_search_that_was_killed_runs_only_what_is_missing(self, ratings, catalogue, results, tmp_path, begun):
        path = f"{tmp_path}/models/finished_trials.jsonl"
        with pytest.raises(Killed):
            search_on(ratings, catalogue, DyingLog(LocalFileSystem(), path))
        begun.clear()
        resumed = search_on(ratings, catalogue, TrialLog(LocalFileSystem(), path))
        assert len(begun) == len(set(begun)) == FOLDS * len(MODELS) - DyingLog.left
        pd.testing.assert_frame_equal(resumed.drop(columns="seconds"), results.drop(columns="seconds"))

    @pytest.mark.parametrize("carrier", ["local", "spark"])
    def test_a_search_that_is_in_it_runs_nothing_whatever_the_carrier(
        self, ratings, catalogue, results, log_path, asked, carrier
    ):
        log = TrialLog(LocalFileSystem(), log_path)
        pd.testing.assert_frame_equal(search_on(ratings, catalogue, log, carrier), results)
        assert not asked

    @pytest.mark.parametrize("change", ["seed", "a rating", "a fold", "a feature", "a weight"])
    def test_trials_of_anything_else_are_not_taken_for_finished(
        self, ratings, catalogue, results, log_path, asked, change
    ):
        is_one = (F.col("user_id") == 1) & (F.col("movie_id") == COLD_MOVIE)
        changed_stars, changed_fold = (
            F.when(is_one, value).otherwise(F.col(name)).cast(kind)
            for name, value, kind in (("rating", 4.0, "float"), ("fold", 0, "int"))
        )
        weights = catalogue.weights.model_copy(update={"popularity": 0.6})
        changes = {
            "seed": {"seed": 2},
            "a rating": {"ratings": ratings.withColumn("rating", changed_stars)},
            "a fold": {"ratings": ratings.withColumn("fold", changed_fold)},
            "a feature": {"catalogue": catalogue._replace(features=catalogue.features + 0.1)},
            "a weight": {"catalogue": catalogue._replace(weights=weights)},
        }
        log = TrialLog(LocalFileSystem(), f"{log_path}.copy")
        log._outcomes = dict(TrialLog(LocalFileSystem(), log_path)._outcomes)
        search_on(**{"ratings": ratings, "catalogue": catalogue, "log": log, **changes[change]})
        assert len(asked) == FOLDS * len(MODELS)


def test_candidates_are_measured_in_this_process_as_in_tasks(ratings, catalogue, results):
    candidates = [best_candidate(results, RatingCandidate, model) for model in ("bias", "taste", "als", "taste_als")]
    measured = compare(ratings, catalogue, candidates, TUNING, FOLDS, Choice("local", IN_THIS_PROCESS))
    assert [RatingCandidate.from_row(row) for _, row in measured.iterrows()] == candidates
    found = results.set_index([*RatingCandidate.model_fields])["mean_rmse"]
    expected = measured.set_index([*RatingCandidate.model_fields])["mean_rmse"]
    assert expected.to_numpy() == pytest.approx(found.reindex(expected.index).to_numpy(), abs=1e-6)
