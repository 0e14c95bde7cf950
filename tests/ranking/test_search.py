"""The ranking search on two planted tastes: its stages, its log, and the same winner on either carrier."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem
from pyspark.sql import functions as F

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data import blocks
from movie_recs.data.schemas import RATINGS
from movie_recs.model.factor_model import ItemSide, with_zeros
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.search import (
    BELOW,
    WINNERS,
    WITHOUT_STARS,
    FoldStars,
    _weigh_stars,
    choose_winner,
    compare,
    search,
)
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.cross_validation import best_candidate
from movie_recs.tuning.memory import Choice
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
            "sequential_reg": [1, 10],
            "sequential_weight": [0.5, 1],
            "relevance": "all",
            "beyond_edges": False,
            "seed": 1,
        },
        "evaluation": {"k": K, "damping": 10},
    }
)
WEIGHT_GRID = PARAMETERS.tuning.weight_grid.model_copy(update={"star_weight": [0.2], "old_weight": [1.0]})
ALS_FIELDS, WEIGHT_FIELDS = ["rank", "reg_param", "max_iter", "alpha"], ["star_weight", "half_life", "old_weight"]


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
    return search(ratings, MOVIE_IDS, PARAMETERS, [0, 2], log=TrialLog(LocalFileSystem(), log_path))


class TestStages:
    def test_each_model_has_a_row_a_combination(self, results):
        """Two of ALS and two of EASE; on the best of each two stars times two ages; two of both together."""
        expected = ["implicit_als"] * 2 + ["ease"] * 6 + ["recent_als"] * 4 + ["blend"] * 2
        assert results["model"].tolist() == expected
        assert set(WITHOUT_STARS) == set(expected)
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
        """All trials that are to be run; none is."""
        begun = []

        def spied(self, trials):
            begun.extend(trials)
            yield from ((trial, Outcome({"ndcg": 0.5, "ndcg_se": 0.1}, 0.0)) for trial in trials)

        monkeypatch.setattr(TrialRunner, "run", spied)
        return begun

    def test_a_search_that_is_in_it_runs_nothing(self, ratings, results, log_path, begun):
        again = search(ratings, MOVIE_IDS, PARAMETERS, [0, 2], log=TrialLog(LocalFileSystem(), log_path))
        assert not begun
        pd.testing.assert_frame_equal(again, results)

    @pytest.mark.parametrize("change", ["a fold", "a time", "a star", "movies", "k", "users", "preference", "seed"])
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
            "users": lambda: {"tuning": {"most_measured": 39}},
            "preference": lambda: {"preference": {"preferred": "liked"}},
            "seed": lambda: {"tuning": {"seed": 2}},
        }[change]()
        blocks = {name: changes.pop(name) for name in ("evaluation", "tuning", "preference") if name in changes}
        updates = {name: getattr(PARAMETERS, name).model_copy(update=values) for name, values in blocks.items()}
        log = TrialLog(LocalFileSystem(), f"{log_path}.copy")
        log._outcomes = dict(TrialLog(LocalFileSystem(), log_path)._outcomes)
        given = {"ratings": ratings, "movie_ids": MOVIE_IDS, **changes}
        search(given["ratings"], given["movie_ids"], PARAMETERS.model_copy(update=updates), [0, 2], log=log)
        assert len(begun) == 2 * len(results)


def test_the_folds_share_the_number_of_lists_that_a_candidate_is_measured_by(ratings):
    def found(number: int, folds: list[int]) -> pd.Series:
        candidates = [RankingCandidate(model="ease", ease_reg=reg, star_weight=0) for reg in (2.0, 20.0)]
        return compare(ratings, MOVIE_IDS, candidates, with_tuning(most_measured=number), folds)["mean_ndcg"]

    one, other, both = found(20, [0]), found(20, [2]), found(40, [0, 2])
    np.testing.assert_allclose(both, (one + other) / 2)
    assert (found(40, [0]) != one).all()


class TestPredictedStars:
    """The stars of the first half of the movies are predicted to be high: nobody likes the others."""

    @pytest.fixture(scope="class")
    def stars(self) -> FoldStars:
        bias = np.where(np.arange(MOVIES) < MOVIES // 2, 1.0, -2.0)
        rule = RidgeRule((Ridge(0, 1.0, bias_damping=5.0),))
        side = ItemSide(with_zeros(MOVIE_IDS, bias, np.zeros((MOVIES, 0))), 3.5, rule)
        return FoldStars(lambda: {0: side}, [])

    def found(self, ratings, stars, **tuning) -> pd.DataFrame:
        small = {"weight_grid": WEIGHT_GRID, "als_weight": [0.5], "stars_weight": [0.1, 5.0]}
        return search(ratings, MOVIE_IDS, with_tuning(**small, **tuning), [0], stars=stars)

    def test_last_their_weight_is_tried_beside_the_best(self, ratings, stars):
        results = self.found(ratings, stars, relevance="graded")
        added = of_model(results, "with_stars")
        assert added["stars_weight"].tolist() == [0.1, 5.0]
        best = best_candidate(of_model(results, "blend"), RankingCandidate, "blend")
        if best_candidate(results, RankingCandidate, *WITHOUT_STARS).model == "blend":
            assert added["als_weight"].tolist() == [best.als_weight] * 2
        first, second = added["mean_below_mean"]
        assert second < first
        assert results["mean_below_mean"].between(0, 1).all()

    def test_of_too_many_below_the_mean_none_wins(self, ratings, stars):
        first, second = of_model(self.found(ratings, stars, relevance="liked"), "with_stars")["mean_below_mean"]
        limit = {"relevance": "liked", "most_below_mean": round((first + second) / 2, 2)}
        results = self.found(ratings, stars, **limit)
        reasons = of_model(results, "with_stars")["error"].tolist()
        share = f"{limit['most_below_mean']:.0%}"
        assert reasons == [f"more than {share} of its recommendations are below the user's mean", ""]
        assert choose_winner(results, with_tuning(**limit).tuning).stars_weight == 5.0

    def test_the_rating_models_are_fitted_only_for_trials_that_are_run(self, ratings, stars, tmp_path):
        fits = []

        def fit() -> dict[int, ItemSide]:
            fits.append(1)
            return stars.fit()

        def found(*made_of: int) -> pd.DataFrame:
            log = TrialLog(LocalFileSystem(), f"{tmp_path}/finished_trials.jsonl")
            return search(
                ratings, MOVIE_IDS, with_tuning(relevance="graded"), [0], log=log, stars=FoldStars(fit, [*made_of])
            )

        first = found(1)
        assert len(fits) == 1
        pd.testing.assert_frame_equal(found(1), first)
        assert len(fits) == 1
        found(2)
        assert len(fits) == 2

    def test_where_every_rated_movie_is_a_hit_there_is_no_such_weight(self, ratings, stars):
        results = self.found(ratings, stars, relevance="all")
        assert set(results["model"]) == set(WITHOUT_STARS)


@pytest.fixture(scope="module")
def by_time(ratings) -> pd.DataFrame:
    small = with_tuning(weight_grid=WEIGHT_GRID, als_weight=[0.5])
    return search(ratings, MOVIE_IDS, small, [0], by_time=True)


class TestByTime:
    def test_what_is_rated_next_is_added_to_the_best_with_ease(self, by_time):
        added = of_model(by_time, "sequential")
        best = best_candidate(by_time, RankingCandidate, "ease", "blend")
        values = added[["sequential_reg", "sequential_weight"]].to_numpy().tolist()
        assert values == [[1, 0.5], [1, 1], [10, 0.5], [10, 1]]
        nothing = {"model": best.model, "sequential_reg": None, "sequential_weight": None}
        for _, row in added.iterrows():
            assert RankingCandidate.from_row(row).model_copy(update=nothing) == best
        assert added["mean_ndcg"].nunique() > 1
        assert (added["error"] == "").all()

    def test_the_rest_of_the_search_is_as_without(self, ratings, by_time):
        small = with_tuning(weight_grid=WEIGHT_GRID, als_weight=[0.5])
        expected = search(ratings, MOVIE_IDS, small, [0]).drop(columns="seconds")
        others = by_time[by_time["model"] != "sequential"].drop(columns="seconds")
        pd.testing.assert_frame_equal(others, expected)

    def test_stars_weigh_more_beside_it_until_few_are_below_the_mean(self):
        """The share below the mean is 0.3 without stars, and falls by a tenth of it with each tenth of their weight."""
        base = RankingCandidate(model="sequential", ease_reg=2, star_weight=0, sequential_reg=1, sequential_weight=1)
        asked = []

        def run(strategies):
            (strategy,) = strategies
            candidates = strategy.ask()
            asked.extend(each.stars_weight for each in candidates)
            rows = [{**each.model_dump(), BELOW: 0.3 * (1 - each.stars_weight), "error": ""} for each in candidates]
            return pd.DataFrame(rows)

        limited = with_tuning(relevance="graded", stars_weight=[0.1, 0.2], most_below_mean=0.16).tuning
        found = _weigh_stars(base, limited, run)
        assert asked == pytest.approx([0.1, 0.2, 0.25, 0.3125, 0.390625, 0.48828125])
        assert found["stars_weight"].tolist() == asked
        asked.clear()
        _weigh_stars(base.model_copy(update={"sequential_weight": None}), limited, run)
        assert asked == [0.1, 0.2]


def test_the_spark_carrier_finds_the_same_winner_with_the_same_ndcg(ratings, monkeypatch):
    monkeypatch.setattr(blocks, "LEAST_BLOCKS", 2)
    grid = PARAMETERS.tuning.grid.model_copy(update={"rank": [2], "max_iter": [2]})
    weights = PARAMETERS.tuning.weight_grid.model_copy(update={"star_weight": [0.2], "old_weight": [0.3]})
    parameters = with_tuning(grid=grid, weight_grid=weights, als_weight=[0.5])
    local, spark = (search(ratings, MOVIE_IDS, parameters, [0], Choice(carrier)) for carrier in ("local", "spark"))
    assert local["model"].tolist() == ["implicit_als", "ease", "ease", "ease", "recent_als", "blend"]
    pd.testing.assert_frame_equal(local.drop(columns="seconds"), spark.drop(columns="seconds"), rtol=0, atol=1e-6)
    winners = [best_candidate(results, RankingCandidate, *WINNERS) for results in (local, spark)]
    assert winners[0] == winners[1]
