"""The description of a source: its files, its columns by role, how they are written, and the scale of the ratings."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from movie_recs.data.scale import Scale
from movie_recs.parameter_types import Block

Column = Annotated[str | int, Field(union_mode="left_to_right")]  # a name; of a file without a header a place from 1
TimeUnit = Literal["seconds", "milliseconds", "microseconds", "nanoseconds", "iso"]
Table = Literal["ratings", "items", "tags", "links"]


class CsvOptions(Block):
    """How a text file is written; None in a table's description: as the source's.

    `separator`: `,` by default. `header`: whether the first line names the columns, true by default. `encoding`: found
    from the file by default. `decimal`: `.` by default. `quote`: `"` by default, of a separator of several characters
    none; "" for none.
    """

    separator: str | None = Field(default=None, min_length=1)
    header: bool | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    quote: str | None = Field(default=None, max_length=1)


class TableDescription(CsvOptions):
    """A table of a source; without `file` it comes from a catalog entry of one's own."""

    file: str | None = None

    def columns(self) -> dict[str, Column]:
        """The column of each role that the table has."""
        named = {name: getattr(self, name) for name in type(self).model_fields if name in ROLES}
        return {role: column for role, column in named.items() if column is not None}


class RatingsDescription(TableDescription):
    """A row is a rating, or without `rating` an event.

    `time_unit`: how times are written (None: found from the data). `repeats`: which of several rows of a user and an
    item count: the `last` rating, their `count`, or the `sum` of a quantity, as of plays; the latter two are events.
    """

    user: Column
    item: Column
    rating: Column | None = None
    time: Column | None = None
    time_unit: TimeUnit | None = None
    repeats: Literal["last", "count", "sum"] | None = None

    @model_validator(mode="after")
    def _check_repeats(self) -> "RatingsDescription":
        if self.rating is None and self.repeats in ("last", "sum"):
            raise ValueError(f"repeats: {self.repeats} needs a rating column; events without one are counted")
        if self.rating is not None and self.repeats == "count":
            raise ValueError("repeats: count counts events, so leave rating out")
        return self

    @property
    def are_events(self) -> bool:
        """Whether the rows are events, which say nothing of how good an item is."""
        return self.rating is None or self.repeats == "sum"


class ItemsDescription(TableDescription):
    """What is known of the items. `flags`: columns that are 1 for an item of the genre, by genre."""

    item: Column
    title: Column | None = None
    year: Column | None = None
    genres: Column | None = None
    genre_separator: str = Field(default="|", min_length=1)
    flags: dict[str, Column] = Field(default={})
    imdb: Column | None = None
    tmdb: Column | None = None


class TagsDescription(TableDescription):
    """Words that users gave to items."""

    user: Column
    item: Column
    tag: Column
    time: Column | None = None


class LinksDescription(TableDescription):
    """The items' ids at IMDb and TMDb."""

    item: Column
    imdb: Column | None = None
    tmdb: Column | None = None


ROLES = ("user", "item", "rating", "time", "title", "year", "genres", "imdb", "tmdb", "tag")


class ScaleDescription(Block):
    """Least and most of the ratings, their step (None: any number between), and from which on they are good."""

    least: float
    most: float
    step: float | None = Field(default=None, gt=0)
    liked: float | None = None

    @model_validator(mode="after")
    def _check_order(self) -> "ScaleDescription":
        if self.least >= self.most:
            raise ValueError(f"least must be below most, {self.most:g}")
        return self

    def scale(self) -> Scale:
        """The scale."""
        return Scale.make(self.least, self.most, self.step, self.liked)


class SourceDescription(CsvOptions):
    """A source: `movielens`, recognised from its files, or one's own tables."""

    format: Literal["movielens", "csv", "parquet", "json"] = "movielens"
    ratings: RatingsDescription | None = None
    items: ItemsDescription | None = None
    tags: TagsDescription | None = None
    links: LinksDescription | None = None
    scale: ScaleDescription | None = None

    @model_validator(mode="after")
    def _check_tables(self) -> "SourceDescription":
        if self.format == "movielens":
            given = sorted(self.model_fields_set - {"format", "scale", "encoding"})
            if given:
                raise ValueError(f"format: movielens knows its files and columns, so leave {', '.join(given)} out")
        elif self.ratings is None:
            raise ValueError("ratings is missing: {file: ..., user: ..., item: ..., rating: ..., time: ...}")
        elif self.ratings.are_events and self.scale is not None:
            raise ValueError("events have no scale: leave scale out")
        return self

    def table(self, name: Table) -> TableDescription | None:
        """The description of a table with all options set; None if the source has no such table."""
        table: TableDescription | None = getattr(self, name)
        if table is None:
            return None
        own: dict[str, Any] = {}
        for option in CsvOptions.model_fields:
            given = getattr(table, option)
            own[option] = getattr(self, option) if given is None else given
        separator = own["separator"] or ","
        defaults = {"separator": separator, "header": True, "decimal": ".", "quote": '"' if len(separator) == 1 else ""}
        return table.model_copy(update={**own, **{name: each for name, each in defaults.items() if own[name] is None}})
