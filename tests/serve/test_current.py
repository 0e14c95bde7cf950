"""New versions of models: complete ones are taken up, torn ones are not, and requests go on meanwhile."""

import shutil
import threading
import time

import pytest
from fastapi.testclient import TestClient
from serve import data_set

from movie_recs.errors import UserError
from movie_recs.saved_models import MARKER, newest_version
from movie_recs.serve.current import Current
from movie_recs.serve.places import Places, find_places
from movie_recs.serve.warm import warm
from movie_recs.serve.web.app import create_app

ASKED = {"ratings": [{"movie": 1, "rating": 5}], "n": 5}


@pytest.fixture
def own(tmp_path) -> Places:
    return data_set.write(tmp_path)


def test_a_newer_version_is_taken_up_once(own):
    current = Current(own, warm)
    assert not current.refresh()
    data_set.write_models(own, data_set.LATER, seed=7)
    assert current.refresh()
    assert current.snapshot.versions == {"ranking": data_set.LATER, "rating": data_set.LATER}
    assert not current.refresh()


def test_a_version_without_its_marker_is_not_there(own):
    current = Current(own, warm)
    data_set.write_models(own, data_set.LATER, seed=7)
    for objective in ("ranking", "rating"):
        (own.model(objective) / data_set.LATER / "factor_model" / MARKER).unlink()
    assert newest_version(own.model("ranking")).name == data_set.EARLIER
    assert not current.refresh()
    assert current.failures == 0


@pytest.mark.parametrize("torn", ["model.json", "item_factors", "user_factors"])
def test_a_version_that_cannot_be_read_leaves_the_earlier_one(own, torn):
    current = Current(own, warm)
    data_set.write_models(own, data_set.LATER, seed=7)
    part = own.model("ranking") / data_set.LATER / "factor_model" / torn
    file = part if part.is_file() else next(part.iterdir())
    file.write_bytes(file.read_bytes()[:-20])
    client = TestClient(create_app(current))
    before = client.post("/recommendations", json=ASKED).json()
    assert not current.refresh()
    assert current.failures == 1
    assert client.post("/recommendations", json=ASKED).json() == before
    assert client.get("/health").json()["models"]["ranking"]["version"] == data_set.EARLIER


def test_new_ratings_are_taken_up_and_a_table_that_is_being_replaced_is_read_where_it_is(own):
    current = Current(own, warm)
    folder = own.table("ratings")
    shutil.copytree(folder, folder.with_name("ratings.replaced"))
    assert own.table("ratings") == folder
    shutil.rmtree(folder)
    assert own.table("ratings").name == "ratings.replaced"
    current.refresh()
    data_set.write_table(folder, data_set.ratings().filter(data_set.ratings()["user_id"].to_numpy() != 3))
    assert current.refresh()
    assert len(current.snapshot.histories.of(3)) == 0


def test_no_request_fails_or_mixes_versions_while_they_change(own):
    current = Current(own, warm, seconds=0.05)
    app = create_app(current)
    with TestClient(app) as client:
        answers = {data_set.EARLIER: client.post("/recommendations", json=ASKED).json()}
        seen, stop = [], threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                response = client.post("/recommendations", json=ASKED)
                seen.append((response.status_code, response.json()))

        asking = [threading.Thread(target=keep_asking) for _ in range(3)]
        for thread in asking:
            thread.start()
        data_set.write_models(own, data_set.LATER, seed=7)
        deadline = time.monotonic() + 30
        while current.snapshot.versions.get("rating") != data_set.LATER and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        stop.set()
        for thread in asking:
            thread.join()
        answers[data_set.LATER] = client.post("/recommendations", json=ASKED).json()
    assert {status for status, _ in seen} == {200}
    assert answers[data_set.EARLIER] != answers[data_set.LATER]
    assert seen[0][1] == answers[data_set.EARLIER]
    assert seen[-1][1] == answers[data_set.LATER]
    lists = [[row["movie_id"] for row in answer["recommendations"]] for _, answer in seen]
    expected = [[row["movie_id"] for row in answer["recommendations"]] for answer in answers.values()]
    assert all(each in expected for each in lists)


def test_what_there_is_to_serve_is_named(own, tmp_path):
    assert find_places(tmp_path, None).dataset == find_places(tmp_path, "small").dataset == "small"
    with pytest.raises(
        UserError, match=r"no complete model of ml-32m in .* \(there are models of small\): run kedro run"
    ):
        find_places(tmp_path, "ml-32m")
    with pytest.raises(UserError, match="there are no models of any: name one by --dataset, or run kedro run first"):
        find_places(tmp_path / "nowhere", None)
