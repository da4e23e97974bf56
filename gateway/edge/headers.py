"""Headers that every answer carries, errors included, whoever makes it.

`ALWAYS` is what any answer may say: nothing here is a document that loads things, so its policy
allows nothing. A page that does load things (`/docs`) sets a policy of its own, which then stands.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from litestar.types import Message, Scope

Header = tuple[bytes, bytes]

POLICY: Final = b"default-src 'none'; frame-ancestors 'none'"

ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"content-security-policy", POLICY),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""What is public and may be kept, such as the published keys, says so itself."""

_TRANSPORT: Final[Header] = (
    b"strict-transport-security",
    b"max-age=63072000; includeSubDomains",
)


def transport(public_url: str) -> tuple[Header, ...]:
    """Return the promise of HTTPS, where that is what the world sees, else nothing."""
    return (_TRANSPORT,) if public_url.startswith("https://") else ()


def headers_for(public_url: str) -> Callable[[Message, Scope], Awaitable[None]]:
    """Return a `before_send` hook that adds what an answer does not say itself."""
    added = (*ALWAYS, *transport(public_url))

    async def add(message: Message, _scope: Scope) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            message["headers"] = [*headers, *(pair for pair in added if pair[0] not in present)]

    return add
