"""Refreshed models against refitted ones: NDCG on ratings that neither has seen, and the times of both.

    .venv/bin/python benchmarks/refresh.py data/01_raw/ml-latest-small --shares 0.01 0.1

A fifth of the ratings, drawn at random, are the test set. Of the others the last share by time is new: models are
fitted without it, refreshed with it, and fitted anew with it, by the same hyperparameters (those that win on
ml-latest-small). Each command is a process of its own, from cold. `stale` are the models before the refresh, where who
is new has no list.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from movie_recs.data.interactions import rows_of, starts_of
from movie_recs.data.scale import HALF_STARS
from movie_recs.model.search import search
from movie_recs.ranking.metrics import best_gains, gains_of, ndcg_of_lists
from movie_recs.serve.places import Places
from movie_recs.serve.snapshot import Snapshot, load_snapshot

ROOT = Path(__file__).parents[1]
DATASET, TEST_SHARE, K = "held-back", 0.2, 10
WINNERS: dict[str, dict[str, object]] = {
    "rating.tuning.baseline_grid": {"user_damping": 5, "movie_damping": 5, "taste_reg": 16, "prior_reg": 10},
    "rating.tuning.grid": {"rank": 10, "reg_param": 0.2, "max_iter": 10},
    "rating.tuning": {"one_fold_from": 1, "beyond_edges": "false", "final_fit": "compiled"},
    "ranking.tuning.grid": {"rank": 50, "reg_param": 0.3, "alpha": 4, "max_iter": 10},
    "ranking.tuning.weight_grid": {"star_weight": 0.4, "half_life": 5, "old_weight": 1},
    "ranking.tuning": {
        **{"ease_reg": 600, "ease_rank": 200, "ease_diagonal": 0.3, "als_weight": 0.3, "stars_weight": 0.1},
        **{"one_fold_from": 1, "beyond_edges": "false", "final_fit": "compiled"},
    },
}
FIT = "data_processing,tuning"


def run(pipelines: str, raw: Path, data: Path) -> str:
    """Runs pipelines of Kedro's in a process; its time, and its CPU time without Java's."""
    fixed = [f"{block}.{name}={value}" for block, values in WINNERS.items() for name, value in values.items()]
    given = [f"dataset={DATASET}", *fixed]
    command = [sys.executable, "-m", "kedro", "run", f"--pipelines={pipelines}", "--params", ",".join(given)]
    environment = {**os.environ, "MOVIELENS_DIR": str(raw), "MOVIE_RECS_DATA_DIR": str(data)}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return f"{time.perf_counter() - began:.1f} s, {cpu:.1f} CPU s without Java's"


def write(folder: Path, source: Path, ratings: pd.DataFrame) -> Path:
    """A folder of data sets with one, `held-back`, of these ratings."""
    shutil.copytree(source, folder / DATASET, ignore=shutil.ignore_patterns("ratings.csv"))
    ratings.to_csv(folder / DATASET / "ratings.csv", index=False)
    return folder


def measure(snapshot: Snapshot, seen: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    """By user of the test set, NDCG and graded NDCG of her list of what she has not `seen`; 0 without a list."""
    model, users = snapshot.ranking.model, snapshot.ranking.users
    ids = np.unique(test["userId"]).astype(np.int32)
    places = rows_of(ids, users.ids)
    known = ids[places < len(users.ids)]
    own = seen[seen["userId"].isin(known)].sort_values(["userId", "movieId"])
    counts = np.diff(starts_of(np.searchsorted(known, own["userId"]), len(known)))
    places = places[places < len(users.ids)]
    query = users.bias[places] + model.intercept, np.asarray(users.features[places])
    lists = pd.concat(
        pd.DataFrame(part) for part in search(known, *query, own["movieId"].to_numpy(), counts, snapshot.searched, K)
    )
    hits = test.merge(lists, left_on=["userId", "movieId"], right_on=["id", "item_id"], how="left")
    hits = hits.sort_values("userId")
    starts = starts_of(np.searchsorted(ids, hits["userId"]), len(ids))
    found = {}
    for name, relevance in (("ndcg", "all"), ("ndcg_graded", "graded")):
        gains = gains_of(hits["rating"].to_numpy(), relevance, HALF_STARS)
        placed, is_hit = np.zeros((len(ids), K)), hits["rank"].notna().to_numpy()
        rows = np.searchsorted(ids, hits["userId"][is_hit])
        placed[rows, hits["rank"][is_hit].astype(int) - 1] = gains[is_hit]
        found[name] = ndcg_of_lists(placed, best_gains(starts, gains, K))
    return pd.DataFrame(found, index=ids)


def load(data: Path) -> Snapshot:
    """What a service would answer from."""
    return load_snapshot(Places(data, DATASET))


def compare(source: Path, folder: Path, shares: list[float], seed: int) -> None:
    """Prints the times and measures for each share of new ratings."""
    ratings = pd.read_csv(source / "ratings.csv")
    is_test = np.random.default_rng(seed).random(len(ratings)) < TEST_SHARE
    test, rest = ratings[is_test], ratings[~is_test].sort_values("timestamp", kind="stable")
    whole = write(folder / "whole", source, rest)
    print(f"{len(rest):,} ratings, and {len(test):,} of {test['userId'].nunique()} users to test on")
    print(f"whole fit (data_processing, tuning by one candidate): {run(FIT, whole, folder / 'refitted')}")
    refitted = measure(load(folder / "refitted"), rest, test)
    for share in shares:
        kept, before = len(rest) - round(share * len(rest)), folder / f"without-{share}"
        part = write(folder / f"raw-{share}", source, rest.iloc[:kept])
        new, users = rest.iloc[kept:], set(rest["userId"].iloc[:kept])
        touched = new["userId"].unique()
        run(FIT, part, before)
        times = {"recommend": run("recommend", part, before)}
        earlier = load(before)
        stale = measure(earlier, rest, test)
        times["refresh"] = run("refresh", whole, before)
        refreshed = measure(load(before), rest, test)
        what = f"{len(new):,} ratings of {len(touched)} users, {len(set(touched) - users)} of them new"
        print(f"\n{share:.0%} new: {what}; same vectors of the others: {same(earlier, load(before), touched)}")
        for name, spent in times.items():
            print(f"{name}: {spent}")
        tables = {"stale": stale, "refreshed": refreshed, "refitted": refitted}
        groups = {"all": refitted.index, "touched": refitted.index.intersection(pd.Index(touched))}
        for group, index in groups.items():
            for name, table in tables.items():
                mean, error = table.loc[index].mean(), (table - refitted).loc[index].sem()
                measures = f"NDCG@{K} {mean['ndcg']:.4f}, graded {mean['ndcg_graded']:.4f}"
                print(
                    f"{group} ({len(index)} users), {name}: {measures} "
                    f"(standard error of the latter's difference from refitted: {error['ndcg_graded']:.4f})"
                )


def same(one: Snapshot, other: Snapshot, touched: np.ndarray) -> bool:
    """Whether all users but these have the same vectors in both."""
    ids = np.setdiff1d(one.ranking.users.ids, touched)
    sides = ((each.ranking.users, rows_of(ids, each.ranking.users.ids)) for each in (one, other))
    (first, rows), (second, others) = sides
    return np.array_equal(first.features[rows], second.features[others]) and np.array_equal(
        first.bias[rows], second.bias[others]
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, nargs="?", default=ROOT / "data" / "01_raw" / "ml-latest-small")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.05, 0.1])
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        compare(options.source.absolute(), Path(place), options.shares, options.seed)
