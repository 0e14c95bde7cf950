"""Finished trials on disk: a run that was killed goes on where it stopped, and nothing is fitted twice.

A trial is found again only if all that its outcome depends on is the same: the ratings with their folds, the movies'
features, the hyperparameters, the seed and this package's code. Failed trials are not kept.
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
    """A file of JSON lines, one a finished trial, to which `add` appends.

    Args:
        filesystem: Where the file is.
        path: Its path there; it and its folder need not exist.
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
        """Keeps a finished trial; a failed one is left out, so that it is tried again."""
        if outcome.error:
            return
        key = _key(context, trial)
        self._outcomes[key] = outcome
        line = json.dumps({"key": key, "trial": str(trial.candidate), "fold": trial.fold, **outcome._asdict()})
        self._filesystem.makedirs(self._filesystem._parent(self._path), exist_ok=True)
        with self._filesystem.open(self._path, "ab") as file:
            file.write(f"\n{line}".encode())  # before, not after: the line of a run that died within may be torn

    def _read(self, line: str) -> None:
        try:
            record = json.loads(line)
            self._outcomes[record["key"]] = Outcome(**{name: record[name] for name in Outcome._fields})
        except (ValueError, KeyError, TypeError):  # empty, torn, or of another version
            return


def remember(log: TrialLog | None, context: dict[str, Any]) -> Memory:
    """The log in this context, and in that of this package's code; without a log nothing is remembered."""
    if log is None:
        return NO_MEMORY
    code = digest(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
    context = {**context, "code": code}
    return Memory(partial(log.find, context), partial(log.add, context))


def fingerprint(ratings: DataFrame) -> int:
    """A hash of the rows of (user_id, movie_id, rating, perhaps rated_at, perhaps fold), in any order."""
    columns = [name for name in FINGERPRINTED if name in ratings.columns]
    row = ratings.agg(F.bit_xor(F.xxhash64(*columns)).alias("hash"), F.count("*").alias("rows")).first()
    return row["hash"] ^ row["rows"] if row["rows"] else 0


def digest(parts: Iterable[bytes]) -> str:
    """The SHA-256 of the parts one after the other."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def _key(context: dict[str, Any], trial: Trial) -> str:
    parts = {**context, "candidate": trial.candidate.model_dump(exclude={"model"}), "fold": trial.fold}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
