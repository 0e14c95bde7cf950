"""The memory that the objective `rating` takes, which decides its carrier."""

from pyspark.sql import SparkSession

from movie_recs.bayes.turn import PARTS
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
    needed = estimate_memory(size, max(tuning.grid.rank), features)
    if tuning.bayes is not None and size.ratings <= tuning.bayes.most_ratings:
        needed += estimate_bayes(size, max(tuning.bayes.rank), features)
    return choose_carrier(choice, size, needed, spark, in_tasks)


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


def estimate_bayes(size: DataSize, rank: int, features: int) -> int:
    """Bytes that a Bayesian factorisation takes beside what other trials of its fold hold.

    Each user's Gram matrix of the features, her vector, the pull of its prior, and her regressors; the movies' vectors,
    means and covariances, and the sums from which these follow, of each part of the users and of all.

    Args:
        size: Size of the data.
        rank: The highest rank of its grid.
        features: Number of features of a movie, plus 1 for the bias.
    """
    vector, posterior = features + rank, (1 + rank) * (2 + rank) // 2 + 1 + rank
    per_user = features * (features + 1) // 2 + 3 * vector
    per_movie = 2 * vector + (PARTS + 3) * posterior
    return PER_NUMBER * (per_user * size.users + per_movie * size.movies)
