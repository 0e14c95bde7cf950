"""The memory that the objective `ranking` takes, which decides its carrier."""

from typing import Any

from pyspark.sql import SparkSession

from movie_recs.ranking.ease import LARGEST_EXACT
from movie_recs.ranking.parameters import RankingTuningParameters
from movie_recs.tuning.memory import PER_NUMBER, PER_RATING, PROCESS, DataSize, choose_carrier


def choose_ranking_carrier(
    choice: str, data_summary: dict[str, Any], tuning: RankingTuningParameters, spark: SparkSession
) -> str:
    """`local` or `spark`, the same for every stage of a run; see `choose_carrier`."""
    size = DataSize.of(data_summary)
    return choose_carrier(choice, size, estimate_memory(size, max(tuning.grid.rank), tuning.ease_rank), spark)


def estimate_memory(size: DataSize, rank: int, ease_rank: int) -> int:
    """Most bytes that the Python process of a ranking trial takes.

    The process itself; each rating's share; the decomposition: Gram matrix, its vectors and LAPACK's copies of them if
    it is decomposed whole; and the vectors of users and movies, those of movies three times.

    Args:
        size: Size of the data.
        rank: The highest rank of the grid.
        ease_rank: Largest number of singular vectors.
    """
    smaller = min(size.users, size.movies)
    ease_size = min(smaller, ease_rank)
    gram = 4 * PER_NUMBER * smaller**2 if smaller <= LARGEST_EXACT else 0
    per_movie = 3 * ease_size + 2 * rank
    per_user = 2 * ease_size + 2 * rank
    vectors = PER_NUMBER * (per_movie * size.movies + per_user * size.users)
    return PROCESS + PER_RATING * size.ratings + gram + vectors
