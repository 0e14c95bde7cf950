"""One contract per persisted table: its columns, types and units.

Raw files are read as text (`RAW_HEADERS`), so that a bad field is seen as it was written. From there on columns are
snake_case and typed; identifiers are positive 32-bit integers, ratings are stars from 0.5 to 5.0 in halves, and times
are UTC.
"""

MIN_STARS, MAX_STARS, STAR_STEP = 0.5, 5.0, 0.5

RAW_HEADERS = {
    "ratings": ("userId", "movieId", "rating", "timestamp"),
    "movies": ("movieId", "title", "genres"),
    "tags": ("userId", "movieId", "tag", "timestamp"),
    "links": ("movieId", "imdbId", "tmdbId"),
}

RATINGS = "user_id int, movie_id int, rating float, rated_at timestamp"
MOVIES = "movie_id int, title string, year int, genres array<string>, imdb_id string, tmdb_id int"
TAGS = "user_id int, movie_id int, tag string, tagged_at timestamp"
SET_ASIDE = "file string, reason string, record string"
TRAIN_RATINGS = f"{RATINGS}, fold int"
TEST_RATINGS = RATINGS
FACTORS = "id int, bias float, features array<float>"
