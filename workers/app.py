"""The worker program: connects, works for each shard, and drains when told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

import structlog
import uvloop
from msgspec.structs import replace

from crossdock.bus import Bus, connect
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import DatabaseRole, Settings
from crossdock.db import Databases
from crossdock.delivery.client import Client
from crossdock.delivery.guard import Guard
from crossdock.errors import BrokerUnavailable
from crossdock.health import Health, Probe, of_shard
from crossdock.limits.table import open_table
from crossdock.mail import sending
from crossdock.memory import settle_memory
from crossdock.secrets import keys
from crossdock.secrets.payloads import SETTING
from crossdock.secrets.seal import Sealer
from crossdock.telemetry import logs
from crossdock.transforms.service import Sandbox
from workers import http
from workers.flow import Calling, Flow
from workers.shards import FIRST, Shards
from workers.until import Until

ROLES: Final[frozenset[DatabaseRole]] = frozenset(
    {
        "app",
        "ingest",
        "dispatch",
        "maintenance",
        "control",
        "operator",
    }
)

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain.

    Raises:
        ConfigurationError: a key is missing, the way out for letters is wrongly set, or the broker
            is not one we can work with.
        ProcessFailed: a role ended that should not have.
    """
    keys.check_worker(settings.keys, settings.worker.roles)
    if "maintenance" in settings.worker.roles:
        sending.check(settings)
    logs.configure(settings.log, "worker")
    uvloop.run(_main(settings))


async def _main(settings: Settings) -> None:
    until = Until()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, until.stop)
    async with AsyncExitStack() as stack:
        databases = await Databases.open(settings.database, ROLES)
        stack.push_async_callback(databases.close)
        calling = await stack.enter_async_context(_calling(settings))
        shards = Shards(Flow(settings, databases, calling), until)
        connected: asyncio.Future[Bus] = loop.create_future()
        health = _health(databases, shards, connected)
        runner = await http.serve(settings.worker, health)
        stack.push_async_callback(runner.cleanup)
        bus = await until.either(connect(settings.nats, name="crossdock worker"))
        if bus is None:
            return
        stack.push_async_callback(bus.close)
        await until.either(wait_for_streams(bus))
        connected.set_result(bus)
        working = until.start("shards", shards.run())
        settle_memory()
        log.info("worker_started", roles=settings.worker.roles)
        await until.stopped()
        health.drain()
        log.info("worker_drains")
        await asyncio.wait({working})
    log.info("worker_stopped")
    until.check()


@asynccontextmanager
async def _calling(settings: Settings) -> AsyncIterator[Calling | None]:
    """Open what all shards persist and deliver with, if the worker does that."""
    if "webhooks" not in settings.worker.roles:
        yield None
        return
    guard = Guard(settings.delivery.allowed_ports, settings.delivery.allow_loopback)
    sealer = Sealer.from_text(settings.keys.destinations, setting="CROSSDOCK_KEYS__DESTINATIONS")
    payloads = Sealer.from_text(settings.keys.payloads, setting=SETTING)
    publisher = Publisher(settings.nats)
    out = Publisher(replace(settings.nats, group_commit=False), is_measured=False)
    sandbox = Sandbox(settings.transforms)
    try:
        async with Client(guard, connections=0) as client:
            table = open_table(settings.limits).table
            yield Calling(client, publisher, sealer, payloads, table, out, sandbox)
    finally:
        await sandbox.close()
        await publisher.close()
        await out.close()


def _health(databases: Databases, shards: Shards, connected: asyncio.Future[Bus]) -> Health:
    """Return what is asked of a worker: ready once it works, and through any later outage of it."""

    async def postgres(shard: int) -> None:
        async with databases.shard(shard).queue() as connection:
            await connection.execute("SELECT 1")

    async def nats() -> None:
        if not connected.done():
            raise BrokerUnavailable("The worker is not connected yet.")
        await connected.result().round_trip()

    def probes() -> dict[str, Probe]:
        each = {
            of_shard("postgres", shard): partial(postgres, shard)
            for shard in shards.numbers or [FIRST]
        }
        return {"nats": nats, **each}

    return Health(probes, required=frozenset({"nats"}))
