"""Limits that hold before a request is read: the bytes of its body, and the time that it may take to arrive."""

import asyncio
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from movie_recs.serve.web.requests import MOST_BYTES

BODY_SECONDS = 10.0


class Limits:
    """An ASGI middleware that answers 413 to a body that is too large and 408 to one that does not arrive."""

    def __init__(self, app: ASGIApp, most_bytes: int = MOST_BYTES, body_seconds: float = BODY_SECONDS):
        self._app, self._most_bytes, self._seconds = app, most_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads the body, then passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
        except TimeoutError:
            await _refuse(send, 408, f"The body did not arrive within {self._seconds:g} seconds.")
            return
        if body is None:
            return
        if len(body) > self._most_bytes:
            await _refuse(send, 413, f"The body has more than {self._most_bytes} bytes.")
            return
        parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return parts.pop() if parts else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """The body, or its beginning if it is too large; None if the client has gone."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._most_bytes or not message.get("more_body", False):
                return bytes(body)


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"detail": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})
