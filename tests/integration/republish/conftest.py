"""Two shards full of events, a broker of one's own, and the command between them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from crossdock import ids
from crossdock.bus import Bus, connect
from crossdock.bus.streams import wait_for_streams
from crossdock.config import DatabaseSettings, GatewaySettings, NatsSettings, Settings
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.supervisor.environment import environment
from tests.beds.shards import Town
from tests.beds.world import id_at

BEGIN: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
INLINE: Final = 1024


@pytest.fixture
async def town(
    new_database: Callable[[], DatabaseSettings], postgres_server: EmbeddedPostgres
) -> AsyncIterator[Town]:
    """Two shards and their administrator."""
    async with Town.open(postgres_server, new_database(), new_database()) as found:
        yield found


@pytest.fixture
def nats_settings(private_nats: EmbeddedNats) -> NatsSettings:
    """A broker that a test may kill."""
    return private_nats.settings()


@pytest.fixture
async def bus(nats_settings: NatsSettings) -> AsyncIterator[Bus]:
    """A connection to it, its streams declared."""
    found = await connect(nats_settings, wait_s=10)
    await wait_for_streams(found)
    yield found
    await found.close()


class Press:
    """`crossdock events republish`."""

    def __init__(self, town: Town, bus: Bus, settings: Settings) -> None:
        self.town = town
        self.bus = bus
        self._environment = {**environment(settings, os.environ), "COLUMNS": "200"}

    async def add(
        self,
        tenant_id: UUID,
        *,
        shard: int = 0,
        minute: int = 0,
        event_type: str = "invoice.paid",
        status: str = "accepted",
        body: bytes = b"{}",
        source_id: UUID | None = None,
        data_key: UUID | None = None,
    ) -> str:
        """Store an event as it is after persisting; return its id."""
        event_id = id_at(BEGIN + timedelta(minutes=minute))
        await self.town.admins[shard].execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body, status, data_key)"
            " VALUES ($1, $2, $3, $4, $5, 'application/json', '00-1', '[]', $6, $7, $8)",
            tenant_id,
            event_id,
            source_id or ids.new(),
            1000 + minute,
            event_type,
            body,
            status,
            data_key,
        )
        return ids.encode("evt", event_id)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command."""
        return subprocess.Popen(
            [sys.executable, "-m", "crossdock.cli.app", "events", "republish", *arguments],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it to its end."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def json(self, *arguments: str) -> Any:
        """Run it and return what it answers."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        return msgspec.json.decode(out)

    def interrupt(self, process: "subprocess.Popen[str]") -> tuple[int, str, str]:
        """Press Ctrl-C."""
        process.send_signal(signal.SIGINT)
        with process:
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    async def stream(self) -> Sequence[Any]:
        """Return all messages of EVENTS."""
        jetstream = self.bus.jetstream()
        state = (await jetstream.stream_info("EVENTS")).state
        if not state.messages:
            return []
        pulled = await jetstream.pull_subscribe(
            "events.>",
            stream="EVENTS",
            config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL, inactive_threshold=5),
        )
        found: list[Any] = []
        ends = time.monotonic() + 20
        while len(found) < state.messages and time.monotonic() < ends:
            found += await pulled.fetch(500, timeout=5)
        return found


@pytest.fixture
def press(town: Town, bus: Bus, nats_settings: NatsSettings) -> Press:
    settings = Settings(
        database=town.settings,
        nats=nats_settings,
        gateway=GatewaySettings(inline_body_bytes=INLINE),
    )
    return Press(town, bus, settings)
