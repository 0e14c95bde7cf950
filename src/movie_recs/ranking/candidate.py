"""Candidates of the objective `ranking`."""

from movie_recs.als.parameters import ImplicitAlsParameters
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.tuning.candidate import Candidate, Measure, sortable


class RankingCandidate(Candidate):
    """Implicit ALS, EASE, or both, what is added to their score, and how much each of a user's ratings counts."""

    MEASURE = Measure("ndcg", is_error=False, least_gain=0.0005, others=("below_mean",))
    SIMPLER = {  # noqa: RUF012 - annotated in the class above
        "rank": True,
        "reg_param": False,
        "max_iter": True,
        "alpha": True,
        "ease_reg": False,
        "ease_rank": True,
        "ease_diagonal": True,
        "als_weight": True,
        "old_weight": False,
        "half_life": False,
        "star_weight": True,
        "sequential_reg": False,
        "sequential_weight": True,
        "stars_weight": False,
    }
    FREE_RANK = 50
    BOUNDS = {  # noqa: RUF012
        "rank": (5, 100),
        "reg_param": (0.005, 5),
        "alpha": (0.05, 100),
        "ease_reg": (1, 100_000),
        "ease_rank": (25, 1000),
        "als_weight": (0.05, 5),
        "star_weight": (0.05, 2),
        "half_life": (1, 1000),
        "old_weight": (0.01, 1),
        "sequential_reg": (1, 100_000),
        "sequential_weight": (0.1, 5),
        "stars_weight": (0.01, 2),
    }

    rank: int | None = None
    reg_param: float | None = None
    max_iter: int | None = None
    alpha: float | None = None
    ease_reg: float | None = None
    ease_rank: int | None = None  # None: all singular vectors
    ease_diagonal: float | None = None
    als_weight: float | None = None
    star_weight: float | None = None
    half_life: float | None = None
    old_weight: float | None = None
    sequential_reg: float | None = None
    sequential_weight: float | None = None
    stars_weight: float | None = None  # of predicted stars

    @property
    def fit_key(self) -> tuple:
        """ALS's hyperparameters but the number of alternations; one decomposition serves all of EASE's."""
        return sortable(self.model_dump(include={"rank", "reg_param", "alpha"}).values())

    @property
    def iterations(self) -> int:
        """`max_iter`, or 0."""
        return self.max_iter or 0

    @property
    def fit_cost(self) -> float:
        """By trials of a million ratings; EASE's decomposition is made before its trials, or is small."""
        return 0.0 if self.rank is None else self.iterations / 2 * (self.rank / 50) ** 1.3

    @property
    def als(self) -> ImplicitAlsParameters | None:
        """The hyperparameters of implicit ALS; None for EASE alone."""
        return None if self.rank is None else self.part(ImplicitAlsParameters)

    @property
    def weights(self) -> RatingWeights | None:
        """How a user's ratings count when her vector is folded in; None if ALS's own vector is used."""
        return None if self.star_weight is None else self.part(RatingWeights)
