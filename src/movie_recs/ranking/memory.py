"""The memory that the objective `ranking` takes, which decides its carrier."""

import math

from pyspark.sql import SparkSession

from movie_recs.ranking.ease import KRYLOV_BLOCKS, PARTS, SUBSPACE, is_exact
from movie_recs.ranking.parameters import RankingTuningParameters
from movie_recs.tuning.memory import PER_NUMBER, PER_RATING, PROCESS, Choice, DataSize, choose_carrier

PER_PLACE = 100  # bytes of a rating in the regression of futures: a copy of it, its order, place and weight
PER_SINGLE = 4  # bytes of a number in single precision
STARS = 80  # features of a rating model, at most: genres, years, popularity, audience and factors


def choose_ranking_carrier(
    choice: str,
    size: DataSize,
    tuning: RankingTuningParameters,
    spark: SparkSession,
    in_tasks: bool = False,
    by_time: bool = False,
) -> Choice:
    """See `choose_carrier`; for a search of its trials, `in_tasks`; where models have a sequential part, `by_time`."""
    needed = estimate_memory(size, max(tuning.grid.rank), max(tuning.ease_rank), by_time)
    return choose_carrier(choice, size, needed, spark, in_tasks)


def estimate_memory(size: DataSize, rank: int, ease_rank: int, by_time: bool = False) -> int:
    """Most bytes that the Python process of a ranking trial takes.

    The process itself; each rating's share; the decomposition: the Gram matrix, its vectors and LAPACK's copies of them
    where it is exact, else the float32 basis of the smaller side, a copy of it, and a block's products for the movies
    in parts; and the vectors of movies, three times, and of users; those of the rating model, twice and once. By time
    there are as many vectors of EASE again, of what users rate next and of their pasts, and for each rating its place
    and its weight in a future.

    Args:
        size: Size of the data.
        rank: The highest rank of the grid.
        ease_rank: Largest number of singular vectors.
        by_time: Whether models have a sequential part.
    """
    smaller = min(size.users, size.movies)
    if is_exact(size.users, size.movies):
        ease_size, decomposition = smaller, 4 * PER_NUMBER * smaller**2
    else:
        products = PARTS * size.movies / KRYLOV_BLOCKS
        ease_size = min(smaller, ease_rank)
        decomposition = math.ceil(PER_SINGLE * SUBSPACE * ease_rank * (2 * smaller + products))
    parts = 2 if by_time else 1
    per_movie = parts * 3 * ease_size + 2 * rank + 2 * STARS
    per_user = parts * 2 * ease_size + 2 * rank + STARS
    vectors = PER_NUMBER * (per_movie * size.movies + per_user * size.users)
    per_rating = PER_RATING + (PER_PLACE if by_time else 0)
    return PROCESS + per_rating * size.ratings + decomposition + vectors
