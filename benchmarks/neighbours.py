"""Which vectors give the better similar movies: genres that neighbours share, and whether the same people rate both.

    python benchmarks/neighbours.py <data folder of a run on ml-latest-small>

For the movies with at least 20 train ratings, by the models of the train ratings: the mean Jaccard similarity of the
genres of a movie and of its 10 neighbours, and the share of the neighbours that a user who has the movie among her test
ratings has among them too.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

DATASET, LEAST, N = "ml-latest-small", 20, 10


def main() -> None:
    """Prints a row for each kind of vectors and distance."""
    root = Path(sys.argv[1])
    movies = read(root, "03_primary", "movies").sort_values("movie_id")
    train, test = (read(root, "05_model_input", f"{side}_ratings") for side in ("train", "test"))
    ids = movies["movie_id"].to_numpy()
    counts = np.bincount(np.searchsorted(ids, train["movie_id"]), minlength=len(ids))
    asked = np.flatnonzero(counts >= LEAST)
    genres = [set(each) for each in movies["genres"]]
    held_out = np.zeros((test["user_id"].max() + 1, len(ids)), bool)
    held_out[test["user_id"], np.searchsorted(ids, test["movie_id"])] = True
    for name, vectors in find_vectors(root, ids).items():
        for metric in ("l2", "cosine"):
            neighbours = nearest(vectors, asked, metric)
            shared = np.mean([
                np.mean([len(genres[i] & genres[j]) / max(len(genres[i] | genres[j]), 1) for j in row])
                for i, row in zip(asked, neighbours, strict=True)
            ])  # fmt: skip
            pairs = [(held_out[:, i], row) for i, row in zip(asked, neighbours, strict=True) if held_out[:, i].any()]
            both = np.mean([held_out[users][:, row].mean() for users, row in pairs])
            print(f"{name:28} {metric:7} shared genres {shared:.3f}  rated together in the test {both:.4f}")


def read(root: Path, layer: str, table: str) -> pd.DataFrame:
    """A Parquet table of the run."""
    return pd.read_parquet(root / layer / DATASET / table)


def find_vectors(root: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Item vectors (m, k) of the rating model, of implicit ALS and, where the winner has them besides, of EASE."""
    found = {}
    for objective in ("rating", "ranking"):
        folder = sorted((root / "06_models" / DATASET / objective / "train_factor_model").iterdir())[-1]
        table = pq.read_table(folder / "train_factor_model" / "item_factors").to_pandas().sort_values("id")
        assert np.array_equal(table["id"], ids)
        found[objective] = np.stack(table["features"])
    als = sorted((root / "06_models" / DATASET / "ranking" / "train_als_model").iterdir())[-1]
    table = pq.read_table(als / "train_als_model" / "itemFactors").to_pandas()
    factors = np.zeros((len(ids), len(table["features"].iloc[0])))
    factors[np.searchsorted(ids, table["id"])] = np.stack(table["features"])
    vectors = {"rating model": found["rating"], "implicit ALS": factors}
    winner = sorted((root / "06_models" / DATASET / "ranking" / "train_factor_model").iterdir())[-1]
    sizes = json.loads((winner / "train_factor_model" / "model.json").read_text())["folding"]
    if sizes["ease_size"]:
        vectors["EASE"] = found["ranking"][:, sizes["als_size"] :][:, : sizes["ease_size"]]
    return vectors


def nearest(vectors: np.ndarray, asked: np.ndarray, metric: str) -> np.ndarray:
    """(a, N): the rows of the nearest others."""
    vectors = vectors.astype(float)
    if metric == "cosine":
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    squares = (vectors**2).sum(axis=1)
    distances = squares[asked][:, None] + squares - 2 * vectors[asked] @ vectors.T
    distances[np.arange(len(asked)), asked] = np.inf
    return np.argsort(distances, axis=1, kind="stable")[:, :N]


if __name__ == "__main__":
    main()
