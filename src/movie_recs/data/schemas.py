"""The schema of each saved table: its columns, types and units.

Raw files are read as text, so that a bad field can be shown as it was written; `RAW_HEADERS` are those of GroupLens.
From there on columns are snake_case and typed; identifiers are positive 32-bit integers (`data.identifiers`), ratings
lie on the data's scale (`data.scale`), and times are UTC, null if unknown.
"""

from collections.abc import Iterable
from typing import Literal

IMDB = "https://www.imdb.com/title/tt"  # where a movie is, followed by its number
SEPARATORS = {"genres": "|", "because": "; ", "because_shares": "; "}  # of lists in CSV files
FORMATS = {"because_shares": "%.4f"}  # of numbers in such lists
NO_GENRES = "(no genres listed)"  # how GroupLens writes an empty list

TIME = "timestamp"  # the one raw column that a file may lack
RawFile = Literal["ratings", "movies", "tags", "links"]
RAW_HEADERS: dict[RawFile, tuple[str, ...]] = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "movies": ("movieId", "title", "genres"),
    "tags": ("userId", "movieId", "tag", "timestamp"),
    "links": ("movieId", "imdbId", "tmdbId"),
}

RATINGS = "user_id int, movie_id int, rating float, rated_at timestamp"

TABLES = {
    "set_aside": "file string, reason string, record string",
    "ratings": RATINGS,
    "movies": "movie_id int, title string, year int, genres array<string>, imdb_id string, tmdb_id int",
    "tags": "user_id int, movie_id int, tag string, tagged_at timestamp",
    "train_ratings": f"{RATINGS}, fold int",
    "test_ratings": RATINGS,
    "fold_in_ratings": RATINGS,
    "rating.predictions": (
        "user_id int, movie_id int, rating float, user_ratings int, movie_ratings int, global_mean double, "
        "bias double, reference_als double, als double, bias_als double, taste double, taste_als double, bayes double, "
        "predicted_stars double"
    ),
    "ranking.lists": ("model string, user_id int, rank int, movie_id int, score double, predicted_stars double"),
    "recommendations": (
        "user_id int, rank int, movie_id int, title string, year int, genres array<string>, score double, "
        "predicted_stars double, because array<string>, imdb_url string, because_shares array<double>"
    ),
    "new_user_recommendations": (
        "name string, rank int, movie_id int, title string, year int, genres array<string>, score double, "
        "predicted_stars double, because array<string>, imdb_url string, because_shares array<double>"
    ),
    "group_recommendations": (
        "method string, rank int, movie_id int, title string, year int, genres array<string>, score double, "
        "predicted_stars double, lowest_stars double, imdb_url string"
    ),
    "similar_movies": (
        "movie_id int, rank int, similar_movie_id int, title string, year int, genres array<string>, distance double"
    ),
}
"""Columns of the tables of the catalog, by dataset name."""


def list_text(column: str, values: Iterable[str | float | None]) -> str:
    """A list of this column as text, as CSV files have it; nulls are left out."""
    return SEPARATORS[column].join(FORMATS.get(column, "%s") % each for each in values if each is not None)
