"""What a gateway process holds while it runs: connections, the sources' settings, the publisher."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, NoReturn

import msgspec
import structlog

from crossdock.bus import connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import DatabaseRole, Settings
from crossdock.db import Database
from crossdock.errors import Unavailable
from crossdock.health import Health
from crossdock.inbound.directory import SourceDirectory
from crossdock.secrets.seal import Sealer
from gateway.ingest import Ingest

ROLES: Final[frozenset[DatabaseRole]] = frozenset({"app", "directory"})
TICK_S: Final = 0.25
DRAIN_S: Final = 5.0
"""How long webhooks under way may wait for the broker's word at the end."""
CURRENT_S: Final = 1.0
"""The bound within which settings are current."""

log = structlog.get_logger(__name__)


class Runtime(msgspec.Struct, frozen=True):
    """Everything that is open."""

    database: Database
    directory: SourceDirectory
    publisher: Publisher
    ingest: Ingest
    health: Health


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything, waiting for a broker that is away; drain and close it at the end.

    What keeps the settings current is part of it: should that fail, so does the block.

    Raises:
        ConfigurationError: a key is missing, or the broker is not one we can work with.
    """
    sealer = Sealer.from_text(settings.keys.sources, setting="CROSSDOCK_KEYS__SOURCES")
    async with AsyncExitStack() as stack:
        bus = await connect(settings.nats, name="crossdock gateway")
        stack.push_async_callback(bus.close)
        database = await Database.open(settings.database, ROLES)
        stack.push_async_callback(database.close)
        await wait_for_streams(bus)
        directory = SourceDirectory(bus, database, sealer)
        publisher = Publisher(
            settings.nats,
            timeout_s=settings.gateway.publish_timeout_s,
            max_pending=settings.gateway.max_pending,
        )
        stack.push_async_callback(publisher.close)
        ingest = Ingest(directory, publisher, settings.gateway)
        stack.callback(ingest.tick, time.monotonic())
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for work in (directory.run(), _tick(ingest)):
            stack.callback(group.create_task(work).cancel)
        await directory.wait_ready()
        await publisher.wait_connected()
        health = _health(database, directory, publisher)
        yield Runtime(database, directory, publisher, ingest, health)
        health.drain()
        left = await publisher.drain(DRAIN_S)
        if left:
            log.warning("drain_incomplete", unanswered=left)


async def _tick(ingest: Ingest) -> NoReturn:
    while True:
        await asyncio.sleep(TICK_S)
        ingest.tick(time.monotonic())


def _health(database: Database, directory: SourceDirectory, publisher: Publisher) -> Health:
    async def nats() -> None:
        if not publisher.is_connected:
            raise Unavailable("The publisher is not connected.")

    async def postgres() -> None:
        async with database.directory() as connection:
            await connection.execute("SELECT 1")

    async def settings() -> None:
        if directory.age_s > CURRENT_S:
            raise Unavailable(f"Settings are {directory.age_s:.1f} s old.")

    # Webhooks are taken without PostgreSQL, and by the last good copy of the settings.
    probes = {"nats": nats, "postgres": postgres, "settings": settings}
    return Health(probes, required=frozenset({"nats"}))
