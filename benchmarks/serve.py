"""The web service under load: start, answers a second, their times, memory, and a swap of the model meanwhile.

    .venv/bin/python benchmarks/serve.py data ml-latest-small

50 clients on loopback post 20 ratings of random movies each, over connections that stay open: first at 100 requests a
second in all, each timed from the moment when it was due; then as fast as they are answered; then at 100 a second while
a new version of the models appears. `--histories 10` reads 10 million made-up ratings instead, as a start does.
The folder is not written to: the service reads a copy of it.
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
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

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

    async def post(self, body: bytes) -> int:
        """The status of the answer, which is read to its end."""
        head = f"POST /recommendations HTTP/1.1\r\nHost: x\r\n{JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        header = await self._reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in header.split(b"\r\n")[1:] if b": " in line)
        await self._reader.readexactly(int(fields[b"content-length"]))
        return int(header.split(b" ", 2)[1])


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
            statuses.append(await client.post(bodies[turn % len(bodies)]))
            times.append(time.perf_counter() - due)
            turn += CLIENTS

    await asyncio.gather(*(run(place, client) for place, client in enumerate(clients)))
    return times, statuses


def report(name: str, times: list[float], statuses: list[int], seconds: float) -> None:
    """Prints a line."""
    p50, p99, worst = 1000 * np.quantile(times, [0.5, 0.99, 1.0])
    failed = sum(status != 200 for status in statuses)
    speed = f"{len(times) / seconds:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms"
    print(f"{name}: {speed}, {failed} failed")


def read(port: int, path: str) -> str:
    """The text of a page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.read().decode()


def memory(port: int) -> str:
    """The service's resident memory."""
    line = next(line for line in read(port, "/metrics").splitlines() if line.startswith("process_resident"))
    return f"{float(line.split()[1]) / 2**20:.0f} MB"


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


def measure(data_dir: Path, dataset: str, seconds: float, port: int) -> None:
    """Starts a service on a copy of the data set, measures it and stops it."""
    with tempfile.TemporaryDirectory() as folder:
        for layer in LAYERS:
            shutil.copytree(data_dir / layer.format(dataset), Path(folder) / layer.format(dataset))
        command = [sys.executable, "-m", "movie_recs", "serve", "--dataset", dataset, "--data-dir", folder]
        for number in ("first", "second"):
            began = time.perf_counter()
            service = subprocess.Popen([*command, "--port", str(port), "--poll", "1"])
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
            report(f"{RATE} requests a second", *asyncio.run(load(port, bodies, seconds, RATE)), seconds)
            report(f"{CLIENTS} clients at once", *asyncio.run(load(port, bodies, seconds, None)), seconds)
            report("while the model changes", *asyncio.run(swap(places, port, bodies, seconds)), seconds)
            print(f"served then: {json.loads(read(port, '/health'))['models']['ranking']['version']}, {memory(port)}")
        finally:
            service.terminate()
            service.wait()


def body_of(rng: random.Random, movies: list[int]) -> bytes:
    """A request of `RATINGS` random ratings."""
    ratings = [{"movie": movie, "rating": rng.randrange(1, 11) / 2} for movie in rng.sample(movies, RATINGS)]
    return json.dumps({"ratings": ratings}).encode()


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
    parser.add_argument("--histories", type=int, metavar="MILLIONS")
    options = parser.parse_args()
    if options.histories:
        measure_histories(options.histories)
    else:
        measure(options.data_dir, options.dataset, options.seconds, options.port)
