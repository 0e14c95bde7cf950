"""The OpenBLAS of SciPy's wheel under the usual names: in C's eyes, and in those of Spark."""

import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

from movie_recs.runtime import native_algebra
from movie_recs.runtime.native_algebra import NETLIB, algebra_options, native_library

IN_JAVA = f"-D{NETLIB}.blas.allowNative=false -D{NETLIB}.lapack.allowNative=false"
ADD_OUTER_PRODUCT = """
import ctypes, sys
import numpy as np
library, size, x = ctypes.CDLL(sys.argv[1]), 3, np.array([1.0, 2.0, 3.0])
upper, pointer, integer = np.ones(6), ctypes.POINTER(ctypes.c_double), lambda value: ctypes.byref(ctypes.c_int(value))
half, one = ctypes.byref(ctypes.c_double(0.5)), integer(1)
library.dspr_(b"U", integer(size), half, x.ctypes.data_as(pointer), one, upper.ctypes.data_as(pointer))
print(*upper)
"""

here = pytest.mark.skipif(
    sys.platform != "linux" or native_library() is None, reason="SciPy has no OpenBLAS of its own here"
)


@pytest.fixture
def fresh(monkeypatch):
    """Nothing is known of an earlier call."""
    monkeypatch.setattr(native_algebra, "native_library", native_library.__wrapped__)


@here
def test_the_copy_has_the_names_that_netlib_looks_for():
    run = subprocess.run(
        [sys.executable, "-c", ADD_OUTER_PRODUCT, native_library()], capture_output=True, text=True, check=True
    )
    expected = 1 + np.outer([1, 2, 3], [1, 2, 3])[np.tril_indices(3)] / 2
    assert [float(value) for value in run.stdout.split()] == expected.tolist()


@here
def test_spark_calls_it(spark):
    netlib = spark._jvm.dev.ludovic.netlib
    for native in (netlib.blas.NativeBLAS.getInstance(), netlib.lapack.NativeLAPACK.getInstance()):
        assert native.getClass().getSimpleName().startswith("JNI")
    assert algebra_options("").count(str(native_library())) == 2


def test_options_of_the_configuration_go_before():
    assert algebra_options(f"-Xss16m {IN_JAVA}") == ""


def test_without_patchelf_java_does_it(fresh, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert algebra_options("-Xss16m") == IN_JAVA


def test_without_openblas_in_scipy_java_does_it(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr(native_algebra.scipy, "__file__", str(tmp_path / "scipy" / "__init__.py"))
    assert algebra_options("") == IN_JAVA


@here
def test_with_a_patchelf_that_cannot_rename_java_does_it(fresh, monkeypatch, tmp_path):
    old = tmp_path / "patchelf"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    assert algebra_options("") == IN_JAVA
