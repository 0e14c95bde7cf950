"""Types of parameters: which values are allowed, and how a list is written on the command line."""

from collections.abc import Hashable, Iterable, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

Value = TypeVar("Value", bound=Hashable)

OLDEST_ID, NEWEST_ID = 1, 2**31 - 1  # Spark ML's ALS takes 32-bit integers


def split_words(value: object) -> Sequence[object]:
    """The value as a list: on the command line ``"575 232"`` means ``[575, 232]``, and ``575`` means ``[575]``."""
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return value if isinstance(value, list | tuple) else [value]


def _as_written(value: object) -> object:
    """An id of the data: text, or an integer where the text is one; 007 is none."""
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError("should be an id: a whole number, or text")
    is_integer = isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal()
    return int(value) if is_integer and str(int(value)) == str(value).strip() else value


def unique(values: Iterable[Value]) -> list[Value]:
    """The values without repeats, in their order."""
    return list(dict.fromkeys(values))


Seed = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]  # Spark takes a 64-bit integer
Identifier = Annotated[int | str, BeforeValidator(_as_written)]
Identifiers = Annotated[list[Identifier], BeforeValidator(split_words)]
CarrierChoice = Literal["auto", "local", "spark"]
EITHER = ("some", "all", "count", "auto")  # tags that Pydantic adds to the path of an error in these unions
IdentifiersOrAll = Annotated[
    Annotated[Identifiers, Tag("some")] | Annotated[Literal["all"], Tag("all")],
    Discriminator(lambda value: "all" if value == "all" else "some"),
]
CountOrAuto = Annotated[
    Annotated[int, Field(ge=1), Tag("count")] | Annotated[Literal["auto"], Tag("auto")],
    Discriminator(lambda value: "auto" if value == "auto" else "count"),
]
Rank = Annotated[int, Field(ge=1, le=1000)]
RankValues = Annotated[list[Rank], Field(min_length=1), BeforeValidator(split_words)]
RegParam = Annotated[float, Field(ge=0)]
MaxIter = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Stars = Annotated[float, Field(ge=-1e9, le=1e9)]
Damping = Annotated[float, Field(gt=0, le=1e9)]
DampingValues = Annotated[list[Damping], Field(min_length=1), BeforeValidator(split_words)]


class Block(BaseModel):
    """A group of parameters; an unknown key is an error, true is no 1, and 1 is not true."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself, as nothing changes it: Kedro copies parameters for each node, 10,000 new users in half a second."""
        return self

    @field_validator("*", mode="before")
    @classmethod
    def _tell_numbers_from_booleans(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        if kind is bool or bool in get_args(kind):
            if not isinstance(value, bool | None):
                raise ValueError("should be true or false")
        else:
            entries = [*value, *value.values()] if get_origin(kind) is dict and isinstance(value, dict) else [value]
            for entry in entries:
                if any(isinstance(each, bool) for each in (entry if isinstance(entry, list | tuple) else [entry])):
                    raise ValueError("should not be true or false")
        return value
