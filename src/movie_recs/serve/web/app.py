"""The web service: the page, and an API of lists, movies, health and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException as PlainHTTPException

from movie_recs.errors import UserError
from movie_recs.serve.answers import known_person, new_person, recommend, similar_movies
from movie_recs.serve.current import Current
from movie_recs.serve.web import replies
from movie_recs.serve.web.given import resolve
from movie_recs.serve.web.health import health
from movie_recs.serve.web.limits import Limits
from movie_recs.serve.web.metrics import Measured, Metrics
from movie_recs.serve.web.requests import MOST_CHARACTERS, Length, ListQuery, Metric, RecommendationRequest, Text
from movie_recs.serve.web.sentences import describe, printable
from movie_recs.serve.web.turns import Turns

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": replies.Problem} for status in (400, 404, 408, 413, 422, 503)
}
Id = Annotated[str, Path(max_length=MOST_CHARACTERS, description="The id as the data have it.")]


def create_app(current: Current) -> FastAPI:
    """The application that serves `current`."""
    metrics, turns = Metrics(current), Turns()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        current.start()
        yield
        current.stop()

    app = FastAPI(title="movie_recs", description="Movies for anyone's ratings.", lifespan=lifespan)
    app.add_middleware(Limits)
    app.add_middleware(Measured, metrics=metrics)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(PlainHTTPException, _refused)
    app.add_exception_handler(UserError, _unclear)
    app.add_exception_handler(Exception, _failed)

    @app.get("/users/{user_id:path}/recommendations", responses=PROBLEMS, tags=["lists"])
    async def recommend_to_user(user_id: Id, query: Annotated[ListQuery, Query()]) -> replies.Recommendations:
        """The list of a user of the data, without what she has rated."""
        snapshot = current.snapshot

        def answer() -> list[dict[str, Any]]:
            person = known_person(snapshot, user_id)
            if person is None:
                raise HTTPException(404, f"There is no user {user_id!r} in {snapshot.summary['name']}.")
            return recommend(snapshot, person, query.n, query.filters, query.diversity, query.series_apart)

        return replies.Recommendations.model_validate({"recommendations": await turns.run(answer)})

    @app.post("/recommendations", responses=PROBLEMS, tags=["lists"])
    async def recommend_to_anyone(request: RecommendationRequest) -> replies.Recommendations:
        """A list for anyone's ratings; nothing of them is kept."""
        snapshot = current.snapshot

        def answer() -> list[dict[str, Any]]:
            person = new_person(snapshot, *resolve(snapshot, request.ratings))
            return recommend(snapshot, person, request.n, request.filters, request.diversity, request.series_apart)

        return replies.Recommendations.model_validate({"recommendations": await turns.run(answer)})

    @app.get("/movies", responses=PROBLEMS, tags=["movies"])
    async def find_movies(query: Text, n: Length = 10) -> replies.FoundMovies:
        """Movies by their id or by words of their title, the article in front or behind."""
        catalogue = current.snapshot.catalogue

        def answer() -> list[dict[str, Any]]:
            found = catalogue.search(query, n)
            return [{**catalogue.describe(movie), "ratings": catalogue.ratings(movie)} for movie in found]

        return replies.FoundMovies.model_validate({"movies": await turns.run(answer)})

    @app.get("/movies/{movie_id:path}/similar", responses=PROBLEMS, tags=["movies"])
    async def find_similar(movie_id: Id, n: Length = 10, metric: Metric = "l2") -> replies.SimilarMovies:
        """The nearest movies by the distance of the model's vectors."""
        snapshot = current.snapshot

        def answer() -> list[dict[str, Any]]:
            movie = snapshot.catalogue.find_id(movie_id)
            if movie is None:
                raise HTTPException(404, f"There is no movie {movie_id!r} in {snapshot.summary['name']}.")
            return similar_movies(snapshot, movie, n, metric)

        return replies.SimilarMovies.model_validate({"similar": await turns.run(answer)})

    @app.get("/health", tags=["service"])
    async def report_health() -> replies.Health:
        """Which models of which data are served, and how old they are."""
        return replies.Health.model_validate(health(current.snapshot))

    @app.get("/metrics", tags=["service"], response_class=Response)
    async def report_metrics() -> Response:
        """Metrics for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/", include_in_schema=False)
    async def show_page() -> Response:
        """The page that the last run has made."""
        if not current.places.report.is_file():
            raise HTTPException(404, "There is no page: run kedro run --pipeline=reporting; the API is at /docs.")
        return FileResponse(current.places.report, media_type="text/html")

    return app


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return _problem(400 if any(each["type"] == "json_invalid" for each in errors) else 422, describe(errors))


async def _refused(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, PlainHTTPException):
        raise error
    return _problem(error.status_code, str(error.detail), error.headers)


async def _unclear(_: Request, error: Exception) -> JSONResponse:
    return _problem(422, str(error))


async def _failed(_: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - its text is for the log, not for clients
    return _problem(500, "The service has failed; its log says why.")


def _problem(status: int, sentence: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"detail": printable(sentence)}, status, headers)
