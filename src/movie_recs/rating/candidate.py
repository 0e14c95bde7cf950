"""Candidates of the objective `rating`."""

from movie_recs.als.parameters import AlsParameters
from movie_recs.rating.parameters import BaselineParameters
from movie_recs.tuning.candidate import Candidate, Measure, sortable


class RatingCandidate(Candidate):
    """A baseline, factors, or both: a rung of the ladder of rating models."""

    MEASURE = Measure("rmse", is_error=True, others=("rmse_warm",))
    SIMPLER = {  # noqa: RUF012 - annotated in the class above
        "rank": True,
        "reg_param": False,
        "max_iter": True,
        "taste_reg": False,
        "movie_damping": False,
        "user_damping": False,
        "prior_reg": False,
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
        """All but the number of alternations, by baseline."""
        return sortable(self.model_dump(exclude={"model", "max_iter"}).values())

    @property
    def baseline(self) -> BaselineParameters | None:
        """What comes before the factors; None for plain ALS."""
        if self.user_damping is None:
            return None
        return BaselineParameters(**{name: getattr(self, name) for name in BaselineParameters.model_fields})

    @property
    def als(self) -> AlsParameters | None:
        """The factors; None for a baseline alone."""
        if self.rank is None:
            return None
        return AlsParameters(rank=self.rank, reg_param=self.reg_param, max_iter=self.max_iter)

    @property
    def without_factors(self) -> "RatingCandidate":
        """Its baseline alone."""
        return self.model_copy(update=dict.fromkeys(AlsParameters.model_fields))
