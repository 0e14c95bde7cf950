"""Which versions are removed; of a version the marker goes first."""

from pathlib import PurePosixPath

import fsspec
import pytest

from movie_recs.datasets.versions import remove_old_versions

FIRST, SECOND, THIRD, FOURTH = (f"2025-0{month}-01T00.00.00.000Z" for month in range(1, 5))


@pytest.fixture
def folder(tmp_path):
    """Versions of a model, the second and the fourth incomplete, and a folder of the user's own."""
    for version in (FIRST, SECOND, THIRD, FOURTH, "champion"):
        (tmp_path / "model" / version / "model").mkdir(parents=True)
        if version not in (SECOND, FOURTH):
            (tmp_path / "model" / version / "model" / "_SUCCESS").touch()
    return tmp_path / "model"


def left(folder) -> set[str]:
    return {each.name for each in folder.iterdir()}


@pytest.mark.parametrize(
    ("keep", "needed", "expected"),
    [
        (1, set(), {THIRD, FOURTH, "champion"}),
        (2, set(), {FIRST, THIRD, FOURTH, "champion"}),
        (1, {FIRST}, {FIRST, THIRD, FOURTH, "champion"}),
    ],
)
def test_the_newest_complete_ones_stay_and_what_may_be_being_written(folder, keep, needed, expected):
    remove_old_versions(fsspec.filesystem("file"), PurePosixPath(folder), "_SUCCESS", keep, needed)
    assert left(folder) == expected


def test_without_a_complete_one_nothing_is_removed(folder):
    for version in (FIRST, THIRD):
        (folder / version / "model" / "_SUCCESS").unlink()
    remove_old_versions(fsspec.filesystem("file"), PurePosixPath(folder), "_SUCCESS", 1, set())
    assert left(folder) == {FIRST, SECOND, THIRD, FOURTH, "champion"}


def test_where_runs_do_not_exclude_each_other_incomplete_ones_stay():
    memory = fsspec.filesystem("memory")
    for version in (FIRST, SECOND, THIRD):
        memory.pipe(f"/kept/model/{version}/model/table", b"")
    for version in (FIRST, THIRD):
        memory.touch(f"/kept/model/{version}/model/_SUCCESS")
    remove_old_versions(memory, PurePosixPath("/kept/model"), "_SUCCESS", 1, set())
    assert {path.split("/")[3] for path in memory.find("/kept/model")} == {SECOND, THIRD}


def test_a_removal_that_is_cut_short_leaves_no_complete_version(folder, monkeypatch, caplog):
    filesystem = fsspec.filesystem("file")
    remove = filesystem.rm

    def refuse_folders(path, recursive=False):
        if recursive:
            raise OSError("busy")
        remove(path)

    monkeypatch.setattr(filesystem, "rm", refuse_folders)
    remove_old_versions(filesystem, PurePosixPath(folder), "_SUCCESS", 1, set())
    assert not (folder / FIRST / "model" / "_SUCCESS").exists()
    assert "cannot be removed: busy" in caplog.text
