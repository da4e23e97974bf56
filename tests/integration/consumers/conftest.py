"""A broker of one's own, with everything on it that an internal consumer must not touch."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from crossdock import ids
from crossdock.bus import Bus, connect
from crossdock.bus.streams import ensure_shard, wait_for_streams
from crossdock.embedded import EmbeddedNats
from crossdock.inbound.cloud_events import Announced, cloud_event
from proto import subjects

OURS: Final = ids.encode("ten", UUID(int=(7 << 76) | 1))
THEIRS: Final = ids.encode("ten", UUID(int=(7 << 76) | 2))


@pytest.fixture
async def bus(private_nats: EmbeddedNats) -> AsyncIterator[Bus]:
    """Crossdock's own connection, with all streams, consumers and buckets there."""
    found = await connect(private_nats.settings(), wait_s=10)
    await wait_for_streams(found)
    await ensure_shard(found, 0)
    yield found
    await found.close()


class Command:
    """`crossdock nats user`, beside an embedded server or told of another."""

    def __init__(self, server: EmbeddedNats) -> None:
        self._server = server

    def run(self, *arguments: str, beside: bool = True) -> "subprocess.CompletedProcess[str]":
        settings = self._server.settings()
        told = {
            "CROSSDOCK_NATS__URL": settings.url,
            "CROSSDOCK_NATS__USER": settings.user or "",
            "CROSSDOCK_NATS__PASSWORD": settings.password or "",
        }
        where = ["--data", str(self._server.data)] if beside else []
        return subprocess.run(
            [sys.executable, "-m", "crossdock.cli.app", "nats", "user", *arguments, *where],
            env={**os.environ, **({} if beside else told), "COLUMNS": "300", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *arguments: str, beside: bool = True) -> Any:
        done = self.run(*arguments, "--json", beside=beside)
        assert done.returncode == 0, done.stderr
        return msgspec.json.decode(done.stdout)

    def refusal(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode in {1, 2}, done.stdout
        assert len(done.stderr.splitlines()) == 1
        return done.stderr


@pytest.fixture
def command(private_nats: EmbeddedNats, bus: Bus) -> Command:
    return Command(private_nats)


@asynccontextmanager
async def signed_in(server: EmbeddedNats, name: str, password: str) -> AsyncIterator[Client]:
    """Connect as an internal consumer does; the server's complaints are in `client.complaints`."""
    complaints: list[str] = []

    async def on_error(error: Exception) -> None:
        complaints.append(str(error))

    client = await nats.connect(
        server.url, user=name, password=password, error_cb=on_error, max_reconnect_attempts=0
    )
    client.complaints = complaints  # type: ignore[attr-defined]
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def announce(bus: Bus) -> Callable[..., Any]:
    """Publishes an event to EVENTS and returns its id."""

    async def publish(
        tenant: str = OURS, event_type: str = "invoice.paid", body: bytes = b"{}"
    ) -> str:
        event = Announced(
            tenant_id=ids.decode("ten", tenant),
            source_id=ids.new(),
            event_id=ids.new(),
            stream_seq=7,
            event_type=event_type,
            content_type="application/json",
            traceparent="",
            body=body,
        )
        subject = subjects.event(tenant, ids.encode("src", event.source_id), event_type)
        name = ids.encode("evt", event.event_id)
        assert cloud_event(event).size > len(body)
        await bus.jetstream().publish(
            subject, body, headers={"Nats-Msg-Id": name, "ce-id": name, "ce-type": event_type}
        )
        return name

    return publish


def id_of(message: Msg) -> str:
    """Return the id of the event that a message announces."""
    assert message.headers is not None
    return message.headers["ce-id"]


async def taken(subscription: Any, count: int, within_s: float = 10.0) -> list[Any]:
    """Fetch so many messages, and acknowledge each."""
    found: list[Any] = []
    async with asyncio.timeout(within_s):
        while len(found) < count:
            for message in await subscription.fetch(count - len(found), timeout=within_s):
                await message.ack_sync()
                found.append(message)
    return found


async def is_refused(server: EmbeddedNats, **credentials: str) -> bool:
    """Tell whether the server turns somebody away; nats-py would leave a socket behind."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        await reader.readline()
        hello = msgspec.json.encode({"verbose": False, "protocol": 1, **credentials})
        writer.write(b"CONNECT %b\r\nPING\r\n" % hello)
        async with asyncio.timeout(5):
            return b"Authorization Violation" in await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
