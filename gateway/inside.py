"""Requests that this process makes to itself: the same application, without a network between.

A test send takes the way of every webhook, whatever is in front of the gateway.
"""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway.asgi import Application, Message


class Reply(msgspec.Struct, frozen=True):
    """What was answered."""

    status: int
    body: bytes


async def post(
    application: Application, url: str, headers: Mapping[str, str], body: bytes, client: str
) -> Reply:
    """Post to an application, and return its whole answer.

    Args:
        application: Any of ASGI's kind.
        url: As outside, with its host; path and query are what counts.
        headers: Of the request; its length is added.
        body: Of the request.
        client: Whose request it is: an address.
    """
    parts = urlsplit(url)
    fields = {name.lower(): value for name, value in headers.items()}
    fields |= {"host": parts.netloc, "content-length": str(len(body))}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": parts.scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in fields.items()],
        "client": (client, 0),
        "server": None,
    }
    exchange = _Exchange(body)
    await application(scope, exchange.receive, exchange.send)
    return Reply(exchange.status, bytes(exchange.answer))


class _Exchange:
    """One request and its answer."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._never = asyncio.Event()
        self.status = 0
        self.answer = bytearray()

    async def receive(self) -> Message:
        if self._body is None:
            # Nobody here hangs up.
            await self._never.wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.answer += message.get("body", b"")
