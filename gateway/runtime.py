"""What a gateway process holds while it runs: connections, the sources' settings, the publisher."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Final, NoReturn

import msgspec
import structlog

from crossdock.breakers.reader import Readers
from crossdock.bus import Bus, connect
from crossdock.bus.objects import Objects, ObjectWriter
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import DatabaseRole, Settings
from crossdock.db import Databases
from crossdock.directory import Directory, Memory
from crossdock.directory.service import CURRENT_S
from crossdock.errors import Unavailable
from crossdock.health import Health, Probe, of_shard
from crossdock.idempotency.sharing import Sharing
from crossdock.inbound.refusals import Recorder, Writer
from crossdock.limits.exchange import Exchange
from crossdock.limits.service import Limits
from crossdock.secrets import keys
from crossdock.secrets.payloads import SETTING
from crossdock.secrets.seal import Sealer
from gateway import identity as people
from gateway.identity import Identity
from gateway.ingest import Ingest
from gateway.limits import Meter
from proto.subjects import BODIES_BUCKET

ROLES: Final[frozenset[DatabaseRole]] = frozenset({"app", "directory", "control", "operator"})
TICK_S: Final = 0.25
DRAIN_S: Final = 5.0
"""How long webhooks under way may wait for the broker's word at the end."""
LAST_WORDS_S: Final = 1.0
"""How long refusals may wait for the database then."""

log = structlog.get_logger(__name__)


class Runtime(msgspec.Struct, frozen=True):
    """Everything that is open."""

    database: Databases
    directory: Directory
    publisher: Publisher
    objects: ObjectWriter
    """Takes bodies that are too large for a message."""
    ingest: Ingest
    health: Health
    identity: Identity
    meter: Meter
    answers: Sharing
    breakers: Readers
    """Shows what workers tell each other of destinations."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Runtime]:
    """Open everything, waiting for a broker that is away; drain and close it at the end.

    What keeps the settings current is part of it: should that fail, so does the block.

    Raises:
        ConfigurationError: a key is missing, or the broker is not one we can work with.
    """
    keys.check_gateway(settings.keys)
    sealer = Sealer.from_text(settings.keys.sources, setting="CROSSDOCK_KEYS__SOURCES")
    payloads = Sealer.from_text(settings.keys.payloads, setting=SETTING)
    async with AsyncExitStack() as stack:
        bus = await connect(settings.nats, name="crossdock gateway")
        stack.push_async_callback(bus.close)
        memory = Memory(sealer, payloads)
        databases = await Databases.open(settings.database, ROLES, placed=memory.placed)
        stack.push_async_callback(databases.close)
        await wait_for_streams(bus)
        directory = Directory(bus, databases, memory, access_ttl_s=settings.identity.access_ttl_s)
        publisher = Publisher(
            settings.nats,
            timeout_s=settings.gateway.publish_timeout_s,
            max_pending=settings.gateway.max_pending,
        )
        stack.push_async_callback(publisher.close)
        objects = _objects(stack, settings, bus)
        recorder = Recorder()
        writer = Writer(recorder, databases)
        stack.push_async_callback(_last_words, writer)
        meter = Meter.open(settings, directory.tenant)
        limits = meter.limits
        stack.callback(limits.tick)
        ingest = Ingest(
            directory, publisher, settings.gateway, meter, objects=objects, recorder=recorder
        )
        stack.callback(ingest.tick, time.monotonic())
        identity = await stack.enter_async_context(people.opened(settings, databases, directory))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        breakers = Readers(bus)
        stack.push_async_callback(breakers.close)
        exchange, answers = Exchange(bus, limits.opened, settings.limits), Sharing(bus)
        for work in (
            directory.run(),
            _tick(ingest, limits),
            writer.run(),
            identity.run(),
            exchange.run(),
            answers.run(),
        ):
            stack.callback(group.create_task(work).cancel)
        await directory.wait_ready()
        await publisher.wait_connected()
        # Webhooks are taken without PostgreSQL, and by the last good copy of the settings.
        health = Health(
            lambda: _probes(databases, directory, publisher), required=frozenset({"nats"})
        )
        yield Runtime(
            databases,
            directory,
            publisher,
            objects,
            ingest,
            health,
            identity,
            meter,
            answers,
            breakers,
        )
        health.drain()
        left = await publisher.drain(DRAIN_S)
        if left:
            log.warning("drain_incomplete", unanswered=left)


def _objects(stack: AsyncExitStack, settings: Settings, bus: Bus) -> ObjectWriter:
    """Open the way into the bucket of large bodies: a connection of its own.

    So what is large stands in nobody's way; and a batch of group commit is for one stream.
    """
    publisher = Publisher(
        msgspec.structs.replace(settings.nats, group_commit=False),
        timeout_s=settings.gateway.publish_timeout_s,
        max_pending=settings.gateway.max_pending,
        is_measured=False,
    )
    stack.push_async_callback(publisher.close)
    return ObjectWriter(publisher, Objects(bus, BODIES_BUCKET), BODIES_BUCKET)


async def _last_words(writer: Writer) -> None:
    """Write down what was refused since the last time, if that is soon done."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await writer.flush()


async def _tick(ingest: Ingest, limits: Limits) -> NoReturn:
    while True:
        await asyncio.sleep(TICK_S)
        ingest.tick(time.monotonic())
        limits.tick()


def _probes(databases: Databases, directory: Directory, publisher: Publisher) -> dict[str, Probe]:
    """Return what a gateway's health asks: the broker, and two things of each shard."""

    async def nats() -> None:
        if not publisher.is_connected:
            raise Unavailable("The publisher is not connected.")

    async def postgres(shard: int) -> None:
        async with databases.shard(shard).directory() as connection:
            await connection.execute("SELECT 1")

    async def settings(shard: int) -> None:
        age_s = directory.age_of(shard)
        if age_s > CURRENT_S:
            raise Unavailable(f"Settings are {age_s:.1f} s old.")

    found: dict[str, Probe] = {"nats": nats}
    for shard in directory.shards:
        found[of_shard("postgres", shard)] = partial(postgres, shard)
        found[of_shard("settings", shard)] = partial(settings, shard)
    return found
