"""What is known of movies before any rating, as numbers: genres and years."""

import numpy as np
import pandas as pd

CENTRES = np.linspace(1930, 2018, 12)  # eight years apart
WIDTH = 8.0  # years


def genre_features(genres: pd.Series) -> np.ndarray:
    """(movies, genres in alphabetical order); a movie without genres has zeros."""
    names = sorted({name for listed in genres for name in listed})
    has = np.array([[name in set(listed) for name in names] for listed in genres], dtype=float)
    has = has.reshape(len(genres), len(names))
    return has / np.sqrt(np.maximum(has.sum(axis=1, keepdims=True), 1))


def year_features(years: pd.Series) -> np.ndarray:
    """(movies, centres); zeros throughout if no movie has a year."""
    features = np.exp(-(((years.to_numpy(float)[:, None] - CENTRES) / WIDTH) ** 2) / 2)
    is_known = np.isfinite(features[:, 0])
    features[~is_known] = features[is_known].mean(axis=0) if is_known.any() else 0.0
    return features
