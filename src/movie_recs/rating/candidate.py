"""Candidates of the objective `rating`."""

from movie_recs.als.parameters import AlsParameters
from movie_recs.bayes.parameters import BayesParameters
from movie_recs.rating.parameters import BaselineParameters
from movie_recs.tuning.candidate import Candidate, Measure, sortable


class RatingCandidate(Candidate):
    """A baseline, ALS factors, or both, or a Bayesian factorisation: a rung of the ladder of rating models."""

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
        return (5 * factors if self.bayes else factors) + (3.0 if self.has_taste else 0.0)

    @property
    def baseline(self) -> BaselineParameters | None:
        """The hyperparameters of biases and tastes; None for plain ALS and for `bayes`."""
        return None if self.user_damping is None else self.part(BaselineParameters)

    @property
    def als(self) -> AlsParameters | None:
        """The hyperparameters of ALS's factors; None for a baseline alone and for `bayes`."""
        return None if self.reg_param is None else self.part(AlsParameters)

    @property
    def bayes(self) -> BayesParameters | None:
        """The hyperparameters of a Bayesian factorisation, whose factors have no `reg_param`; None for all others."""
        return None if self.rank is None or self.reg_param is not None else self.part(BayesParameters)

    @property
    def has_taste(self) -> bool:
        """Whether its users have weights for the movies' features."""
        return self.taste_reg is not None or self.bayes is not None

    @property
    def without_factors(self) -> "RatingCandidate":
        """Its baseline alone."""
        return self.model_copy(update=dict.fromkeys(AlsParameters.model_fields))
