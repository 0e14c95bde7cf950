"""Parameters for models of a few movies."""

from typing import Any

from movie_recs.ranking.parameters import RankingParameters

WEIGHTS = {"star_weight": 0.4, "half_life": 3, "old_weight": 0.1}


def small_parameters(k: int, **tuning: Any) -> RankingParameters:
    """One candidate of each model, whose lists have k places."""
    return RankingParameters.model_validate({
        "preference": {"star_weight": 0.3},
        "tuning": {
            "grid": {"rank": 3, "reg_param": 0.1, "alpha": 2, "max_iter": 2},
            "ease_reg": 3,
            "ease_rank": 100,
            "weight_grid": WEIGHTS,
            "als_weight": 0.5,
            "seed": 1,
            **tuning,
        },
        "evaluation": {"k": k, "damping": 10},
    })  # fmt: skip
