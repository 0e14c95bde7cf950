"""Threads that compute answers: as many as there are cores; further requests wait for their turn."""

import asyncio
import os
from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException

Result = TypeVar("Result")

QUEUE_SECONDS = 5.0


class Turns:
    """Runs functions in threads, so that the event loop goes on answering."""

    def __init__(self, at_a_time: int | None = None, seconds: float = QUEUE_SECONDS):
        self._at_a_time, self._seconds = at_a_time or _cores(), seconds
        self._limiter: CapacityLimiter | None = None

    async def run(self, function: Callable[[], Result]) -> Result:
        """The function's result.

        Raises:
            HTTPException: 503, its turn has not come in time.
        """
        self._limiter = self._limiter or CapacityLimiter(self._at_a_time)  # belongs to the event loop
        turn = object()
        try:
            async with asyncio.timeout(self._seconds):
                await self._limiter.acquire_on_behalf_of(turn)
        except TimeoutError as error:
            raise HTTPException(503, "The service is busy: try again in a second.", {"Retry-After": "1"}) from error
        try:
            return await to_thread.run_sync(function)
        finally:
            self._limiter.release_on_behalf_of(turn)


def _cores() -> int:
    """The cores of this process, whatever `OMP_NUM_THREADS` says, which `threads.cores` obeys."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
