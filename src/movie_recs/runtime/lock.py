"""One run at a time on a data set's results: a lock that the operating system frees when its process ends, however."""

import json
import os
from datetime import UTC, datetime
from io import TextIOWrapper

from movie_recs.errors import UserError
from movie_recs.project import PROJECT

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]


class RunLock:
    """The lock of `<data_dir>/.locks/<dataset>`, a file that says which process has it and since when."""

    def __init__(self) -> None:
        self._file: TextIOWrapper | None = None

    def take(self, data_dir: str, dataset: str) -> None:
        """Takes the lock of a data set; a remote folder, or one that cannot be written to, has none.

        Raises:
            UserError: Another run has it.
        """
        self.free()
        if fcntl is None or "://" in data_dir:
            return
        path = PROJECT / data_dir / ".locks" / dataset
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8")
        except OSError:  # saving says what is wrong with the folder
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = _read(self._file.read())
            self._file.close()
            self._file = None
            raise UserError(
                f"Another run is using the results of {dataset} in {data_dir}{holder}: wait until it has ended, or "
                "give this one another folder by MOVIE_RECS_DATA_DIR."
            ) from error
        self._file.truncate(0)
        self._file.write(json.dumps({"process": os.getpid(), "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}))
        self._file.flush()

    def free(self) -> None:
        """Frees the lock, if this process has it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _read(text: str) -> str:
    try:
        holder = json.loads(text)
        return f" (process {holder['process']}, since {holder['since']})"
    except (ValueError, KeyError, TypeError):  # it has just begun
        return ""
