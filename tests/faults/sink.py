"""Endpoints that wear a caller down: that never answer, answer for ever, or don't even read."""

import asyncio
from contextlib import suppress
from typing import Final, Literal, Self

Manner = Literal["hangs", "drips", "deaf", "endless"]
"""Reads and never answers; answers a byte at a time; reads nothing; answers without an end."""

DRIP_S: Final = 0.2
HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"


class Sink:
    """Listens on loopback."""

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.url = ""
        self.taken = 0
        """Connections so far."""
        self.open = 0
        self.most = 0
        """Of them at once, at the most."""

    async def __aenter__(self) -> Self:
        # A small buffer, so that who sends much notices that nobody reads.
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0, limit=4096)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}/{self.manner}"
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.taken += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._behave(reader, writer)
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _behave(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match self.manner:
            case "hangs":
                while await reader.read(65_536):
                    pass
            case "deaf":
                # What is not read fills the system's buffers, then the sender's.
                await asyncio.sleep(3600)
            case "drips":
                for byte in HEAD * 100:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(DRIP_S)
            case "endless":
                writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
                while True:
                    writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
                    await writer.drain()
                    await asyncio.sleep(DRIP_S / 4)
