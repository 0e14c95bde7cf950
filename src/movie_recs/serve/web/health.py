"""Which models of which data are served, and how old they are."""

import time
from datetime import UTC, datetime
from typing import Any

from movie_recs.serve.snapshot import Served, Snapshot

VERSION = "%Y-%m-%dT%H.%M.%S.%fZ"  # Kedro's name of a version: when its run began


def health(snapshot: Snapshot) -> dict[str, Any]:
    """The fields of `replies.Health`."""
    return {
        "status": "ok",
        "dataset": snapshot.summary["name"],
        **{name: snapshot.summary[name] for name in ("users", "movies", "ratings")},
        "models": {name: _describe(served, snapshot.versions[name]) for name, served in snapshot.models.items()},
        "loaded_seconds_ago": time.time() - snapshot.loaded_at,
    }


def _describe(served: Served, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "age_seconds": _age(version),
        "fitted_seconds_ago": _age(served.fitted),
        "ratings_since_fit": served.model.since_fit,
    }


def _age(version: str | None) -> float | None:
    if version is None:
        return None
    try:
        began = datetime.strptime(version, VERSION).replace(tzinfo=UTC)
    except ValueError:  # a version that somebody has named
        return None
    return (datetime.now(UTC) - began).total_seconds()
