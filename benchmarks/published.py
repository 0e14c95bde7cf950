"""Our models by the protocols of the literature, beside the figures that it has published.

    python benchmarks/published.py                                  # what is in MOVIELENS_DIR or data/01_raw
    python benchmarks/published.py ml-10m --params rating.tuning.search=tpe
    python benchmarks/published.py --folder /elsewhere --measured 100

ml-100k: RMSE on the data set's own five splits, u1 to u5. ml-10m: RMSE on a tenth of the ratings, drawn at random.
ml-20m: strong generalisation as in Liang, Krishnan, Hoffman & Jebara 2018: only ratings of 4 and more count, all the
same and without their times; users have at least 5 of them; 10,000 users are in no fit, are folded in by 80 % of
theirs, and their lists are measured on the others, of movies that train has. Recall@k divides by min(k, held-out). They
hold out as many users again to choose hyperparameters; here the search holds out ratings of the train users.

Hyperparameters are chosen by cross-validation on the train ratings, as in any `kedro run`. A data set that is not on
disk is left out.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro_run import ROOT

from movie_recs.data.movielens import find_dataset
from movie_recs.data.scale import HALF_STARS
from movie_recs.data.schemas import RAW_HEADERS, TIME
from movie_recs.ranking.metrics import binary_gains, ndcg_of_lists

LEAST_RATINGS, MEASURED, LENGTH = 5, 10_000, 100
PUBLISHED = {  # data set, measure: figures
    ("ml-100k", "RMSE u1"): "GLocal-K 0.8889",
    ("ml-10m", "RMSE"): "Bayesian MF 0.7633, cmfrec 0.7824, Spark 0.7913, LensKit 0.7961",
    ("ml-20m", "NDCG@100"): "EASE 0.420, Mult-VAE 0.426, RecVAE 0.442",
    ("ml-20m", "recall@20"): "EASE 0.391, Mult-VAE 0.395, RecVAE 0.414",
    ("ml-20m", "recall@50"): "EASE 0.521, Mult-VAE 0.537, RecVAE 0.553",
}
STARS_DO_NOT_COUNT = {  # the rating model has nothing to predict: one quick candidate of each kind
    "rating.tuning.baseline_grid.movie_damping": 5,
    "rating.tuning.baseline_grid.taste_reg": 16,
    "rating.tuning.grid.rank": 10,
    "rating.tuning.grid.reg_param": 0.2,
    "rating.tuning.beyond_edges": "false",
}


def main() -> None:
    """Prints a row for each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", default=[*PROTOCOLS], metavar="dataset", help=", ".join(PROTOCOLS))
    parser.add_argument("--folder", type=Path, help="of data sets (default: MOVIELENS_DIR, or data/01_raw)")
    parser.add_argument("--params", default="", help="for kedro run, as in a=1,b.c=2")
    parser.add_argument("--measured", type=int, default=MEASURED, help="users of ml-20m that are held out")
    arguments = parser.parse_args()
    if unknown := set(arguments.datasets) - set(PROTOCOLS):  # argparse's choices would refuse the default
        parser.error(f"there is no protocol for {', '.join(sorted(unknown))}")
    if arguments.folder:
        os.environ["MOVIELENS_DIR"] = str(arguments.folder.resolve())
    rows: list[dict[str, Any]] = []
    for name in arguments.datasets:
        raw = find_dataset(name, ROOT / "data" / "01_raw")
        if raw is None:
            print(f"{name} is not on disk, and left out.")
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in PROTOCOLS[name](raw, Path(folder), arguments):
                rows.append({"data": name, **row, "published": PUBLISHED.get((name, row["measure"]), "")})
                print(", ".join(f"{key} {value}" for key, value in rows[-1].items() if value != ""), flush=True)
    if rows:
        print("\n" + pd.DataFrame(rows).to_string(index=False))


def own_splits(raw: Path, folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """RMSE on the test files u1.test to u5.test, and its mean."""
    errors = []
    for split in (f"u{number}" for number in range(1, 6)):
        row = rmse(raw, folder, {"split.strategy": "given", "split.given": split}, arguments.params)
        errors.append(row["ours"])
        yield {**row, "measure": f"RMSE {split}"}
    yield {"measure": "RMSE u1-u5", "model": "", "ours": round(float(np.mean(errors)), 4), "seconds": ""}


def random_tenth(raw: Path, folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """RMSE on a tenth of the ratings."""
    yield rmse(raw, folder, {"split.strategy": "random", "split.test_fraction": 0.1}, arguments.params)


def new_users(raw: Path, folder: Path, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """NDCG@100, recall@20 and recall@50 of the winner and of EASE, over users that are in no fit."""
    liked = folder / "raw" / f"{raw.name}-liked"
    users = write_liked(raw, liked)
    split = {"split.strategy": "new_users", "split.test_fraction": arguments.measured / users}
    parameters = {**split, "ranking.evaluation.k": LENGTH, **STARS_DO_NOT_COUNT}
    seconds = run(liked, folder, "ranking.evaluation.list_movies", parameters, arguments.params)
    best = json.loads((folder / "06_models" / liked.name / "ranking" / "best_params.json").read_text())["model"]
    for model in dict.fromkeys((best, "ease")):
        for measure, values in measure_lists(folder, liked.name, model).items():
            error = values.std(ddof=1) / len(values) ** 0.5
            ours = f"{values.mean():.4f} ± {error:.4f}"
            yield {"measure": measure, "model": model, "ours": ours, "seconds": seconds}


PROTOCOLS = {"ml-100k": own_splits, "ml-10m": random_tenth, "ml-20m": new_users}


def rmse(raw: Path, folder: Path, parameters: dict[str, Any], more: str) -> dict[str, Any]:
    """The RMSE of the winner over all test ratings."""
    seconds = run(raw, folder, "rating.evaluation.evaluate_models", parameters, more)
    best = json.loads((folder / "06_models" / raw.name / "rating" / "best_params.json").read_text())["model"]
    models = json.loads((folder / "08_reporting" / raw.name / "model_errors.json").read_text())
    (error,) = (row["rmse"] for row in models if row["model"] == best)
    return {"measure": "RMSE", "model": best, "ours": round(error, 4), "seconds": seconds}


def run(raw: Path, folder: Path, node: str, parameters: dict[str, Any], more: str) -> int:
    """Seconds of a `kedro run` to a node on a data set, with these and more parameters; its data is in the folder."""
    values = [f"dataset={raw.name}", *(f"{name}={value}" for name, value in parameters.items()), *filter(None, [more])]
    command = [sys.executable, "-m", "kedro", "run", f"--to-nodes={node}", "--params", ",".join(values)]
    environment = {**os.environ, "MOVIELENS_DIR": str(raw.parent), "MOVIE_RECS_DATA_DIR": str(folder)}
    began = time.perf_counter()
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(ended.stdout + ended.stderr)[-3000:]}")
    return round(time.perf_counter() - began)


def write_liked(raw: Path, folder: Path) -> int:
    """Writes a data set of the liked ratings alone, all with the same stars; returns its number of users."""
    user, movie, stars, _ = RAW_HEADERS["ratings"]
    ratings = pd.read_csv(raw / "ratings.csv", usecols=[user, movie, stars])
    liked = ratings[ratings[stars] >= HALF_STARS.liked].drop(columns=stars)
    liked = liked[liked.groupby(user)[movie].transform("size") >= LEAST_RATINGS]
    folder.mkdir(parents=True)
    liked.assign(rating=HALF_STARS.liked).to_csv(folder / "ratings.csv", index=False)
    (folder / "movies.csv").write_bytes((raw / "movies.csv").read_bytes())
    for file in ("tags", "links"):
        header = [name for name in RAW_HEADERS[file] if name != TIME]
        (folder / f"{file}.csv").write_text(",".join(header) + "\n")
    return liked[user].nunique()


def measure_lists(folder: Path, name: str, model: str) -> dict[str, np.ndarray]:
    """Each measure of every user with a held-out rating of a movie that train has; 0 for one without a list."""
    keys = ["user_id", "movie_id"]
    split = folder / "05_model_input" / name
    trained = pd.read_parquet(split / "train_ratings", columns=["movie_id"])["movie_id"].unique()
    held_out = pd.read_parquet(split / "test_ratings", columns=keys)
    held_out = held_out[held_out["movie_id"].isin(trained)]
    lists = pd.read_parquet(folder / "07_model_output" / name / "ranking_lists", filters=[("model", "==", model)])
    users, relevant = np.unique(held_out["user_id"], return_counts=True)
    found = lists.merge(held_out, on=keys)
    hits = np.zeros((len(users), LENGTH), bool)
    hits[np.searchsorted(users, found["user_id"]), found["rank"] - 1] = True
    recall = {f"recall@{k}": hits[:, :k].sum(axis=1) / np.minimum(k, relevant) for k in (20, 50)}
    return {f"NDCG@{LENGTH}": ndcg_of_lists(hits, binary_gains(relevant, LENGTH)), **recall}


if __name__ == "__main__":
    main()
