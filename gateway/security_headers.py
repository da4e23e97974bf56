"""Headers that every answer of the REST API carries, errors included."""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar.types import Message, Scope

_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PRIVATE: Final = (b"cache-control", b"no-store")
_TRANSPORT: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


def headers_for(public_url: str) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return a `before_send` hook; it promises HTTPS where that is what the world sees."""
    added = [*_ALWAYS, _PRIVATE]
    if public_url.startswith("https://"):
        added.append(_TRANSPORT)

    async def add(message: Message, _scope: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            message["headers"] = [*headers, *(pair for pair in added if pair[0] not in present)]

    return add
