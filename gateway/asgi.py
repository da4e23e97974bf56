"""The few ASGI types and answers that are ours; https://asgi.readthedocs.io/en/stable/specs/."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any

import msgspec

from gateway import problems
from gateway.edge.headers import ALWAYS, Header

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = [
    "Answer",
    "Application",
    "Header",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "answer",
    "problem",
]


class Answer(msgspec.Struct, frozen=True):
    """A whole response, ready to be sent any number of times."""

    start: dict[str, Any]
    body: dict[str, Any]

    async def send_to(self, send: Send, *more: Header) -> None:
        """Send it, with more headers than its own where there are any."""
        start = self.start
        if more:
            start = {**start, "headers": [*start["headers"], *more]}
        await send(start)
        await send(self.body)


def answer(status: int, content_type: str, body: bytes, *headers: Header) -> Answer:
    """Return a response; its length is the server's to state."""
    return Answer(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type.encode()), *headers, *ALWAYS],
        },
        {"type": "http.response.body", "body": body},
    )


@lru_cache(maxsize=256)
def problem(
    status: int,
    name: str,
    detail: str | None = None,
    *headers: Header,
    instance: str | None = None,
    policies: tuple[str, ...] = (),
) -> Answer:
    """Return a problem; the same one is rendered once."""
    found = problems.problem(status, name, detail, instance=instance, policies=policies)
    return answer(status, problems.CONTENT_TYPE, problems.encode(found), *headers)
