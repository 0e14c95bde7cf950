"""Ranking trials: their NDCG is that of a ranking by plain numpy, of vectors that have not seen what is looked for."""

import numpy as np
import pandas as pd
import pytest

from movie_recs.als.compiled import Targets, fit_factors
from movie_recs.data.blocks import LocalBlocks, local_blocks, open_blocks
from movie_recs.data.interactions import Interactions, is_in_sample, select_seen
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.metrics import measure_rankings
from movie_recs.ranking.parameters import PreferenceParameters
from movie_recs.ranking.preferences import weigh, weigh_stars
from movie_recs.ranking.sequential import CUTS, HALF_LIFE
from movie_recs.ranking.trial import AlsPart, Part, RankingFold, RankingTrialData
from movie_recs.tuning.carriers import TrialRunner
from movie_recs.tuning.trial import Trial

USERS, MOVIES, FOLDS, K, SEED = 40, 30, 3, 5, 1
STARS = 0.3  # star_weight of a fit
WEIGHTS = {"star_weight": 0.4, "half_life": 4, "old_weight": 0.3}
FACTORS = {"rank": 3, "reg_param": 0.1, "max_iter": 5, "alpha": 2}
IMPLICIT_ALS = RankingCandidate(model="implicit_als", **FACTORS)
RECENT_ALS = RankingCandidate(model="recent_als", **FACTORS, **WEIGHTS)
EASE = RankingCandidate(model="ease", ease_reg=3, star_weight=0)
RECENT_EASE = RankingCandidate(model="ease", ease_reg=3, **WEIGHTS)
BLEND = RankingCandidate(model="blend", **FACTORS, ease_reg=3, als_weight=0.6, **WEIGHTS)
SEQUENTIAL = RankingCandidate(model="sequential", ease_reg=3, sequential_reg=2, sequential_weight=1.5, **WEIGHTS)
OTHER_EASE = EASE.model_copy(update={"ease_reg": 30.0})
CANDIDATES = [IMPLICIT_ALS, RECENT_ALS, EASE, RECENT_EASE, BLEND, SEQUENTIAL, OTHER_EASE]


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Planted tastes: a user rates 60 % of the movies of her taste and 20 % of the others; by user, then movie."""
    rng = np.random.default_rng(2)
    products = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, MOVIES))
    users, movies = np.nonzero(rng.random((USERS, MOVIES)) < np.where(products > 0, 0.6, 0.2))
    stars = np.clip(np.round(2 * (3.7 + products[users, movies] / 2 + rng.normal(0, 0.7, len(users)))) / 2, 0.5, 5)
    table = pd.DataFrame({"user_id": users + 1, "movie_id": 10 * movies + 10, "rating": stars})
    table["time"], table["fold"] = rng.integers(0, 10**15, len(users)), rng.integers(0, FOLDS, len(users))
    return table


def data_of(table: pd.DataFrame, preferred: str = "all", k: int = K, most_measured: int = 10_000) -> RankingTrialData:
    """The table in this process."""
    interactions = Interactions(
        (table["user_id"].to_numpy() - 1).astype(np.int32),
        (table["movie_id"].to_numpy() // 10 - 1).astype(np.int32),
        table["rating"].to_numpy(np.float32),
        table["fold"].to_numpy(np.int16),
        table["time"].to_numpy(np.int64),
        np.arange(1, USERS + 1, dtype=np.int32),
        np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32),
    )
    blocks = LocalBlocks(interactions, interactions.user_ids, interactions.movie_ids)
    preference = PreferenceParameters(preferred=preferred, star_weight=STARS)
    return RankingTrialData(blocks, preference, "all", k, SEED, most_measured, {})


def measured(data: RankingTrialData, *candidates: RankingCandidate, fold: int = 0) -> list[float]:
    return [next(RankingFold(data, fold).measure([each]))["ndcg"] for each in candidates]


def scores_of(table: pd.DataFrame, candidate: RankingCandidate) -> np.ndarray:
    """(users, movies) float64 of the candidate fitted on these rows, all of which count."""
    preferred = data_of(table).blocks.map(select_seen)
    seen = preferred.block
    starts, movies = seen.user_starts, seen.movies
    w = np.ones(len(movies))
    if candidate.weights:
        w = weigh(starts, seen.ratings, table["time"].to_numpy(), movies, candidate.weights).astype(float)
    rated = np.zeros((USERS, MOVIES))
    rated[seen.users, movies] = w
    scores = np.zeros((USERS, MOVIES))
    if candidate.als:
        targets = preferred.map(lambda seen: Targets(seen, weigh_stars(starts, seen.ratings, STARS).astype(np.float32)))
        ((users, items),) = fit_factors(targets, candidate.als, [candidate.max_iter], SEED, candidate.alpha)
        users, y = users.block.astype(float), items.astype(float)
        if candidate.weights:
            for user, own in enumerate(rated):
                n, more = np.count_nonzero(own), candidate.alpha * own
                system = y.T @ y + (y.T * more) @ y + candidate.reg_param * n * np.eye(candidate.rank)
                users[user] = np.linalg.solve(system, y.T @ (more + (own > 0)))
        scores += (candidate.als_weight or 1) * users @ y.T
    if candidate.ease_reg:
        x = (rated > 0) / np.maximum(np.count_nonzero(rated, axis=1), 1)[:, None] ** 0.25
        x /= np.sqrt((x**2).sum() / np.count_nonzero(x))
        x[seen.users, movies] *= weigh_stars(starts, seen.ratings, STARS)
        inverse = np.linalg.inv(x.T @ x + candidate.ease_reg * np.eye(MOVIES))
        closed = -inverse / np.diag(inverse)
        np.fill_diagonal(closed, 0)
        scores += rated @ closed
        if candidate.sequential_reg:
            pasts, futures = cut_histories(table, candidate)
            squares, vectors = np.linalg.eigh(x.T @ x)
            root = (vectors * np.sqrt(np.maximum(squares, 0) / (squares + candidate.ease_reg))) @ vectors.T
            z = pasts @ root
            next_ones = np.linalg.solve(z.T @ z + candidate.sequential_reg * np.eye(MOVIES), z.T @ futures)
            scores += candidate.sequential_weight * rated @ root @ next_ones
    return scores


def cut_histories(table: pd.DataFrame, candidate: RankingCandidate) -> tuple[np.ndarray, np.ndarray]:
    """(users * cuts, movies) each: weights of what was rated before a cut, and of what after."""
    pasts, futures = [], []
    for _, own in table.sort_values(["user_id", "time", "movie_id"]).groupby("user_id"):
        rows, stars = own["movie_id"].to_numpy() // 10 - 1, own["rating"].to_numpy()
        for cut in CUTS:
            size, past, future = int(cut * len(rows)), np.zeros(MOVIES), np.zeros(MOVIES)
            starts, times = np.array([0, size]), np.arange(size)
            if size:
                past[rows[:size]] = weigh(starts, stars[:size], times, rows[:size], candidate.weights)
            future[rows[size:]] = 2.0 ** (-np.arange(len(rows) - size) / HALF_LIFE)
            pasts.append(past)
            futures.append(future)
    return np.array(pasts), np.array(futures)


def ndcg_by_hand(scores: np.ndarray, excluded: pd.DataFrame, held_out: pd.DataFrame, k: int) -> tuple[float, float]:
    """Mean over users with held-out movies, and its standard error; what is excluded is in no list."""
    values = []
    for user_id, wanted in held_out.groupby("user_id")["movie_id"]:
        own = set(excluded.loc[excluded["user_id"] == user_id, "movie_id"])
        ranked = sorted((-scores[user_id - 1, row], 10 * row + 10) for row in range(MOVIES) if 10 * row + 10 not in own)
        gains = [1 / np.log2(rank + 1) for rank, (_, movie) in enumerate(ranked[:k], 1) if movie in set(wanted)]
        values.append(sum(gains) / sum(1 / np.log2(rank + 1) for rank in range(1, min(k, len(wanted)) + 1)))
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))


def split(table: pd.DataFrame, fold: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    return table[table["fold"] != fold], table[table["fold"] == fold]


def test_trials_that_differ_in_max_iter_are_one_fit_with_the_same_ndcg(table):
    path = [each.model_copy(update={"max_iter": number}) for number in (1, 3, 5) for each in (IMPLICIT_ALS, BLEND)]
    assert len({each.fit_key for each in path}) == 1
    together = [measures["ndcg"] for measures in RankingFold(data_of(table), 0).measure(path)]
    assert together == measured(data_of(table), *path)
    assert len(set(together)) == len(path)


class TestNdcg:
    @pytest.mark.parametrize("candidate", CANDIDATES, ids=str)
    def test_is_that_of_a_ranking_by_brute_force(self, table, candidate):
        train, held_out = split(table, 1)
        expected, error = ndcg_by_hand(scores_of(train, candidate), train, held_out, K)
        (found,) = RankingFold(data_of(table), 1).measure([candidate])
        assert found["ndcg"] == pytest.approx(expected, abs=1e-9)
        assert found["ndcg_se"] == pytest.approx(error, abs=1e-9)

    def test_candidates_of_one_fit_are_measured_one_after_the_other(self, table):
        data = data_of(table)
        for same_fit in ([IMPLICIT_ALS, RECENT_ALS, BLEND], [EASE, SEQUENTIAL, RECENT_EASE, OTHER_EASE, EASE]):
            together = [found["ndcg"] for found in RankingFold(data, 0).measure(same_fit)]
            assert together == measured(data, *same_fit)
            assert len(set(together)) == len(set(same_fit))

    def test_lists_may_be_longer_than_the_catalogue(self, table):
        """All that a user has not rated is in hers, so that the held-out movies are all found."""
        train, held_out = split(table)
        expected, _ = ndcg_by_hand(scores_of(train, EASE), train, held_out, 1000)
        assert measured(data_of(table, k=1000), EASE) == [pytest.approx(expected, abs=1e-9)]

    @pytest.mark.parametrize("candidate", [IMPLICIT_ALS, RECENT_EASE, BLEND], ids=str)
    def test_with_liked_only_the_liked_are_fitted_but_every_rated_movie_is_left_out_of_lists(self, table, candidate):
        train, held_out = split(table)
        liked = train[train["rating"] >= 4]
        scores = scores_of(liked, candidate)
        expected, _ = ndcg_by_hand(scores, train, held_out, K)
        assert measured(data_of(table, "liked"), candidate) == [pytest.approx(expected, abs=1e-9)]
        assert expected != pytest.approx(ndcg_by_hand(scores, liked, held_out, K)[0], abs=1e-3)
        assert expected != pytest.approx(ndcg_by_hand(scores_of(train, candidate), train, held_out, K)[0], abs=1e-3)

    @pytest.mark.parametrize("preferred", ["all", "liked"])
    @pytest.mark.parametrize("candidate", [IMPLICIT_ALS, RECENT_ALS], ids=str)
    def test_movies_without_a_preference_outside_the_fold_follow_by_id(self, table, candidate, preferred):
        """Two of three movies are held out whole, or rated by nobody who liked them: a list goes on with the first."""
        hidden = (table["movie_id"] // 10) % 3 > 0
        stars = table["rating"].where(~hidden | (preferred == "all"), 1.0)
        known = table.assign(fold=table["fold"].where(~hidden | (preferred == "liked"), 0), rating=stars)
        train, held_out = split(known)
        fitted = train[(train["rating"] >= 4) | (preferred == "all")]
        assert not (fitted["movie_id"] // 10 % 3).any()
        expected, _ = ndcg_by_hand(scores_of(fitted, candidate), train, held_out, K)
        assert measured(data_of(known, preferred), candidate) == [pytest.approx(expected, abs=1e-9)]

    def test_fewer_singular_vectors_give_another_model(self, table):
        assert measured(data_of(table), EASE.model_copy(update={"ease_rank": 3})) != measured(data_of(table), EASE)

    @pytest.mark.parametrize("candidate", [IMPLICIT_ALS, EASE, BLEND], ids=str)
    def test_who_has_no_rating_to_go_by_counts_as_0(self, table, candidate):
        """All ratings of user 1 are held out, among them those of the first movies, which ties put first."""
        rest = table[table["user_id"] > 1]
        own = pd.DataFrame({"user_id": 1, "movie_id": [10, 20, 30], "rating": 4.0, "time": 5, "fold": 0})
        (others,), (everybody,) = (measured(data_of(each), candidate) for each in (rest, pd.concat([own, rest])))
        measured_users = rest[rest["fold"] == 0]["user_id"].nunique()
        assert everybody == pytest.approx(others * measured_users / (measured_users + 1), abs=1e-9)


class TestSharedAls:
    def test_is_fitted_once_for_candidates_that_need_its_movies_alone(self, table):
        data = data_of(table)
        trials = [Trial(candidate, fold) for candidate in (RECENT_ALS, BLEND, EASE) for fold in (1, 0)]
        missing = data.missing_parts(trials)
        assert missing == [AlsPart(fold, BLEND.als) for fold in (0, 1)]
        shared = data.with_shared({part: data.fit_shared(part) for part in missing})
        assert shared.missing_parts(trials) == []
        assert shared.only(1).als_items.keys() == {AlsPart(1, BLEND.als)}

    def test_is_no_fit_more_where_one_candidate_needs_its_users_too(self, table):
        assert data_of(table).missing_parts([Trial(IMPLICIT_ALS, 0), Trial(BLEND, 0)]) == []

    def test_measures_are_those_of_a_fit_of_its_own(self, table, monkeypatch):
        data = data_of(table)
        expected = measured(data, RECENT_ALS, BLEND)
        part = AlsPart(0, BLEND.als)
        shared = data.with_shared({part: data.fit_shared(part)})
        monkeypatch.setattr("movie_recs.ranking.trial.fit_factors", None)
        assert measured(shared, RECENT_ALS, BLEND) == expected


class TestSampleOfUsers:
    def test_a_trial_measures_those_of_the_sample_alone(self, table):
        data = data_of(table, most_measured=USERS // 2)
        asked = RankingFold(data, 0)._asked.block
        assert np.isin(asked.rows, np.flatnonzero(is_in_sample(data.blocks.user_ids, 0.5, SEED))).all()
        assert 0 < len(asked.rows) < 0.8 * USERS
        train, held_out = split(table)
        own = held_out[held_out["user_id"].isin(data.blocks.user_ids[asked.rows])]
        for candidate in (IMPLICIT_ALS, BLEND):
            expected, error = ndcg_by_hand(scores_of(train, candidate), train, own, K)
            (found,) = RankingFold(data, 0).measure([candidate])
            assert found["ndcg"] == pytest.approx(expected, abs=1e-9)
            assert found["ndcg_se"] == pytest.approx(error, abs=1e-9)

    def test_each_fold_has_a_sample_of_its_own(self, table):
        data = data_of(table, most_measured=USERS // 2)
        one, other = (RankingFold(data, fold)._asked.block.rows for fold in (0, 1))
        assert set(other) <= set(np.flatnonzero(is_in_sample(data.blocks.user_ids, 0.5, SEED + 1)))
        assert set(other) - set(one)


class TestSharedDecompositions:
    CANDIDATES = [EASE.model_copy(update={"ease_rank": rank}) for rank in (2, 4)]  # noqa: RUF012 - not changed

    def test_one_of_the_highest_rank_is_fitted_for_each_fold(self, table):
        data = data_of(table)
        trials = [Trial(each, fold) for each in self.CANDIDATES for fold in (0, 2)] + [Trial(IMPLICIT_ALS, 1)]
        assert data.missing_parts(trials) == [(0, 4), (2, 4)]
        known = data.with_shared({part: data.fit_shared(part) for part in data.missing_parts(trials)})
        assert known.missing_parts(trials) == []
        higher = Trial(EASE.model_copy(update={"ease_rank": 5}), 2)
        assert known.missing_parts([higher]) == [(2, 5)]
        assert known.missing_parts([Trial(EASE, 1)]) == []  # all singular vectors are not shared

    def test_they_change_no_measure(self, table):
        data = data_of(table)
        known = data.with_shared({(part := Part(0, 4)): data.fit_shared(part)})
        assert measured(known, *self.CANDIDATES) == pytest.approx(measured(data, *self.CANDIDATES), abs=1e-9)


class TestHeldOutRatings:
    @pytest.fixture
    def vectors(self, monkeypatch):
        """The users' and the movies' vectors of each candidate on fold 0."""

        def keep(self, users, items):
            return {"ndcg": (pd.DataFrame(users.block, index=self._asked.block.rows), pd.DataFrame(items))}

        monkeypatch.setattr(RankingFold, "_measures", keep)
        return lambda table: [part for pair in measured(data_of(table), *CANDIDATES) for part in pair]

    def test_do_not_influence_the_vectors(self, table, vectors):
        """The held-out movies are moved on by one, where that is not rated yet, and have other stars and times."""
        train, held_out = split(table)
        moved = held_out.assign(movie_id=held_out["movie_id"] % (10 * MOVIES) + 10, rating=0.5, time=7)
        taken = pd.MultiIndex.from_frame(train[["user_id", "movie_id"]])
        moved = moved[~pd.MultiIndex.from_frame(moved[["user_id", "movie_id"]]).isin(taken)]
        assert len(moved) > len(held_out) / 2
        changed = pd.concat([train, moved]).sort_values(["user_id", "movie_id"])
        for one, other in zip(vectors(table), vectors(changed), strict=True):
            asked = one.index.intersection(other.index)  # some users have no held-out rating any more
            assert len(asked) >= 0.9 * len(one)
            np.testing.assert_array_equal(one.loc[asked], other.loc[asked])

    def test_but_the_others_do(self, table, vectors):
        changed = table.assign(rating=np.where(table["fold"] == 1, 0.5, table["rating"]))
        before, after = vectors(table)[0], vectors(changed)[0]
        assert np.abs(before - after).to_numpy().max() > 1e-3

    def test_only_their_movies_decide_what_a_list_is_worth(self, table):
        changed = table.assign(
            rating=np.where(table["fold"] == 0, 0.5, table["rating"]),
            time=np.where(table["fold"] == 0, 7, table["time"]),
        )
        assert measured(data_of(changed), *CANDIDATES) == measured(data_of(table), *CANDIDATES)


MOVIE_IDS = np.arange(10, 10 * MOVIES + 10, 10, dtype=np.int32)


@pytest.fixture(scope="module")
def ratings(spark, table):
    """In any order."""
    columns = "user_id int, movie_id int, rating float, time long, fold int"
    shuffled = spark.createDataFrame(table.sample(frac=1, random_state=3), columns)
    named = ("user_id", "movie_id", "rating", "timestamp_micros(time) as rated_at", "fold")
    return shuffled.selectExpr(*named).cache()


def data_in(blocks, preferred: str = "all") -> RankingTrialData:
    preference = PreferenceParameters(preferred=preferred, star_weight=STARS)
    return RankingTrialData(blocks, preference, "all", K, SEED, 10_000, {})


@pytest.mark.parametrize("preferred", ["all", "liked"])
def test_both_carriers_measure_the_same(ratings, table, carrier, preferred):
    """Two alternations only, each of which is some jobs of Spark."""
    few = {"max_iter": 2}
    candidates = [each.model_copy(update=few) if each.rank else each for each in (IMPLICIT_ALS, BLEND, SEQUENTIAL)]
    blocks = open_blocks(carrier, ratings, MOVIE_IDS)
    found = [dict(*data_in(blocks, preferred).open(0).measure([each])) for each in candidates]
    blocks.close()
    expected = [dict(*data_of(table, preferred).open(0).measure([each])) for each in candidates]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert len({each["ndcg"] for each in found}) == 3


def test_an_ndcg_is_that_of_the_lists_that_are_measured_in_spark(spark, ratings, table):
    train, held_out = split(table)
    scores, rows = scores_of(train, EASE), []
    for user_id in table["user_id"].unique().tolist():
        own = set(train.loc[train["user_id"] == user_id, "movie_id"])
        left = [movie for movie in MOVIE_IDS.tolist() if movie not in own]
        ranked = sorted(left, key=lambda movie: (-scores[user_id - 1, movie // 10 - 1], movie))
        rows += [("ease", user_id, rank, movie) for rank, movie in enumerate(ranked[:K], 1)]
    lists = spark.createDataFrame(rows, "model string, user_id int, rank int, movie_id int")
    movies = spark.createDataFrame([(movie, []) for movie in MOVIE_IDS.tolist()], "movie_id int, genres array<string>")
    row = measure_rankings(lists, ratings.filter("fold = 0"), ratings.filter("fold <> 0"), movies, K).first()
    assert row["n_users"] == held_out["user_id"].nunique()
    (found,) = data_of(table).open(0).measure([EASE])
    assert found == {"below_mean": None} | {name: pytest.approx(row[name], abs=1e-9) for name in ("ndcg", "ndcg_se")}


@pytest.fixture(scope="module")
def runner(spark, ratings):
    return TrialRunner(spark, data_in(local_blocks(ratings, MOVIE_IDS)), "local")


class TestInTasks:
    TRIALS = [Trial(candidate, fold) for candidate in CANDIDATES for fold in range(FOLDS)]  # noqa: RUF012 - constant

    def test_outcomes_are_the_same_together_and_one_by_one(self, runner, table):
        outcomes = dict(runner.run(self.TRIALS))
        assert outcomes.keys() == set(self.TRIALS)
        assert not any(outcome.error for outcome in outcomes.values())
        here = [measured(data_of(table), trial.candidate, fold=trial.fold)[0] for trial in self.TRIALS]
        assert [outcomes[trial].measures["ndcg"] for trial in self.TRIALS] == pytest.approx(here, rel=1e-12)
        for trial in self.TRIALS[::7]:
            ((ended, outcome),) = runner.run([trial])
            assert ended == trial
            assert outcome.measures == outcomes[trial].measures

    def test_what_fails_is_recorded_and_harms_no_other(self, runner):
        """A fold without ratings, and more factors than movies without a pull."""
        singular = IMPLICIT_ALS.model_copy(update={"rank": MOVIES + 20, "reg_param": 0.0, "alpha": 0.0})
        failing = [Trial(EASE, 7), Trial(IMPLICIT_ALS, 7), Trial(singular, 0)]
        outcomes = dict(runner.run([*failing, Trial(EASE, 0)]))
        assert [outcomes[trial].error for trial in failing] == [
            "fold 7: no held-out ratings",
            "fold 7: no held-out ratings",
            "fold 0: the normal equations are singular: raise reg_param, or lower the rank",
        ]
        assert not outcomes[Trial(EASE, 0)].error
