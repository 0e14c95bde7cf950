"""Corrupts rows of all four files in seeded ways, and compares what becomes of them with an independent parse.

    python benchmarks/odd_rows.py [--rows 10000] [--seeds 1 2 3 4 5]

Each row must be clean, with the same values, or set aside with the same reason. Then each row that is long in an odd
way is parsed by itself. Prints counts, rows that differ, and the longest times. Exit code 1 if a row differs or takes
more than a second.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pyspark.sql import SparkSession

from movie_recs.runtime.config import ConfigLoader
from movie_recs.runtime.spark import configure_spark, spark_session
from movie_recs.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fuzz import comparison, oracle, rows  # noqa: E402 - the short form of this is a test

MOST_SECONDS = 1.0  # for a row, with what Spark takes for any file
TRIES = 5  # where something else may have taken the time
SHOWN = 20  # rows that differ


def main() -> int:
    """Prints a line for each seed and each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000, help="of each file, with each seed (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    arguments = parser.parse_args()
    loader = ConfigLoader(str(ROOT / "conf"), **{**CONFIG_LOADER_ARGS, "default_run_env": "base"})
    configure_spark(loader["spark"], ROOT / "conf" / "base")
    with tempfile.TemporaryDirectory() as folder:
        different = compare_rows(spark_session(), Path(folder), arguments.seeds, arguments.rows)
        slow = time_rows(spark_session(), Path(folder))
    return int(different > 0 or slow > 0)


def compare_rows(spark: SparkSession, folder: Path, seeds: list[int], number: int) -> int:
    """The number of rows that differ, with all seeds."""
    outcomes, ways = Counter[tuple[str, str]](), Counter[str]()
    corrupted = different = 0
    for seed in seeds:
        files = {file: rows.corrupted_file(seed, file, number) for file in oracle.HEADERS}
        differences, counts = comparison.compare(spark, folder, {file: content for file, (content, _) in files.items()})
        ways.update(way for _, done in files.values() for way in done.elements())
        corrupted += sum(done.total() for _, done in files.values())
        different += len(differences)
        outcomes.update(counts)
        print(f"seed {seed}: {number * len(files):,} rows, {len(differences)} differ", flush=True)
        for each in differences[:SHOWN]:
            print(f"  {each.file}\n    found    {str(each.found)[:300]!r}\n    expected {str(each.expected)[:300]!r}")
    print(f"{corrupted:,} rows written, of which {ways['as it should be']:,} as they should be; {different} differ")
    for (file, outcome), count in sorted(outcomes.items()):
        print(f"  {count:7,} {file:8} {outcome}")
    return different


def time_rows(spark: SparkSession, folder: Path) -> int:
    """The number of rows that take longer than they may."""
    slow = 0
    for file in comparison.TABLES:
        comparison.seconds_of_parsing(spark, folder, file, b"1,2,3")  # compiles what all others need
        seconds: dict[str, float] = {}
        for name, line in rows.longest_rows(file).items():
            for _ in range(TRIES):
                taken = comparison.seconds_of_parsing(spark, folder, file, line)
                seconds[name] = min(taken, seconds.get(name, taken))
                if seconds[name] <= MOST_SECONDS:
                    break
        name = max(seconds, key=seconds.__getitem__)
        slow += sum(taken > MOST_SECONDS for taken in seconds.values())
        print(f"{file}: {len(seconds)} long rows, the longest takes {seconds[name]:.2f} s ({name})", flush=True)
    return slow


if __name__ == "__main__":
    sys.exit(main())
