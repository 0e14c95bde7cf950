"""Finished trials on disk, with which a killed run resumes where it stopped.

A trial is found again only if all that its outcome depends on is unchanged: the ratings with their folds, the movies'
features, the hyperparameters, the seed and this package's code. Failed trials are not stored.
"""

import hashlib
import json
import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from movie_recs.tuning.cross_validation import NO_MEMORY, Memory
from movie_recs.tuning.trial import Outcome, Trial

logger = logging.getLogger(__name__)

FINGERPRINTED = ("user_id", "movie_id", "rating", "rated_at", "fold")


class TrialLog:
    """A file of JSON lines, one per finished trial, to which `add` appends.

    Args:
        filesystem: The file system that holds the file.
        path: Path of the file; it and its folder need not exist.
    """

    def __init__(self, filesystem: AbstractFileSystem, path: str):
        self._filesystem, self._path = filesystem, path
        self._outcomes: dict[str, Outcome] = {}
        if filesystem.exists(path):
            for line in filesystem.cat_file(path).decode(errors="replace").splitlines():
                self._read(line)

    def find(self, context: dict[str, Any], trial: Trial) -> Outcome | None:
        """The outcome of this trial in this context, or None."""
        return self._outcomes.get(_key(context, trial))

    def add(self, context: dict[str, Any], trial: Trial, outcome: Outcome) -> None:
        """Stores a finished trial, but not a failed one, so that it is run again."""
        if outcome.error:
            return
        key = _key(context, trial)
        self._outcomes[key] = outcome
        line = json.dumps({"key": key, "trial": str(trial.candidate), "fold": trial.fold, **outcome._asdict()})
        self._filesystem.makedirs(self._filesystem._parent(self._path), exist_ok=True)
        with self._filesystem.open(self._path, "ab") as file:
            file.write(f"\n{line}".encode())  # the newline is first, as a killed run may have left an incomplete line

    def _read(self, line: str) -> None:
        try:
            record = json.loads(line)
            self._outcomes[record["key"]] = Outcome(**{name: record[name] for name in Outcome._fields})
        except (ValueError, KeyError, TypeError):  # empty, incomplete, or of another version
            return


def remember(log: TrialLog | None, context: dict[str, Any]) -> Memory:
    """The log's trials of this context and this version of the code; without a log, no trials."""
    if log is None:
        return NO_MEMORY
    code = digest(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
    context = {**context, "code": code}
    return Memory(partial(log.find, context), partial(log.add, context))


def fingerprint(ratings: DataFrame) -> int:
    """A hash of the rows of (user_id, movie_id, rating, perhaps rated_at, perhaps fold), whatever their order."""
    columns = [name for name in FINGERPRINTED if name in ratings.columns]
    (row,) = ratings.agg(F.bit_xor(F.xxhash64(*columns)).alias("hash"), F.count("*").alias("rows")).collect()
    return row["hash"] ^ row["rows"] if row["rows"] else 0


def digest(parts: Iterable[bytes]) -> str:
    """The SHA-256 of the concatenated parts."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def _key(context: dict[str, Any], trial: Trial) -> str:
    parts = {**context, "candidate": trial.candidate.model_dump(exclude={"model"}), "fold": trial.fold}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
