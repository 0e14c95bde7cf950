"""Rows of GroupLens' four files, and seeded ways to corrupt them."""

from collections import Counter
from collections.abc import Callable
from random import Random

from fuzz.oracle import HEADERS

GENRES = ("Comedy", "Drama", "Sci-Fi", "Film-Noir", "(no genres listed)", "Documentaire", "Драма")
WORDS = ("Heat", "Alien", "Amélie", "Сталкер", "千と千尋", "Ring, The", 'Il "Divo"', "2001", "(500) Days", "M")
SPACES = (
    " ",
    "\t",
    "\x0b",
    "\x85",
    "\xa0",
    "\u1680",
    "\u2003",
    "\u2028",
    "\u2029",
    "\u3000",
    "\ufeff",
    "\u200b",
    "\x1c",
)
ODD_CHARACTERS = (
    *SPACES,
    "\x00",
    "\x01",
    "\x1b[31m",
    "\u202e",
    "\u0301",
    "\U0001f3ac",
    "\ufffd",
    "\ufffe",
    "٣",
    "\uff13",
    "=",
)
ODD_TEXTS = (
    *("", " ", "NaN", "nan", "Infinity", "-inf", "null", "NULL", "None", "N/A", "true", "0x1F", "1e3", "1e400"),
    *("-1e-400", "1.0", "4.0f", "4,5", "+4", "+4.", ".5", "5e-1", "45e-1", "--1", "-0", "0", "00", "007", "-1"),
    *("-5", "862.0", "862.", "2147483647", "2147483648", "4294967297", "-2147483648", "9223372036854775808"),
    *("12345678901234567890", "9" * 38, "9" * 39, "1" * 400, "5.00000000000000001", "0.49999999999999999"),
    *("4.0000001", "1_000", "1 000", "١٢", "\uff11\uff12", "253402300799", "253402300800", "964982703.0"),
    *("964982703.5", "964982703.", "1e9", "tt0114709", "tt", "TT0114709", "tt/../..", "abc", "Comedy | Drama"),
    *("Comedy||Drama", "|", "||", "Comedy|Comedy", "(no genres listed)|Drama", "Heat (1995)", "Heat(1995)"),
    *("(1995)", "Heat (1995) ", "Heat (95)", "Heat (19955)", "Heat (\uff11\uff19\uff19\uff15)"),
    *("Heat (1995)\u2028", "Heat\u0085(1995)", "=1+1", "<script>", "'; drop table", "../../etc/passwd"),
    *("userId", "movieId", "title", "\\", "\\N"),
)  # fmt: skip
BYTES = (
    b"\xe9",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xed\xa0\xbd\xed\xb8\x80",
    b"\xf5\x80\x80\x80",
    b"\xc0\xaf",
    b"\xfe\xff",
)
QUOTES = ('"', '""', ' "', '" ')
LINE_ENDS = (b"\r\n", b"\n", b"\r")


def good_row(random: Random, file: str) -> list[str]:
    """The fields of a row as GroupLens writes them; users and movies are few, so that they repeat."""
    movies = 400 if file in ("ratings", "tags") else 4_000
    user, movie = str(random.randint(1, 60)), str(random.randint(1, movies))
    seconds = str(random.choice((964982703, 0, 1)) + random.randrange(9))
    if file == "ratings":
        return [user, movie, str(random.randint(1, 10) / 2), seconds]
    if file == "tags":
        return [user, movie, random.choice(WORDS), seconds]
    if file == "links":
        return [movie, f"{random.randrange(10**7):07}", random.choice(("", str(random.randint(1, 10**6))))]
    title = f"{random.choice(WORDS)} {random.choice(WORDS)} ({random.randint(1900, 2025)})"
    return [movie, title, "|".join(random.choices(GENRES, k=random.randint(1, 4)))]


def quote(field: str) -> str:
    """The field as CSV writes it."""
    return '"' + field.replace('"', '""') + '"' if {",", '"'} & set(field) else field


def written(fields: list[str]) -> str:
    """The line of these fields."""
    return ",".join(map(quote, fields))


def _field(change: Callable[[Random, str], str]) -> Callable[[Random, list[str]], str]:
    """A way to corrupt one field."""

    def corrupt(random: Random, fields: list[str]) -> str:
        place = random.randrange(len(fields))
        return written([*fields[:place], change(random, fields[place]), *fields[place + 1 :]])

    return corrupt


def _line(change: Callable[[Random, str], str]) -> Callable[[Random, list[str]], str]:
    """A way to corrupt the line as it is written."""
    return lambda random, fields: change(random, written(fields))


def _insert(random: Random, text: str, what: str) -> str:
    place = random.randint(0, len(text))
    return text[:place] + what + text[place:]


def _any_character(random: Random) -> str:
    return chr(random.choice((random.randrange(32, 0xD800), random.randrange(0xE000, 0x110000))))  # no surrogate


def _some(random: Random, characters: str, most: int) -> str:
    return "".join(random.choices(characters, k=random.randint(1, most)))


WAYS: dict[str, Callable[[Random, list[str]], str]] = {
    "as it should be": lambda random, fields: written(fields),
    "another value": _field(lambda random, text: random.choice(ODD_TEXTS)),
    "an odd character": _field(lambda random, text: _insert(random, text, random.choice(ODD_CHARACTERS))),
    "whitespace around": _field(lambda random, text: random.choice(SPACES) + text + random.choice(SPACES)),
    "digits": _field(lambda random, text: _some(random, "0123456789", 45)),
    "symbols of numbers": _field(lambda random, text: _some(random, "0123456789+-.eE ", 8)),
    "symbols of titles": _field(lambda random, text: _some(random, "(19)5 |\u2028a", 12)),
    "any characters": _field(lambda random, text: "".join(_any_character(random) for _ in range(random.randint(1, 8)))),
    "a quote": _line(lambda random, text: _insert(random, text, '"')),
    "quotes": _line(lambda random, text: _insert(random, _insert(random, text, '"'), random.choice(QUOTES))),
    "all quoted": lambda random, fields: ",".join('"' + field.replace('"', '""') + '"' for field in fields),
    "symbols of CSV": _line(lambda random, text: _insert(random, text, _some(random, '",\\ \'', 6))),
    "a comma more": _line(lambda random, text: _insert(random, text, ",")),
    "a comma less": _line(lambda random, text: text.replace(",", "", 1)),
    "another separator": _line(lambda random, text: text.replace(",", random.choice((";", "\t", "::", "|", ", ")))),
    "a field less": lambda random, fields: written(fields[:-1]),
    "a field more": lambda random, fields: written([*fields, random.choice(ODD_TEXTS)]),
    "fields swapped": lambda random, fields: written(random.sample(fields, len(fields))),
    "cut off": _line(lambda random, text: text[: random.randrange(len(text))]),
    "twice in a line": _line(lambda random, text: text + text),
    "a blank line": lambda random, fields: random.choice(("", " ", "\t \t", "   ")),
    "commas alone": lambda random, fields: "," * random.randint(1, 6),
    "a header": lambda random, fields: ",".join(random.choice(list(HEADERS.values()))),
    "like a header": lambda random, fields: ",".join([fields[0], *random.choice(list(HEADERS.values()))[1:]]),
}  # fmt: skip
BYTE_WAYS = "bytes that are no UTF-8"


def corrupted_row(random: Random, file: str) -> tuple[str, bytes]:
    """The way in which a row was corrupted, and its line."""
    way = random.choice((*WAYS, BYTE_WAYS))
    fields = good_row(random, file)
    if way != BYTE_WAYS:
        return way, WAYS[way](random, fields).encode("utf-8", errors="surrogatepass")
    line = written(fields).encode()
    place = random.randint(0, len(line))
    return way, line[:place] + random.choice(BYTES) + line[place:]


def corrupted_file(seed: int, file: str, rows: int) -> tuple[bytes, Counter]:
    """A file of corrupted rows below a good header, and the number of rows of each way; every fifth is Latin-1."""
    random = Random(f"{seed} {file}")
    lines, ways = [",".join(HEADERS[file]).encode()], Counter[str]()
    for _ in range(rows):
        if len(lines) > 1 and random.random() < 0.02:
            way, line = "a row again", random.choice(lines[1:])
        else:
            way, line = corrupted_row(random, file)
        if seed % 5 == 0:
            line = line.decode("utf-8", errors="ignore").encode("latin-1", errors="replace")
        lines.append(line)
        ways[way] += 1
    return b"".join(line + random.choice(LINE_ENDS) for line in lines), ways


def longest_rows(file: str) -> dict[str, bytes]:
    """Rows that a pattern of more than linear time would take minutes for, or that are too long for a buffer."""
    fields = good_row(Random(file), file)
    long = {
        "spaces within": "a" + " " * 100_000 + "b",
        "spaces around": " " * 100_000 + "1" + " " * 100_000,
        "odd spaces within": "a" + "\u2028\u3000" * 50_000 + "b",
        "digits": "1" * 1_000_000,
        "zeros": "1." + "0" * 500_000 + "x",
        "brackets": "(1995) " * 20_000 + "x",
        "open brackets": "(" * 200_000,
        "bars": "|" * 200_000,
        "genres": "|".join(map(str, range(100_000))),
        "letters": "a" * 2_000_000,
        "quotes within": 'a""' * 100_000,
    }
    rows = {
        f"{name} in field {place + 1}": written([*fields[:place], text, *fields[place + 1 :]]).encode()
        for name, text in long.items()
        for place in range(len(fields))
    }
    whole = {
        "commas": b"," * 25_000,
        "many commas": b"," * 900_000,
        "quotes": b'"' * 200_001,
        "quotes and commas": b'",' * 100_000,
        "open quotes": b'a"' * 100_000,
        "spaces": b"1" + b" " * 500_000,
        "unreadable": b"\xff" * 100_000,
        "NUL": b"1" + b"\x00" * 100_000,
    }
    return {**rows, **whole}
