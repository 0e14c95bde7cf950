"""A small data set as runs write it, by Arrow alone: eight users, twelve movies, a model of each objective."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.data.interactions import read_interactions
from movie_recs.model.factor_model import Rule, factor_rows, read_arrays
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.rules import describe_rule
from movie_recs.saved_models import MARKER
from movie_recs.serve.places import Places

EARLIER, LATER = "2025-01-01T00.00.00.000Z", "2025-02-01T00.00.00.000Z"
MOVIES = [
    (1, "Toy Story", 1995, ["Comedy"], "0114709"),
    (2, "Toy Story 2", 1999, ["Comedy"], "0120363"),
    (3, "Matrix, The", 1999, ["Sci-Fi"], "0133093"),
    (4, "Matrix Reloaded, The", 2003, ["Sci-Fi"], "0234215"),
    (5, "Sabrina", 1954, ["Romance"], "0047437"),
    (6, "Sabrina", 1995, ["Romance", "Comedy"], "0114319"),
    (7, "Untimely", None, [], None),
    (8, "300", 2006, ["Action"], "0416449"),
    (9, "Avventura, L' (Adventure, The)", 1960, ["Drama"], "0053619"),
    (10, "Twice", 2001, ["Drama"], "0000010"),
    (11, "Twice Again", 2002, ["Drama"], "0000010"),
    (12, "Shawshank Redemption, The", 1994, ["Drama"], "0111161"),
]
MOVIE_IDS = [row[0] for row in MOVIES]
USERS = range(1, 9)
HALVES = {"least": 0.5, "most": 5.0, "step": 0.5, "liked": 4.0}
RANKING_RULE = PreferenceRule(
    2, 3, "all", RatingWeights(star_weight=0.2, half_life=3, old_weight=0.2), als_weight=0.6, reg_param=0.3, alpha=4.0
)
RATING_RULE = RidgeRule((Ridge(2, 1.5, bias_damping=4.0), Ridge(2, 0.2, per_rating=True)))


def ratings(seed: int = 1) -> pa.Table:
    """About half of the pairs with random stars, in no order, as the clean table has them; one has no time."""
    rng = np.random.default_rng(seed)
    users, movies = np.nonzero(rng.random((len(USERS), len(MOVIES))) < 0.5)
    order = rng.permutation(len(users))
    times = [datetime.fromtimestamp(1_500_000_000 + int(each)) for each in rng.integers(0, 10**6, len(users))]
    return pa.table({
        "user_id": (users[order] + 1).astype(np.int32),
        "movie_id": (movies[order] + 1).astype(np.int32),
        "rating": (rng.integers(1, 11, len(users)) / 2).astype(np.float32),
        "rated_at": pa.array([None, *times[1:]], pa.timestamp("us")),
    })  # fmt: skip


def write(data_dir: Path, scale: dict | None = HALVES, text_ids: bool = False, version: str = EARLIER) -> Places:
    """The whole data set; with `text_ids` user 3 is u3 and movie 12 is m12."""
    places, rated = Places(data_dir, "small"), ratings()
    write_table(places.table("ratings"), rated.slice(0, 7), rated.slice(7))
    columns = list(zip(*MOVIES, strict=True))
    names = ("movie_id", "title", "year", "genres", "imdb_id")
    kinds = (pa.int32(), pa.string(), pa.int32(), pa.list_(pa.string()), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    write_table(places.table("movies"), pa.table(arrays, names))
    for side, ids in (("user", USERS), ("movie", MOVIE_IDS)):
        rows = [(number, f"{side[0]}{number}") for number in ids] if text_ids else []
        kind = pa.string() if text_ids else pa.int32()
        numbers, originals = ([row[place] for row in rows] for place in (0, 1))
        table = pa.table([pa.array(numbers, pa.int32()), pa.array(originals, kind)], ["id", "original"])
        write_table(places.table(f"{side}_ids"), table)
    summary = {"name": "small", "users": len(USERS), "movies": len(MOVIES), "ratings": len(rated), "scale": scale}
    places.data_summary.write_text(json.dumps(summary))
    write_models(places, version, seed=3, has_ratings=scale is not None)
    return places


def write_models(places: Places, version: str, seed: int, has_ratings: bool = True) -> None:
    """A version of each objective's model, with random movies and the users that follow from them."""
    write_model(places.model("ranking"), version, 0.0, RANKING_RULE, seed)
    if has_ratings:
        write_model(places.model("rating"), version, 3.5, RATING_RULE, seed)


def write_model(folder: Path, version: str, intercept: float, rule: Rule, seed: int) -> None:
    """A complete version of a model, its movies in two files and in no order."""
    rng = np.random.default_rng(seed)
    ids, rank = rng.permutation(MOVIE_IDS).astype(np.int32), sum(rule.sizes)
    rows = factor_rows(ids, rng.normal(0, 0.1, len(ids)), rng.normal(size=(len(ids), rank)))
    items, rated = read_arrays(rows), ratings()
    columns = {name: rated[name].to_numpy() for name in ("user_id", "movie_id", "rating")}
    times = rated["rated_at"].cast(pa.int64()).fill_null(-(2**63)).to_numpy()
    block = pa.table({**columns, "fold": np.zeros(len(times), np.int16), "time": times})
    read = read_interactions(block, items.ids)
    place = folder / version / folder.name
    write_table(place / "item_factors", rows.slice(0, 5), rows.slice(5))
    write_table(place / "user_factors", factor_rows(read.user_ids, *rule.user_vectors(read, items, intercept)))
    (place / "model.json").write_text(json.dumps({"intercept": intercept, **describe_rule(rule)}))
    (place / MARKER).touch()


def write_table(folder: Path, *parts: pa.Table) -> None:
    """A table in a file for each part."""
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        pq.write_table(part, folder / f"part-{number:05}.parquet")
