import subprocess

import pytest

from movie_recs.errors import UserError
from movie_recs.runtime import class_archive
from movie_recs.runtime.class_archive import archive_options, make_archive
from movie_recs.runtime.java import find_java


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for archives, whose path has a space."""
    folder = tmp_path / "with space"
    folder.mkdir()
    for name in ("BASE", "ARCHIVE"):
        monkeypatch.setattr(class_archive, name, folder / f"{name.lower()}.jsa")
    monkeypatch.setattr(class_archive, "FOLDER", folder)
    monkeypatch.delenv("SPARK_SUBMIT_OPTS", raising=False)
    return folder


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], None),
        (["base"], None),
        (["archive"], "'{0}/archive.jsa'"),
        (["base", "archive"], "'{0}/base.jsa:{0}/archive.jsa'"),
    ],
)
def test_java_is_told_of_the_archives_that_are_there(folder, names, expected):
    for name in names:
        (folder / f"{name}.jsa").touch()
    option = archive_options().partition(" -Xlog")[0]
    assert option == ("" if expected is None else f"-XX:SharedArchiveFile={expected.format(folder)}")


def test_a_run_that_writes_an_archive_uses_none(folder, monkeypatch):
    (folder / "archive.jsa").touch()
    monkeypatch.setenv("SPARK_SUBMIT_OPTS", "-XX:ArchiveClassesAtExit=new.jsa")
    assert archive_options() == ""


def test_an_archive_that_java_cannot_use_is_ignored_without_a_word(folder):
    (folder / "archive.jsa").write_text("not an archive")
    java = find_java().home / "bin" / "java"
    options = [f"-XX:SharedArchiveFile={folder / 'archive.jsa'}", *class_archive.QUIET.split()]
    run = subprocess.run([java, *options, "--version"], capture_output=True, text=True, check=True)
    assert "cds" not in run.stdout + run.stderr


def test_a_run_that_fails_leaves_no_archive(folder, monkeypatch):
    monkeypatch.setattr(class_archive, "NODES", "no.such_node")
    with pytest.raises(UserError, match=r"no\.such_node"):
        make_archive()
    assert not list(folder.glob("spark*"))
    assert archive_options() == ""
