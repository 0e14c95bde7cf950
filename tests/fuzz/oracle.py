"""What becomes of each row of GroupLens' four files, in plain Python: clean with these values, or a reason.

It knows the rules of the README and of CSV, and nothing of Spark or of the code under test.
"""

import re
import struct
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

HEADERS = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "movies": ("movieId", "title", "genres"),
    "tags": ("userId", "movieId", "tag", "timestamp"),
    "links": ("movieId", "imdbId", "tmdbId"),
}
NEWEST_ID, LAST_SECOND = 2_147_483_647, 253_402_300_799  # 32 bits; the end of the year 9999
MOST_FIELDS = 1_000_000
NO_GENRES = "(no genres listed)"


class Row(NamedTuple):
    """`values` of a clean row by column; `reason` of a bad one; `record` as it is shown; `nulled` links."""

    record: str
    reason: str | None
    values: tuple = ()
    nulled: int = 0


def decode(content: bytes) -> str:
    """UTF-8, unless more of what is beyond ASCII cannot be read in it than can. Half a surrogate pair is one error."""
    text = re.sub(rb"\xed[\xa0-\xbf][\x80-\xbf]", b"\xff", content).decode("utf-8", errors="replace")
    unreadable = text.count("\ufffd")
    others = sum(character > "\x7f" for character in text) - unreadable
    return content.decode("latin-1") if unreadable > others else text


def lines_of(text: str) -> list[str]:
    """The lines below the header that are not blank."""
    lines = re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))
    return [line for line in lines if any(character > " " for character in line)][1:]


def fields_of(line: str) -> list[str]:
    """The fields of a line of CSV. What begins like a quoted field but is none ends at the next comma."""
    fields, place = [], 0
    while True:
        field, place = _quoted(line, place) if line[place : place + 1] == '"' else _plain(line, place)
        fields.append(field)
        if place >= len(line):
            return fields
        place += 1  # the comma
        if place == len(line):
            return [*fields, ""]


def _plain(line: str, place: int) -> tuple[str, int]:
    end = line.find(",", place)
    end = len(line) if end < 0 else end
    return line[place:end], end


def _quoted(line: str, start: int) -> tuple[str, int]:
    place, text = start + 1, list[str]()
    while True:
        quote = line.find('"', place)
        if quote < 0:  # never closed: the rest of the line
            return "".join(text) + line[place:] or '"', len(line)
        text.append(line[place:quote])
        if line[quote + 1 : quote + 2] == '"':
            text.append('"')
            place = quote + 2
            continue
        after = quote + 1
        while after < len(line) and line[after] <= " ":
            after += 1
        if after == len(line) or line[after] == ",":
            return "".join(text), after
        end = line.find(",", quote)
        end = len(line) if end < 0 else end
        again = end == len(line) and after > quote + 1 and '"' in line[after:]  # a peculiarity of Spark's reader
        return '"' + "".join(text) + line[quote:end] + '"' * again, end


def parse(file: str, content: bytes) -> list[Row]:
    """The rows of a file in their order, each judged by itself."""
    return [_row(file, line) for line in lines_of(decode(content))]


def _row(file: str, line: str) -> Row:
    header, fields = HEADERS[file], fields_of(line)
    if len(fields) != len(header):
        return Row(line, f"the row has not {len(header)} fields")
    reason = next(_problems(dict(zip(header, fields, strict=True))), None)
    record = ",".join(fields)
    return Row(record, reason) if reason else Row(record, None, *_values(file, fields))


def _problems(fields: dict[str, str]) -> Iterator[str]:
    for name, text in fields.items():
        if name in ("userId", "movieId"):
            yield from _problems_of_id(name, text.strip(" "))
        elif name == "rating":
            if not text.strip(" "):
                yield "rating is missing"
            elif _number(text) is None:
                yield "rating is not a number"
        elif name == "timestamp":
            if text.strip(" ") and _seconds(text) is None:
                yield "timestamp is not a number of seconds"
        elif name in ("title", "genres", "tag"):
            if not text.strip():
                yield f"{name} is missing"
            elif "\ufffd" in text:
                yield f"{name} is not in the file's encoding"
    if "rating" in fields:
        halves = 2 * (_number(fields["rating"]) or 0)
        if not 1 <= halves <= 10 or abs(halves - round(halves)) >= 1e-6:  # 4.0000001 is what some tool made of 4
            yield "rating is not one of 0.5, 1.0 ... 5.0"


def _problems_of_id(name: str, text: str) -> Iterator[str]:
    if not text:
        yield f"{name} is missing"
    elif not re.fullmatch("[+-]?[0-9]{1,38}", text):
        yield f"{name} is not a whole number"
    elif not 1 <= int(text) <= NEWEST_ID:
        yield f"{name} is not a positive 32-bit integer"


def _number(text: str) -> float | None:
    text = text.strip(" ")
    is_number = re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text)
    return float(text) if is_number else None


def _as_float32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


def _seconds(text: str) -> int | None:
    found = re.fullmatch(r"([0-9]{1,19})(\.0*)?", text.strip(" "))
    return int(found[1]) if found and int(found[1]) <= LAST_SECOND else None


def _values(file: str, fields: list[str]) -> tuple[tuple, int]:
    """The values of a clean row, and how many of its links became null."""
    if file == "ratings":
        user, movie, rating, time = fields
        return (int(user), int(movie), _as_float32(_number(rating) or 0), _seconds(time)), 0
    if file == "tags":
        user, movie, tag, time = fields
        return (int(user), int(movie), tag.strip(), _seconds(time)), 0
    if file == "movies":
        movie, title, genres = fields
        return (int(movie), *_title(title.strip()), _genres(genres)), 0
    movie, imdb, tmdb = (field.strip() for field in fields)
    imdb_id = re.fullmatch("(?:tt)?([0-9]{1,10})", imdb)
    tmdb_id = re.fullmatch(r"([0-9]{1,10})(\.0*)?", tmdb)
    known = int(tmdb_id[1]) if tmdb_id and 1 <= int(tmdb_id[1]) <= NEWEST_ID else None
    nulled = bool(imdb and not imdb_id) + bool(tmdb and known is None)
    return (int(movie), imdb_id and imdb_id[1], known), nulled


def _title(title: str) -> tuple[str, int | None]:
    year = title[-6:]
    rest = title[:-6].rstrip()
    if rest and re.fullmatch(r"\([0-9]{4}\)", year):
        return rest, int(year[1:-1])
    return title, None


def _genres(text: str) -> tuple[str, ...]:
    genres = (genre.strip() for genre in text.split("|"))
    return tuple(dict.fromkeys(genre for genre in genres if genre not in ("", NO_GENRES)))


def judge(file: str, rows: list[Row], known: set[int]) -> list[Row]:
    """The rows in any order, judged against each other and against the known movies."""
    key = {"ratings": 2, "movies": 1, "links": 1}.get(file)
    place = HEADERS[file].index("movieId")
    found, groups = [], defaultdict(list)
    for row in rows:
        if row.reason:
            found.append(row)
        elif file != "movies" and row.values[place] not in known:
            found.append(Row(row.record, "movieId is not in movies.csv"))
        elif key:
            groups[row.values[:key]].append(row)
        else:
            found.append(row)
    why = "the user rated the movie again later" if file == "ratings" else "duplicate movieId"
    for group in groups.values():
        first, *others = sorted(group, key=lambda row: _order(file, row))
        found += [first, *(Row(row.record, why) for row in others)]
    return found


def _order(file: str, row: Row) -> tuple:
    record = row.record.encode()
    if file == "ratings":
        _, _, rating, time = row.values
        return time is None, -(time or 0), -rating, record
    return (row.values[1].encode(), record) if file == "movies" else (record,)
