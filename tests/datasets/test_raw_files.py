"""The SHA-256 of raw files, whole or in parts, and whether they are synthetic."""

import hashlib

import pytest
from kedro.io import DatasetError

from movie_recs.datasets.raw_files import RawFilesDataset

FILES = {"ratings.csv": b"userId\r\n1\r\n", "movies.csv": b"movieId\r\n", "tags.csv": b"", "links.csv": b"\xc3\xa9"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_each_file_has_its_sha256_and_the_data_its_name(folder):
    assert RawFilesDataset(filepath=str(folder), name="ml-test", description={}).load() == {
        "name": "ml-test",
        "synthetic": False,
        "sha256": {name: sha256(content) for name, content in FILES.items()},
    }


def test_a_file_in_parts_is_hashed_in_the_order_of_their_names(folder):
    (folder / "ratings.csv").unlink()
    (folder / "ratings.csv").mkdir()
    for name, content in (
        ("part-1.csv", b"second"),
        ("part-0.csv", b"first"),
        (".part-0.csv.crc", b"x"),
        ("_SUCCESS", b""),
    ):
        (folder / "ratings.csv" / name).write_bytes(content)
    loaded = RawFilesDataset(filepath=str(folder), name="ml-test", description={}).load()
    assert loaded["sha256"]["ratings.csv"] == sha256(b"firstsecond")


def test_the_marker_of_the_generator_makes_the_data_synthetic(folder):
    (folder / "synthetic.json").write_text("{}")
    assert RawFilesDataset(filepath=str(folder), name="sample", description={}).load()["synthetic"] is True


def test_raw_files_are_never_written(folder):
    with pytest.raises(DatasetError, match="read-only"):
        RawFilesDataset(filepath=str(folder), name="ml-test", description={}).save({})
