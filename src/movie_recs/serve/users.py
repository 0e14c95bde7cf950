"""The users' side of a saved model, of which a request reads one row."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from movie_recs.model.factor_model import Arrays
from movie_recs.saved_models import read_factors
from movie_recs.serve.spill import spilled


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
    return Users(*read_factors(files, spilled))
