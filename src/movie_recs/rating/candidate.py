"""Candidates of the objective `rating`."""

from movie_recs.als.parameters import AlsParameters
from movie_recs.rating.parameters import BaselineParameters
from movie_recs.tuning.candidate import Candidate, Measure, sortable


class RatingCandidate(Candidate):
    """A baseline, factors, or both: a rung of the ladder of rating models."""

    MEASURE = Measure("rmse", is_error=True, least_gain=0.0003, others=("rmse_warm",))
    SIMPLER = {  # noqa: RUF012 - annotated in the class above
        "rank": True,
        "reg_param": False,
        "max_iter": True,
        "taste_reg": False,
        "movie_damping": False,
        "user_damping": False,
        "prior_reg": False,
    }
    FREE_RANK = 20
    BOUNDS = {  # noqa: RUF012
        "user_damping": (0.1, 1000),
        "movie_damping": (0.1, 1000),
        "taste_reg": (0.5, 1000),
        "prior_reg": (0.5, 1000),
        "rank": (1, 160),
        "reg_param": (0.005, 2),
    }

    user_damping: float | None = None
    movie_damping: float | None = None
    taste_reg: float | None = None
    prior_reg: float | None = None
    rank: int | None = None
    reg_param: float | None = None
    max_iter: int | None = None

    @property
    def fit_key(self) -> tuple:
        """All hyperparameters but the number of alternations, those of the baseline first."""
        return sortable(self.model_dump(exclude={"model", "max_iter"}).values())

    @property
    def iterations(self) -> int:
        """`max_iter`, or 0."""
        return self.max_iter or 0

    @property
    def fit_cost(self) -> float:
        """By trials of a million ratings."""
        factors = 0.0 if self.rank is None else self.iterations / 5 * (self.rank / 10) ** 1.3
        return factors + (0.0 if self.taste_reg is None else 3.0)

    @property
    def baseline(self) -> BaselineParameters | None:
        """The hyperparameters of biases and tastes; None for plain ALS."""
        return None if self.user_damping is None else self.part(BaselineParameters)

    @property
    def als(self) -> AlsParameters | None:
        """The hyperparameters of the factors; None for a baseline alone."""
        return None if self.rank is None else self.part(AlsParameters)

    @property
    def without_factors(self) -> "RatingCandidate":
        """Its baseline alone."""
        return self.model_copy(update=dict.fromkeys(AlsParameters.model_fields))
