"""OpenBLAS for Spark ML's ALS, out of the SciPy that is installed: it halves a fit of rank 50.

Spark's netlib calls a BLAS and a LAPACK of the machine where it finds the usual names in them. The OpenBLAS in SciPy's
wheels has the prefix `scipy_` on each name; patchelf makes a copy without. It is SciPy's of this environment on every
machine, in one thread. Where any of it is missing, as on macOS and Windows, Spark has Java's own arithmetic.
"""

import functools
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import scipy

from movie_recs.scratch import scratch_folder

NETLIB = "dev.ludovic.netlib"
PREFIXED = re.compile(rb"(?<=\0)scipy_([a-z0-9]+_)(?=\0)")  # names in the library's table of strings
NEEDED = {b"dspr_", b"dppsv_"}  # ALS's sums of outer products, and its solver


def algebra_options(given: str) -> str:
    """Java's options for the linear algebra of Spark ML; none if the given ones have some."""
    if NETLIB in given:
        return ""
    library = native_library()
    if library is None:
        return " ".join(f"-D{NETLIB}.{part}.allowNative=false" for part in ("blas", "lapack"))
    return " ".join(f"-D{NETLIB}.{part}.nativeLibPath={shlex.quote(str(library))}" for part in ("blas", "lapack"))


@functools.cache
def native_library() -> Path | None:
    """The path of an OpenBLAS with the usual names, gone when this process ends; None where it cannot be made."""
    own = list(Path(scipy.__file__).parents[1].glob("scipy.libs/libscipy_openblas-*.so*"))
    patchelf = shutil.which("patchelf", path=sysconfig.get_path("scripts")) or shutil.which("patchelf")
    if sys.platform != "linux" or len(own) != 1 or patchelf is None:
        return None
    names = set(PREFIXED.findall(own[0].read_bytes()))
    if not names >= NEEDED:
        return None
    renamed, library = scratch_folder() / "openblas-names", scratch_folder() / "libopenblas.so"
    rename: list[str | Path] = ["--rename-dynamic-symbols", renamed, "--set-rpath", own[0].parent, "--output", library]
    try:
        renamed.write_bytes(b"".join(b"scipy_%b %b\n" % (name, name) for name in sorted(names)))
        subprocess.run([patchelf, *rename, own[0]], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):  # a patchelf that is too old, or no room
        return None
    return library
