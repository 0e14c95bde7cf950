"""New movies from the rows of a source, without Spark: those of `cleaning.parse_movies`, where rows are plain."""

import re
from typing import Any

import pyarrow as pa

from movie_recs.data.id_numbers import UNREADABLE, IdTable
from movie_recs.data.schemas import NO_GENRES
from movie_recs.data.sources.plain import PlainTable
from movie_recs.data.sources.reading import LIST_SEPARATOR

SCHEMA = pa.schema({
    "movie_id": pa.int32(), "title": pa.string(), "year": pa.int32(), "genres": pa.list_(pa.string()),
    "imdb_id": pa.string(), "tmdb_id": pa.int32(),
})  # fmt: skip
YEAR_AT_END = re.compile(r"\(([0-9]{4})\)\Z")
YEAR = re.compile(r"(?<![0-9])([0-9]{4})(?![0-9])")
IMDB_ID, TMDB_ID = re.compile(r"(?:tt)?([0-9]{1,10})"), re.compile(r"([0-9]{1,9})(?:\.0*)?")


def new_movies(
    items: PlainTable, links: PlainTable, ids: IdTable, known: set[int], are_own: bool
) -> tuple[pa.Table, int]:
    """The movies of the source that are not known, and how many rows are left for the next whole run.

    Args:
        items: The source's movies.
        links: Their links.
        ids: The movies' ids.
        known: The numbers of the known movies.
        are_own: Whether titles and genres may be missing, as in one's own data.
    """
    found: dict[int, dict[str, Any]] = {}
    left, has_years = 0, "year" in _columns(items)
    for rows in items.batches():
        plain = ids.are_plain(rows["item"])
        numbers = ids.number(rows["item"].filter(pa.array(plain))).tolist()
        left += int((~plain).sum())
        new = [place for place, number in enumerate(numbers) if number not in known]
        texts = rows.filter(pa.array(plain)).take(pa.array(new, pa.int64())).to_pylist()
        for number, row in zip([numbers[place] for place in new], texts, strict=True):
            movie = _movie({name: _decode(value) for name, value in row.items()}, has_years, are_own)
            if movie is None:
                left += 1
            elif number not in found or (movie["title"], row["record"]) < found[number]["order"]:
                found[number] = {"movie_id": number, **movie, "order": (movie["title"], row["record"])}
    if found:
        _add_links(found, links, ids)
    rows = [{name: movie[name] for name in SCHEMA.names} for movie in found.values()]
    return pa.Table.from_pylist(rows, SCHEMA), left


def only_rated(numbers: list[int], ids: pa.Table) -> pa.Table:
    """Movies of which nothing is known but that they are rated: their titles are their ids."""
    originals = dict(zip(ids["id"].to_pylist(), ids["original"].to_pylist(), strict=True))
    rows = [{"movie_id": each, "title": str(originals.get(each, each)), "genres": []} for each in numbers]
    return pa.Table.from_pylist(rows, SCHEMA)


def _columns(items: PlainTable) -> dict[str, Any]:
    described = items.source.description.table("items")
    return {} if described is None else dict(described.columns())


def _movie(row: dict[str, str | None], has_years: bool, are_own: bool) -> dict[str, Any] | None:
    """The movie of a row; None if it is not plain."""
    written = (row["title"] or "").strip()
    if any(UNREADABLE in (row[name] or "") for name in ("title", "genres")):
        return None
    if not are_own and not (written and (row["genres"] or "").strip()):
        return None
    title = written or (row["item"] or "").strip(" ")
    at_end = None if has_years else YEAR_AT_END.search(title)
    rest = YEAR_AT_END.sub("", title).rstrip()
    year = at_end if at_end and rest else YEAR.search(row["year"] or "")
    genres = [genre.strip() for genre in (row["genres"] or "").split(LIST_SEPARATOR)]
    return {
        "title": rest if at_end and rest else title,
        "year": int(year[1]) if year else None,
        "genres": [genre for genre in dict.fromkeys(genres) if genre not in (NO_GENRES, "")],
        **_links(row),
    }


def _links(row: dict[str, str | None]) -> dict[str, Any]:
    imdb, tmdb = IMDB_ID.fullmatch((row["imdb"] or "").strip()), TMDB_ID.fullmatch((row["tmdb"] or "").strip())
    number = int(tmdb[1]) if tmdb else 0
    return {"imdb_id": imdb[1] if imdb else None, "tmdb_id": number or None}


def _add_links(found: dict[int, dict[str, Any]], links: PlainTable, ids: IdTable) -> None:
    for rows in links.batches():
        kept = rows.filter(pa.array(ids.are_plain(rows["item"])))
        for number, row in zip(ids.number(kept["item"]).tolist(), kept.to_pylist(), strict=True):
            if number in found:
                linked = _links({name: _decode(value) for name, value in row.items()})
                found[number].update({name: each for name, each in linked.items() if each is not None})


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
