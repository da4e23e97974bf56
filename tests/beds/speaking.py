"""Destinations that say whatever a test wants, and calls of the client to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from yarl import URL

from crossdock.delivery.client import Client
from crossdock.delivery.exchange import CallFailed, Response
from crossdock.delivery.guard import Guard

BODY = b'{"a": "\xc3\xa4"}\x00\xff'
DEV = Guard(allowed_ports=(), allow_loopback=True)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Speaker = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[URL]:
    """Serve HTTP properly."""
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(speak: Speaker, tls: ssl.SSLContext | None = None) -> AsyncIterator[URL]:
    """Serve whatever bytes a test wants."""

    async def on_connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await speak(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(on_connect, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    try:
        yield URL(f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    finally:
        server.close()


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Read one request of which the body's length is told."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if b"ength:" in line)
    return head + await reader.readexactly(length)


def answering(raw: bytes) -> Speaker:
    """Answer every request with these bytes, then close."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(raw)
        await writer.drain()

    return speak


async def call(client: Client, url: URL, timeout_s: float = 5.0) -> Response:
    return await client.post(url, {}, BODY, timeout_s)


async def failure(client: Client, url: URL, timeout_s: float = 5.0) -> str:
    """Return the kind of failure that a call ends in."""
    with pytest.raises(CallFailed) as caught:
        await call(client, url, timeout_s)
    return caught.value.kind
