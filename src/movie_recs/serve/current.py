"""The snapshot that is served now, and a thread that replaces it when there is a newer one."""

import logging
import threading
from collections.abc import Callable

from movie_recs.errors import UserError
from movie_recs.serve.places import Places
from movie_recs.serve.snapshot import Snapshot, fingerprint, load_snapshot

logger = logging.getLogger(__name__)

POLL_SECONDS = 5.0


class Current:
    """Holds the snapshot. A request takes it once, so a replacement in between does not concern it.

    Args:
        places: Where the data set is.
        warm: Called with a new snapshot before it is served.
        seconds: How often it is looked for something new.
    """

    def __init__(self, places: Places, warm: Callable[[Snapshot], None], seconds: float = POLL_SECONDS):
        self.places, self.loads, self.failures = places, 1, 0
        self._warm, self._seconds, self._stopped = warm, seconds, threading.Event()
        self.snapshot = load_snapshot(places)
        warm(self.snapshot)
        self._thread = threading.Thread(target=self._watch, name="reload", daemon=True)

    def start(self) -> None:
        """Begins to look for newer versions."""
        self._thread.start()

    def stop(self) -> None:
        """Ends that."""
        self._stopped.set()

    def refresh(self) -> bool:
        """Takes up what is new, if it is complete; whatever goes wrong, the present snapshot stays."""
        try:
            if fingerprint(self.places) == self.snapshot.fingerprint:
                return False
            snapshot = load_snapshot(self.places)
            self._warm(snapshot)
        except (UserError, OSError, ValueError, KeyError, ArithmeticError) as error:  # Arrow's errors are ValueErrors
            self.failures += 1
            logger.warning("A new version cannot be read, the earlier one stays: %s", error)
            return False
        self.snapshot, self.loads = snapshot, self.loads + 1
        logger.info("Now serving %s", ", ".join(f"{name} {version}" for name, version in snapshot.versions.items()))
        return True

    def _watch(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                self.refresh()
            except Exception:  # the thread must not end
                self.failures += 1
                logger.exception("A new version cannot be read, the earlier one stays.")
