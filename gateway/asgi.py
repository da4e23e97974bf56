"""The few ASGI types and answers that are ours; https://asgi.readthedocs.io/en/stable/specs/."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from gateway import problems

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

Header = tuple[bytes, bytes]

NO_SNIFF: Final[Header] = (b"x-content-type-options", b"nosniff")


class Answer(msgspec.Struct, frozen=True):
    """A whole response, ready to be sent any number of times."""

    start: dict[str, Any]
    body: dict[str, Any]

    async def send_to(self, send: Send) -> None:
        """Send it."""
        await send(self.start)
        await send(self.body)


def answer(status: int, content_type: str, body: bytes, *headers: Header) -> Answer:
    """Return a response; its length is the server's to state."""
    return Answer(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type.encode()), NO_SNIFF, *headers],
        },
        {"type": "http.response.body", "body": body},
    )


@lru_cache(maxsize=256)
def problem(status: int, name: str, detail: str | None = None, *headers: Header) -> Answer:
    """Return a problem; the same one is rendered once."""
    text = problems.encode(problems.problem(status, name, detail))
    return answer(status, problems.CONTENT_TYPE, text, *headers)
