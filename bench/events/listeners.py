"""A crowd of listeners, in a process of its own: reads what comes, counts it, and says so."""

import asyncio
import sys
from typing import Final

import msgspec
import uvloop

EVENT: Final = b"event: event"


class Crowd(msgspec.Struct, frozen=True):
    """Who listens to what."""

    port: int
    key: str
    sources: list[str]
    """One for each listener."""


class _Ear(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.heard = 0
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.began.done():
            assert data.startswith(b"HTTP/1.1 200"), data
            self.began.set_result(None)
        self.heard += data.count(EVENT)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    crowd = msgspec.json.decode(await reader.readline(), type=Crowd)
    ears = []
    for source in crowd.sources:
        request = (
            f"GET /v1/events/stream?source_id={source} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {crowd.key}\r\n\r\n"
        ).encode()
        _, ear = await loop.create_connection(lambda r=request: _Ear(r), "127.0.0.1", crowd.port)  # type: ignore[misc]
        await ear.began
        ears.append(ear)
    while True:
        print(sum(ear.heard for ear in ears), flush=True)
        if not await reader.readline():
            return


if __name__ == "__main__":
    uvloop.run(_main())
