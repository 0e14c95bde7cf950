"""The ranking search on two planted tastes: its stages, its two engines, its log, and what it holds out."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyspark.sql import functions as F

from movie_recs.data.schemas import RATINGS
from movie_recs.ranking.parameters import RankingParameters, RankingTuningParameters
from movie_recs.ranking import fit as ranking_model
from movie_recs.ranking import search as ranking_search
from movie_recs.ranking.fit import RankingEngine
from movie_recs.ranking.search import WINNERS, _open_engine, choose_ranking_engine, hold_out_last, search
from movie_recs.tuning import memory as engines
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.tuning.compiled_trials import KernelEngine
from movie_recs.tuning.cross_validation import best_candidate, summarise
from movie_recs.tuning.memory import DataSize, estimate_ranking_memory
from movie_recs.tuning.trial import Outcome, Trial
from movie_recs.tuning.trial_log import TrialLog

USERS, MOVIES, K = 40, 24, 4
MOVIE_IDS = np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32)
DAY_ONE = datetime(2020, 1, 1)
PARAMETERS = RankingParameters.model_validate(
    {
        "preference": {"star_weight": 0.3},
        "tuning": {
            "grid": {"rank": [1, 2], "reg_param": 0.1, "alpha": 2, "max_iter": 15},
            "ease_reg": [2, 20],
            "ease_rank": 100,
            "weight_grid": {"star_weight": [0.2, 0.4], "half_life": 4, "old_weight": [0.3, 1]},
            "als_weight": [0.5, 1],
            "engine": "kernel",
            "seed": 1,
        },
        "evaluation": {"k": K, "damping": 10},
    }
)
ALS_FIELDS, WEIGHT_FIELDS = ["rank", "reg_param", "max_iter", "alpha"], ["star_weight", "half_life", "old_weight"]


PLAIN = {"rank": 2, "reg_param": 0.1, "max_iter": 5, "alpha": 1.0}
AGE = {"half_life": 5.0, "old_weight": 0.1}


def candidate(model: str, **values) -> RankingCandidate:
    return RankingCandidate(model=model, **values)


EASE = candidate("ease", ease_reg=5, star_weight=0)
ALS = candidate("implicit_als", **PLAIN)


def with_tuning(**changes) -> RankingParameters:
    return PARAMETERS.model_copy(update={"tuning": PARAMETERS.tuning.model_copy(update=changes)})


def of_model(results: pd.DataFrame, model: str) -> pd.DataFrame:
    return results[results["model"] == model]


@pytest.fixture(scope="module")
def ratings(spark):
    """Users rate 60 % of the movies of their parity and 10 % of the others; each fold has a third of the ratings."""
    rng = np.random.default_rng(5)
    same = np.arange(USERS)[:, None] % 2 == np.arange(MOVIES) % 2
    users, movies = np.nonzero(rng.random((USERS, MOVIES)) < np.where(same, 0.6, 0.1))
    stars = np.where(same[users, movies], 4.0, 2.5) + rng.integers(-1, 3, len(users)) / 2
    table = pd.DataFrame({"user_id": users + 1, "movie_id": 10 * movies + 10, "rating": stars})
    table["rated_at"] = [DAY_ONE + timedelta(hours=int(hour)) for hour in rng.permutation(len(users))]
    table["fold"] = rng.integers(0, 3, len(users))
    return spark.createDataFrame(table, f"{RATINGS}, fold int").cache()


@pytest.fixture(scope="module")
def log_path(tmp_path_factory) -> str:
    return f"{tmp_path_factory.mktemp('search')}/finished_trials.jsonl"


@pytest.fixture(scope="module")
def results(ratings, log_path) -> pd.DataFrame:
    """Of folds 0 and 2, logged."""
    return search(ratings, MOVIE_IDS, PARAMETERS, [0, 2], TrialLog(LocalFileSystem(), log_path))


class TestStages:
    def test_each_model_has_a_row_a_combination(self, results):
        """Two of ALS and two of EASE; on the best of each two stars times two ages; two of both together."""
        expected = ["implicit_als"] * 2 + ["ease"] * 6 + ["recent_als"] * 4 + ["blend"] * 2
        assert results["model"].tolist() == expected
        assert set(WINNERS) == set(expected)
        assert (results["error"] == "").all()
        assert results["mean_ndcg"].between(0, 1).all()
        assert results[["std_error", "seconds"]].notna().all(axis=None)

    def test_at_first_all_ratings_of_a_user_count_alike(self, results):
        als, ease = of_model(results, "implicit_als"), of_model(results, "ease")[:2]
        assert als["rank"].tolist() == [1, 2]
        assert als[["ease_reg", "als_weight", *WEIGHT_FIELDS]].isna().all(axis=None)
        assert ease["ease_reg"].tolist() == [2, 20]
        assert (ease["star_weight"] == 0).all()
        assert ease[["half_life", "old_weight", "als_weight", *ALS_FIELDS]].isna().all(axis=None)

    def test_then_weights_are_tried_on_the_best_of_each(self, results):
        assert best_candidate(results, RankingCandidate, "implicit_als").rank == 2  # one factor is one taste
        recent = of_model(results, "recent_als")
        assert {tuple(row) for row in recent[ALS_FIELDS].to_numpy(float)} == {(2.0, 0.1, 15.0, 2.0)}
        best_reg = best_candidate(of_model(results, "ease")[:2], RankingCandidate, "ease").ease_reg
        weighed = of_model(results, "ease")[2:]
        assert (weighed["ease_reg"] == best_reg).all()
        for rows in (recent, weighed):
            weights = rows[WEIGHT_FIELDS].fillna(-1).to_numpy(float).tolist()
            assert sorted(weights) == [[0.2, -1, -1], [0.2, 4, 0.3], [0.4, -1, -1], [0.4, 4, 0.3]]

    def test_last_both_models_together_with_the_best_weights_of_ease(self, results):
        als = best_candidate(results, RankingCandidate, "implicit_als")
        ease = best_candidate(results, RankingCandidate, "ease")
        blends = [RankingCandidate.from_row(row) for _, row in of_model(results, "blend").iterrows()]
        assert [blend.als_weight for blend in blends] == [0.5, 1]
        for blend in blends:
            assert blend.als == als.als
            assert blend.weights == ease.weights
            assert blend.ease_reg == ease.ease_reg

    def test_every_model_finds_the_tastes(self, results):
        """But one factor, which has one list for all."""
        few = results["rank"] == 1
        assert results.loc[few, "mean_ndcg"].max() + 0.1 < results.loc[~few, "mean_ndcg"].min()

    def test_random_search_draws_from_the_ranges_that_the_lists_span(self, ratings):
        grid = PARAMETERS.tuning.grid.model_copy(update={"reg_param": [0.05, 0.2]})
        results = search(ratings, MOVIE_IDS, with_tuning(search="random", budget=3, grid=grid), [0])
        expected = ["implicit_als"] * 3 + ["ease"] * 6 + ["recent_als"] * 3 + ["blend"] * 3
        assert results["model"].tolist() == expected
        assert (results["error"] == "").all()
        drawn = {"rank": (1, 2), "reg_param": (0.05, 0.2), "ease_reg": (2, 20), "als_weight": (0.5, 1)}
        for name, limits in drawn.items():
            assert results[name].dropna().between(*limits).all()
        for name, rows in (("reg_param", results[:3]), ("ease_reg", results[3:6]), ("als_weight", results[12:])):
            assert rows[name].nunique() == 3
        for model in (results[6:9], results[9:12]):
            assert model["star_weight"].between(0.2, 0.4).all()
            assert model["old_weight"].between(0.3, 1).all()
            assert (model["half_life"] == 4).all()
            assert model["star_weight"].nunique() == model["old_weight"].nunique() == 3
        assert (results["alpha"].dropna() == 2).all()


class TestTrialLog:
    @pytest.fixture
    def begun(self, monkeypatch) -> list[Trial]:
        """All trials that the kernel engine has been asked to run; it runs none."""
        begun = []

        def spied(self, trials):
            begun.extend(trials)
            yield from ((trial, Outcome({"ndcg": 0.5, "ndcg_se": 0.1}, 0.0)) for trial in trials)

        monkeypatch.setattr(KernelEngine, "run", spied)
        return begun

    def test_a_search_that_is_in_it_runs_nothing(self, ratings, results, log_path, begun):
        again = search(ratings, MOVIE_IDS, PARAMETERS, [0, 2], TrialLog(LocalFileSystem(), log_path))
        assert not begun
        pd.testing.assert_frame_equal(again, results)

    @pytest.mark.parametrize("change", ["a fold", "a time", "a star", "movies", "k", "ease_rank", "preference", "seed"])
    def test_trials_of_anything_else_are_not_taken_for_finished(self, ratings, results, log_path, begun, change):
        is_last = F.col("rated_at") == ratings.agg(F.max("rated_at")).first()[0]

        def changed(name: str, value) -> dict:
            return {"ratings": ratings.withColumn(name, F.when(is_last, value).otherwise(F.col(name)))}

        changes = {
            "a fold": lambda: changed("fold", F.lit(5)),
            "a time": lambda: changed("rated_at", F.lit(datetime(2000, 1, 1))),
            "a star": lambda: changed("rating", F.lit(0.5).cast("float")),
            "movies": lambda: {"movie_ids": np.append(MOVIE_IDS, 999).astype(np.int32)},
            "k": lambda: {"evaluation": {"k": K + 1}},
            "ease_rank": lambda: {"tuning": {"ease_rank": 99}},
            "preference": lambda: {"preference": {"preferred": "liked"}},
            "seed": lambda: {"tuning": {"seed": 2}},
        }[change]()
        blocks = {name: changes.pop(name) for name in ("evaluation", "tuning", "preference") if name in changes}
        updates = {name: getattr(PARAMETERS, name).model_copy(update=values) for name, values in blocks.items()}
        log = TrialLog(LocalFileSystem(), f"{log_path}.copy")
        log._outcomes = dict(TrialLog(LocalFileSystem(), log_path)._outcomes)
        given = {"ratings": ratings, "movie_ids": MOVIE_IDS, **changes}
        search(given["ratings"], given["movie_ids"], PARAMETERS.model_copy(update=updates), [0, 2], log)
        assert len(begun) == 2 * len(results)


class TestEngines:
    def test_both_give_the_same_ndcg(self, ratings):
        """But for ALS's first values, which are others. One fit on Spark serves EASE as well: its part is the same."""
        weights = {"star_weight": 0.4, "half_life": 4, "old_weight": 0.3}
        als = PARAMETERS.tuning.grid.candidates()[1].model_dump()
        both = {**als, "ease_reg": 2, "als_weight": 0.5}
        plain = candidate("implicit_als", **als)
        blend = candidate("blend", **both, **weights)
        ease = Trial(candidate("ease", ease_reg=2, **weights), 1)
        trials = [Trial(each, 1) for each in (plain, blend)]
        with _open_engine("kernel", ratings, MOVIE_IDS, PARAMETERS) as kernel:
            kernels = dict(kernel.run([ease, *trials]))
        with _open_engine("spark", ratings, MOVIE_IDS, PARAMETERS) as spark:
            sparks = dict(spark.run(trials))
            spark._parts[1, ease.candidate.als] = spark._parts[1, plain.als]
            sparks |= spark.run([ease])
        assert [outcome.error for outcome in (*kernels.values(), *sparks.values())] == [""] * 6
        assert len({outcome.measures["ndcg"] for outcome in kernels.values()}) == 3
        for measure in ("ndcg", "ndcg_se"):
            assert sparks[ease].measures[measure] == pytest.approx(kernels[ease].measures[measure], abs=1e-6)
            for trial in trials:
                assert sparks[trial].measures[measure] == pytest.approx(kernels[trial].measures[measure], rel=0.02)

    def test_what_fails_on_spark_is_recorded_and_ease_alone_is_fitted_beside_the_first_als(self, ratings, monkeypatch):
        fitted = []

        def spied(train, movie_ids, als, parameters, engine):
            held_out = {0, 1, 2} - {row["fold"] for row in train.select("fold").distinct().collect()}
            fitted.append((*held_out, als.rank, engine))
            raise ArithmeticError("it is not fitted")

        monkeypatch.setattr(ranking_model, "fit_parts", spied)
        one, two = (candidate("implicit_als", **each.model_dump()) for each in PARAMETERS.tuning.grid.candidates())
        trials = [Trial(each, fold) for each in (two, one, EASE) for fold in (2, 0)]
        with RankingEngine(ratings, MOVIE_IDS, PARAMETERS) as engine:
            outcomes = dict(engine.run(trials))
        assert outcomes.keys() == set(trials)
        assert {outcome.error for outcome in outcomes.values()} == {
            "fold 0: it is not fitted",
            "fold 2: it is not fitted",
        }
        assert fitted == [(fold, rank, "spark") for fold in (0, 2) for rank in (1, 1, 2)]

    @pytest.mark.parametrize(("name", "opened"), [("spark", RankingEngine), ("kernel", KernelEngine)])
    def test_a_search_runs_on_the_engine_that_is_chosen(self, ratings, monkeypatch, name, opened):
        ran = []

        def run(self, trials):
            ran.append(type(self))
            yield from ((trial, Outcome({"ndcg": 0.5, "ndcg_se": 0.1}, 0.0)) for trial in trials)

        monkeypatch.setattr(opened, "run", run)
        monkeypatch.setattr(engines, "task_memory", lambda spark: {"spark": 1, "kernel": 2**40}[name])
        results = search(ratings, MOVIE_IDS, with_tuning(engine="auto"), [0])
        assert set(ran) == {opened}
        assert set(results["model"]) == set(WINNERS)

    def test_auto_is_the_kernel_where_a_trial_fits_into_a_tasks_memory(self, ratings, monkeypatch):
        size, auto = DataSize(10**6, 5000, 0), PARAMETERS.tuning.model_copy(update={"engine": "auto"})
        needed = estimate_ranking_memory(size, 8000, 2, 100)
        for available, expected in ((needed, "kernel"), (needed - 1, "spark")):
            monkeypatch.setattr(engines, "task_memory", lambda spark, available=available: available)
            assert choose_ranking_engine(ratings, 8000, auto, size) == expected

    @pytest.mark.parametrize("name", ["kernel", "spark"])
    def test_an_engine_that_is_asked_for_is_taken_whatever_it_needs(self, monkeypatch, name):
        monkeypatch.setattr(ranking_search, "measure_data", None)
        tuning: RankingTuningParameters = PARAMETERS.tuning.model_copy(update={"engine": name})
        assert choose_ranking_engine(None, 10**9, tuning) == name

    def test_memory_is_estimated_by_hand(self):
        """100 users and 50 movies: the Gram matrix is of 50 movies, and EASE has 20 vectors of them."""
        process, gram = 350 * 2**20, 4 * 8 * 50**2
        vectors = 8 * (50 * (3 * 20 + 2 * 10) + 100 * (2 * 20 + 2 * 10))
        assert estimate_ranking_memory(DataSize(1000, 100, 0), 50, 10, 20) == process + 110_000 + gram + vectors
        few = estimate_ranking_memory(DataSize(1000, 100, 0), 50, 10, 1000)
        assert few == process + 110_000 + gram + 8 * (50 * (3 * 50 + 2 * 10) + 100 * (2 * 50 + 2 * 10))

    def test_a_matrix_that_is_not_decomposed_whole_needs_no_gram_matrix(self):
        exact, iterated = (estimate_ranking_memory(DataSize(0, 10**6, 0), movies, 1, 1) for movies in (4000, 4001))
        assert exact - iterated == 4 * 8 * 4000**2 - 8 * (3 + 2)


class TestHoldOutLast:
    def test_the_last_share_of_each_users_ratings_is_fold_0_and_the_rest_fold_1(self, spark):
        """Half of user 1's four; of user 2's three one, the higher of two movies of the same time; none of user 3's."""
        rows = [(1, movie, 4.0, DAY_ONE + timedelta(days=day), 2) for movie, day in ((1, 9), (2, 1), (3, 5), (4, 3))]
        rows += [(2, movie, 3.0, DAY_ONE + timedelta(days=day), 0) for movie, day in ((1, 4), (2, 4), (3, 1))]
        rows += [(3, 1, 5.0, DAY_ONE, 1)]
        train = spark.createDataFrame(rows, f"{RATINGS}, fold int")
        found = hold_out_last(train, 0.5, seed=1)
        assert found.dtypes == train.dtypes
        table = found.orderBy("user_id", "movie_id").collect()
        assert [tuple(row)[:4] for row in table] == [row[:4] for row in rows]
        assert [row["fold"] for row in table] == [0, 1, 0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("richer", "simplest"),
    [
        (ALS.model_copy(update={"rank": 3}), ALS),
        (ALS, ALS.model_copy(update={"reg_param": 0.2})),
        (ALS, ALS.model_copy(update={"alpha": 0.5})),
        (EASE, EASE.model_copy(update={"ease_reg": 9.0})),
        (EASE.model_copy(update={"star_weight": 0.2}), EASE),
        (EASE.model_copy(update=AGE), EASE),
        (EASE.model_copy(update=AGE), EASE.model_copy(update={**AGE, "old_weight": 0.5})),
        (EASE.model_copy(update=AGE), EASE.model_copy(update={**AGE, "half_life": 9.0})),
        (candidate("recent_als", **PLAIN, star_weight=0.2, **AGE), candidate("recent_als", **PLAIN, star_weight=0.2)),
        (candidate("recent_als", **PLAIN, star_weight=0), ALS),
        (candidate("blend", **PLAIN, ease_reg=5, star_weight=0, als_weight=0.5), EASE),
        (candidate("blend", **PLAIN, ease_reg=5, star_weight=0, als_weight=0.5), ALS),
    ],
    ids=[
        "lower rank",
        "more regularisation",
        "lower alpha",
        "more regularisation of EASE",
        "stars count less",
        "age does not count",
        "age counts less",
        "age counts later",
        "age does not count in ALS",
        "the users as fitted",
        "EASE alone",
        "ALS alone",
    ],
)
def test_a_tie_goes_to_the_simpler_candidate(richer, simplest):
    for order in ([richer, simplest], [simplest, richer]):
        results = summarise(order, [[Outcome({"ndcg": 0.4 + 5e-7 * (each == richer)}, 0.0)] for each in order])
        assert best_candidate(results, RankingCandidate, *WINNERS) == simplest


def test_of_all_models_the_highest_ndcg_wins():
    table = summarise([EASE, ALS], [[Outcome({"ndcg": 0.4}, 0.0)], [Outcome({"ndcg": 0.41}, 0.0)]])
    assert best_candidate(table, RankingCandidate, *WINNERS) == ALS
    assert best_candidate(table, RankingCandidate, "ease") == EASE
