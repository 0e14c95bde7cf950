"""Test errors and test rankings of every model, mean of several seeds, with each way to split the ratings.

Then the gains of the winners, and of the last model, on each other one with their paired standard errors: means too.

    python benchmarks/several_seeds.py [--seeds 42 43] [--strategies random temporal new_users] [--params NAME=VALUE]

Each is a `kedro run` of its own: the seed decides the split (if temporal, the folds alone) and every first value.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import reduce
from pathlib import Path

import pandas as pd
from kedro_run import DATASET, ROOT, find_raw

PIPELINES = "data_processing,tuning,evaluation"
COLUMNS = {
    "rating": ["rmse", "mae", "n", "rmse_warm", "train_rmse", "gain", "gain_se"],
    "ranking": [
        *("ndcg", "ndcg_se", "ndcg_liked", "ndcg_liked_se", "ndcg_graded", "ndcg_graded_se", "below_mean"),
        *("recall", "precision", "map", "mrr", "hit_rate"),
        *("coverage", "novelty", "diversity", "popularity_lift", "n_users", "users_without_held_out"),
    ],
}


def main() -> None:
    """Prints a table an objective and split; the exit code is 1 without the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--strategies", nargs="+", default=["random", "temporal", "new_users"])
    parser.add_argument("--params", help="more parameters of each run, as of kedro run")
    arguments = parser.parse_args()
    raw = find_raw()
    for strategy in arguments.strategies:
        runs = [run(strategy, seed, raw.parent, arguments.params) for seed in arguments.seeds]
        for objective, columns in COLUMNS.items():
            tables = [pd.DataFrame(metrics[objective]["models"]).set_index("model")[columns] for metrics in runs]
            mean = reduce(pd.DataFrame.add, (table.fillna(float("nan")).astype(float) for table in tables)) / len(
                tables
            )
            winners = [metrics[objective]["best_params"]["model"] for metrics in runs]
            by_seed = [table.loc[winner, columns[0]] for table, winner in zip(tables, winners, strict=True)]
            named = ", ".join(
                f"{seed}: {winner} {value:.4f}"
                for seed, winner, value in zip(arguments.seeds, winners, by_seed, strict=True)
            )
            print(f"\n{objective}, {strategy} split, means over the seeds; {columns[0]} of the winner by seed: {named}")
            print(mean.round(4).to_string(), flush=True)
            pairs = pd.concat(pd.DataFrame(metrics[objective]["comparisons"]) for metrics in runs)
            best = pairs[pairs["model"].isin({*winners, mean.index[-1]})].groupby(["model", "other"], sort=False)
            print(best[["gain", "gain_se"]].mean().round(4).to_string(), flush=True)


def run(strategy: str, seed: int, raw: Path, more: str | None) -> dict:
    """One run's metrics."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = f"split.seed={seed},rating.tuning.seed={seed},ranking.tuning.seed={seed}"
        parameters = ",".join(filter(None, [f"dataset={DATASET}", f"split.strategy={strategy}", seeds, more]))
        command = [sys.executable, "-m", "kedro", "run", f"--pipelines={PIPELINES}", "--params", parameters]
        environment = {**os.environ, "MOVIELENS_DIR": str(raw), "MOVIE_RECS_DATA_DIR": folder}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        metrics = json.loads(Path(folder, "08_reporting", DATASET, "metrics.json").read_text())
    assert {row["n"] for row in metrics["rating"]["models"]} == {metrics["split"]["test"]}
    return metrics


if __name__ == "__main__":
    main()
