"""The memory that the objective `ranking` takes, which decides its carrier."""

from pyspark.sql import SparkSession

from movie_recs.ranking.ease import SUBSPACE, is_exact
from movie_recs.ranking.parameters import RankingTuningParameters
from movie_recs.tuning.memory import PER_NUMBER, PER_RATING, PROCESS, Choice, DataSize, choose_carrier

STARS = 80  # features of a rating model, at most: genres, years, popularity, audience and factors


def choose_ranking_carrier(
    choice: str, size: DataSize, tuning: RankingTuningParameters, spark: SparkSession, in_tasks: bool = False
) -> Choice:
    """See `choose_carrier`; for a search of its trials, `in_tasks`."""
    return choose_carrier(
        choice, size, estimate_memory(size, max(tuning.grid.rank), max(tuning.ease_rank)), spark, in_tasks
    )


def estimate_memory(size: DataSize, rank: int, ease_rank: int) -> int:
    """Most bytes that the Python process of a ranking trial takes.

    The process itself; each rating's share; the decomposition: the Gram matrix, its vectors and LAPACK's copies of them
    where it is exact, else the float32 basis, its products with the matrix and a copy of each; and the vectors of
    movies, three times, and of users; those of the rating model, twice and once.

    Args:
        size: Size of the data.
        rank: The highest rank of the grid.
        ease_rank: Largest number of singular vectors.
    """
    smaller = min(size.users, size.movies)
    if is_exact(size.users, size.movies):
        ease_size, decomposition = smaller, 4 * PER_NUMBER * smaller**2
    else:
        ease_size, decomposition = min(smaller, ease_rank), 2 * PER_NUMBER * SUBSPACE * ease_rank * size.movies
    per_movie = 3 * ease_size + 2 * rank + 2 * STARS
    per_user = 2 * ease_size + 2 * rank + STARS
    vectors = PER_NUMBER * (per_movie * size.movies + per_user * size.users)
    return PROCESS + PER_RATING * size.ratings + decomposition + vectors
