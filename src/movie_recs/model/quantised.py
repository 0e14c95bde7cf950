"""Vectors in a byte a number: whole multiples of a step, of which each feature has its own."""

from typing import NamedTuple

import numpy as np

LARGEST = 127


class Quantised(NamedTuple):
    """Vectors of m movies: `values`, (k, m) int8, feature by feature, and `steps`, (k,) float64, the unit of each."""

    values: np.ndarray
    steps: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(m, k) float64: the vectors, each number at most half a step from what it was."""
        return self.values.T * self.steps


def quantise(features: np.ndarray) -> Quantised:
    """The vectors (m, k), the largest number of each feature being 127 steps."""
    largest = np.abs(features).max(axis=0, initial=0.0).astype(float)
    steps = np.where(largest > 0, largest / LARGEST, 1.0)
    return Quantised(np.ascontiguousarray(np.rint(features / steps).T.astype(np.int8)), steps)
