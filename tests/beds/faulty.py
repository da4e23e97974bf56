"""A real HTTP server that fails as it is told, alone or in front of another one."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final, NamedTuple, TypeAlias

_LENGTH: Final = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)
_CONNECTION: Final = re.compile(rb"^connection:.*\r\n", re.IGNORECASE | re.MULTILINE)
_END: Final = b"\r\n\r\n"


class Reply(NamedTuple):
    """An answer of its own."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Cut(NamedTuple):
    """A connection that ends without an answer."""

    reaches_server: bool = False
    """Whether the server behind takes the request, so that only its answer is lost."""


class Pass(NamedTuple):
    """The answer of the server behind, as it is."""


Fate: TypeAlias = Reply | Cut | Pass


class Seen(NamedTuple):
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """By names in lower case."""
    body: bytes
    at: float
    """By the monotonic clock."""


class Faulty:
    """Deals fates out in their order, one a request; the rest pass."""

    def __init__(self, behind: int | None) -> None:
        self.port = 0
        self.seen: list[Seen] = []
        self._fates: list[Fate] = []
        self._behind = behind

    @property
    def url(self) -> str:
        """Where to reach it."""
        return f"http://127.0.0.1:{self.port}"

    def deal(self, *fates: Fate) -> None:
        """Say what becomes of the next requests; forget those before."""
        self._fates = list(fates)
        self.seen.clear()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request, and the connection with it."""
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                head = await reader.readuntil(_END)
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.seen.append(_seen(head, body))
                await self._answer(head, body, writer)
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        match self._fates.pop(0) if self._fates else Pass():
            case Reply(status, content, headers):
                lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(content)}"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                lines.append("Connection: close")
                writer.write("\r\n".join(lines).encode() + _END + content)
            case Cut(reaches_server):
                if reaches_server:
                    await self._ask(head, body)
            case Pass():
                writer.write(await self._ask(head, body))
        await writer.drain()

    async def _ask(self, head: bytes, body: bytes) -> bytes:
        """Return what the server behind answers."""
        assert self._behind is not None, "nobody is behind"
        reader, writer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            last = _CONNECTION.sub(b"", head).removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
            writer.write(last + body)
            return await reader.read()
        finally:
            writer.close()


def _seen(head: bytes, body: bytes) -> Seen:
    request, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, path, _ = request.split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    return Seen(method, path, headers, body, monotonic())


@asynccontextmanager
async def faulty(behind: int | None = None) -> AsyncIterator[Faulty]:
    """Listen on loopback, in front of a server at a port, or alone."""
    found = Faulty(behind)
    server = await asyncio.start_server(found.take, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found
