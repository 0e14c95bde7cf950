"""The users' side of a saved model, of which a request reads one row."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from movie_recs.model.factor_model import Arrays, feature_matrix
from movie_recs.serve.spill import spilled

ROWS_AT_A_TIME = 2**14


class Users(NamedTuple):
    """The vectors of all users, by ascending id, with their means at the end.

    Args:
        ids: (u,) int32.
        bias: (u + 1,) float64.
        features: (u + 1, rank) float32.
    """

    ids: np.ndarray
    bias: np.ndarray
    features: np.ndarray

    def one(self, user_id: int) -> Arrays:
        """The arrays of a model with this user alone; without her if she is unknown."""
        place = int(np.searchsorted(self.ids, user_id))
        rows = [place, -1] if place < len(self.ids) and self.ids[place] == user_id else [-1]
        ids = np.array([user_id] * (len(rows) - 1), np.int32)
        return Arrays(ids, self.bias[rows], np.asarray(self.features[rows]))


def read_users(files: Sequence[Path]) -> Users:
    """The users in the Parquet files (id, bias, features), which may be in any order."""
    ids = np.concatenate([pq.read_table(file, columns=["id"])["id"].to_numpy() for file in files])
    order, rank = np.argsort(ids), None
    places = np.empty(len(ids), np.int64)
    places[order] = np.arange(len(ids))
    bias, features, first = np.zeros(len(ids) + 1), spilled((len(ids) + 1, 0), np.float32), 0
    for file in files:
        with pq.ParquetFile(file) as table:
            for batch in table.iter_batches(ROWS_AT_A_TIME, columns=["bias", "features"]):
                values = feature_matrix(batch["features"])
                if rank is None and len(values):
                    rank = values.shape[1]
                    features = spilled((len(ids) + 1, rank), np.float32)
                rows = places[first : first + len(values)]
                first += len(values)
                if len(rows):
                    features[rows], bias[rows] = values, batch["bias"].to_numpy(zero_copy_only=False)
    if len(ids):
        features[-1], bias[-1] = features[:-1].mean(axis=0, dtype=float), bias[:-1].mean()
    return Users(ids[order], bias, features)
