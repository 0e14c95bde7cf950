"""Changes of the raw ratings that must leave the rest of a run as it was."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from runs.project import RAW, SAMPLE_PARAMETERS, read_json

from movie_recs.data.splitting import split_by_hash
from movie_recs.pipelines.tuning import create_pipeline

KEYS = ["user_id", "movie_id"]


def copy_of_the_sample(folder: Path) -> Path:
    """The raw files, to be changed."""
    return shutil.copytree(RAW / "sample", folder / "raw" / "sample")


def index_of(pairs: pd.DataFrame) -> pd.MultiIndex:
    """The first two columns, which are users and movies."""
    return pd.MultiIndex.from_frame(pairs.iloc[:, :2], names=KEYS)


def change_test_rows(raw: Path, test: pd.DataFrame, others: pd.DataFrame) -> None:
    """Gives each user other test movies in as many rows, with random stars and times, and other tags on them.

    Args:
        raw: The folder of the raw files.
        test: (user_id, movie_id), the pairs whose rows change.
        others: (user_id, movie_id), pairs to put in their place; where a user has too few, some of hers stay.
    """
    rng, number = np.random.default_rng(0), test["user_id"].value_counts()
    pairs = pd.concat([others, test], ignore_index=True)
    pairs = pairs[pairs.groupby("user_id").cumcount() < pairs["user_id"].map(number)]
    rows = pairs.rename(columns={"user_id": "userId", "movie_id": "movieId"})
    rows["rating"], rows["timestamp"] = rng.integers(1, 11, len(rows)) / 2, rng.integers(1, 2**31, len(rows))
    rows["tag"] = "seen in the test"
    for name in ("ratings", "tags"):
        table = pd.read_csv(raw / f"{name}.csv")
        is_test = index_of(table).isin(index_of(test))
        assert 0 < is_test.sum() < len(table)
        pd.concat([table[~is_test], rows[table.columns]]).to_csv(raw / f"{name}.csv", index=False)


def tables_of(folders: tuple[Path, Path], name: str, order: str | list[str]) -> list[pd.DataFrame]:
    """A table of both runs, by its path below the data folder, in this order."""
    paths = [next(folder.glob(name)) for folder in folders]
    return [pd.read_parquet(path).sort_values(order, ignore_index=True) for path in paths]


def test_other_test_rows_and_tags_of_them_change_no_fit_and_no_choice(sample_run, kedro_run, spark, tmp_path):
    """Which pairs are held out follows from their ids alone, so that others of the test set can take their place."""
    raw, folders = copy_of_the_sample(tmp_path), (sample_run, tmp_path)
    ratings = pd.read_parquet(sample_run / "03_primary/sample/ratings")
    test = pd.read_parquet(sample_run / "05_model_input/sample/test_ratings")[KEYS]
    pairs = pd.MultiIndex.from_product([ratings[name].unique() for name in KEYS], names=KEYS)
    unrated = pairs.difference(index_of(ratings)).to_frame(index=False)
    split = split_by_hash(spark.createDataFrame(unrated, "user_id int, movie_id int"), 0.2, folds=2, seed=42)
    change_test_rows(raw, test, split.test.toPandas().sample(frac=1, random_state=0))

    kedro_run(tmp_path, "data_processing", raw=raw.parent, **SAMPLE_PARAMETERS)
    fits = ["rating.tuning.cross_validate_candidates", "rating.tuning.choose_best", "rating.tuning.fit_on_train"]
    kedro_run(tmp_path, "tuning", nodes=fits, raw=raw.parent, **SAMPLE_PARAMETERS)

    _, other = tables_of(folders, "05_model_input/sample/test_ratings", KEYS)
    assert len(other) == len(test)
    assert index_of(other).isin(index_of(test)).mean() < 0.1
    for table, order in (("05_model_input/sample/train_ratings", KEYS), ("03_primary/sample/movies", "movie_id")):
        pd.testing.assert_frame_equal(*tables_of(folders, table, order), check_exact=True)
    summaries = [read_json(folder / "03_primary/sample/data_summary.json") | {"sha256": ""} for folder in folders]
    assert summaries[0] == summaries[1]
    results = [pd.read_csv(folder / "08_reporting/sample/cv_results.csv").drop(columns="seconds") for folder in folders]
    pd.testing.assert_frame_equal(*results, check_exact=True)
    best = [read_json(folder / "06_models/sample/rating/best_params.json") for folder in folders]
    assert best[0] == best[1]
    for side in ("user", "item"):
        pattern = f"06_models/sample/rating/train_factor_model/*/train_factor_model/{side}_factors"
        one, other = tables_of(folders, pattern, "id")
        assert one["id"].equals(other["id"])
        assert one["bias"].equals(other["bias"])
        np.testing.assert_array_equal(np.stack(one["features"]), np.stack(other["features"]))


def test_choices_and_train_models_read_what_the_test_rows_did_not_change():
    """Of both objectives, and of the second stage: so what holds for those tables holds for all that follows."""
    tuning = create_pipeline("rating") + create_pipeline("ranking", reranks=True)
    kinds = ("best_params", "train_factor_model", "train_als_model")
    made = [f"{objective}.{kind}" for objective in ("rating", "ranking") for kind in kinds]
    read = {name for name in tuning.to_outputs(*made, "ranking.reranker").inputs() if not name.startswith("param")}
    trials = {f"{objective}.finished_trials" for objective in ("rating", "ranking")}
    assert read - trials == {"train_ratings", "movies", "data_summary"}


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
