"""What the service answers beside what the pipeline `recommend` has written."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from movie_recs.serve.current import Current
from movie_recs.serve.places import find_places
from movie_recs.serve.warm import warm
from movie_recs.serve.web.app import create_app


def open_service(data_dir: Path, dataset: str) -> TestClient:
    """A client of the service over what runs have written."""
    return TestClient(create_app(Current(find_places(data_dir, dataset), warm)))


def assert_same_lists(
    client: TestClient, output: Path, new_users: Mapping[str, list[tuple[int | str, float]]], filters: dict
) -> None:
    """Lists of users of the data, of new ones, and similar movies are the pipeline's, scores and stars to 1e-6."""
    lists = pd.read_parquet(output / "recommendations")
    for user, rows in lists.groupby("user_id"):
        answer = client.get(f"/users/{user}/recommendations", params={"n": 10, **filters})
        assert_same_rows(answer.json()["recommendations"], rows)
    lists = pd.read_parquet(output / "new_user_recommendations")
    assert set(lists["name"]) == set(new_users)
    for name, rows in lists.groupby("name"):
        ratings = [{"movie": movie, "rating": stars} for movie, stars in new_users[str(name)]]
        answer = client.post("/recommendations", json={"ratings": ratings, "n": 10, "filters": filters})
        assert_same_rows(answer.json()["recommendations"], rows)
    similar = pd.read_parquet(output / "similar_movies")
    assert len(similar)
    for movie, rows in similar.groupby("movie_id"):
        answer = client.get(f"/movies/{movie}/similar").json()["similar"]
        rows = rows.sort_values("rank")
        assert [row["movie_id"] for row in answer] == rows["similar_movie_id"].tolist()
        assert [row["distance"] for row in answer] == pytest.approx(rows["distance"].tolist(), abs=1e-6)


def assert_same_rows(answer: list[dict], rows: pd.DataFrame) -> None:
    """One list."""
    rows = rows.sort_values("rank")
    for name in ("rank", "movie_id", "title"):
        assert [row[name] for row in answer] == rows[name].tolist()
    for name in ("genres", "because"):
        assert [row[name] for row in answer] == [list(each) for each in rows[name]]
    for row, shares in zip(answer, rows["because_shares"], strict=True):
        given = [np.nan if share is None else share for share in row["because_shares"]]
        np.testing.assert_allclose(given, shares.astype(float), atol=1e-6, rtol=0)
    assert [row["year"] for row in answer] == [None if pd.isna(year) else year for year in rows["year"]]
    for name in ("score", "predicted_stars"):
        assert [row[name] for row in answer] == pytest.approx(rows[name].tolist(), abs=1e-6, rel=0)
