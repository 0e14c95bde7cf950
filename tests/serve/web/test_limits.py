"""What does not arrive in time, and what does not get its turn in time."""

import asyncio
import json
import threading

import pytest
from fastapi import HTTPException

from movie_recs.serve.web.limits import Limits
from movie_recs.serve.web.turns import Turns


async def echo(scope, receive, send) -> None:
    body = (await receive())["body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(parts: list[dict], **limits) -> tuple[int, bytes] | None:
    """The status and body that are sent when these parts arrive, and then nothing more; None if nothing is sent."""
    waiting, sent = list(parts), []

    async def receive() -> dict:
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(Limits(echo, **limits)({"type": "http"}, receive, send))
    return (sent[0]["status"], sent[1]["body"]) if sent else None


def part(body: bytes, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_arrives_whole():
    assert ask([part(b"ab", more=True), part(b"cd")], most_bytes=4) == (200, b"abcd")


def test_a_body_that_grows_too_large_is_refused_before_its_end():
    status, body = ask([part(b"ab", more=True), part(b"cde", more=True)], most_bytes=4)
    assert (status, json.loads(body)["detail"]) == (413, "The body has more than 4 bytes.")


def test_a_body_that_does_not_arrive_is_refused():
    status, body = ask([part(b"ab", more=True)], body_seconds=0.05)
    assert (status, json.loads(body)["detail"]) == (408, "The body did not arrive within 0.05 seconds.")


def test_nothing_is_sent_to_a_client_that_has_gone():
    assert ask([part(b"ab", more=True), {"type": "http.disconnect"}]) is None


def test_a_request_whose_turn_does_not_come_is_told_to_try_again():
    async def run() -> None:
        turns, done = Turns(at_a_time=1, seconds=0.05), threading.Event()
        first = asyncio.create_task(turns.run(done.wait))
        await asyncio.sleep(0.02)
        with pytest.raises(HTTPException) as refused:
            await turns.run(lambda: 1)
        assert (refused.value.status_code, refused.value.headers) == (503, {"Retry-After": "1"})
        done.set()
        assert await first
        assert await turns.run(lambda: 2) == 2

    asyncio.run(run())
