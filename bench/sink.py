"""A receiver that costs next to nothing: `python -m bench.sink` prints its port, and goes on.

What is posted to `/hang` is never answered; everything else is, at once.
"""

import asyncio
import re
from typing import Final, cast

import uvloop

ANSWER: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HEAD_END: Final = b"\r\n\r\n"
HANGS: Final = b"POST /hang"


class _Sink(asyncio.Protocol):
    """Finds the end of each request, and answers."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(HEAD_END)) >= 0:
            found = LENGTH.search(self._buffer, 0, end)
            total = end + len(HEAD_END) + (int(found[1]) if found else 0)
            if len(self._buffer) < total:
                return
            hangs = self._buffer.startswith(HANGS)
            self._buffer = self._buffer[total:]
            if hangs:
                continue
            assert self._transport is not None
            self._transport.write(ANSWER)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(_Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
