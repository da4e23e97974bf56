"""An answer that goes on: server-sent events (HTML living standard, 9.2), while somebody reads.

Litestar's own stream learns of a reader who left only through a generator that may be closed much
later. Here whoever serves is cancelled at once, and has let go of everything before the request
ends. The edge's deadline ends with the answer's beginning, which it knows by its media type.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

EVENT_STREAM: Final = "text/event-stream"
IS_HEAD: Final = "crossdock.head"
"""Where a request's scope says that nothing but the headers is wanted."""

HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # proxies would gather what is to be sent at once
}

Write = Callable[[bytes], Awaitable[None]]
Serve = Callable[[Write], Awaitable[None]]
Open = Callable[[], AbstractAsyncContextManager[Serve]]


class EventStream(Response[bytes]):
    """Headers as soon as there is something to listen to, then whatever is written."""

    def __init__(self, opening: Open) -> None:
        """Say what to serve.

        Args:
            opening: gives what writes, and takes it back when the request ends; what it refuses
                with is the answer.
        """
        super().__init__(b"", media_type=EVENT_STREAM, headers=HEADERS)
        self._opening = opening

    def to_asgi_response(self, *_arguments: Any, **options: Any) -> ASGIResponse:
        """Return it as it is sent."""
        headers = {**(options.get("headers") or {}), **self.headers}
        return _Streaming(self._opening, headers=headers, media_type=EVENT_STREAM)


class _Streaming(ASGIResponse):
    _should_set_content_length = False

    def __init__(self, opening: Open, **options: Any) -> None:
        super().__init__(**options)
        self._opening = opening

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request to its end."""
        async with self._opening() as serve:
            await self.start_response(send)
            if not scope.get(IS_HEAD):
                await _until_left(serve, receive, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_left(serve: Serve, receive: Receive, send: Send) -> None:
    """Write until there is no more to say, or nobody to say it to."""

    async def write(chunk: bytes) -> None:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})

    serving = asyncio.ensure_future(serve(write))
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        for task in (serving, leaving):
            task.cancel()
        await asyncio.wait({serving, leaving})


async def _left(receive: Receive) -> None:
    """Return when the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
