"""How many threads this process's work takes."""

import numpy as np
import scipy.linalg  # its BLAS is one of its own
from threadpoolctl import threadpool_info, threadpool_limits

from movie_recs.threads import use_one_blas_thread


def test_linear_algebra_runs_in_one_thread_from_then_on():
    with threadpool_limits():  # restores the numbers
        use_one_blas_thread()
        scipy.linalg.eigh(np.eye(3))
        libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
        assert {library["num_threads"] for library in libraries} == {1}
