"""The small data set, written once and served."""

import pytest
from fastapi.testclient import TestClient
from serve import data_set

from movie_recs.serve.current import Current
from movie_recs.serve.snapshot import Snapshot
from movie_recs.serve.warm import warm
from movie_recs.serve.web.app import create_app


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """Where the data set is, for reading only."""
    return data_set.write(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session")
def snapshot(places) -> Snapshot:
    return Current(places, warm).snapshot


@pytest.fixture(scope="session")
def client(places) -> TestClient:
    return TestClient(create_app(Current(places, warm)))
