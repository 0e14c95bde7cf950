"""Test errors of every model of the ladder, mean of several seeds, with the random and with the temporal split.

    python benchmarks/rating_error.py [--seeds 42 43 44]

Each is a `kedro run` of its own: the seed decides the split (if temporal, the folds alone) and every first value.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from kedro_run import DATASET, ROOT, find_raw

PIPELINES = "data_processing,tuning,evaluation"


def main() -> None:
    """Prints a table a split; the exit code is 1 without the data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    seeds = parser.parse_args().seeds
    raw = find_raw()
    for strategy in ("random", "temporal"):
        runs = pd.concat([run(strategy, seed, raw.parent) for seed in seeds])
        table = runs.groupby("model", sort=False).mean().drop(columns="seed")
        best = runs[runs["model"] == table.index[-1]]
        by_seed = ", ".join(f"{row.seed}: {row.rmse:.4f}" for row in best.itertuples())
        print(f"\n{strategy} split, means over the seeds; rmse of {table.index[-1]} by seed: {by_seed}")
        print(table.round(4).to_string(), flush=True)


def run(strategy: str, seed: int, raw: Path) -> pd.DataFrame:
    """One run's (model, seed, rmse, mae, n, rmse_warm, train_rmse, gain, gain_se), in the order of the ladder."""
    with tempfile.TemporaryDirectory() as folder:
        parameters = f"dataset={DATASET},split.strategy={strategy},split.seed={seed},rating.tuning.seed={seed}"
        command = [sys.executable, "-m", "kedro", "run", f"--pipelines={PIPELINES}", "--params", parameters]
        environment = {**os.environ, "MOVIELENS_DIR": str(raw), "MOVIE_RECS_DATA_DIR": folder}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        metrics = json.loads(Path(folder, "08_reporting", DATASET, "metrics.json").read_text())
    assert {row["n"] for row in metrics["rating"]["models"]} == {metrics["split"]["test"]}
    columns = ["model", "rmse", "mae", "n", "rmse_warm", "train_rmse", "gain", "gain_se"]
    return pd.DataFrame(metrics["rating"]["models"])[columns].assign(seed=seed)


if __name__ == "__main__":
    main()
