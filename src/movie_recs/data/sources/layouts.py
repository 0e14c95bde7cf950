"""GroupLens' layouts: the files of each release of MovieLens, told apart by their names, as descriptions of a source.

csv       ratings.csv, movies.csv, and tags.csv and links.csv if they are there (ml-20m and later, ml-latest)
::        ratings.dat, movies.dat, and tags.dat if it is there (ml-1m in whole stars, ml-10m in halves)
u.data    u.data and u.item, with a column for each genre (ml-100k)
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from movie_recs.data.sources.description import (
    ItemsDescription,
    LinksDescription,
    RatingsDescription,
    ScaleDescription,
    SourceDescription,
    TagsDescription,
)
from movie_recs.errors import UserError

OWN = "own"
U_DATA_GENRES = (  # u.genre, in its order; their columns in u.item begin with the sixth
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *("Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)
FIRST_FLAG = 6
HALVES, WHOLE = ScaleDescription(least=0.5, most=5, step=0.5), ScaleDescription(least=1, most=5, step=1)

_CSV = SourceDescription(
    format="csv",
    ratings=RatingsDescription(
        file="ratings.csv", user="userId", item="movieId", rating="rating", time="timestamp", time_unit="seconds"
    ),
    items=ItemsDescription(file="movies.csv", item="movieId", title="title", genres="genres"),
    tags=TagsDescription(file="tags.csv", user="userId", item="movieId", tag="tag", time="timestamp"),
    links=LinksDescription(file="links.csv", item="movieId", imdb="imdbId", tmdb="tmdbId"),
    scale=HALVES,
)
_DAT = SourceDescription(
    format="csv",
    separator="::",
    header=False,
    ratings=RatingsDescription(file="ratings.dat", user=1, item=2, rating=3, time=4, time_unit="seconds"),
    items=ItemsDescription(file="movies.dat", item=1, title=2, genres=3),
    tags=TagsDescription(file="tags.dat", user=1, item=2, tag=3, time=4),
    scale=HALVES,
)
_U_DATA = SourceDescription(
    format="csv",
    separator="\t",
    header=False,
    quote="",
    ratings=RatingsDescription(file="u.data", user=1, item=2, rating=3, time=4, time_unit="seconds"),
    items=ItemsDescription(
        file="u.item",
        item=1,
        title=2,
        separator="|",
        flags={genre: FIRST_FLAG + place for place, genre in enumerate(U_DATA_GENRES)},
    ),
    scale=WHOLE,
)
LAYOUTS = MappingProxyType({"csv": _CSV, "::": _DAT, "u.data": _U_DATA})
REQUIRED = MappingProxyType(
    {"csv": ("ratings.csv", "movies.csv"), "::": ("ratings.dat", "movies.dat"), "u.data": ("u.data", "u.item")}
)


class Source(NamedTuple):
    """A source with its files and columns: `layout` is one of `LAYOUTS`, or `OWN` for one's own tables."""

    description: SourceDescription
    layout: str = OWN

    @property
    def are_events(self) -> bool:
        """Whether the rows are events without ratings."""
        ratings = self.description.ratings
        return ratings is not None and ratings.are_events


def find_layout(files: Collection[str]) -> str | None:
    """The layout to which these files belong; None if they are no release of MovieLens."""
    return next((layout for layout, required in REQUIRED.items() if set(required) <= set(files)), None)


def resolve(description: SourceDescription, files: Collection[str]) -> Source:
    """The source that the files are; tables whose optional files are missing are left out.

    Args:
        description: As in the parameters.
        files: Names of the files in the data set's folder.

    Raises:
        UserError: The files are no release of MovieLens, and nothing else was described; or a described file is
            missing.
    """
    if description.format != "movielens":
        _check_files(description, files)
        return Source(description)
    layout = find_layout(files)
    if layout is None:
        raise UserError(f"There is no release of MovieLens: {describe_layouts()} (found: {_listed(files)}).")
    found = LAYOUTS[layout]
    if layout == "::" and "users.dat" in files and "tags.dat" not in files:  # ml-1m
        found = found.model_copy(update={"scale": WHOLE})
    update = {name: None for name in ("tags", "links") if (table := found.table(name)) and table.file not in files}
    given = {name: getattr(description, name) for name in ("scale", "encoding") if getattr(description, name)}
    return Source(found.model_copy(update={**update, **given}), layout)


def find_test_file(folder: Path, given: str | None) -> str:
    """The file with the test set of a split that came with the data, as `u1.test` of ml-100k.

    Args:
        folder: The data set's folder.
        given: The split's name (`u1`) or the file itself; None for the first by name.

    Raises:
        UserError: There is no such file.
    """
    files = sorted(path.name for path in folder.iterdir())
    tests = [name for name in files if name.endswith(".test")]
    wanted = (
        tests[:1] if given is None else [name for name in (given, f"{given}.test", f"{given}.csv") if name in files]
    )
    if not wanted:
        raise UserError(
            f"split.strategy is given, but {folder} has no test set{f' {given!r}' if given else ''} (found: "
            f"{_listed(tests)}): name one by split.given, or use another strategy."
        )
    return wanted[0]


def describe_layouts() -> str:
    """The files that a release of MovieLens has, for messages."""
    return ", or ".join(" and ".join(files) for files in REQUIRED.values())


def _check_files(description: SourceDescription, files: Collection[str]) -> None:
    for name in ("ratings", "items", "tags", "links"):
        table = description.table(name)
        if table and table.file and table.file not in files:
            raise UserError(
                f"source.{name}.file is {table.file!r}, which is not in the data set's folder "
                f"(found: {_listed(files)})."
            )


def _listed(files: Iterable[str]) -> str:
    return ", ".join(sorted(files)) or "none"
