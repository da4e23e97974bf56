"""One exchange with a destination: a request written, an answer read, on a connection of aiohttp's.

Its pool, its connections and its parser, but not its session: what that does besides (cookies,
redirects, proxies, traces, an object for each request and each answer) is wanted nowhere here, and
took a quarter of a delivery's time.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final, cast

import aiohttp
import msgspec
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from crossdock.delivery.connector import Protocol
from crossdock.delivery.model import BODY_KEPT, FailureKind

HEADERS_KEPT: Final = 8 * 1024
"""Bytes of an answer's headers that are kept."""
_UPGRADED: Final = 101
_READ_STEP: Final = 16 * 1024
_SCHEMES: Final = frozenset({"http", "https"})
_LINES: Final = 4
"""Of a head besides its headers: what is asked, two headers of its own, the empty one."""


class Response(msgspec.Struct, frozen=True):
    """What a destination answered."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    """Its first 64 KiB."""
    retry_after: str | None
    note: str | None = None
    """What was wrong with the body, though the status stands."""


class CallFailed(Exception):
    """There was no answer."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FailureKind = kind


class Peer:
    """Whom a call goes to, and what of it is always the same."""

    __slots__ = ("_start", "request")

    def __init__(
        self,
        method: str,
        url: URL,
        tls: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Make it ready.

        Raises:
            aiohttp.InvalidURL: nobody can be called by it.
        """
        if url.scheme not in _SCHEMES:
            raise aiohttp.NonHttpUrlClientError(url)
        self.request: Final = ClientRequest(method, url, loop=loop, ssl=tls or True)
        """What aiohttp connects by; it is never sent."""
        host = self.request.headers["host"]
        self._start = f"{method} {self.request.url.raw_path_qs} HTTP/1.1\r\nhost: {host}\r\n"

    def head(self, headers: Mapping[str, str], size: int) -> bytes:
        """Return the bytes before a body.

        Raises:
            CallFailed: a header would be more than one.
        """
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        text = f"{self._start}{lines}content-length: {size}\r\n\r\n"
        expected = len(headers) + _LINES
        if text.count("\n") != expected or text.count("\r") != expected or "\0" in text:
            raise CallFailed("odd", "a header is more than one line")
        return text.encode()


async def exchange(
    connection: Connection, head: bytes, body: bytes, ends: float, loop: asyncio.AbstractEventLoop
) -> Response:
    """Write a request, read its answer, and give the connection back.

    Args:
        connection: nobody else's now.
        head: see `Peer.head`.
        body: what follows it.
        ends: when it is over, the end of the answer included; of the loop's clock.
        loop: the running one.

    Raises:
        CallFailed: the answer is none to this request.
        TimeoutError: it was not answered in time.
        aiohttp.ClientError: the other side went away.
        HttpProcessingError: it does not speak HTTP.
    """
    protocol = cast("Protocol", connection.protocol)
    transport = cast("asyncio.Transport", protocol.transport)
    protocol.begin()
    timer = loop.call_at(ends, protocol.expire)
    is_done = False
    try:
        transport.writelines((head, body))
        message, content = await protocol.answer()
        if message.code == _UPGRADED:
            raise CallFailed("odd", "101 was not asked for")
        kept, note = await _read(content)
        is_done = content.at_eof() and note is None and not transport.get_write_buffer_size()
    finally:
        timer.cancel()
        if is_done:
            connection.release()
        else:
            protocol.abort()  # to close it would first send all that is still to be sent
            connection.close()
    return Response(
        status=message.code,
        headers=_keep(message.headers),
        body=kept,
        retry_after=message.headers.get("Retry-After"),
        note=note,
    )


async def _read(content: aiohttp.StreamReader) -> tuple[bytes, str | None]:
    """Return the start of a body, and what was wrong with the rest."""
    if content.at_eof():
        return b"", None
    kept = bytearray()
    try:
        while len(kept) < BODY_KEPT and not content.at_eof():
            kept += await content.read(min(_READ_STEP, BODY_KEPT - len(kept)))
    except TimeoutError:
        return bytes(kept), "the body did not end in time"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return bytes(kept), f"the body broke off: {type(error).__name__}"
    return bytes(kept), None


def _keep(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    kept, room = [], HEADERS_KEPT
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept.append((_text(name.lower()), _text(value)))
    return kept


def _text(raw: str) -> str:
    """Return a header's text as what can be stored: aiohttp smuggles odd bytes as surrogates."""
    return (
        raw if raw.isascii() else raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    )
