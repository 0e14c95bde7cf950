"""A model's two tables, as rows in Spark and as arrays in memory."""

import numpy as np
import pyarrow as pa
import pytest

from movie_recs.model.factor_model import (
    FACTORS,
    FactorModel,
    arrays,
    factor_table,
    feature_lists,
    feature_matrix,
    with_zeros,
)
from movie_recs.model.users import add_newcomers


def rows(table) -> list[tuple]:
    return sorted(tuple(row) for row in table.collect())


class TestTables:
    def test_a_table_has_a_row_an_id(self, spark):
        table = factor_table(spark, np.array([7, 3]), np.array([0.5, -1.0]), np.array([[1.0, 2.0], [3.0, 4.5]]))
        assert table.dtypes == [("id", "int"), ("bias", "float"), ("features", "array<float>")]
        assert rows(table) == [(3, -1.0, [3.0, 4.5]), (7, 0.5, [1.0, 2.0])]

    def test_features_may_be_none_and_so_may_rows(self, spark):
        assert rows(factor_table(spark, np.array([3]), np.array([0.5]), np.zeros((1, 0)))) == [(3, 0.5, [])]
        assert rows(factor_table(spark, np.zeros(0, int), np.zeros(0), np.zeros((0, 2)))) == []

    @pytest.mark.parametrize("shape", [(3, 2), (1, 4), (2, 0)])
    def test_lists_of_features_become_the_same_matrix_again(self, shape):
        matrix = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        np.testing.assert_array_equal(feature_matrix(feature_lists(matrix).combine_chunks()), matrix)

    def test_a_slice_of_lists_is_a_slice_of_the_matrix(self):
        matrix = np.arange(12, dtype=float).reshape(4, 3)
        np.testing.assert_array_equal(feature_matrix(feature_lists(matrix).combine_chunks()[1:3]), matrix[1:3])

    def test_without_lists_there_is_no_matrix(self):
        assert feature_matrix(pa.array([], pa.list_(pa.float32()))).shape == (0, 0)


class TestArrays:
    def test_rows_are_by_id_and_an_unknown_id_has_the_averages(self, spark):
        table = spark.createDataFrame([(9, 0.5, [1.0, 2.0]), (4, -1.5, [3.0, 6.0])], FACTORS)
        side = arrays(table.repartition(2, "id"))
        assert side.ids.tolist() == [4, 9]
        assert side.bias.tolist() == [-1.5, 0.5, -0.5]
        assert side.features.tolist() == [[3, 6], [1, 2], [2, 4]]
        assert side.features.dtype == side.bias.dtype == np.float64
        assert side.rows_of(np.array([9, 5, 4, 10])).tolist() == [1, 2, 0, 2]

    def test_an_empty_table_knows_no_id(self, spark):
        side = arrays(spark.createDataFrame([], FACTORS))
        assert (side.bias.tolist(), side.features.shape) == ([0.0], (1, 0))
        assert side.rows_of(np.array([1, 2])).tolist() == [0, 0]

    def test_an_unknown_id_may_have_zeros_instead(self):
        side = with_zeros(np.array([4, 9]), np.array([-1.5, 0.5]), np.array([[3, 6], [1, 2]], np.float32))
        assert side.bias.tolist() == [-1.5, 0.5, 0]
        assert side.features.tolist() == [[3, 6], [1, 2], [0, 0]]
        assert side.features.dtype == np.float32


def test_newcomers_have_zeros_and_those_that_are_known_stay_as_they_are(spark):
    users = spark.createDataFrame([(1, 0.5, [1.0, 2.0])], FACTORS)
    items = spark.createDataFrame([(10, 0.25, [1.0, 1.0])], FACTORS)
    asked = spark.createDataFrame([(1,), (7,), (7,), (8,)], "user_id int")
    model = add_newcomers(FactorModel(3.0, users, items), asked)
    assert model.users.dtypes == users.dtypes
    assert rows(model.users) == [(1, 0.5, [1.0, 2.0]), (7, 0.0, [0.0, 0.0]), (8, 0.0, [0.0, 0.0])]


def test_lists_of_many_values_are_in_several_chunks():
    matrix = np.arange(35, dtype=np.float32).reshape(7, 5)
    lists = feature_lists(matrix, most_values=14)
    assert [len(chunk) for chunk in lists.chunks] == [2, 2, 2, 1]
    np.testing.assert_array_equal(feature_matrix(lists.combine_chunks()), matrix)
