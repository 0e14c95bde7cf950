"""Changes of the raw ratings that must leave the rest of a run as it was."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from runs.project import RAW, SAMPLE_PARAMETERS

KEYS = ["user_id", "movie_id"]


def copy_of_the_sample(folder: Path) -> Path:
    """The raw files, to be changed."""
    return shutil.copytree(RAW / "sample", folder / "raw" / "sample")


def test_shuffled_test_ratings_change_no_fit_and_no_choice(sample_run, kedro_run, tmp_path):
    """The stars of the test rows are permuted in the raw file; which rows those are follows from their ids alone."""
    raw = copy_of_the_sample(tmp_path)
    ratings = pd.read_csv(raw / "ratings.csv")
    test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")
    is_test = pd.MultiIndex.from_frame(ratings[["userId", "movieId"]]).isin(pd.MultiIndex.from_frame(test[KEYS]))
    stars = ratings.loc[is_test, "rating"]
    ratings.loc[is_test, "rating"] = stars.sample(frac=1, random_state=0).to_numpy()
    assert (ratings.loc[is_test, "rating"] != stars).mean() > 0.5
    ratings.to_csv(raw / "ratings.csv", index=False)

    kedro_run(tmp_path, "data_processing", raw=raw.parent, **SAMPLE_PARAMETERS)
    fits = ["rating.tuning.cross_validate_candidates", "rating.tuning.choose_best", "rating.tuning.fit_on_train"]
    kedro_run(tmp_path, "tuning", nodes=fits, raw=raw.parent, **SAMPLE_PARAMETERS)

    folders = sample_run, tmp_path
    results = [pd.read_csv(folder / "08_reporting/sample/cv_results.csv").drop(columns="seconds") for folder in folders]
    pd.testing.assert_frame_equal(*results, check_exact=True)
    for side in ("user", "item"):
        pattern = f"06_models/sample/rating/train_factor_model/*/train_factor_model/{side}_factors"
        tables = []
        for folder in folders:
            (path,) = folder.glob(pattern)
            tables.append(pd.read_parquet(path).sort_values("id", ignore_index=True))
        assert tables[0]["id"].equals(tables[1]["id"])
        assert tables[0]["bias"].equals(tables[1]["bias"])
        np.testing.assert_array_equal(*(np.stack(table["features"]) for table in tables))


def test_bad_rows_are_set_aside_and_change_nothing_else(sample_run, kedro_run, tmp_path):
    bad = {  # user 1 has rated movie 1, in 1996
        "1,,4.0,964982703": "movieId is missing",
        "1,1,good,964982703": "rating is not a number",
        "two,1,4.0,964982703": "userId is not a whole number",
        "1,2,9.9,964982703": "rating is not one of 0.5, 1.0 ... 5.0",
        "3000000000,1,4.0,964982703": "userId is not a positive 32-bit integer",
        "1,99999999,4.0,964982703": "movieId is not in movies.csv",
        "1,1,0.5,1": "the user rated the movie again later",
        "1,1,4.0,964982703,surplus": "the row has not 4 fields",
        "1,1,4.0": "the row has not 4 fields",
    }
    raw = copy_of_the_sample(tmp_path)
    lines = (raw / "ratings.csv").read_text().splitlines()
    for place, row in enumerate(bad):
        lines.insert(10 + 2_000 * place, row)
    assert len(lines) > 10 + 2_000 * len(bad)  # they are all over the file
    (raw / "ratings.csv").write_text("\r\n".join(lines) + "\r\n", newline="")

    kedro_run(tmp_path, "data_processing", raw=raw.parent, split=SAMPLE_PARAMETERS["split"])

    set_aside = pd.read_parquet(tmp_path / "02_intermediate/sample/set_aside")
    assert dict(zip(set_aside["record"], set_aside["reason"], strict=True)) == bad
    for table in ("03_primary/sample/ratings", "05_model_input/sample/train_ratings"):
        tables = [
            pd.read_parquet(folder / table).sort_values(KEYS, ignore_index=True) for folder in (sample_run, tmp_path)
        ]
        pd.testing.assert_frame_equal(*tables)
