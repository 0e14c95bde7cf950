"""What the tests of the HTML page render: a small data set with a script for a title, its results and its figures."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.parameters import FilterParameters
from movie_recs.data.scale import HALF_STARS
from movie_recs.model.factor_model import ItemSide, Rule, with_zeros
from movie_recs.ranking.compact import Compact, compact
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items
from movie_recs.rating.candidate import RatingCandidate
from movie_recs.report import figures as plots
from movie_recs.report.explorer import describe_history, index_explorer
from movie_recs.report.page import Content
from movie_recs.report.your_list import pack

SCRIPT = "<script>alert(1)</script>"
MOVIES = pd.DataFrame(
    [
        (1, "Toy Story", 1995, ["Animation", "Comedy"], "0114709", 862, 3, 4.0),
        (5, SCRIPT, None, [], None, None, 1, 2.5),
        (471, "Hudsucker Proxy, The", 1994, ["Comedy"], "0110074", 11934, 2, 3.75),
        (480, "Hudson's Amélie & Friends", 2001, ["Comedy", "Drama"], "0110000", None, 0, None),
    ],
    columns=["movie_id", "title", "year", "genres", "imdb_id", "tmdb_id", "ratings", "mean_rating"],
).astype({"year": "Int64", "tmdb_id": "Int64"})
MOVIES["original"] = MOVIES["movie_id"]
USERS = pd.DataFrame([(7, 7, 1, 4.5), (575, 575, 3, 3.5)], columns=["user_id", "original", "ratings", "mean_rating"])
LISTS = pd.DataFrame(
    [(575, 2, 480, 4.75), (575, 1, 5, 3.0), (7, 1, 471, 3.24)],
    columns=["user_id", "rank", "movie_id", "predicted_stars"],
)
NEIGHBOURS = pd.DataFrame(
    [(471, 1, 1, 0.5), (471, 2, 480, 1.25), (1, 1, 471, 0.5), (5, 1, 480, 90.0)],
    columns=["movie_id", "rank", "similar_movie_id", "distance"],
)
DATA = {
    "name": "small",
    "scale": HALF_STARS._asdict(),
    "synthetic": False,
    "users": 2,
    "movies": 4,
    "ratings": 6,
    "set_aside": 2,
    "set_aside_by_reason": [{"file": "ratings.csv", "reason": "rating is not a number", "rows": 2}],
    "nulled": 1,
    "nulled_by_reason": [{"file": "links.csv", "reason": "tmdbId is not a positive 32-bit integer", "rows": 1}],
    "sha256": {"ratings.csv": "ab12" * 16},
}
WEIGHTS = RatingWeights(star_weight=0.2, half_life=3, old_weight=0.2)
MEASURES = ("ndcg", "ndcg_liked", "ndcg_graded", "recall", "precision", "map", "mrr", "hit_rate")


def ranking_row(model: str, ndcg: float | None) -> dict:
    others = {"below_mean": 0.1, "coverage": 0.5, "novelty": 2.0, "diversity": 0.7, "popularity_lift": -0.25}
    row = {"model": model, "k": 10, **dict.fromkeys(MEASURES, ndcg), **others, "n_users": 2}
    return {**row, "ndcg_se": 0.01}


def make_metrics(data: dict) -> dict:
    reference = {"model": "reference_als", "rmse": 0.9, "mae": 0.7, "n": 6, "train_rmse": 0.6}
    best = {"model": "taste_als", "rmse": 0.81, "mae": 0.6, "n": 6, "train_rmse": 0.5}
    best |= {"compared_with": "reference_als", "gain": 0.09, "gain_se": 0.0125}
    real = {"model": "taste_als", "other": "reference_als", "gain": 0.09, "gain_se": 0.0125, "p": 1e-4, "p_holm": 1e-4}
    chance = {"model": "blend", "other": "most_popular", "gain": 0.15, "gain_se": 0.2, "p": 0.31, "p_holm": 0.31}
    return {
        "dataset": data,
        "split": {"strategy": "random", "seed": 42, "train": 5, "test": 1, "cold_users": 0, "cold_movies": 1},
        "rating": {
            "models": [reference, best],
            "best_params": {"model": "taste_als", "rank": 10, "taste_reg": 8.0},
            "comparisons": [real],
        },
        "ranking": {
            "models": [ranking_row("most_popular", 0.2), ranking_row("blend", 0.35)],
            "best_params": {"model": "blend", "ease_reg": 300.0, "half_life": None, "als_model": {"rank": 50}},
            "comparisons": [chance],
        },
    }


def make_lists() -> dict:
    movie = {"rank": 1, "movie_id": 471, "title": "Hudsucker Proxy, The", "year": 1994, "genres": ["Comedy"]}
    movie |= {"imdb_id": "0110074", "tmdb_id": 11934, "predicted_stars": 4.26, "because": [f"{SCRIPT} (4.0)"]}
    scripted = {**movie, "movie_id": 5, "title": SCRIPT, "year": None, "imdb_id": None, "tmdb_id": None, "because": []}
    rated = [{"movie_id": 5, "title": SCRIPT, "year": None, "genres": None, "rating": 4.5, "rated_in": 2001}]
    return {
        "users": [{"user_id": 575, "history": describe_history(rated, HALF_STARS), "movies": [movie, scripted]}],
        "new_users": [{"name": "<b>Ada</b>", "movies": [movie]}],
        "movies": [{"movie_id": 1, "title": "Toy Story", "year": 1995, "movies": [{**movie, "distance": 0.5}]}],
        "unknown": [{"kind": "movie", "id": 463}],
    }


def make_figures(data: dict) -> dict:
    cv = pd.DataFrame([("bias", 5.0, 0.9, 0.01), ("taste", 5.0, 0.8, 0.01)])
    cv.columns = ["model", "user_damping", "mean_rmse", "std_error"]
    return {
        "genres": plots.genres({"Comedy": 3, "Animation": 1}, data),
        "tags": plots.tags(pd.DataFrame({"tag": [SCRIPT, "dark & slow"], "applications": [3, 2]}), data),
        "rating_tuning": plots.cv_results(cv, RatingCandidate.MEASURE, data),
    }


def make_side(rule: Rule, ids: np.ndarray, intercept: float, seed: int) -> ItemSide:
    """A model of this rule with random movies."""
    rng, width = np.random.default_rng(seed), sum(rule.sizes)
    features = rng.normal(size=(len(ids), width)).astype(np.float32) / np.sqrt(width)
    return ItemSide(with_zeros(ids, rng.normal(0, 0.1, len(ids)).astype(np.float32), features), intercept, rule)


def make_models(ids: np.ndarray) -> Compact:
    """Small models of both objectives, the rating model's stars being a part of the ranking score."""
    preference = PreferenceRule(2, 3, "all", WEIGHTS, als_weight=0.6, reg_param=0.3, alpha=4.0, ease_diagonal=0.2)
    rating = make_side(RidgeRule((Ridge(2, 1.5, bias_damping=4.0), Ridge(2, 0.2, per_rating=True))), ids, 3.5, seed=2)
    own = make_side(preference, ids, 0.0, seed=1)
    rule = StarsRule(preference, rating.rule, rating.intercept, 0.1)
    items = with_zeros(ids, own.items.bias[:-1], join_items(own.items.features[:-1], rating))
    return compact(ItemSide(items, 0.0, rule), rating, ease_rank=2)


def make_content(**changes) -> Content:
    data = changes.pop("data", DATA)
    content = Content(
        metrics=make_metrics(data),
        eda={
            **{"users": 2, "movies": 4, "movies_rated": 3, "movies_never_rated": 1},
            **{"ratings": 6, "density": 6 / 8, "genres": {"Comedy": 3}},
        },
        figures=make_figures(data),
        lists=make_lists(),
        explorer=index_explorer(MOVIES, USERS, LISTS, NEIGHBOURS, data),
        your_list=pack(make_models(MOVIES["movie_id"].to_numpy(np.int32)), FilterParameters(), data["name"]),
        run_facts={
            "versions": {"python": "3.11.7", "pyspark": "4.3.0"},
            "started": datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC),
            "now": datetime(2025, 3, 1, 12, 2, 5, tzinfo=UTC),
        },
        parameters={"dataset": "small", "split": {"seed": 42}, "rating": {"tuning": {"seed": 43, "grid": [1, 2]}}},
    )
    return content._replace(**changes)
