"""The fit of the second stage, and the lists that it makes."""

import builtins

import numpy as np
import pandas as pd
import pytest
from ranking.parameters import small_parameters
from ranking.rerank.stages import IDS, MOVIES, facts, first_stage, items_of, needs_lightgbm, ratings

from movie_recs.data.blocks import LocalBlocks
from movie_recs.data.interactions import Interactions
from movie_recs.data.scale import EVENTS, HALF_STARS, Scale
from movie_recs.errors import UserError
from movie_recs.model.arrangement import BY_SCORE, Arrangement
from movie_recs.model.search import search
from movie_recs.ranking.candidate import RankingCandidate
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.ranking.rerank import fit, lambdamart
from movie_recs.ranking.rerank.fit import fit_reranker, labels_of
from movie_recs.ranking.rerank.lambdamart import Reranker, load_lightgbm
from movie_recs.ranking.rerank.lists import SecondStage
from movie_recs.ranking.trial import RankingTrialData

FOLDS = range(3)
CANDIDATE = RankingCandidate(
    model="blend",
    **{"rank": 3, "reg_param": 0.1, "max_iter": 3, "alpha": 2, "als_weight": 0.5},
    **{"ease_reg": 3, "ease_diagonal": 0.2, "star_weight": 0.3},
)
PARAMETERS = small_parameters(5, most_below_mean=0.2)


def data_of(block: Interactions) -> RankingTrialData:
    blocks = LocalBlocks(block, block.user_ids, block.movie_ids)
    stars = dict.fromkeys(FOLDS, first_stage().stars)
    return RankingTrialData(blocks, PARAMETERS.preference, "graded", 5, 1, 10_000, {}, None, stars)


def fitted(block: Interactions, parameters: RankingParameters = PARAMETERS) -> Reranker:
    return fit_reranker(data_of(block), CANDIDATE, CANDIDATE.model_dump(), parameters, FOLDS, facts())


@pytest.fixture(scope="module")
def block() -> Interactions:
    return ratings(users=150)


@pytest.fixture(scope="module")
def reranker(block) -> Reranker:
    return fitted(block)


def found_in(stage, block: Interactions, n: int) -> dict[str, np.ndarray]:
    vectors = stage.ranking.rule.user_vectors(block, stage.ranking.items, 0.0)
    counts = np.bincount(block.users, minlength=len(block.user_ids))
    seen = block.movie_ids[block.movies]
    (found,) = search(block.user_ids, vectors.bias, vectors.features, seen, counts, items_of(stage), n)
    return found


class TestLabels:
    def test_are_half_stars_where_stars_count(self):
        assert labels_of(np.array([0.5, 3.0, 4.5, 5.0]), "graded", HALF_STARS).tolist() == [1, 6, 9, 10]
        assert labels_of(np.array([10.0, 5.0, 1.0]), "graded", Scale.make(1, 10, 1)).tolist() == [10, 5, 1]
        gains = 2 ** np.array([0.5, 3.0, 4.5, 5.0]) - 1
        np.testing.assert_allclose(np.array(fit.HALF_STARS)[[1, 6, 9, 10]], gains)

    def test_are_hits_otherwise(self):
        ratings = np.array([0.5, 4.0, 5.0])
        assert labels_of(ratings, "liked", HALF_STARS).tolist() == [0, 1, 1]
        assert labels_of(ratings, "all", HALF_STARS).tolist() == [1, 1, 1]
        assert labels_of(ratings, "graded", EVENTS).tolist() == [1, 1, 1]


class TestExamples:
    @pytest.fixture
    def collected(self, monkeypatch):
        """Returns the examples that a fit of these ratings would see, without fitting trees."""

        def collect(block: Interactions) -> list[fit.Examples]:
            seen = []
            monkeypatch.setattr(fit, "fit_trees", lambda *arguments: seen.append(arguments) or "")
            monkeypatch.setattr(fit, "_within_limit", lambda reranker, *_: reranker)
            fitted(block)
            ((features, labels, lengths, *_),) = seen
            return fit.Examples(features, labels, lengths)

        return collect

    def test_a_label_is_the_held_out_rating_of_its_movie(self, block, collected):
        """Of all three folds, each rating is a hit once at most, and only if it is among its list's candidates."""
        examples = collected(block)
        assert examples.lengths.sum() == len(examples.labels) == len(examples.features["score"])
        hits = pd.Series(examples.labels[examples.labels > 0]).value_counts()
        given = pd.Series(np.rint(2 * block.ratings).astype(int)).value_counts()
        assert (hits == given.reindex(hits.index)).all()  # every movie that is not rated is a candidate here

    def test_what_a_fold_holds_is_in_none_of_its_features(self, block, collected):
        """Other stars and times of the ratings of fold 0 change the features of the lists of the others alone."""
        changed = block.folds == 0  # whose lists are the first
        stars, times = block.ratings.copy(), block.times.copy()
        stars[changed], times[changed] = stars[changed][::-1], times[changed][::-1]
        before, after = collected(block), collected(block._replace(ratings=stars, times=times))
        lists_of_fold_0 = len(np.unique(block.users[changed]))
        rows = before.lengths[:lists_of_fold_0].sum()
        assert before.lengths.tolist() == after.lengths.tolist()
        for name, column in before.features.items():
            np.testing.assert_array_equal(column[:rows], after.features[name][:rows], err_msg=name)
        assert not np.array_equal(before.features["days"][rows:], after.features["days"][rows:])
        assert not np.array_equal(before.labels[:rows], after.labels[:rows])


@needs_lightgbm
class TestFit:
    def test_the_same_ratings_give_the_same_trees(self, block, reranker):
        assert fitted(block) == reranker

    def test_planted_preferences_are_found(self):
        """Hits are the movies of the highest feature, which the first stage does not look at."""
        rng = np.random.default_rng(3)
        lists, width = 400, 20
        features = {name: rng.normal(size=lists * width).astype(np.float32) for name in (lambdamart.FIRST, "other")}
        best = features["other"].reshape(lists, width).argsort(axis=1)[:, -3:]
        labels = np.zeros((lists, width), np.int8)
        np.put_along_axis(labels, best, 1, axis=1)
        trees = lambdamart.fit_trees(features, labels.ravel(), np.full(lists, width), [0.0, 1.0], 1)
        scores = Reranker(trees, 0.0, lambdamart.FIRST_WEIGHT, {}).scores(features).reshape(lists, width)
        hits = np.take_along_axis(labels, scores.argsort(axis=1)[:, -3:], axis=1)
        assert hits.mean() > 0.9

    def test_lists_keep_the_limit_below_the_users_mean(self, block, reranker):
        free = PARAMETERS.tuning.model_copy(update={"most_below_mean": 1.0})
        without = fitted(block, PARAMETERS.model_copy(update={"tuning": free}))
        assert without.below_weight == 0 < reranker.below_weight
        assert without.trees == reranker.trees

    def test_other_features_than_those_of_the_fit_are_refused(self, reranker):
        with pytest.raises(UserError, match=r"fitted for other models: run kedro run with ranking\.rerank=true"):
            reranker.scores({lambdamart.FIRST: np.zeros(1)})


@needs_lightgbm
class TestLists:
    def test_are_the_candidates_by_the_second_stages_score(self, block, reranker):
        stage = first_stage()
        second = SecondStage(stage, reranker)
        found = found_in(stage, block, MOVIES)
        lists = second.lists(found, block, items_of(stage), 5, BY_SCORE)
        whole = second.lists(found, block, items_of(stage), MOVIES, BY_SCORE)
        for user in block.user_ids[:-1].tolist():
            mine, all_of_mine = (
                {name: column[part["id"] == user] for name, column in part.items()} for part in (lists, whole)
            )
            assert mine["rank"].tolist() == [1, 2, 3, 4, 5]
            assert (np.diff(all_of_mine["value"]) <= 0).all()
            assert mine["item_id"].tolist() == all_of_mine["item_id"][:5].tolist()
            candidates = found["item_id"][found["id"] == user]
            assert sorted(all_of_mine["item_id"]) == sorted(candidates)
        assert lists["item_id"].tolist() != found["item_id"][found["rank"] <= 5].tolist()

    def test_a_user_without_ratings_keeps_the_first_stages(self, block, reranker):
        stage, newcomer = first_stage(), block.user_ids[-1]
        found = found_in(stage, block, MOVIES)
        lists = SecondStage(stage, reranker).lists(found, block, items_of(stage), 5, BY_SCORE)
        first = (found["id"] == newcomer) & (found["rank"] <= 5)
        for name in found:
            np.testing.assert_array_equal(lists[name][lists["id"] == newcomer], found[name][first])

    def test_are_arranged_after_the_second_stage(self, block, reranker):
        """All movies being one series but one, that one is second in the list, as no two of a series follow."""
        stage = first_stage()
        apart = Arrangement(0.0, IDS, (IDS[-1] == IDS).astype(np.int64))
        second = SecondStage(stage, reranker)
        found = found_in(stage, block, MOVIES)
        lists = second.lists(found, block, items_of(stage), MOVIES // 2, apart)
        others = lists["item_id"] == IDS[-1]
        assert set(lists["rank"][others]) <= {1, 2}
        assert others.sum() > len(block.user_ids) / 3


class TestMissing:
    @pytest.mark.parametrize(
        ("raised", "sentence"),
        [
            (ImportError("no"), r'needs one more package: pip install "movie_recs\[rerank\]"'),
            (OSError("libgomp.so.1: cannot open"), r"libgomp.so.1: cannot open\): install OpenMP's library, libgomp1"),
        ],
    )
    def test_package_or_library_is_named_in_one_sentence(self, monkeypatch, raised, sentence):
        plain = builtins.__import__

        def failing(name, *arguments, **options):
            if name == "lightgbm":
                raise raised
            return plain(name, *arguments, **options)

        monkeypatch.setattr(builtins, "__import__", failing)
        with pytest.raises(UserError, match=sentence):
            load_lightgbm()
