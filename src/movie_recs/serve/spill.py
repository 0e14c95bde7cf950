"""Large arrays in a file without a name, which the system keeps in memory as far as it has some to spare.

They are what grows with the users and their ratings: vectors and histories. A request reads a few pages of them.
"""

import tempfile

import numpy as np

MOST_IN_MEMORY = 32 * 2**20  # bytes of an array for which no file is made


def spilled(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """An array of zeros; it vanishes with its last reference, however the process ends.

    The file is where `tempfile` puts it: a folder that `TMPDIR` names, else /tmp.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= MOST_IN_MEMORY:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="movie_recs") as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)
