"""What is answered, by field; FastAPI documents it."""

from pydantic import BaseModel

from movie_recs.data.id_numbers import Id


class Recommended(BaseModel):
    """A movie in a list.

    `because` names the user's own ratings that add most to the ranking model's score, and `because_shares` has the
    share of it that each of them adds, null where the score is not positive.
    """

    rank: int
    movie_id: Id
    title: str | None
    year: int | None
    genres: list[str] | None
    score: float
    predicted_stars: float | None
    because: list[str]
    because_shares: list[float | None]


class Similar(BaseModel):
    """A movie and its distance."""

    rank: int
    movie_id: Id
    title: str | None
    year: int | None
    genres: list[str] | None
    distance: float


class Found(BaseModel):
    """A movie and its number of ratings."""

    movie_id: Id
    title: str
    year: int | None
    genres: list[str]
    ratings: int


class Recommendations(BaseModel):
    """A list, best first."""

    recommendations: list[Recommended]


class SimilarMovies(BaseModel):
    """The nearest movies, nearest first."""

    similar: list[Similar]


class FoundMovies(BaseModel):
    """The movies that a query finds, best first."""

    movies: list[Found]


class ModelHealth(BaseModel):
    """A model's version, which is the time when its run began; after a refresh the fit is older, and lacks ratings."""

    version: str
    age_seconds: float | None
    fitted_seconds_ago: float | None
    ratings_since_fit: int


class Health(BaseModel):
    """What is served."""

    status: str
    dataset: str
    users: int
    movies: int
    ratings: int
    models: dict[str, ModelHealth]
    loaded_seconds_ago: float


class Problem(BaseModel):
    """What is wrong with a request, in one sentence."""

    detail: str
