"""Saved models: what is read is what was written, and a version that is not complete is not there."""

import shutil
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError, Version
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.testing import assertDataFrameEqual

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.als.spark_ml import last_factors
from movie_recs.bayes.rule import PosteriorRule
from movie_recs.data.schemas import RATINGS
from movie_recs.datasets.models import MARKER, ALSModelDataset, FactorModelDataset
from movie_recs.model.factor_model import FACTORS, FactorModel
from movie_recs.model.users import fold_in
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule

RULE = RidgeRule((Ridge(1, 8.0, bias_damping=5.0), Ridge(1, 0.15, per_rating=True)))
EARLIER, LATER = "2025-01-01T00.00.00.000Z", "2025-02-01T00.00.00.000Z"


def versioned(dataset_class: type, folder: Path, save: str | None = None):
    return dataset_class(filepath=str(folder), version=Version(None, save))


@pytest.fixture(scope="module")
def als_model(spark) -> ALSModel:
    ratings = spark.createDataFrame([(1, 1, 4.0), (1, 2, 2.0), (2, 1, 3.0)], "user_id int, movie_id int, rating float")
    return ALS(userCol="user_id", itemCol="movie_id", ratingCol="rating", rank=2, maxIter=1, seed=1).fit(ratings)


@pytest.fixture
def factor_model(spark) -> FactorModel:
    users = spark.createDataFrame([(1, 0.5, [1.0, 2.0])], FACTORS)
    items = spark.createDataFrame([(10, -0.5, [3.0, 4.0]), (20, 0.0, [5.0, 6.0])], FACTORS)
    return FactorModel(3.25, users, items, RULE)


def test_an_als_model_is_loaded_as_saved_with_and_without_this_project(tmp_path, als_model):
    folder = tmp_path / "als_model"
    versioned(ALSModelDataset, folder, EARLIER).save(als_model)
    loaded = versioned(ALSModelDataset, folder).load()
    plain = ALSModel.load(str(folder / EARLIER / "als_model"))
    for model in (loaded, plain):
        assert model.rank == 2
        assertDataFrameEqual(model.userFactors, als_model.userFactors)
        assertDataFrameEqual(model.itemFactors, als_model.itemFactors)


def test_factors_of_compiled_loops_are_loaded_as_spark_mls_model(tmp_path, spark, als_model, factor_model):
    factors = last_factors(factor_model, 1)
    folder = tmp_path / "als_model"
    versioned(ALSModelDataset, folder, EARLIER).save(factors)
    loaded = ALSModel.load(str(folder / EARLIER / "als_model"))
    assert loaded.rank == 1
    assert {param.name for param, _ in loaded.extractParamMap().items()} == {
        param.name for param, _ in als_model.extractParamMap().items()
    }
    pairs = spark.createDataFrame([(1, 10), (1, 20), (2, 10)], "user_id int, movie_id int")
    found = loaded.transform(pairs).toPandas().set_index(["user_id", "movie_id"])["prediction"]
    assert found[1, 10] == 2.0 * 4.0
    assert found[1, 20] == 2.0 * 6.0
    assert found.isna()[2, 10]  # as Spark ML answers for an unknown user
    assert loaded.recommendForAllUsers(1).first()["recommendations"][0]["movie_id"] == 20


def test_the_rule_of_a_bayesian_model_is_loaded_as_saved(tmp_path, spark, factor_model):
    precision, weights = ((1 / 3, 0.1), (0.1, 2.0)), ((0.5, 0.25), (-0.1, 1 / 7), (0.0, 1.0))
    rule = PosteriorRule(1, 0, precision, weights, ((0.2,),), centre=1.5, shape=48.0, rate=31.25)
    versioned(FactorModelDataset, tmp_path / "model", EARLIER).save(factor_model._replace(rule=rule))
    assert versioned(FactorModelDataset, tmp_path / "model").load().rule == rule


def test_a_factor_model_is_loaded_as_saved(tmp_path, factor_model):
    versioned(FactorModelDataset, tmp_path / "model", EARLIER).save(factor_model)
    loaded = versioned(FactorModelDataset, tmp_path / "model").load()
    assert loaded.intercept == 3.25
    assert loaded.rule == RULE
    assertDataFrameEqual(loaded.users, factor_model.users)
    assertDataFrameEqual(loaded.items, factor_model.items)


def test_a_loaded_model_folds_in_users_as_the_saved_one(tmp_path, spark, factor_model):
    versioned(FactorModelDataset, tmp_path / "model", EARLIER).save(factor_model)
    loaded = versioned(FactorModelDataset, tmp_path / "model").load()
    ratings = spark.createDataFrame([(7, 10, 4.0), (7, 20, 1.5)], "user_id int, movie_id int, rating float")
    assertDataFrameEqual(fold_in(loaded, ratings), fold_in(factor_model, ratings), rtol=0, atol=0)


def test_a_loaded_ranking_model_folds_in_as_the_saved_one(tmp_path, spark):
    weights = RatingWeights(star_weight=0.2, half_life=5, old_weight=0.1)
    rule = PreferenceRule(2, 1, "above_mean", weights, 0.6, 0.3, 2.0)
    items = spark.createDataFrame([(10, 0.5, [1.0, 2.0, 0.5]), (20, 0.0, [0.3, -1.0, 2.0])], FACTORS)
    rows = [(1, 10, 4.0, datetime(2020, 1, 1)), (1, 20, 3.0, None), (2, 20, 5.0, datetime(2020, 1, 1))]
    ratings = spark.createDataFrame(rows, RATINGS)
    model = FactorModel(0.0, items.limit(0), items, rule)
    model = model._replace(users=fold_in(model, ratings))
    dataset = FactorModelDataset(filepath=str(tmp_path / "model"))
    dataset.save(model)
    loaded = dataset.load()
    assert loaded.rule == rule
    assertDataFrameEqual(fold_in(loaded, ratings), model.users, rtol=0, atol=0)


def test_a_model_without_a_rule_is_loaded_without_one(tmp_path, factor_model):
    dataset = FactorModelDataset(filepath=str(tmp_path / "model"))
    dataset.save(factor_model._replace(rule=None))
    assert dataset.load().rule is None


def test_the_latest_complete_version_is_loaded(tmp_path, factor_model):
    folder = tmp_path / "model"
    versioned(FactorModelDataset, folder, EARLIER).save(factor_model)
    versioned(FactorModelDataset, folder, LATER).save(factor_model._replace(intercept=4.0))
    assert versioned(FactorModelDataset, folder).load().intercept == 4.0
    (folder / LATER / "model" / MARKER).unlink()  # as a run leaves it that dies before it is through
    assert versioned(FactorModelDataset, folder).load().intercept == 3.25
    (folder / EARLIER / "model" / MARKER).unlink()
    assert not versioned(FactorModelDataset, folder).exists()
    with pytest.raises(DatasetError, match="Did not find any versions"):
        versioned(FactorModelDataset, folder).load()


def test_a_save_that_fails_leaves_the_earlier_version(tmp_path, spark, factor_model):
    folder = tmp_path / "model"
    versioned(FactorModelDataset, folder, EARLIER).save(factor_model)
    broken = factor_model._replace(intercept=9.0, items=factor_model.items.selectExpr("raise_error('broken') id"))
    with pytest.raises(DatasetError, match="broken"):
        versioned(FactorModelDataset, folder, LATER).save(broken)
    assert (folder / LATER).exists()
    assert versioned(FactorModelDataset, folder).load().intercept == 3.25


@pytest.mark.parametrize("dataset_class", [ALSModelDataset, FactorModelDataset])
def test_where_nothing_was_saved_there_is_no_model(tmp_path, dataset_class):
    assert not versioned(dataset_class, tmp_path / "model").exists()
    assert not dataset_class(filepath=str(tmp_path / "model")).exists()


def test_without_versions_a_model_replaces_the_one_before(tmp_path, factor_model):
    dataset = FactorModelDataset(filepath=str(tmp_path / "model"))
    dataset.save(factor_model)
    dataset.save(factor_model._replace(intercept=4.0))
    assert dataset.exists()
    assert dataset.load().intercept == 4.0


class TestDamage:
    @pytest.fixture
    def saved(self, tmp_path, factor_model) -> FactorModelDataset:
        dataset = FactorModelDataset(filepath=str(tmp_path / "model"))
        dataset.save(factor_model)
        return dataset

    @pytest.mark.parametrize("content", ["", "{}", '{"interc', "[]", '{"intercept": NaN, "ridges": []}'])
    def test_of_its_numbers_is_told_with_the_path_and_what_to_do(self, saved, tmp_path, content):
        (tmp_path / "model" / "model.json").write_text(content)
        with pytest.raises(DatasetError, match=rf"The model in {tmp_path}/model is damaged \(.*\): run `kedro run`"):
            saved.load()

    @pytest.mark.parametrize("side", ["user_factors", "item_factors"])
    @pytest.mark.parametrize(
        ("bias", "features"), [(float("nan"), [1, 2]), (None, [1, 2]), (0.5, [1, float("inf")]), (0.5, [None, 2])]
    )
    def test_of_a_vector_is_told_rather_than_empty_lists_made(self, saved, tmp_path, side, bias, features):
        schema = pa.schema([("id", pa.int32()), ("bias", pa.float32()), ("features", pa.list_(pa.float32()))])
        row = {"id": 1, "bias": bias, "features": features}
        pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / "model" / side / "part-1.parquet")
        with pytest.raises(DatasetError, match=rf"is damaged \(\w+ in {side} has a value that is no finite number"):
            saved.load()

    @pytest.mark.parametrize("damage", ["cut", "overwritten", "gone"])
    def test_of_a_file_is_told(self, saved, tmp_path, damage):
        folder = tmp_path / "model" / "item_factors"
        part = max(folder.glob("*.parquet"), key=lambda file: file.stat().st_size)
        content = part.read_bytes()
        if damage == "cut":
            part.write_bytes(content[:100])
        elif damage == "overwritten":
            part.write_bytes(content[:4] + bytes(len(content) // 2) + content[4 + len(content) // 2 :])
        else:
            shutil.rmtree(folder)
        with pytest.raises(DatasetError, match="model is damaged"):
            saved.load()


def test_a_save_leaves_the_newest_versions_and_no_remnants(tmp_path, factor_model):
    folder = tmp_path / "model"
    for version in ("2024-01-01T00.00.00.000Z", EARLIER, LATER):
        (folder / version / "model").mkdir(parents=True)
        (folder / version / "model" / MARKER).touch()
    newest = "2025-03-01T00.00.00.000Z"
    FactorModelDataset(filepath=str(folder), version=Version(None, newest), keep_versions=2).save(factor_model)
    assert sorted(each.name for each in folder.iterdir()) == [LATER, newest]
