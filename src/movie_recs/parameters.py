"""All parameters of conf/*/parameters*.yml, checked before any node runs; each package defines its own."""

from typing import Any, get_args

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from movie_recs.data.parameters import DataProcessingParameters, SplitParameters
from movie_recs.data.sources.description import SourceDescription
from movie_recs.data.sources.layouts import HALVES
from movie_recs.errors import UserError
from movie_recs.parameter_types import EITHER, Block, CarrierChoice, CountOrAuto
from movie_recs.ranking.parameters import RankingParameters
from movie_recs.rating.parameters import RatingParameters
from movie_recs.report.parameters import EdaParameters, RecommendParameters, RefreshParameters, ReportingParameters

MOST_SHOWN = 200  # characters of a wrong value


class Parameters(Block):
    """All of conf/*/parameters*.yml."""

    dataset: str = Field(min_length=1)
    source: SourceDescription = SourceDescription()
    carrier: CarrierChoice
    nodes_at_a_time: CountOrAuto = "auto"
    keep_versions: int | None = Field(default=3, ge=1)
    data_processing: DataProcessingParameters
    split: SplitParameters
    eda: EdaParameters
    rating: RatingParameters
    ranking: RankingParameters
    refresh: RefreshParameters = RefreshParameters()
    recommend: RecommendParameters
    reporting: ReportingParameters

    @model_validator(mode="after")
    def _check_stars(self) -> "Parameters":
        """Where the scale is described, new users' ratings are checked before anything starts."""
        default = HALVES if self.source.format == "movielens" else None
        scale = self.source.scale or default
        for user in self.recommend.new_users if scale else ():
            for movie, stars in user.ratings.items():
                if scale and not scale.least <= stars <= scale.most:
                    raise ValueError(
                        f"recommend.new_users has {stars:g} stars of {user.name} for {movie!r}, but ratings are from "
                        f"{scale.least:g} to {scale.most:g}"
                    )
        return self


def check_parameters(parameters: dict[str, Any]) -> Parameters:
    """The typed parameters.

    Raises:
        UserError: Names every wrong key or value, and what is allowed.
    """
    try:
        return Parameters.model_validate(parameters)
    except ValidationError as error:
        problems = "; ".join(_describe(problem) for problem in error.errors())
        raise UserError(f"Wrong parameters: {_printable(problems)}.") from error


def _describe(problem: ErrorDetails) -> str:
    path = [part for part in problem["loc"] if not isinstance(part, int) and part not in EITHER]
    name = ".".join(map(str, path))
    if not path:
        return problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{name} is no parameter (there are {', '.join(_allowed_keys(path[:-1]))})"
    if problem["type"] == "missing":
        return f"{name} is missing"
    message = problem["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{name} is {_shown(problem['input'])} but {message}"


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:
        return "a number of more digits than Python writes"  # which YAML reads where they are hexadecimal
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _printable(text: str) -> str:
    """The text on one line: a key or value may contain anything."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _allowed_keys(path: list[str]) -> list[str]:
    block: type[Block] = Parameters
    for part in path:
        annotation: Any = block.model_fields[part].annotation
        block = next(iter(get_args(annotation)), annotation)  # a block, or a list of blocks
    return list(block.model_fields)
