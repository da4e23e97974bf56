"""HTTP written by hand: what no client library would send."""

import asyncio
import contextlib
from collections.abc import Iterable
from time import monotonic
from typing import NamedTuple, Self
from urllib.parse import urlsplit


class Heard(NamedTuple):
    """What came back on a connection before it closed or the answer was complete."""

    status: int
    """0 where the connection closed without an answer."""
    text: bytes
    after_s: float

    @property
    def is_refusal(self) -> bool:
        """Tell whether it is a clean refusal: a 4xx, or a closed connection."""
        return self.status == 0 or 400 <= self.status < 500


class Wire:
    """One connection to a gateway."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port, self.target = parts.hostname, parts.port, parts.path
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._started = 0.0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        self._started = monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._writer is not None
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def head(self, headers: Iterable[tuple[str, str]], method: str = "POST") -> bytes:
        """Return a request's first part, ready to send."""
        lines = [f"{method} {self.target} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def send(self, data: bytes) -> None:
        """Write, unless the other side has closed already."""
        assert self._writer is not None
        with contextlib.suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def hear(self, within: float) -> Heard:
        """Return what comes back; fails if nothing does and the connection stays open."""
        assert self._reader is not None
        text = b""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(within):
                while not _is_whole(text):
                    piece = await self._reader.read(65536)
                    if not piece:
                        break
                    text += piece
        status = int(text.split(b" ", 2)[1]) if text.startswith(b"HTTP/") else 0
        return Heard(status, text, monotonic() - self._started)


def _is_whole(text: bytes) -> bool:
    head, found, body = text.partition(b"\r\n\r\n")
    if not found:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return body.endswith(b"0\r\n\r\n") or b"transfer-encoding" not in head.lower()
