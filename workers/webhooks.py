"""The role `webhooks`: from INGEST to PostgreSQL, and on to the dispatcher and to EVENTS.

A batch is acknowledged when all of that is done. A crash anywhere before brings it again, and then
the ledger knows it: stored once, delivered from its rows, announced under the same id.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from crossdock import native
from crossdock.bus.consumer import Consumer, Pulled
from crossdock.bus.publisher import Publisher
from crossdock.delivery.dispatch.dispatcher import Dispatcher, Job
from crossdock.errors import BrokerUnavailable, TooLarge
from crossdock.inbound.persist import (
    Arrival,
    Duplicate,
    Persisted,
    Persister,
    Poison,
    Redelivered,
    Stored,
    decode,
)
from crossdock.telemetry import metrics
from crossdock.tenancy.quotas import Meter
from proto import subjects
from workers.announce import announce
from workers.errors import patiently

FETCH_WITHIN_S: Final = 1.0
MORE_TIME_EVERY_S: Final = 5.0
"""Well below the consumer's ack wait."""
LANES: Final = 2
"""Batches under way: one decodes and announces while the other is in the database."""

log = structlog.get_logger(__name__)


class Webhooks:
    """Persists what gateways accepted."""

    def __init__(
        self,
        consumer: Consumer,
        persister: Persister,
        dispatcher: Dispatcher,
        publisher: Publisher,
        meter: Meter,
        *,
        batch_size: int,
    ) -> None:
        self._consumer = consumer
        self._persister = persister
        self._dispatcher = dispatcher
        self._publisher = publisher
        self._meter = meter
        self._batch_size = batch_size
        self._fetching = asyncio.Lock()
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`, then finish the batches under way."""
        async with asyncio.TaskGroup() as lanes:
            for _ in range(LANES):
                lanes.create_task(self._lane())

    def stop(self) -> None:
        """Fetch no more."""
        self._stopping = True

    async def _lane(self) -> None:
        while not self._stopping:
            batch = await patiently("fetch", self._fetch)
            if batch:
                await self._guarded(batch)

    async def _fetch(self) -> list[Pulled]:
        async with self._fetching:
            if self._stopping:
                return []
            return await self._consumer.fetch(self._batch_size, within_s=FETCH_WITHIN_S)

    async def _guarded(self, batch: Sequence[Pulled]) -> None:
        """Work on a batch; what nobody foresaw must not end the worker, nor hold up the rest.

        A batch that breaks is halved until what breaks is alone. To do part of it twice does no
        harm: what was stored before is known by its id.
        """
        try:
            await self._work(batch)
        except asyncio.CancelledError:
            with suppress(BrokerUnavailable):  # it hands them out again by itself, only later
                await self._consumer.put_back(batch)
            raise
        except Exception as error:
            if len(batch) == 1:
                # Left as it is: the broker hands it out again after the ack wait, and not sooner.
                log.exception("message_broke", stream_seq=batch[0].stream_seq)
                return
            log.warning("batch_halved", messages=len(batch), reason=repr(error))
            half = len(batch) // 2
            await self._guarded(batch[:half])
            await self._guarded(batch[half:])

    async def _work(self, batch: Sequence[Pulled]) -> None:
        began = time.perf_counter()
        decoded = [decode(message.data, message.stream_seq) for message in batch]
        arrivals = [one for one in decoded if isinstance(one, Arrival)]
        persisted = await self._persist(arrivals, batch)
        self._meter.add(
            (arrival.tenant_id, len(arrival.message.body))
            for arrival, outcome in zip(arrivals, persisted.outcomes, strict=True)
            if isinstance(outcome, Stored)
        )
        metrics.PERSIST_SECONDS.observe(time.perf_counter() - began)
        await self._dispatcher.offer([Job(leased, cargo) for leased, cargo in persisted.leased])
        outcomes = iter(persisted.outcomes)
        results = [one if isinstance(one, Poison) else next(outcomes) for one in decoded]
        new = [
            arrival
            for arrival, outcome in zip(arrivals, persisted.outcomes, strict=True)
            if isinstance(outcome, Stored | Redelivered)
        ]
        await patiently("announce", lambda: announce(self._publisher, new))
        await self._finish(batch, results)

    async def _persist(self, arrivals: Sequence[Arrival], batch: Sequence[Pulled]) -> Persisted:
        more_time_at = time.monotonic() + MORE_TIME_EVERY_S

        async def ask_for_time() -> None:
            nonlocal more_time_at
            if time.monotonic() > more_time_at:
                more_time_at = time.monotonic() + MORE_TIME_EVERY_S
                await self._consumer.working(batch)

        return await patiently(
            "persist", lambda: self._persister.persist(arrivals), meanwhile=ask_for_time
        )

    async def _finish(
        self, batch: Sequence[Pulled], results: Sequence[Stored | Redelivered | Duplicate | Poison]
    ) -> None:
        """Acknowledge; what can never be stored is kept where an operator finds it."""
        done: list[Pulled] = []
        for message, result in zip(batch, results, strict=True):
            metrics.PERSIST_EVENTS.labels(type(result).__name__.lower()).inc()
            if isinstance(result, Poison):
                await self._bury(message, result)
            else:
                done.append(message)
        await patiently("ack", lambda: self._consumer.ack(done))

    async def _bury(self, message: Pulled, poison: Poison) -> None:
        log.error("poison", stream_seq=message.stream_seq, reason=poison.reason)

        async def bury() -> None:
            try:
                stored = self._publisher.publish(grave(message, poison, len(message.data)))
            except TooLarge:  # it filled a message by itself, and has no room for the reason
                stored = self._publisher.publish(grave(message, poison, len(message.data) // 2))
            await stored
            await self._consumer.end([message])

        await patiently("bury", bury)


def grave(message: Pulled, poison: Poison, kept: int) -> native.Message:
    """Return what POISON keeps of a message: its first bytes, its size, and what was wrong."""
    reason = poison.reason.encode("ascii", "replace").decode().replace("\r", " ")
    headers = [
        ("Nats-Msg-Id", f"ingest-{message.stream_seq}"),
        ("crossdock-reason", reason.replace("\n", " ")[:500]),
        ("crossdock-stream-seq", str(message.stream_seq)),
        ("crossdock-size", str(len(message.data))),
    ]
    return native.Message(subjects.POISONED_INGEST, message.data[:kept], headers)


async def give_back(consumer: Consumer) -> None:
    """Give back what was not fetched; a broker that is away will do that by itself."""
    try:
        await consumer.close()
    except BrokerUnavailable as error:
        log.warning("not_put_back", reason=str(error))
