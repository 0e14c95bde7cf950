"""What "Your list" of the page costs: in NDCG, in megabytes, and in milliseconds from ten ratings to a list.

    python benchmarks/your_list.py [--data data --dataset ml-latest-small --ease-rank 200 --movies 20000]

After a whole run on the data set. Quality: the ranking model of the train ratings as it is, and as the page would hold
it with several numbers of singular vectors; every user is folded in by her train ratings, and her list of 10 movies
is measured on her test ratings, with all relevant alike and graded. Size and time: the page as it is, and one of
`--movies` movies and 2,000 users, whose rows are drawn from the page's own; Chromium opens both without a network. The
exit code is 1 where a limit is not kept.
"""

import argparse
import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from movie_recs.data.interactions import Interactions, read_interactions, starts_of
from movie_recs.data.parameters import FilterParameters
from movie_recs.data.scale import HALF_STARS, Scale
from movie_recs.model.factor_model import ItemSide
from movie_recs.ranking.compact import Compact, CompactModel, compact, expand
from movie_recs.ranking.metrics import gains_of, ndcg_of_lists
from movie_recs.report.page import embed
from movie_recs.report.your_list import pack, unpack
from movie_recs.saved_models import newest_version, read_model
from movie_recs.serve.places import Places

K, SEED, USERS, RATINGS, ROUNDS = 10, 42, 2_000, 10, 20
MOST_NDCG = 0.01
LIMITS = {"as it is": (10, 100), "large": (15, 300)}  # MB, ms
DATA = ("explorer-data", "your-list-data")
MEASURE = """
    const [length, rounds, done] = arguments, count = catalogue.movies.ids.length, took = [];
    unpackModels(read("your-list-data")).then((maker) => {
      for (let round = 0; round < rounds; round += 1) {
        const random = (_, at) => (at * 7919 + round * 104729) % count, times = [...Array(length).keys()];
        const places = Array.from({ length }, random).sort((one, other) => one - other);
        const begin = performance.now();
        maker.list({ places, stars: times.map((at) => 1 + (at % 5)), times }, () => true);
        took.push(performance.now() - begin);
      }
      done(took);
    });
"""


def main() -> int:
    """Prints quality, sizes and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in {"data": "data", "dataset": "ml-latest-small", "ease-rank": 200, "movies": 20_000}.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    arguments = parser.parse_args()
    places = Places(Path(arguments.data), arguments.dataset)
    failures = compare_quality(places, arguments.ease_rank)
    with tempfile.TemporaryDirectory() as folder:
        failures += compare_pages(places.report, Path(folder) / "large.html", arguments.movies)
    return int(failures > 0)


def compare_quality(places: Places, ease_rank: int) -> int:
    """Prints the NDCG of each number of singular vectors; whether the page's own costs too much."""
    version = newest_version(places.model("ranking", "train_factor_model"))
    if version is None:
        sys.exit(f"There is no ranking model of the train ratings of {places.dataset}: run kedro run first.")
    model = read_model(version.folder)
    if model.rule is None:
        sys.exit("The ranking model has no rule.")
    train, test = (read_ratings(places, name, model.items.ids) for name in ("train", "test"))
    scale = Scale.of(json.loads(places.data_summary.read_text(encoding="utf-8")))
    whole = ItemSide(model.items, model.intercept, model.rule)
    reference = measure(whole, train, test, scale)
    print(f"the model as it is: NDCG@{K} {reference[0]:.4f}, graded {reference[1]:.4f}")
    failures = 0
    for rank in sorted({50, 100, ease_rank, 400}):
        found = measure(expand(compact(whole, None, rank))[0], train, test, scale)
        lost = [before - after for before, after in zip(reference, found, strict=True)]
        print(f"{rank:4} singular vectors: {found[0]:.4f}, {found[1]:.4f}; lost {lost[0]:.4f}, {lost[1]:.4f}")
        failures += rank == ease_rank and max(lost) >= MOST_NDCG
    return failures


def read_ratings(places: Places, name: str, ids: np.ndarray) -> Interactions:
    """The train or the test ratings."""
    table = pq.read_table(places.data_dir / "05_model_input" / places.dataset / f"{name}_ratings")
    times = table["rated_at"].cast(pa.timestamp("us")).cast(pa.int64()).fill_null(-(2**63))
    folds = pa.array(np.zeros(len(table), np.int16))
    columns = {each: table[each] for each in ("user_id", "movie_id", "rating")}
    return read_interactions(pa.table({**columns, "fold": folds, "time": times}), ids)


def measure(side: ItemSide, train: Interactions, test: Interactions, scale: Scale | None) -> tuple[float, float]:
    """NDCG of all users with test ratings and train ratings: every rated movie relevant alike, and graded."""
    users = side.rule.user_vectors(train, side.items, side.intercept)
    items, bias = side.items.features[:-1].astype(np.float32), side.items.bias[:-1]
    both = np.intersect1d(train.user_ids, test.user_ids)
    starts = [starts_of(each.users, len(each.user_ids)) for each in (train, test)]
    rows = [np.searchsorted(each.user_ids, both) for each in (train, test)]
    listed, best = np.zeros((2, len(both), K)), np.zeros((2, len(both), K))
    for place in range(len(both)):
        seen, held_out = (slice(*begin[row[place] :][:2]) for begin, row in zip(starts, rows, strict=True))
        scores = np.append(items @ users.features[rows[0][place]] + bias, -np.inf)  # the last of unknown movies
        scores[train.movies[seen]] = -np.inf
        gains = np.zeros((2, len(scores)))
        for kind, relevance in enumerate(("all", "graded")):
            gains[kind, test.movies[held_out]] = gains_of(test.ratings[held_out], relevance, scale or HALF_STARS)
        listed[:, place] = gains[:, np.argsort(-scores, kind="stable")[:K]]
        best[:, place] = -np.sort(-gains, axis=1)[:, :K]
    alike, graded = (float(ndcg_of_lists(*each).mean()) for each in zip(listed, best, strict=True))
    return alike, graded


def compare_pages(report: Path, large: Path, movies: int) -> int:
    """Prints the size and the time of both pages; how many limits are not kept."""
    large.write_text(enlarge(report.read_text(encoding="utf-8"), movies), encoding="utf-8")
    browser, failures = start_browser(), 0
    for name, path in (("as it is", report), ("large", large)):
        browser.get(path.absolute().as_uri())
        count = browser.execute_script("return catalogue.movies.ids.length")
        times = sorted(browser.execute_async_script(MEASURE, RATINGS, ROUNDS))
        size = path.stat().st_size / 1e6
        median, slowest = times[len(times) // 2], times[-1]
        print(
            f"page {name}: {count:,} movies, {size:.1f} MB; a list in {median:.0f} ms, the slowest in {slowest:.0f} ms"
        )
        failures += size >= LIMITS[name][0] or slowest >= LIMITS[name][1]
    browser.quit()
    return failures


def start_browser() -> webdriver.Chrome:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    browser.set_script_timeout(60)
    return browser


def enlarge(html: str, movies: int) -> str:
    """The page with so many movies and `USERS` users, drawn from its own; all lists are full, of random movies."""
    rng = np.random.default_rng(SEED)
    explorer, own = (json.loads(data_of(html, name)) for name in DATA)
    old = len(explorer["movies"]["ids"])
    rows = {"movies": rng.integers(0, old, movies), "users": rng.integers(0, len(explorer["users"]["ids"]), USERS)}
    for side, drawn in rows.items():
        explorer[side] = {name: [column[row] for row in drawn] for name, column in explorer[side].items()}
        explorer[side]["ids"] = list(range(100_001, 100_001 + len(drawn)))
    explorer["all"] = {side: len(drawn) for side, drawn in rows.items()}
    for kind, owners, value in (("lists", USERS, "stars"), ("neighbours", movies, "distances")):
        matrices = [rng.integers(1, most, (owners, K)).astype("<u2").tobytes() for most in (movies, 2**16)]
        explorer[kind] = {"length": K, **dict(zip(("movies", value), map(as_text, matrices), strict=True))}
    models = draw(unpack(own, np.arange(old, dtype=np.int32)), rows["movies"])
    for name, content in zip(DATA, (explorer, pack(models, FilterParameters(), own["name"])), strict=True):
        html = html.replace(data_of(html, name), embed(content))
    return html


def data_of(html: str, name: str) -> str:
    """The text of a script with data."""
    return html.split(f'<script type="application/json" id="{name}">')[1].split("</script>")[0]


def as_text(content: bytes) -> str:
    """In base64."""
    return base64.b64encode(content).decode("ascii")


def draw(models: Compact, rows: np.ndarray) -> Compact:
    """The models of these movies."""

    def of(model: CompactModel) -> CompactModel:
        features = model.features._replace(values=model.features.values[:, rows])
        return model._replace(bias=model.bias[rows], features=features)

    rating, stars = models.rating and of(models.rating), models.stars and of(models.stars)
    stars = rating if models.stars is models.rating else stars
    return models._replace(ids=np.arange(len(rows)), ranking=of(models.ranking), stars=stars, rating=rating)


if __name__ == "__main__":
    sys.exit(main())
