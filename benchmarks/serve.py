"""The web service under load: start, answers a second, their times, memory, and a swap of the model meanwhile.

    .venv/bin/python benchmarks/serve.py data ml-latest-small

50 clients on loopback post 20 ratings of random movies each, over connections that stay open: first at 100 requests a
second in all, each timed from the moment when it was due; then as fast as they are answered; then at 100 a second while
a new version of the models appears; then while the service is killed (SIGKILL) and started again, each answer being
compared with the one before. The folder is not written to: the service reads a copy of it.
`--large` makes a data set instead, of ml-32m's 87,000 movies and random vectors; `--histories 10` only reads 10 million
made-up ratings, as a start does.
"""

import argparse
import asyncio
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from movie_recs.als.ridge import Ridge, RidgeRule
from movie_recs.model.factor_model import Rule, factor_rows
from movie_recs.ranking.parameters import RatingWeights
from movie_recs.ranking.preferences import PreferenceRule
from movie_recs.ranking.rules import describe_rule
from movie_recs.saved_models import MARKER, newest_version
from movie_recs.serve.histories import read_histories
from movie_recs.serve.places import OBJECTIVES, Places

JSON = "Content-Type: application/json"
CLIENTS, RATE, RATINGS = 50, 100, 20
LAYERS = ("02_intermediate/{}/user_ids", "02_intermediate/{}/movie_ids", "03_primary/{}", "06_models/{}")
NEWER = "9999-01-01T00.00.00.000Z"


class Client:
    """Posts bodies over one connection."""

    def __init__(self, port: int):
        self._port = port

    async def open(self) -> None:
        """Connects."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        head = f"POST /recommendations HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        header = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in header.split(b"\r\n")[1:] if b": " in line)
        answer = await self._reader.readexactly(int(fields[b"content-length"]))
        return int(header.split(b" ", 2)[1]), answer


async def load(port: int, bodies: list[bytes], seconds: float, rate: float | None) -> tuple[list[float], list[int]]:
    """The times and statuses of all answers; the clients ask at `rate` requests a second, or as fast as they go."""
    clients = [Client(port) for _ in range(CLIENTS)]
    await asyncio.gather(*(client.open() for client in clients))
    times: list[float] = []
    statuses: list[int] = []
    start = time.perf_counter()

    async def run(place: int, client: Client) -> None:
        turn = place
        while True:
            due = start + turn / rate if rate else time.perf_counter()
            if due > start + seconds:
                return
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            statuses.append((await client.post(bodies[turn % len(bodies)]))[0])
            times.append(time.perf_counter() - due)
            turn += CLIENTS

    await asyncio.gather(*(run(place, client) for place, client in enumerate(clients)))
    return times, statuses


def report(name: str, times: list[float], statuses: list[int], seconds: float, cpu: float) -> None:
    """Prints a line."""
    p50, p99, worst = 1000 * np.quantile(times, [0.5, 0.99, 1.0])
    answered = ", ".join(f"{count} times {status}" for status, count in sorted(Counter(statuses).items()))
    speed = f"{len(times) / seconds:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms"
    print(f"{name}: {speed}, CPU {1000 * cpu / len(times):.1f} ms a request; {answered}", flush=True)


def read(port: int, path: str) -> str:
    """The text of a page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.read().decode()


def memory(port: int) -> str:
    """The service's resident memory."""
    return f"{gauge(port, 'process_resident_memory_bytes') / 2**20:.0f} MB"


def gauge(port: int, name: str) -> float:
    """A metric of the service's process."""
    line = next(line for line in read(port, "/metrics").splitlines() if line.startswith(name))
    return float(line.split()[1])


def publish(places: Places) -> None:
    """A newer version of each model, the same but for its name; its marker comes last, as a run writes it."""
    for objective in OBJECTIVES:
        newest = newest_version(places.model(objective))
        if newest:
            folder = newest.folder.parents[1] / NEWER / newest.folder.name
            shutil.copytree(newest.folder, folder, ignore=shutil.ignore_patterns(MARKER))
            (folder / MARKER).touch()


async def swap(places: Places, port: int, bodies: list[bytes], seconds: float) -> tuple[list[float], list[int]]:
    """As `load`, while a new version appears after a third of the time."""

    async def later() -> None:
        await asyncio.sleep(seconds / 3)
        await asyncio.to_thread(publish, places)

    (times, statuses), _ = await asyncio.gather(load(port, bodies, seconds, RATE), later())
    return times, statuses


class Outcomes:
    """What became of requests to a service that is killed: right answers, others, and those without one."""

    def __init__(self) -> None:
        self.right, self.wrong, self.lost, self.refused = 0, 0, 0, 0
        self.times: list[float] = []  # of right answers


async def ask_through(
    port: int, bodies: list[bytes], expected: list[tuple[int, bytes]], seconds: float, outcomes: Outcomes
) -> None:
    """The clients ask at `RATE`, and connect again whenever the service is gone."""
    start = time.perf_counter()

    async def run(place: int) -> None:
        client, is_open, turn = Client(port), False, place
        while (due := start + turn / RATE) < start + seconds:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            try:
                if not is_open:
                    await client.open()
                    is_open = True
            except OSError:
                outcomes.refused += 1
            else:
                try:
                    answer = await client.post(bodies[turn % len(bodies)])
                    is_right = answer == expected[turn % len(bodies)]
                    outcomes.right, outcomes.wrong = outcomes.right + is_right, outcomes.wrong + (not is_right)
                    outcomes.times.append(time.perf_counter())
                except (OSError, EOFError):
                    outcomes.lost, is_open = outcomes.lost + 1, False
            turn += CLIENTS

    await asyncio.gather(*(run(place) for place in range(CLIENTS)))


async def crash(
    service: subprocess.Popen, command: list[str], port: int, bodies: list[bytes], seconds: float
) -> subprocess.Popen:
    """Kills the service after a third of the time and starts it again at once, under load; prints what was answered."""
    client, expected, outcomes = Client(port), list[tuple[int, bytes]](), Outcomes()
    await client.open()
    for body in bodies:
        expected.append(await client.post(body))

    async def kill_and_start() -> tuple[subprocess.Popen, float]:
        await asyncio.sleep(seconds / 3)
        service.kill()
        await asyncio.to_thread(service.wait)
        return await asyncio.to_thread(subprocess.Popen, command), time.perf_counter()

    _, (again, killed) = await asyncio.gather(ask_through(port, bodies, expected, seconds, outcomes), kill_and_start())
    back = min((each for each in outcomes.times if each > killed), default=float("nan")) - killed
    print(
        f"killed and started again: {outcomes.right} right answers, {outcomes.wrong} wrong ones, {outcomes.lost} "
        f"connections lost, {outcomes.refused} refused; the first answer {back:.1f} s after the kill"
    )
    return again


def measure(data_dir: Path, dataset: str, seconds: float, port: int) -> None:
    """Starts a service on a copy of the data set, measures it and stops it."""
    with tempfile.TemporaryDirectory() as folder:
        for layer in LAYERS:
            shutil.copytree(data_dir / layer.format(dataset), Path(folder) / layer.format(dataset))
        command = [sys.executable, "-m", "movie_recs", "serve", "--dataset", dataset, "--data-dir", folder]
        command += ["--port", str(port), "--poll", "1"]
        for number in ("first", "second"):
            began = time.perf_counter()
            service = subprocess.Popen(command)
            while service.poll() is None:
                try:
                    read(port, "/health")
                    break
                except OSError:
                    time.sleep(0.02)
            print(f"{number} start: {time.perf_counter() - began:.2f} s, {memory(port)}")
            if number == "first":
                service.terminate()
                service.wait()
        try:
            places, rng = Places(Path(folder), dataset), random.Random(1)
            movies = [row["id"] for row in pq.read_table(newest(places) / "item_factors", columns=["id"]).to_pylist()]
            bodies = [body_of(rng, movies) for _ in range(200)]
            asyncio.run(load(port, bodies, 2, RATE))
            for name, run in (
                (f"{RATE} requests a second", load(port, bodies, seconds, RATE)),
                (f"{CLIENTS} clients at once", load(port, bodies, seconds, None)),
                ("while the model changes", swap(places, port, bodies, seconds)),
            ):
                before = gauge(port, "process_cpu_seconds_total")
                times, statuses = asyncio.run(run)
                report(name, times, statuses, seconds, gauge(port, "process_cpu_seconds_total") - before)
            service = asyncio.run(crash(service, command, port, bodies, max(seconds, 15)))
            print(f"served then: {json.loads(read(port, '/health'))['models']['ranking']['version']}, {memory(port)}")
        finally:
            service.terminate()
            service.wait()


def body_of(rng: random.Random, movies: list[int]) -> bytes:
    """A request of `RATINGS` random ratings."""
    ratings = [{"movie": movie, "rating": rng.randrange(1, 11) / 2} for movie in rng.sample(movies, RATINGS)]
    return json.dumps({"ratings": ratings}).encode()


def make_large(data_dir: Path, users: int = 20_000, movies: int = 87_000, ratings: int = 2_000_000) -> None:
    """Writes a data set `large`, whose vectors are random: 50 + 250 features for lists, 52 + 20 for stars."""
    rng, places = np.random.default_rng(1), Places(data_dir, "large")
    ids = np.arange(1, movies + 1, dtype=np.int32)
    columns = {
        "user_id": np.sort(rng.integers(1, users + 1, ratings, dtype=np.int32)),
        "movie_id": rng.integers(1, movies + 1, ratings, dtype=np.int32),
        "rating": (rng.integers(1, 11, ratings) / 2).astype(np.float32),
        "rated_at": pa.array(rng.integers(10**15, 2 * 10**15, ratings), pa.timestamp("us")),
    }
    none = pa.table({"id": pa.array([], pa.int32()), "original": pa.array([], pa.int32())})
    genres = pa.array([["Drama", "Comedy"][: 1 + movie % 2] for movie in ids.tolist()])
    titles = pa.array([f"Movie {movie}, The" for movie in ids.tolist()])
    imdb = pa.array([f"{movie:07}" for movie in ids.tolist()])
    years = rng.integers(1950, 2020, movies, dtype=np.int32)
    about = {"movie_id": ids, "title": titles, "year": years, "genres": genres, "imdb_id": imdb}
    for name, table in (
        ("ratings", pa.table(columns)),
        ("movies", pa.table(about)),
        ("user_ids", none),
        ("movie_ids", none),
    ):
        write_table(places.table(name), table)
    scale = {"least": 0.5, "most": 5.0, "step": 0.5, "liked": 4.0}
    summary = {"name": "large", "users": users, "movies": movies, "ratings": ratings, "scale": scale}
    places.data_summary.write_text(json.dumps(summary))
    ranking = PreferenceRule(50, 250, "all", RatingWeights(star_weight=0.2), 0.6, 0.3, 4.0)
    rating = RidgeRule((Ridge(52, 8.0, bias_damping=5.0), Ridge(20, 0.2, per_rating=True)))
    rules: dict[str, Rule] = {"ranking": ranking, "rating": rating}
    for objective, rule in rules.items():
        folder = places.model(objective) / "2025-01-01T00.00.00.000Z" / "factor_model"
        for side, rows in (("item", ids), ("user", np.arange(1, users + 1))):
            vectors = rng.normal(0, 0.1, (len(rows), sum(rule.sizes))).astype(np.float32)
            write_table(folder / f"{side}_factors", factor_rows(rows, rng.normal(0, 0.1, len(rows)), vectors))
        (folder / "model.json").write_text(json.dumps({"intercept": 0.0, **describe_rule(rule)}))
        (folder / MARKER).touch()


def write_table(folder: Path, table: pa.Table) -> None:
    """A table of one file."""
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-00000.parquet")


def newest(places: Places) -> Path:
    """The folder of the newest ranking model."""
    version = newest_version(places.model("ranking"))
    if version is None:
        sys.exit("There is no ranking model.")
    return version.folder


def measure_histories(millions: int) -> None:
    """Reads a table of made-up ratings in four files, whose users are in no order."""
    rng, users, movies = np.random.default_rng(1), 7_000 * millions, 60_000
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for part in range(4):
            rows = millions * 250_000
            table = pa.table({
                "user_id": rng.integers(1, users, rows, dtype=np.int32),
                "movie_id": rng.integers(1, movies, rows, dtype=np.int32),
                "rating": (rng.integers(1, 11, rows) / 2).astype(np.float32),
                "rated_at": pa.array(rng.integers(10**15, 2 * 10**15, rows), pa.timestamp("us")),
            })  # fmt: skip
            files.append(Path(folder) / f"part-{part}.parquet")
            pq.write_table(table, files[-1])
            del table
        before, began = _resident(), time.perf_counter()
        histories = read_histories(files)
        print(f"{millions} million ratings: {time.perf_counter() - began:.1f} s, {_resident() - before:.0f} MB more")
        began = time.perf_counter()
        for user in rng.integers(1, users, 1_000).tolist():
            histories.of(user)
        print(f"a user's ratings: {(time.perf_counter() - began) * 1000:.0f} µs")
        print(f"peak of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _resident() -> float:
    """MB of this process that are its own, without pages of files."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_dir", type=Path, nargs="?", default=Path("data"))
    parser.add_argument("dataset", nargs="?", default="ml-latest-small")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--histories", type=int, metavar="MILLIONS")
    options = parser.parse_args()
    if options.histories:
        measure_histories(options.histories)
    elif options.large:
        with tempfile.TemporaryDirectory() as made:
            make_large(Path(made))
            measure(Path(made), "large", options.seconds, options.port)
    else:
        measure(options.data_dir, options.dataset, options.seconds, options.port)
