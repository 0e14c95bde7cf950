"""Which engine runs the trials: compiled loops where a fold's ratings fit in a task's memory, else Spark ML."""

import logging
import os
import re
from typing import NamedTuple

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from movie_recs.errors import UserError
from movie_recs.parameters import SearchParameters, TuningParameters
from movie_recs.ranking.ease import LARGEST_EXACT
from movie_recs.rating.features import AUDIENCE, Catalogue

logger = logging.getLogger(__name__)

GIB = 2**30
MIB = 2**20

# Bytes of a trial on the kernel engine, measured by benchmarks/tuning.py, which checks that none takes more.
PROCESS = 350 * MIB  # Python, NumPy, pandas, PyArrow, Numba and the compiled code
PER_RATING = 110  # the ratings of all folds, those that the fit sees by user and by movie, and what is left of them
PER_NUMBER = 8

OVERHEAD = 384 * MIB, 0.1  # Spark's own memoryOverhead of an executor: at least, and as a share of its memory


FINGERPRINTED = ("user_id", "movie_id", "rating", "rated_at", "fold")


class DataSize(NamedTuple):
    """What decides how much memory and time a trial takes, and a fingerprint of the rows in any order."""

    ratings: int
    users: int
    fingerprint: int


def measure_data(ratings: DataFrame) -> DataSize:
    """The size of (user_id, movie_id, rating, perhaps rated_at, perhaps fold)."""
    row = ratings.agg(
        F.count("*").alias("ratings"),
        F.count_distinct("user_id").alias("users"),
        F.bit_xor(F.xxhash64(*(name for name in FINGERPRINTED if name in ratings.columns))).alias("fingerprint"),
    ).first()
    return DataSize(**row.asDict())


def choose_engine(
    ratings: DataFrame, catalogue: Catalogue, tuning: TuningParameters, size: DataSize | None = None
) -> str:
    """`kernel` or `spark`; how `auto` is decided is logged.

    Args:
        ratings: (user_id int, movie_id int, rating float in stars).
        catalogue: The movies.
        tuning: What `tuning.engine` says, and the ranks.
        size: As `measure_data` has it, if that is known already.
    """
    if tuning.engine != "auto":
        return tuning.engine
    size = size or measure_data(ratings)
    features = 1 + catalogue.features.shape[1] + 1 + AUDIENCE.rank
    needed = estimate_memory(size, len(catalogue.ids), max(tuning.grid.rank), features)
    return decide(tuning, size, needed, ratings.sparkSession)


def decide(tuning: SearchParameters, size: DataSize, needed: int, spark: SparkSession) -> str:
    """`kernel` or `spark`, as the parameters say; if those leave it open, by the bytes that a trial needs at most."""
    if tuning.engine != "auto":
        return tuning.engine
    available = task_memory(spark)
    engine = "kernel" if needed <= available else "spark"
    sizes = f"{size.ratings:,} ratings need {needed / GIB:.1f} GB; a task has {available / GIB:.1f} GB"
    logger.info("Engine %s: %s", engine, sizes)
    return engine


def estimate_memory(size: DataSize, movies: int, rank: int, features: int) -> int:
    """Bytes that the Python process of a kernel engine's task takes at most.

    The process itself; each rating's share of the index; each user's Gram matrix of the features and its factor; the
    factors of users and movies and a copy of them; and the movies' features twice, with the audience of ten folds.

    Args:
        size: Of the train ratings.
        movies: In the catalogue, rated or not.
        rank: The highest of the grid.
        features: Of a movie, and the bias.
    """
    triangle = features * (features + 1) // 2
    per_user = 2 * triangle + 2 * rank
    per_movie = 2 * features + 2 * rank + 10 * AUDIENCE.rank
    return PROCESS + PER_RATING * size.ratings + PER_NUMBER * (per_user * size.users + per_movie * movies)


def estimate_ranking_memory(size: DataSize, movies: int, rank: int, ease_rank: int) -> int:
    """Bytes that the Python process of a ranking trial takes at most; arguments as of `estimate_memory`.

    The process; each rating's share; the decomposition: Gram matrix, its vectors and LAPACK's copies of them where it
    is taken whole; and the vectors of users and movies, those of movies three times.
    """
    smaller = min(size.users, movies)
    ease_size = min(smaller, ease_rank)
    gram = 4 * PER_NUMBER * smaller**2 if smaller <= LARGEST_EXACT else 0
    per_movie = 3 * ease_size + 2 * rank
    per_user = 2 * ease_size + 2 * rank
    vectors = PER_NUMBER * (per_movie * movies + per_user * size.users)
    return PROCESS + PER_RATING * size.ratings + gram + vectors


def task_memory(spark: SparkSession) -> int:
    """Bytes that one task's Python process may take, outside the JVM.

    Inside this process (`local`): the machine's memory less the JVM's, by cores. On a cluster: what an executor has for
    Python (spark.executor.pyspark.memory, else its memoryOverhead), by its cores.
    """
    conf = spark.sparkContext.getConf()
    if conf.get("spark.master", "").startswith("local"):
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return (machine - _bytes(conf.get("spark.driver.memory", "1g"))) // spark.sparkContext.defaultParallelism
    at_least, share = OVERHEAD
    overhead = max(at_least, share * _bytes(conf.get("spark.executor.memory", "1g"))) / MIB
    python = conf.get("spark.executor.pyspark.memory", conf.get("spark.executor.memoryOverhead", str(overhead)))
    return _bytes(python) // int(conf.get("spark.executor.cores", "1"))


def _bytes(text: str) -> int:
    """Of Spark's way to write sizes: 512m, 4g; a number alone is in MiB."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise UserError(f"{text!r} is no size of memory; Spark writes them as 512m or 4g.")
    return int(float(match[1]) * {"k": 2**10, "": MIB, "m": MIB, "g": GIB, "t": 2**40}[match[2]])
