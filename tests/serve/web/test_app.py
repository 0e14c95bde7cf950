"""The API: what is asked and answered, and one clear sentence for every bad request."""

import json
import random
import time
from collections import Counter

import pytest
from fastapi.testclient import TestClient
from serve import data_set

from movie_recs.serve.current import Current
from movie_recs.serve.warm import warm
from movie_recs.serve.web import requests
from movie_recs.serve.web.app import create_app

JSON = {"content-type": "application/json"}
LISTS = ["rank", "movie_id", "title", "year", "genres", "score", "predicted_stars", "because", "because_shares"]


def ask(client: TestClient, *ratings: dict, **options) -> dict:
    response = client.post("/recommendations", json={"ratings": list(ratings), **options})
    return {"status": response.status_code, **response.json()}


def test_movies_may_be_named_by_id_title_or_imdb_id(client):
    by_id = ask(client, {"movie": 12, "rating": 5}, {"movie": 3, "rating": 4.5}, n=3)
    assert by_id["status"] == 200
    assert [list(row) for row in by_id["recommendations"]] == [LISTS] * 3
    for first in ({"imdb": "tt0111161"}, {"imdb": "111161"}, {"movie": "the shawshank redemption"}, {"movie": "12"}):
        for second in ("Matrix, The (1999)", "The Matrix", "3"):
            assert ask(client, {**first, "rating": 5}, {"movie": second, "rating": 4.5}, n=3) == by_id


def test_filters_and_the_length_are_those_that_are_asked_for(client):
    answer = ask(client, {"movie": 1, "rating": 5}, n=2, filters={"genres": "drama", "first_year": 1990})
    assert [row["movie_id"] in (10, 11, 12) for row in answer["recommendations"]] == [True, True]
    query = "n=2&genres=drama&genres=comedy&first_year=1990"
    listed = client.get(f"/users/3/recommendations?{query}").json()["recommendations"]
    assert len(listed) == 2
    assert {row["movie_id"] for row in listed} <= {1, 2, 6, 10, 11, 12}


def test_movies_are_found_in_both_forms_of_their_title_the_most_rated_first(client):
    def found(query: str) -> list:
        return [row["title"] for row in client.get("/movies", params={"query": query}).json()["movies"]]

    matrix = ["The Matrix", "The Matrix Reloaded"]
    assert sorted(found("matrix")) == sorted(found("the matrix")) == matrix
    assert found("Matrix, The")[0] in matrix
    assert found("RELOADED matr") == ["The Matrix Reloaded"]
    assert found("l'avventura") == ["L'Avventura (The Adventure)"]
    assert found("sabrina 1954") == ["Sabrina"]
    assert found("8") == ["300"]
    assert found("300") == ["300"]
    assert found("nothing like it") == []


def test_similar_movies_have_distances(client):
    answer = client.get("/movies/3/similar?n=2&metric=cosine").json()["similar"]
    assert [row["rank"] for row in answer] == [1, 2]
    assert 0 <= answer[0]["distance"] <= answer[1]["distance"]


def test_health_names_the_models_and_their_age(client):
    health = client.get("/health").json()
    assert {name: health[name] for name in ("status", "dataset", "users", "movies")} == {
        **{"status": "ok", "dataset": "small", "users": 8, "movies": 12},
    }
    assert health["models"]["ranking"]["version"] == data_set.EARLIER
    assert health["models"]["rating"]["age_seconds"] > 0
    assert health["models"]["rating"]["ratings_since_fit"] == 0


def test_metrics_count_requests_by_route_and_say_what_is_served(client):
    client.get("/users/3/recommendations")
    text = client.get("/metrics").text
    assert 'movie_recs_requests_total{method="GET",path="/users/{user_id:path}/recommendations",status="200"}' in text
    assert f'movie_recs_model_info{{dataset="small",ranking="{data_set.EARLIER}"' in text


def test_the_page_is_at_the_root_if_there_is_one(tmp_path):
    places = data_set.write(tmp_path)
    client = TestClient(create_app(Current(places, warm)))
    assert client.get("/").status_code == 404
    places.report.parent.mkdir(parents=True)
    places.report.write_text("<p>Ergebnis \u2013 10</p>", encoding="utf-8")
    assert client.get("/").text == "<p>Ergebnis \u2013 10</p>"


def test_the_api_describes_itself(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/recommendations", "/movies", "/health", "/metrics"} <= set(paths)
    assert client.get("/docs").status_code == 200


ONE = {"movie": 1, "rating": 5}


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("no json", 400, "the body is no JSON."),
        ("", 422, "the body is missing."),
        ({}, 422, "ratings is missing."),
        ([], 422, "the body"),
        ({"ratings": [ONE], "n": 0}, 422, "n is 0 but should be greater than or equal to 1."),
        ({"ratings": [ONE], "n": 101}, 422, "n is 101 but should be less than or equal to 100."),
        ({"ratings": [ONE] * 2001}, 422, "ratings is list but should have at most 2000 items"),
        ({"ratings": [ONE], "top": 3}, 422, "top is no parameter."),
        ({"ratings": [{"rating": 5}]}, 422, "ratings[0] needs either movie or imdb."),
        ({"ratings": [{**ONE, "imdb": "tt1"}]}, 422, "ratings[0] needs either movie or imdb."),
        ({"ratings": [ONE, {"movie": 2}]}, 422, "ratings[1]: rating is missing; ratings are 0.5, 1 ... 5 in"),
        ({"ratings": [{**ONE, "rating": 6}]}, 422, "ratings[0]: rating is 6, but ratings are 0.5, 1 ... 5"),
        ({"ratings": [{"movie": "Sabrina", "rating": 5}]}, 422, "could be 5 Sabrina (1954); 6 Sabrina (1995)"),
        ({"ratings": [{"movie": "Zz\ud800", "rating": 5}]}, 422, "matches no title in the data: check its spelling"),
        ({"ratings": [{"movie": 99, "rating": 5}]}, 422, "ratings[0]: movie 99 is not in the data."),
        ({"ratings": [{"movie": "1" * 301, "rating": 5}]}, 422, "should have 1 to 300 characters"),
        ({"ratings": [{"imdb": "tt9", "rating": 5}]}, 422, "the IMDb id 'tt9' is no movie's in the data"),
        ({"ratings": [{"imdb": "tt0000010", "rating": 5}]}, 422, "the IMDb id 'tt0000010' is that of 2 movies"),
        ({"ratings": [{"movie": 1, "rating": float("nan")}]}, 422, "rating"),
        ({"ratings": [{"movie": True, "rating": 5}]}, 422, "ratings[0].movie is True but should not be true or false."),
        ({"ratings": [ONE], "filters": {"genres": ["Horor"]}}, 422, "filters: there is no genre 'Horor'"),
        ({"ratings": [ONE], "filters": {"genre": ["Drama"]}}, 422, "filters.genre is no parameter."),
        ({"ratings": [ONE], "filters": {"first_year": 10**30}}, 422, "filters.first_year"),
    ],
    ids=str,
)  # fmt: skip
def test_a_bad_body_is_answered_with_a_sentence(client, body, status, sentence):
    content = body if isinstance(body, str) else json.dumps(body)
    response = client.post("/recommendations", content=content, headers=JSON)
    assert response.status_code == status
    assert sentence in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/users/99/recommendations", 404, "There is no user '99' in small."),
        ("/users/a%2Fb/recommendations", 404, "There is no user 'a/b' in small."),
        ("/users/3/recommendations?n=many", 422, "n is 'many' but should be a valid integer"),
        ("/users/3/recommendations?first=1", 422, "first is no parameter."),
        ("/users/3/recommendations?genres=Horor", 422, "there is no genre 'Horor'"),
        ("/movies/99/similar", 404, "There is no movie '99' in small."),
        ("/movies/3/similar?metric=l1", 422, "metric is 'l1' but should be 'l2' or 'cosine'."),
        ("/movies", 422, "query is missing."),
        ("/movies?query=", 422, "query is '' but should have at least 1 character."),
        ("/../../etc/passwd", 404, "Not Found"),
    ],
)
def test_a_bad_address_is_answered_with_a_sentence(client, path, status, sentence):
    response = client.get(path)
    assert response.status_code == status
    assert sentence in response.json()["detail"]


def test_a_body_that_is_too_large_is_refused(client):
    response = client.post("/recommendations", content=b"[" * (requests.MOST_BYTES + 1))
    assert response.status_code == 413
    assert response.json()["detail"] == f"The body has more than {requests.MOST_BYTES} bytes."


def test_no_request_fails_whatever_is_in_it(places):
    client = TestClient(create_app(Current(places, warm)), raise_server_exceptions=False)
    rng = random.Random(5)
    values = [
        *(
            None,
            True,
            -1,
            0,
            1,
            2**31,
            2**63,
            10**400,
            1e308,
            0.5,
            float("nan"),
            float("-inf"),
            "",
            "3",
            "\ud800",
            "\0",
        ),
        *("Matrix, The", "tt0111161", "x" * 5000, "\u0663", "(" * 200, [], [[]], {}, {"movie": 1}, ["Drama"]),
    ]

    def some(depth: int) -> object:
        if depth and rng.random() < 0.3:
            return [some(depth - 1) for _ in range(rng.randrange(3))]
        return rng.choice(values)

    began, answered = time.monotonic(), Counter[int]()
    for _ in range(1_000):
        ratings = [
            {name: some(1) for name in ("movie", "imdb", "rating") if rng.random() < 0.6}
            for _ in range(rng.randrange(4))
        ]
        names = ("genres", "without_genres", "first_year", "last_year", "min_ratings", "without_movie_ids")
        filters = {name: some(2) for name in names if rng.random() < 0.2}
        body = {"ratings": ratings, "n": rng.choice([1, 10, some(1)]), "filters": filters}
        response = client.post("/recommendations", content=json.dumps(body), headers=JSON)
        assert response.status_code in (200, 400, 422), body
        answered[response.status_code] += 1
        text = rng.choice([value for value in values if isinstance(value, str)])
        for path, query in (("movies", {"query": text}), (f"users/{text!a}/recommendations", {"n": text})):
            assert client.get(f"/{path}", params=query if text.isprintable() else {}).status_code < 500, text
    assert time.monotonic() - began < 60
    assert min(answered[200], answered[422]) > 50
    for content in (b"[" * 100_000, b"\xff\xfe", b'{"ratings": [{"movie": ' + b"1" * 5_000 + b"}]}"):
        response = client.post("/recommendations", content=content, headers=JSON)
        assert response.status_code in (400, 422)
        assert "movie_recs/" not in response.text


def test_a_body_that_is_not_declared_as_json_is_refused_with_the_header_that_is_missing(client):
    response = client.post("/recommendations", content='{"ratings": []}')
    assert response.status_code == 422
    assert response.json()["detail"].endswith("send it with the header content-type: application/json.")
