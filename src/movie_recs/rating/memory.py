"""The memory that the objective `rating` takes, which decides its carrier."""

from pyspark.sql import SparkSession

from movie_recs.rating.features import AUDIENCE, Catalogue
from movie_recs.rating.parameters import RatingTuningParameters
from movie_recs.tuning.memory import PER_NUMBER, PER_RATING, PROCESS, Choice, DataSize, choose_carrier


def choose_rating_carrier(
    choice: str,
    size: DataSize,
    catalogue: Catalogue,
    tuning: RatingTuningParameters,
    spark: SparkSession,
    in_tasks: bool = False,
) -> Choice:
    """See `choose_carrier`; for a search of its trials, `in_tasks`."""
    features = 1 + catalogue.features.shape[1] + 1 + AUDIENCE.rank
    return choose_carrier(choice, size, estimate_memory(size, max(tuning.grid.rank), features), spark, in_tasks)


def estimate_memory(size: DataSize, rank: int, features: int) -> int:
    """Most bytes that the Python process of a rating trial takes.

    The process itself; each rating's share; each user's Gram matrix of the features and its factor; the factors of
    users and movies and a copy of them; and the movies' features twice, with the audience of ten folds.

    Args:
        size: Size of the data.
        rank: The highest rank of the grid.
        features: Number of features of a movie, plus 1 for the bias.
    """
    triangle = features * (features + 1) // 2
    per_user = 2 * triangle + 2 * rank
    per_movie = 2 * features + 2 * rank + 10 * AUDIENCE.rank
    return PROCESS + PER_RATING * size.ratings + PER_NUMBER * (per_user * size.users + per_movie * size.movies)
