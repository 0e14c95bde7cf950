"""Requests that nobody would send, against a running service: no answer of 500 and above, no path or trace in any.

    .venv/bin/python benchmarks/fuzz_service.py data ml-latest-small --requests 10000 --seed 1

Every request is made from the seed and its number, so that one that fails can be sent again: `--only 4711`. The service
runs on the folder itself, which it only reads. The exit code is 1 if an answer is wrong, or one is missing to a request
that is HTTP.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from urllib.parse import quote

SECRETS = (b"Traceback", b"site-packages", b".py", b"/src/", b"line ", b"numpy", b"pyarrow", b"Error(")
TIMEOUT = 30  # seconds
CONTINUE = b"HTTP/1.1 100"  # before the answer to a request that expects it
NO_HTTP = "no HTTP"
NUMBERS = (None, True, False, -1, 0, 1, 2, 3.5, 5, 10, 100, 101, 2**31, 2**63, 10**400, 1e308, 5e-324, float("nan"))
TEXTS = (
    *("", " ", "1", "007", "-1", "1e3", "٣", "NaN", "null", "\ud800", "\0", "\x1b[31m", "\u202e", "\U0001f3ac", "é"),
    *("Heat", "Heat (1995)", "matrix, the", "tt0113277", "tt", "Sabrina", "Comedy", "comedy", "(no genres listed)"),
    *("x" * 301, "x" * 5000, "(" * 300, "a%00b", "%", "%ff", "../../etc/passwd", "/etc/passwd", "..\\..", "file:///"),
    *("' OR 1=1 --", "<script>alert(1)</script>", "{{7*7}}", "${jndi:ldap://x}", "=1+1", "l2", "cosine", "true"),
)
PATHS = (
    *("/recommendations", "/movies", "/movies/1/similar", "/users/1/recommendations", "/health", "/metrics", "/"),
    *("/docs", "/openapi.json", "/nothing", "//", "/users//recommendations", "/movies//similar", "/..", "/static/../x"),
)
QUERIES = ("query", "n", "metric", "genres", "without_genres", "first_year", "last_year", "min_ratings", "diversity")
FILTERS = ("genres", "without_genres", "first_year", "last_year", "min_ratings", "without_movie_ids", "unknown")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "X")


def main() -> int:
    """Sends the requests and prints the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path, nargs="?", default=Path("data"))
    parser.add_argument("dataset", nargs="?", default="ml-latest-small")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="the number of one request, which is printed with its answer")
    parser.add_argument("--port", type=int, default=8766)
    options = parser.parse_args()
    command = [sys.executable, "-m", "movie_recs", "serve", "--data-dir", str(options.data_dir.absolute())]
    service = subprocess.Popen([*command, "--dataset", options.dataset, "--port", str(options.port)])
    try:
        wait(service, options.port)
        numbers = range(options.requests) if options.only is None else [options.only]
        problems = fuzz(options.port, options.seed, numbers, options.data_dir, options.only is not None)
        is_alive = ask(options.port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").startswith(
            b"HTTP/1.1 200"
        )
        print("then /health answers 200" if is_alive else "then /health answers no more")
        return int(bool(problems) or not is_alive)
    finally:
        service.terminate()
        service.wait()


def fuzz(port: int, seed: int, numbers: range | list[int], data_dir: Path, is_shown: bool) -> list[str]:
    """Sends the requests of these numbers, prints the counts and what is wrong, and returns the latter."""
    paths = [str(folder).encode() for folder in (data_dir.absolute(), Path(__file__).parents[1])]
    counts, problems, began = Counter[tuple[str, str]](), list[str](), time.perf_counter()
    for number in numbers:
        kind, request = make(Random(f"{seed} {number}"))
        answer = ask(port, request, is_ended=kind == NO_HTTP)
        answer = answer.partition(b"\r\n\r\n")[2] if answer.startswith(CONTINUE) else answer
        status = answer[9:12].decode("ascii", "replace") or "none"
        counts[kind, status] += 1
        found = [each for each in (paths if status.startswith("2") else (*SECRETS, *paths)) if each in answer]
        is_wrong = kind != NO_HTTP if status == "none" else status >= "500"
        if is_wrong or found:
            problems.append(f"request {number} ({kind}): {status} {found} {answer[:300]!r}")
        if is_shown:
            print(request, answer, sep="\n")
    for kind in KINDS:
        listed = ", ".join(
            f"{count} times {status}" for (each, status), count in sorted(counts.items()) if each == kind
        )
        print(f"{kind}: {listed}")
    print(f"{sum(counts.values()):,} requests in {time.perf_counter() - began:.0f} s, {len(problems)} problems")
    for problem in problems[:20]:
        print(problem)
    return problems


def make(random: Random) -> tuple[str, bytes]:
    """A kind of request and its bytes."""
    kind = random.choice(list(KINDS))
    return kind, KINDS[kind](random)


def ask(port: int, request: bytes, is_ended: bool = False) -> bytes:
    """All bytes of the answer, none if the connection is closed without one; `is_ended` closes our side of it."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        answer = b""
        try:
            connection.sendall(request)
            if is_ended:
                connection.shutdown(socket.SHUT_WR)
        except OSError:  # refused before it was read to its end; the answer may be there
            pass
        try:
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass
        return answer


def wait(service: subprocess.Popen, port: int) -> None:
    """Returns when the service listens."""
    while service.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("The service has not started.")


def http(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request of one connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def some(random: Random, depth: int = 2) -> object:
    """Any JSON value."""
    if depth and random.random() < 0.3:
        values = [some(random, depth - 1) for _ in range(random.randrange(4))]
        return values if random.random() < 0.5 else {str(random.choice(TEXTS)): value for value in values}
    return random.choice((*NUMBERS, *TEXTS))


def typed(random: Random) -> bytes:
    """A body of the right form whose values are of any type."""
    ratings = [
        {name: some(random, 1) for name in ("movie", "imdb", "rating") if random.random() < 0.6}
        for _ in range(random.choice((0, 1, 2, 5, 2001) if random.random() < 0.02 else (0, 1, 2, 5)))
    ]
    body: dict[str, object] = {"ratings": ratings if random.random() < 0.9 else some(random)}
    for name in ("n", "diversity", "series_apart", "other"):
        if random.random() < 0.2:
            body[name] = some(random, 1)
    if random.random() < 0.4:
        body["filters"] = {name: some(random) for name in FILTERS if random.random() < 0.3}
    return posted(json.dumps(body).encode("utf-8", "surrogatepass"))


def likely(random: Random) -> bytes:
    """A body that is mostly right."""
    ratings = [
        {"movie": random.choice((random.randrange(1, 33), "Heat (1995)")), "rating": random.randrange(1, 11) / 2}
        for _ in range(random.randrange(1, 12))
    ]
    body = {"ratings": ratings, "n": random.randrange(0, 103), "diversity": random.choice((0, 0.5, 1))}
    return posted(json.dumps(body).encode())


def broken(random: Random) -> bytes:
    """A JSON body that is cut, or has other bytes in it, or is none."""
    body = bytearray(json.dumps({"ratings": [{"movie": 1, "rating": 5}], "n": 3}).encode())
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(body))
        if random.random() < 0.3:
            body = body[: place + 1]
        else:
            body[place : place + random.randrange(3)] = random.randbytes(random.randrange(3))
        body = body or bytearray(b"[")
    deep = (b"[" * 100_000, b'{"ratings":' * 20_000, b"\xff\xfe" + b"[\0]\0", b"1" * 5_000, b"", b"null")
    return posted(random.choice(deep) if random.random() < 0.1 else bytes(body))


def huge(random: Random) -> bytes:
    """A body, an address or a header beyond the limits."""
    size = random.choice((2**18 + 1, 2**20, 2**22))
    return random.choice((
        lambda: posted(b"[" + b"1," * (size // 2) + b"1]"),
        lambda: http("GET", "/movies?query=" + "x" * random.choice((301, 10_000, 60_000))),
        lambda: http("GET", "/users/" + "9" * random.choice((301, 20_000)) + "/recommendations"),
        lambda: http("GET", "/health", b"", "X-Long: " + "x" * random.choice((1_000, 60_000))),
    ))()  # fmt: skip


def addressed(random: Random) -> bytes:
    """A GET of any address with any query."""
    text = quote(random.choice(TEXTS).encode("utf-8", "surrogatepass"))
    own = (f"/users/{text}/recommendations", f"/movies/{text}/similar", f"/movies/{text}", f"/{text}")
    path = random.choice((*PATHS, *own, "/movies", "/users/1/recommendations"))
    pairs = [
        f"{random.choice(QUERIES)}={quote(str(some(random, 0)).encode('utf-8', 'surrogatepass'))}"
        for _ in range(random.randrange(4))
    ]
    return http("GET", f"{path}?{'&'.join(pairs)}" if pairs else path)


def odd(random: Random) -> bytes:
    """A request of any method, with odd headers."""
    kinds = ("application/json", "text/plain", "application/json; charset=utf-16", "multipart/form-data", "\xff", "")
    headers = [f"Content-Type: {random.choice(kinds)}"]
    headers += random.sample(["Accept: x", "Expect: 100-continue", "Range: bytes=0-", "Cookie: a=\xff", "X: "], 2)
    return http(random.choice(METHODS), random.choice(PATHS), random.choice((b"", b"{}", b"[]")), *headers)


def no_http(random: Random) -> bytes:
    """Bytes that are no HTTP, or end too early."""
    request = bytearray(posted(b'{"ratings": []}'))
    for _ in range(random.randint(1, 6)):
        request[random.randrange(len(request))] = random.randrange(256)
    return bytes(request) if random.random() < 0.7 else random.randbytes(random.randint(1, 200))


def posted(body: bytes) -> bytes:
    """A POST to the API."""
    return http("POST", "/recommendations", body, "Content-Type: application/json")


KINDS: dict[str, Callable[[Random], bytes]] = {
    "any types": typed,
    "nearly right": likely,
    "broken JSON": broken,
    "too large": huge,
    "any address": addressed,
    "odd methods and headers": odd,
    NO_HTTP: no_http,
}


if __name__ == "__main__":
    sys.exit(main())
