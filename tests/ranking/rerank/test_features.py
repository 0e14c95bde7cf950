"""The features of candidates: each by plain sums, and none by what a list or a block has beside it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from ranking.rerank.stages import ALS, DAY, GENRES, IDS, facts, first_stage, items_of, ratings, sums

from movie_recs.data.interactions import Interactions, users_apart
from movie_recs.model.search import search
from movie_recs.ranking.rerank.features import FirstStage, describe_candidates
from movie_recs.ranking.rerank.lists import find_candidates

WIDTH = 12  # candidates of each list


def described(stage: FirstStage, block: Interactions) -> tuple[dict[str, np.ndarray], list[tuple[int, int, float]]]:
    """The features by name, and (user id, movie row, score) of each candidate."""
    vectors = stage.ranking.rule.user_vectors(block, stage.ranking.items, 0.0)
    counts = np.bincount(block.users, minlength=len(block.user_ids))
    seen = block.movie_ids[block.movies]
    (found,) = search(block.user_ids, vectors.bias, vectors.features, seen, counts, items_of(stage), WIDTH)
    candidates, _, own = find_candidates(found, block)
    pairs = zip(own.user_ids[candidates.users], candidates.movies, candidates.scores, strict=True)
    return describe_candidates(stage, own, candidates), [(int(u), int(m), float(s)) for u, m, s in pairs]


def spread(values: list[float]) -> tuple[float, float]:
    mean = sum(values) / len(values)
    return mean, math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


@pytest.mark.parametrize("with_stars", [True, False])
def test_each_is_what_plain_sums_give(with_stars):
    stage, block = first_stage(with_stars), ratings()
    features, pairs = described(stage, block)
    assert {user for user, _, _ in pairs} == set(block.user_ids[:-1].tolist())  # the last has no ratings
    about, log_counts = facts(), np.log1p(facts().rated)
    genre_rows = {name: set(rows.tolist()) for name, rows in GENRES.items()}
    shares = [{g: 1 / sum(m in r for r in genre_rows.values()) for g, rows in genre_rows.items() if m in rows}
              for m in range(len(IDS))]  # fmt: skip
    all_ratings = about.rated.sum()
    usual = {g: sum(n * of.get(g, 0) for n, of in zip(about.rated, shares, strict=True)) / all_ratings for g in GENRES}
    by_all = (sums() + 5 * sums().sum() / all_ratings) / (about.rated + 5)
    rule = stage.ranking.rule.preference if with_stars else stage.ranking.rule
    for user in block.user_ids[[0, 5, 17]].tolist():
        rows = [place for place, pair in enumerate(pairs) if pair[0] == user]
        movies = [pairs[place][1] for place in rows]
        own = block.users == np.searchsorted(block.user_ids, user)
        rated, stars = block.movies[own], block.ratings[own].astype(float)
        years = [about.years[each] for each in rated if each != 3]
        (alone,) = (each for each in users_apart(block) if each.user_ids[0] == user)
        sides = stage.ranking.rule.split(stage.ranking.items)[0] if with_stars else stage.ranking.items
        mine = {genre: sum(shares[other].get(genre, 0) for other in rated) / len(rated) for genre in GENRES}
        vector = rule.user_vectors(alone, sides, 0.0).features[0].astype(float)
        vectors = sides.features[:-1].astype(float)
        by_model = {"als": vectors[:, :ALS] @ vector[:ALS], "ease": vectors[:, ALS:] @ vector[ALS:]}
        expected = {
            "popularity": [log_counts[m] for m in movies],
            "popularity_above_own": [log_counts[m] - np.mean(log_counts[rated]) for m in movies],
            "year": [about.years[m] for m in movies],
            "years_after_own": [about.years[m] - np.mean(years) for m in movies],
            "genres": [sum(share * mine[genre] for genre, share in shares[m].items()) for m in movies],
            "genres_above_usual": [
                sum(share * (mine.get(genre, 0) - usual[genre]) for genre, share in shares[m].items()) for m in movies
            ],
            "number_of_ratings": [math.log1p(len(rated))] * len(movies),
            "days": [0.0 if user == 3 else math.log1p(np.ptp(block.times[own]) / DAY)] * len(movies),
            "score": [pairs[place][2] for place in rows],
            **{name: [scores[m] for m in movies] for name, scores in by_model.items()},
        }
        if with_stars:
            model = stage.stars
            folded = model.rule.user_vectors(alone, model.items, model.intercept)
            predicted = model.intercept + folded.bias[0] + model.items.bias[:-1]
            predicted = predicted + model.items.features[:-1] @ folded.features[0]
            expected["stars"] = [predicted[m] for m in movies]
            expected["stars_by_all"] = [by_all[m] for m in movies]
            expected["mean_stars"] = [stars.mean()] * len(movies)
            expected["stars_above_mean"] = [predicted[m] - stars.mean() for m in movies]
        for name in [name for name in ("score", "als", "ease", "stars") if name in expected]:
            values = expected[name]
            mean, deviation = spread(values)
            expected[f"{name}_z"] = [(value - mean) / deviation for value in values]
            expected[f"{name}_rank"] = [sum(other > value for other in values) for value in values]
        assert set(expected) == set(features)
        for name, values in expected.items():
            np.testing.assert_allclose(features[name][rows], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_users_are_the_same_alone_as_beside_others():
    stage, block = first_stage(), ratings()
    together, pairs = described(stage, block)
    starts = [0, *(place + 1 for place, (one, other) in enumerate(pairwise(pairs)) if one[0] != other[0]), len(pairs)]
    for (first, last), alone in zip(pairwise(starts), users_apart(block), strict=False):
        found, _ = described(stage, alone)
        for name, column in found.items():
            np.testing.assert_allclose(column, together[name][first:last], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_movie_that_the_models_do_not_know_changes_nothing():
    stage, block = first_stage(), ratings()
    users = np.append(block.users, len(block.user_ids) - 2).astype(np.int32)
    unknown = block._replace(
        users=users,
        movies=np.append(block.movies, len(IDS)).astype(np.int32),
        **{name: np.append(getattr(block, name), getattr(block, name)[-1]) for name in ("ratings", "folds", "times")},
    )
    vectors = stage.ranking.rule.user_vectors(block, stage.ranking.items, 0.0)
    counts = np.bincount(block.users, minlength=len(block.user_ids))
    seen = block.movie_ids[block.movies]
    (found,) = search(block.user_ids, vectors.bias, vectors.features, seen, counts, items_of(stage), WIDTH)
    parts = (find_candidates(found, each) for each in (block, unknown))
    one, other = (describe_candidates(stage, own, candidates) for candidates, _, own in parts)
    for name, column in one.items():
        np.testing.assert_allclose(column, other[name], rtol=1e-6, err_msg=name)
