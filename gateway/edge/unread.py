"""What is still being sent of a request that has its answer.

Whoever closes a connection with bytes in it that were not read resets it, and the reset may
overtake the answer: a sender of 3 MB would see a broken connection instead of its 413. So the
answer goes first, because a sender may wait for it before sending anything (RFC 9110, 10.1.1), and
what is left is read and thrown away, within bounds of bytes, of time and of how many are drained at
once. Beyond them the connection closes (RFC 9112, 9.3 and 9.6).
"""

import asyncio
from typing import Final

from crossdock import native
from gateway.asgi import Application, Header, Message, Receive, Scope, Send

MOST_BYTES: Final = 8 * 1024 * 1024
MOST_S: Final = 5.0
AT_ONCE: Final = 256
"""In one process; a crowd of refused senders holds no more tasks than this."""

UNKNOWN: Final = -1
"""The length of a body whose sender names none."""

CLOSE: Final[Header] = (b"connection", b"close")


def length_of(headers: list[Header]) -> int:
    """Return how long a request's body is: 0 where it has none, `UNKNOWN` where only its end tells.

    A request has a body only where one of two headers says so (RFC 9112, 6.3).
    """
    length = native.content_length(headers)
    if length == UNKNOWN and not any(name in _ANNOUNCING for name, _ in headers):
        return 0
    return length


_ANNOUNCING: Final = (b"transfer-encoding", b"content-length")


def farewell(headers: list[Header]) -> tuple[Header, ...]:
    """Return what an answer must add where its request's body is not read.

    The connection is of no more use after it where more is coming than is drained, where nobody
    knows how much, and where the sender may leave the body out because it asked first.
    """
    length = length_of(headers)
    if 0 <= length <= MOST_BYTES and not any(name == b"expect" for name, _ in headers):
        return ()
    return (CLOSE,)


class Drain:
    """Where the rest of answered requests goes."""

    def __init__(self) -> None:
        self._under_way = 0

    async def take(self, scope: Scope, receive: Receive) -> None:
        """Read what is left of a request, and keep nothing."""
        if self._under_way >= AT_ONCE or not length_of(scope["headers"]):
            return
        self._under_way += 1
        try:
            async with asyncio.timeout(MOST_S):
                await _read_off(receive)
        except TimeoutError:
            pass  # the server closes a connection whose request was not read to its end
        finally:
            self._under_way -= 1


class Drained:
    """Middleware: answers of an application arrive, whatever it left unread of the request."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._drain = Drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing is wrapped around one that has no body."""
        if not length_of(scope["headers"]):
            await self._app(scope, receive, send)
            return
        whole = False

        async def read() -> Message:
            nonlocal whole
            message = await receive()
            whole = whole or not message.get("more_body", False)
            return message

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start" and not whole:
                headers = [*message.get("headers", ()), *farewell(scope["headers"])]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, read, answer)
        if not whole:
            await self._drain.take(scope, receive)


async def _read_off(receive: Receive) -> None:
    size = 0
    while size <= MOST_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return
