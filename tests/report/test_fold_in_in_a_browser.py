"""The page's own lists in a real browser, of every kind of model: scores, stars and reasons are those of Python."""

import numpy as np
import pytest
from report.browser import NEEDED, problems, start, write_page
from report.own_list import IDS, python_list
from report.pages import make_content, make_side
from selenium.webdriver.remote.webdriver import WebDriver

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.bayes.rule import PosteriorRule
from movie_recs.data.parameters import FilterParameters
from movie_recs.data.scale import HALF_STARS
from movie_recs.model.arrangement import Arrangement
from movie_recs.model.factor_model import ItemSide, Rule, with_zeros
from movie_recs.ranking.compact import Compact, compact
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.stars import StarsRule, join_items
from movie_recs.report.your_list import pack, unpack

pytestmark = NEEDED


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    driver = start(str(tmp_path_factory.mktemp("chromium")))
    driver.get(write_page(tmp_path_factory.mktemp("page") / "report.html", make_content()))
    yield driver
    assert problems(driver) == []
    driver.quit()


def posterior_rule(features: int, rank: int) -> PosteriorRule:
    rng, size = np.random.default_rng(5), 1 + features + rank
    half, spread = rng.normal(size=(size, size)), rng.normal(0, 0.1, (1 + rank, 1 + rank))
    nested = [half @ half.T + np.eye(size), rng.normal(0, 0.1, (2 + features, size)), spread @ spread.T]
    precision, weights, spread = (tuple(map(tuple, matrix.tolist())) for matrix in nested)
    return PosteriorRule(features, rank, precision, weights, spread, centre=2.0, shape=3.0, rate=2.0)


def with_stars(preference: PreferenceRule, rating: ItemSide, weight: float) -> ItemSide:
    own = make_side(preference, IDS, 0.0, seed=6)
    items = with_zeros(IDS, own.items.bias[:-1], join_items(own.items.features[:-1], rating))
    return ItemSide(items, 0.0, StarsRule(preference, rating.rule, rating.intercept, weight))


PLAIN, AGED = RatingWeights(star_weight=0.3), RatingWeights(star_weight=0.2, half_life=3, old_weight=0.2)
BIASES = RidgeRule((Ridge(0, 0.0, bias_damping=5.0),))
TASTE_ALS = RidgeRule((Ridge(3, 2.0, bias_damping=4.0), Ridge(2, 0.2, per_rating=True)))
BLEND = PreferenceRule(2, 4, "all", AGED, als_weight=0.4, reg_param=0.2, alpha=3.0, ease_diagonal=0.3)
MODELS: dict[str, tuple[Rule, Rule | None]] = {
    "ALS": (
        PreferenceRule(3, 0, "above_mean", PLAIN, reg_param=0.3, alpha=4.0),
        RidgeRule((Ridge(3, 0.1, per_rating=True),)),
    ),
    "EASE": (PreferenceRule(0, 5, "liked", PLAIN, ease_diagonal=0.3), BIASES),
    "blend of events": (BLEND._replace(weights=PLAIN), None),
    "what is rated next": (BLEND._replace(sequential_weight=1.5), BIASES),
    "with stars of biases": (BLEND._replace(sequential_weight=0.7), BIASES),
    "with stars of tastes and ALS": (BLEND, TASTE_ALS),
    "with stars of a posterior": (BLEND, posterior_rule(3, 2)),
}  # fmt: skip


def models_of(name: str) -> Compact:
    own, stars = MODELS[name]
    rating = None if stars is None else make_side(stars, IDS, 3.5, seed=7)
    has_stars = name.startswith("with stars")
    ranking = with_stars(own, rating, 0.1) if has_stars else make_side(own, IDS, 0.0, seed=8)
    return compact(ranking, rating, ease_rank=3)


@pytest.mark.parametrize("name", MODELS)
def test_lists_scores_stars_and_reasons_are_those_of_python(page, name):
    there = pack(models_of(name), FilterParameters(), name)
    rng = np.random.default_rng(9)
    for count in (1, 4, 30):
        movies = rng.choice(IDS, count, replace=False).tolist()
        rated = {m: (float(rng.integers(1, 11)) / 2, int(rng.integers(1, 50))) for m in movies}
        expected = python_list(unpack(there, IDS), rated)
        found = list_in(page, there, [[m, *row] for m, row in rated.items()])
        assert [row["id"] for row in found] == expected.ids
        assert [row["score"] for row in found] == pytest.approx(expected.scores, abs=1e-3)
        assert [row["because"] for row in found] == expected.because
        for row, shares in zip(found, expected.shares, strict=True):
            assert row["score"] > 0 or set(shares) <= {None}
            assert row["score"] <= 0 or row["shares"] == pytest.approx(shares, rel=1e-3)
        if expected.stars is not None:
            clipped = [min(max(row["stars"], HALF_STARS.least), HALF_STARS.most) for row in found]
            assert clipped == pytest.approx(expected.stars, abs=1e-3)


@pytest.mark.parametrize("name", ["EASE", "with stars of biases"])
@pytest.mark.parametrize("diversity", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("is_apart", [False, True])
def test_the_order_is_that_of_recommend(page, name, diversity, is_apart):
    models = models_of(name)
    series = np.arange(len(IDS)) % 5 if is_apart else np.zeros(0, int)
    arrangement = Arrangement(diversity, IDS[: len(series)], series)
    there = pack(models, FilterParameters(), name, arrangement)
    rated = {int(movie): (4.0, 1) for movie in IDS[10:14]}
    expected = python_list(unpack(there, IDS), rated, arrangement=arrangement)
    found = list_in(page, there, [[movie, *row] for movie, row in rated.items()])
    assert [row["id"] for row in found] == expected.ids


def list_in(page: WebDriver, there: dict, rows: list) -> list[dict]:
    return page.execute_async_script(
        """
        const [packed, given, ids, done] = arguments, place = (id) => ids.indexOf(id);
        const rows = given.map(([id, ...row]) => [place(id), ...row]).sort((one, other) => one[0] - other[0]);
        const [places, stars, times] = [0, 1, 2].map((at) => rows.map((row) => row[at]));
        unpackModels(packed).then((maker) => done(maker.list({ places, stars, times }, () => true).map((row) =>
          ({ ...row, id: ids[row.place], because: row.because.map((reason) => ids[reason.place]),
             shares: row.because.map((reason) => reason.term / row.score) }))));
        """,
        there,
        rows,
        IDS.tolist(),
    )
