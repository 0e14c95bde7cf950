"""LambdaMART (Burges 2010) by LightGBM: gradient boosted trees for the order of lists, as measured by NDCG.

    score(u, i) = FIRST_WEIGHT * z-score of the first stage + trees(features of u and i)
                  - below_weight * stars by which i's predicted stars are below u's mean

The first term is where boosting starts, so that few data change little. The last keeps movies out of a list that its
user would like less than most she has seen; its weight is the least that keeps a limit.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from movie_recs.errors import UserError

FIRST = "score_z"  # names of features
ABOVE = "stars_above_mean"
FIRST_WEIGHT = 0.5
TREES = 100
SETTINGS = {  # chosen by cross-validation over users of ml-latest-small, by random folds and by time
    "objective": "lambdarank",
    "num_leaves": 7,
    "min_data_in_leaf": 200,
    "learning_rate": 0.05,
    "lambda_l2": 10.0,
    "feature_fraction": 0.7,
    "lambdarank_truncation_level": 30,
    "max_bin": 63,
    # The same result from the same data on every machine.
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


class Reranker(NamedTuple):
    """A fitted second stage.

    Args:
        trees: LightGBM's model as text.
        below_weight: See the module's docstring.
        first_weight: `FIRST_WEIGHT` at the time of the fit.
        best_params: The hyperparameters of the first stage that it was fitted for.
    """

    trees: str
    below_weight: float
    first_weight: float
    best_params: dict[str, Any]

    def scores(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """(n,) float64, higher is better.

        Args:
            features: Columns (n,) by their names, see `features.describe_candidates`.

        Raises:
            UserError: They are not those of the fit.
        """
        booster = _booster(self.trees)
        if booster.feature_name() != list(features):
            raise UserError("The second stage was fitted for other models: run kedro run with ranking.rerank=true.")
        if not len(features[FIRST]):
            return np.zeros(0)
        found = booster.predict(stack(features), num_threads=1) + self.first_weight * features[FIRST]
        return found + self.below_weight * np.minimum(features[ABOVE], 0) if ABOVE in features else found


def load_lightgbm() -> ModuleType:
    """The package.

    Raises:
        UserError: It is not there, or not what it needs.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise UserError('ranking.rerank=true needs one more package: pip install "movie_recs[rerank]".') from error
    except OSError as error:  # a fresh machine has no OpenMP
        raise UserError(
            f"LightGBM, for ranking.rerank=true, cannot be loaded ({error}): install OpenMP's library, libgomp1 "
            "on Debian and Ubuntu."
        ) from error
    return lightgbm


def fit_trees(
    features: Mapping[str, np.ndarray], labels: np.ndarray, lengths: np.ndarray, gains: list[float], seed: int
) -> str:
    """LightGBM's model as text.

    Args:
        features: Columns (n,) by their names, list after list.
        labels: (n,) integers from 0, places in `gains`.
        lengths: (lists,), the number of candidates of each.
        gains: What a candidate of each label gains in NDCG.
        seed: Seed of the draws of features.
    """
    lightgbm = load_lightgbm()
    data = lightgbm.Dataset(
        stack(features),
        labels,
        group=lengths,
        init_score=FIRST_WEIGHT * features[FIRST],
        feature_name=list(features),
    )
    settings = {**SETTINGS, "label_gain": gains, "seed": seed % 2**31}
    return lightgbm.train(settings, data, TREES).model_to_string()


def stack(features: Mapping[str, np.ndarray]) -> np.ndarray:
    """(n, f) float32: the columns side by side."""
    return np.stack([column.astype(np.float32) for column in features.values()], axis=1)


@lru_cache(maxsize=2)
def _booster(trees: str) -> Any:
    return load_lightgbm().Booster(model_str=trees)
