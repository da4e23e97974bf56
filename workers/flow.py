"""All that a worker does for one shard: from INGEST to its database, to receivers, to gateways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import msgspec
import structlog

from crossdock.breakers.service import Breakers
from crossdock.breakers.sharing import Sharing
from crossdock.bus import Bus, connect
from crossdock.bus.clearing import Clearing
from crossdock.bus.consumer import Consumer
from crossdock.bus.publisher import Publisher
from crossdock.bus.streams import ensure_shard
from crossdock.config import Settings
from crossdock.db import Database, Databases
from crossdock.delivery.client import Client
from crossdock.delivery.dispatch.dispatcher import Dispatcher, DispatchSettings
from crossdock.delivery.dispatch.lines import Caps
from crossdock.delivery.order.service import Joiner
from crossdock.inbound.bodies import Bodies
from crossdock.inbound.persist import Persister
from crossdock.inbound.release import Releaser
from crossdock.native import LimitTable
from crossdock.secrets.payloads import BatchKeys
from crossdock.secrets.seal import Sealer
from crossdock.tenancy.quotas import Meter
from crossdock.transforms.service import Sandbox
from proto import subjects
from workers import maintenance
from workers.announce import Announcer
from workers.claims import Claims
from workers.errors import patiently
from workers.maintenance import Post
from workers.until import Until, end
from workers.webhooks import Webhooks, clear_up, give_back

log = structlog.get_logger(__name__)


class Calling(msgspec.Struct, frozen=True):
    """What the shards of a process have in common to persist and deliver with."""

    client: Client
    publisher: Publisher
    sealer: Sealer
    """Opens destinations' secrets."""
    payloads: Sealer
    """Opens tenants' data keys, which open payloads."""
    table: LimitTable
    """Counts calls of destinations that have a rate, with this machine's other processes."""
    out: Publisher
    """To destinations on NATS: without atomic batches, in which one message that the broker knows
    already would have the others refused."""
    sandbox: Sandbox
    """Runs destinations' scripts."""


class Flow:
    """The work for any one shard, on a connection to the broker of its own."""

    def __init__(self, settings: Settings, databases: Databases, calling: Calling | None) -> None:
        """Say with what.

        Args:
            settings: the worker's.
            databases: all shards.
            calling: for the role `webhooks`, which the worker may not have.
        """
        self.settings: Final = settings
        self.databases: Final = databases
        self._calling = calling

    async def run(self, database: Database, until: Until) -> None:
        """Work for a shard until the end, then drain.

        Raises:
            ConfigurationError: the shard's database or the broker is not one we can work with.
            ProcessFailed: a role broke.
        """
        number = database.number
        async with AsyncExitStack() as stack:
            bus = await until.either(connect(self.settings.nats, name=f"crossdock worker {number}"))
            if bus is None:
                return
            stack.push_async_callback(bus.close)
            await until.either(patiently("shard", lambda: ensure_shard(bus, number)))
            if "maintenance" in self.settings.worker.roles:
                await stack.enter_async_context(self._maintaining(database, bus, until))
            if self._calling is not None:
                delivering = self._delivering(self._calling, database, bus, until)
                await stack.enter_async_context(delivering)
            await until.stopped()
        until.check()

    @asynccontextmanager
    async def _maintaining(self, database: Database, bus: Bus, until: Until) -> AsyncIterator[None]:
        post = Post(self.settings, database, self.databases, bus)
        task = until.start(f"maintenance of {database.number}", maintenance.run(post))
        try:
            yield
        finally:
            await end(task)

    @asynccontextmanager
    async def _delivering(
        self, calling: Calling, database: Database, bus: Bus, until: Until
    ) -> AsyncIterator[None]:
        """Persist and deliver; at the end finish what is under way, within the grace."""
        settings, number = self.settings, database.number
        worker = settings.worker
        consumer = Consumer(
            bus,
            subjects.INGEST_STREAM,
            subjects.persist_consumer(number),
            room=2 * worker.batch_size,
        )
        dispatcher = Dispatcher(
            database,
            calling.client,
            calling.sealer,
            dispatch_settings(settings),
            keys=BatchKeys(database, "dispatch", calling.payloads),
            breakers=Breakers(sharing=Sharing(bus, subjects.breakers_bucket(number))),
            table=calling.table,
            sandbox=calling.sandbox,
            publisher=calling.out,
        )
        announcer = Announcer(calling.publisher, most_bytes=settings.gateway.inline_body_bytes)
        meter = Meter(database, retention_days=worker.retention_days)
        clearing = Clearing(bus, number)
        joiner = Joiner(database, bus, on_due=dispatcher.expect)
        persister = Persister(
            database,
            lease_s=settings.delivery.lease_s,
            shard=number,
            keys=BatchKeys(database, "ingest", calling.payloads),
        )
        persister.room = dispatcher.room_of
        flow = Webhooks(
            consumer,
            persister,
            dispatcher,
            calling.publisher,
            meter,
            batch_size=worker.batch_size,
            claims=Claims(Bodies(bus)),
            announcer=announcer,
            on_waiting=joiner.hint,
            on_done=clearing.done,
        )
        releaser = Releaser(
            database,
            announcer.announce,
            inline_bytes=settings.gateway.inline_body_bytes,
            keys=BatchKeys(database, "ingest", calling.payloads),
            on_ordered=joiner.look,
        )
        with calling.client.more(worker.concurrency):
            await until.either(patiently("consumer", consumer.open))
            dispatching = until.start(f"dispatch of {number}", dispatcher.run())
            persisting = until.start(f"webhooks of {number}", flow.run())
            joining = until.start(f"order of {number}", joiner.run())
            releasing = until.start(f"releases of {number}", releaser.run())
            clearing_up = until.start(f"clearing of {number}", clearing.run())
            counting = until.start(f"usage of {number}", meter.run())
            try:
                yield
            finally:
                flow.stop()
                dispatcher.stop()
                await end(releasing)
                await end(joining)
                await asyncio.wait({persisting}, timeout=worker.drain_grace_s / 2)
                await give_back(consumer)
                if not await dispatcher.drain(worker.drain_grace_s / 2):
                    log.warning("drain_incomplete", shard=number, flying=dispatcher.flying)
                await end(persisting)
                await end(dispatching)
                await end(counting)
                await end(clearing_up)
                await clear_up(clearing)


def dispatch_settings(settings: Settings) -> DispatchSettings:
    """Return how a worker with these settings dispatches for each shard."""
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
