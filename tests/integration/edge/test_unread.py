"""Senders who are answered before they have sent all: they always get to read the answer."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from gateway.edge.unread import MOST_BYTES

LARGE = 3_000_000
TIMES = 200
PIECE = b"x" * 65_536
JSON = b"Content-Type: application/json\r\n"


class Told(NamedTuple):
    """What a sender that writes everything before it reads anything was told."""

    status: int
    closing: bool
    """Whether it was told that the connection ends."""
    usable: bool
    """Whether the connection took another request."""


class Sender:
    """Blocking sockets, as simple clients use them."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = (parts.hostname, parts.port)

    def send(self, path: str, size: int, *, method: str = "POST", chunked: bool = False) -> Told:
        """Send a request to its end, then read the answer."""
        with socket.create_connection(self._address, timeout=20) as wire:
            length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % size
            line = f"{method} {path} HTTP/1.1\r\nHost: x\r\n".encode()
            wire.sendall(line + JSON + length + b"\r\n\r\n")
            left = size
            while left:
                piece = PIECE[:left]
                left -= len(piece)
                wire.sendall(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                wire.sendall(b"0\r\n\r\n")
            head = self._head(wire)
            closing = b"\r\nconnection: close" in head
            return Told(int(head.split(b" ", 2)[1]), closing, self._goes_on(wire))

    def announce(self, path: str, size: int, *more: bytes) -> tuple[int, bool]:
        """Send a request's head only; return the status, and whether the connection ends."""
        with socket.create_connection(self._address, timeout=20) as wire:
            lines = (f"POST {path} HTTP/1.1".encode(), b"Host: x", b"Content-Length: %d" % size)
            wire.sendall(b"\r\n".join((*lines, *more)) + b"\r\n\r\n")
            head = self._head(wire)
            return int(head.split(b" ", 2)[1]), b"\r\nconnection: close" in head

    @staticmethod
    def _head(wire: socket.socket) -> bytes:
        """Return an answer's head, in lower case, and read its body off."""
        text = b""
        while b"\r\n\r\n" not in text:
            piece = wire.recv(65_536)
            assert piece, text
            text += piece
        head, _, body = text.lower().partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(body) < length:
            piece = wire.recv(65_536)
            assert piece, text
            body += piece
        return head

    @classmethod
    def _goes_on(cls, wire: socket.socket) -> bool:
        try:
            wire.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            return b" 200 " in wire.recv(65_536)
        except OSError:
            return False


@pytest.fixture(scope="module")
def sender(gateway: str) -> Sender:
    """Who sends."""
    return Sender(gateway)


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/auth/login", 413), ("/in/" + "0" * 32, 404)], ids=["rest", "ingest"]
)
async def test_a_body_over_the_limit_is_always_answered(
    sender: Sender, path: str, status: int
) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(4) as threads:
        told = await asyncio.gather(
            *(loop.run_in_executor(threads, sender.send, path, LARGE) for _ in range(TIMES))
        )

    assert set(told) == {Told(status, closing=False, usable=True)}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/sources", 401),
        ("GET", "/v1/sources", 401),
        ("GET", "/health/live", 200),
        ("POST", "/nowhere", 404),
        ("DELETE", "/v1/auth/login", 405),
        ("PUT", "/in/" + "0" * 32, 405),
    ],
)
async def test_whoever_is_answered_without_being_read(
    sender: Sender, method: str, path: str, status: int
) -> None:
    told = await asyncio.to_thread(sender.send, path, LARGE, method=method)

    assert told == Told(status, closing=False, usable=True)


@pytest.mark.parametrize("path", ["/v1/auth/login", "/in/" + "0" * 32])
async def test_in_chunks_it_is_the_connections_last(sender: Sender, path: str) -> None:
    told = await asyncio.to_thread(sender.send, path, LARGE, chunked=True)

    assert told.status in {404, 413}
    assert told.closing


@pytest.mark.parametrize("path", ["/v1/auth/login", "/in/" + "0" * 32])
async def test_what_is_more_than_anybody_drains_is_answered_at_once_and_for_the_last_time(
    sender: Sender, path: str
) -> None:
    for size in (MOST_BYTES + 1, 1024**4):
        status, closing = await asyncio.to_thread(sender.announce, path, size)
        assert status in {404, 413}
        assert closing


async def test_who_asks_first_need_not_send_it(sender: Sender) -> None:
    expecting = b"Expect: 100-continue"

    status, closing = await asyncio.to_thread(sender.announce, "/v1/sources", LARGE, expecting)

    assert (status, closing) == (401, True)


async def test_draining_ends(gateway: str) -> None:
    parts = urlsplit(gateway)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(b"POST /v1/sources HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nx")
        assert b" 401 " in await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(30):
            while await reader.read(65_536):
                pass
    finally:
        writer.close()
