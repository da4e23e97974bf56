"""The worker program: connects, starts its roles, and drains when told to stop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import structlog
import uvloop

from crossdock.bus import Bus, connect
from crossdock.bus.consumer import Consumer
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import wait_for_streams
from crossdock.config import DatabaseRole, Settings
from crossdock.db import Database
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher, DispatchSettings
from crossdock.delivery.dispatch.lines import Caps
from crossdock.delivery.guard import Guard
from crossdock.errors import BrokerUnavailable, ProcessFailed
from crossdock.health import Health
from crossdock.inbound.persist import Persister
from crossdock.memory import settle_memory
from crossdock.secrets.seal import Sealer
from crossdock.telemetry import logs
from proto import subjects
from workers import http, maintenance
from workers.errors import patiently
from workers.webhooks import Webhooks, give_back

ROLES: Final[frozenset[DatabaseRole]] = frozenset({"app", "ingest", "dispatch", "maintenance"})

T = TypeVar("T")

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Run a worker until SIGTERM or SIGINT, then drain.

    Raises:
        ProcessFailed: a role ended that should not have.
    """
    logs.configure(settings.log, "worker")
    uvloop.run(_main(settings))


async def _main(settings: Settings) -> None:
    until = _Until()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, until.stop)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database, ROLES)
        stack.push_async_callback(database.close)
        connected: asyncio.Future[Bus] = loop.create_future()
        health = _health(database, connected)
        runner = await http.serve(settings.worker, health)
        stack.push_async_callback(runner.cleanup)
        bus = await until.either(connect(settings.nats, name="crossdock worker"))
        if bus is None:
            return
        stack.push_async_callback(bus.close)
        await until.either(wait_for_streams(bus))
        connected.set_result(bus)
        if "maintenance" in settings.worker.roles:
            await stack.enter_async_context(_maintaining(settings, database, bus, until))
        if "webhooks" in settings.worker.roles:
            await stack.enter_async_context(_delivering(settings, database, bus, until))
        settle_memory()
        log.info("worker_started", roles=settings.worker.roles)
        await until.stopped()
        health.drain()
        log.info("worker_drains")
    log.info("worker_stopped")
    until.check()


class _Until:
    """The worker's end: a signal, or a role that broke."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._broke: str | None = None

    def stop(self) -> None:
        """End it."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait for the end."""
        await self._stop.wait()

    async def either(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return what comes of some work, or `None` if the end comes first."""
        task, end = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        end.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    def start(self, role: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a role that should run to the end; if it breaks, that is the end."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("role_broke", role=role, exc_info=error)
                self._broke = role
                self.stop()

        task = asyncio.create_task(work, name=role)
        task.add_done_callback(ended)
        return task

    def check(self) -> None:
        """Raise what ended it, if it was not a signal."""
        if self._broke is not None:
            raise ProcessFailed(f"The role {self._broke} broke; the log says why.")


@asynccontextmanager
async def _maintaining(
    settings: Settings, database: Database, bus: Bus, until: _Until
) -> AsyncIterator[None]:
    days = settings.worker.retention_days
    task = until.start("maintenance", maintenance.run(database, bus, retention_days=days))
    try:
        yield
    finally:
        await _end(task)


@asynccontextmanager
async def _delivering(
    settings: Settings, database: Database, bus: Bus, until: _Until
) -> AsyncIterator[None]:
    """Persist and deliver; at the end finish what is under way, within the grace."""
    worker = settings.worker
    guard = Guard(settings.delivery.allowed_ports, settings.delivery.allow_loopback)
    sealer = Sealer.from_text(settings.keys.destinations, setting="CROSSDOCK_KEYS__DESTINATIONS")
    publisher = Publisher(settings.nats)
    consumer = Consumer(
        bus, subjects.INGEST_STREAM, subjects.PERSIST_CONSUMER, room=2 * worker.batch_size
    )
    async with Client(guard, connections=worker.concurrency) as client:
        dispatcher = Dispatcher(database, client, sealer, dispatch_settings(settings))
        flow = Webhooks(
            consumer,
            Persister(database, lease_s=settings.delivery.lease_s, shard=settings.shard),
            dispatcher,
            publisher,
            batch_size=worker.batch_size,
        )
        await patiently("consumer", consumer.open)
        dispatching = until.start("dispatch", dispatcher.run())
        persisting = until.start("webhooks", flow.run())
        try:
            yield
        finally:
            flow.stop()
            dispatcher.stop()
            await asyncio.wait({persisting}, timeout=worker.drain_grace_s / 2)
            await give_back(consumer)
            if not await dispatcher.drain(worker.drain_grace_s / 2):
                log.warning("drain_incomplete", flying=dispatcher.flying)
            await _end(persisting)
            await _end(dispatching)
            await publisher.close()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


def dispatch_settings(settings: Settings) -> DispatchSettings:
    """Return how a worker with these settings dispatches."""
    worker, delivery = settings.worker, settings.delivery
    return DispatchSettings(
        caps=Caps(
            total=worker.concurrency,
            tenant=max(worker.destination_concurrency, worker.concurrency // 2),
            destination=worker.destination_concurrency,
            waiting=4 * worker.concurrency,
        ),
        lease_s=delivery.lease_s,
        timeout_s=delivery.timeout_s,
    )


def _health(database: Database, connected: asyncio.Future[Bus]) -> Health:
    """Return what is asked of a worker: ready once it works, and through any later outage of it."""

    async def postgres() -> None:
        async with database.queue() as connection:
            await connection.execute("SELECT 1")

    async def nats() -> None:
        if not connected.done():
            raise BrokerUnavailable("The worker is not connected yet.")
        await connected.result().round_trip()

    return Health({"nats": nats, "postgres": postgres}, required=frozenset({"nats"}))
