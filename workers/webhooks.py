"""The role `webhooks`: from INGEST to PostgreSQL, and on to the dispatcher and to EVENTS.

A batch is acknowledged when all of that is done. A crash anywhere before brings it again, and then
the ledger knows it: stored once, delivered from its rows, announced under the same id. Bodies too
large for a message are fetched before, and removed after it (`workers.claims`). Who is persisted
with whom, and when, is decided by `workers.intake`.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from crossdock import native
from crossdock.bus.clearing import Clearing
from crossdock.bus.consumer import Consumer, Pulled
from crossdock.bus.publisher import Publisher
from crossdock.delivery.dispatch.dispatcher import Dispatcher, Job
from crossdock.errors import BrokerUnavailable, TooLarge
from crossdock.inbound.persist import (
    Arrival,
    Outcome,
    Persister,
    Poison,
    Stored,
    decode,
)
from crossdock.telemetry import metrics
from crossdock.tenancy.quotas import Meter
from proto import subjects
from workers.announce import Announcer
from workers.claims import Claims, Fetched
from workers.errors import patiently
from workers.intake import Decoded, Intake, Lane

FETCH_WITHIN_S: Final = 1.0
MORE_TIME_EVERY_S: Final = 5.0
"""Well below the consumer's ack wait."""
BREAKS: Final = 5
"""How often a message that breaks the code is handed out before it is set aside."""
LANES: Final[tuple[Lane, ...]] = ("light", "any", "heavy")
"""Batches under way: one is announced while another is in the database."""

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
        claims: Claims,
        announcer: Announcer,
        on_waiting: Callable[[], None] = lambda: None,
        on_done: Callable[[], None] = lambda: None,
    ) -> None:
        """Say with what.

        Args:
            consumer: of INGEST.
            persister: stores.
            dispatcher: takes over what it leased.
            publisher: publishes what is poison.
            meter: counts usage.
            batch_size: messages at once.
            claims: fetches bodies too large for a message.
            announcer: tells internal consumers.
            on_waiting: called when messages are acknowledged of which some deliveries are stored
                that nobody may attempt yet: they may join their lines by that.
            on_done: called when messages are acknowledged or ended: INGEST may forget them.
        """
        self._on_waiting = on_waiting
        self._on_done = on_done
        self._consumer = consumer
        self._persister = persister
        self._dispatcher = dispatcher
        self._publisher = publisher
        self._meter = meter
        self._batch_size = batch_size
        self._intake = Intake(batch_size)
        self._claims = claims
        self._announcer = announcer
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop`, then finish the batches under way."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._fetch_forever())
                for lane in LANES:
                    tasks.create_task(self._work_forever(lane))
        finally:
            with suppress(BrokerUnavailable):  # it hands them out again by itself, only later
                await self._consumer.put_back(self._intake.left())

    def stop(self) -> None:
        """Fetch no more, and begin nothing that was fetched."""
        self._stopping = True
        self._intake.close()

    async def _fetch_forever(self) -> None:
        while not self._stopping:
            await self._intake.room()
            pulled = await patiently("fetch", self._fetch)
            self._intake.add((one, decode(one.data, one.stream_seq)) for one in pulled)

    async def _fetch(self) -> list[Pulled]:
        if self._stopping:
            return []
        return await self._consumer.fetch(self._batch_size, within_s=FETCH_WITHIN_S)

    async def _work_forever(self, lane: Lane) -> None:
        while (batch := await self._intake.take(lane)) is not None:
            try:
                await self._guarded(batch.messages)
            finally:
                self._intake.done(batch)

    async def _guarded(self, batch: Sequence[Decoded]) -> None:
        """Work on a batch; what nobody foresaw must not end the worker, nor hold up the rest.

        A batch that breaks is halved until what breaks is alone. To do part of it twice does no
        harm: what was stored before is known by its id. Alone, it is left for another try, by
        whichever worker, and set aside after so many.
        """
        try:
            await self._work(batch)
        except asyncio.CancelledError:
            with suppress(BrokerUnavailable):  # it hands them out again by itself, only later
                await self._consumer.put_back(pulled for pulled, _ in batch)
            raise
        except Exception as error:
            if len(batch) == 1:
                # Left as it is: the broker hands it out again after the ack wait, and not sooner.
                pulled, _ = batch[0]
                log.exception("message_broke", stream_seq=pulled.stream_seq)
                if pulled.deliveries >= BREAKS:
                    await self._bury(pulled, Poison(f"it broke the code: {error!r}"))
                return
            log.warning("batch_halved", messages=len(batch), reason=repr(error))
        else:
            return
        # Not while that error is handled: each half would hang it onto its own, and log them all.
        half = len(batch) // 2
        await self._guarded(batch[:half])
        await self._guarded(batch[half:])

    async def _work(self, batch: Sequence[Decoded]) -> None:
        """Store what is at hand, then what is to be fetched, part by part."""
        leave = _Leave(self._consumer, [pulled for pulled, _ in batch])
        claimed = [
            (pulled, one) for pulled, one in batch if isinstance(one, Arrival) and one.message.claim
        ]
        if not claimed:
            await self._store(batch, leave)
            return
        elsewhere = {pulled.stream_seq for pulled, _ in claimed}
        at_hand = [pair for pair in batch if pair[0].stream_seq not in elsewhere]
        if at_hand:
            await self._store(at_hand, leave)
        async for part in self._claims.parts(claimed, leave.extend):
            gone = [one for one in part if one.is_gone]
            if gone:
                await self._recall(gone, leave)
            if len(gone) < len(part):
                there = [(one.pulled, one.arrival) for one in part if not one.is_gone]
                await self._store(there, leave)

    async def _store(self, part: Sequence[Decoded], leave: "_Leave") -> None:
        """Do all there is to do about messages whose bodies are at hand."""
        began = time.perf_counter()
        arrivals = [one for _, one in part if isinstance(one, Arrival)]
        persisted = await patiently(
            "persist", lambda: self._persister.persist(arrivals), meanwhile=leave.extend
        )
        self._intake.learn({one.tenant_id for one in arrivals}, persisted.judging_s)
        self._meter.add(
            (arrival.tenant_id, len(arrival.message.body))
            for arrival, outcome in zip(arrivals, persisted.outcomes, strict=True)
            if isinstance(outcome, Stored)
        )
        metrics.PERSIST_SECONDS.observe(time.perf_counter() - began)
        await self._dispatcher.offer([Job(leased, cargo) for leased, cargo in persisted.leased])
        self._dispatcher.expect(persisted.due)
        await patiently("announce", lambda: self._announcer.arrived(persisted.announced))
        outcomes = iter(persisted.outcomes)
        results = [one if isinstance(one, Poison) else next(outcomes) for _, one in part]
        await self._finish([message for message, _ in part], results, leave)
        if persisted.waiting:
            self._on_waiting()
        # Only now: until its message is acknowledged, a body may be needed again.
        done = zip(arrivals, persisted.outcomes, strict=True)
        await self._claims.forget(
            [one for one, outcome in done if one.message.claim and not isinstance(outcome, Poison)]
        )

    async def _recall(self, gone: Sequence[Fetched], leave: "_Leave") -> None:
        """Finish with messages whose bodies are gone: they were stored and announced before."""
        arrivals = [one.arrival for one in gone]
        results = await patiently(
            "persist", lambda: self._persister.recall(arrivals), meanwhile=leave.extend
        )
        await self._finish([one.pulled for one in gone], results, leave)

    async def _finish(
        self, batch: Sequence[Pulled], results: Sequence[Outcome], leave: "_Leave"
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
        self._on_done()
        leave.end(batch)

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
        self._on_done()


class _Leave:
    """The time that the broker gives for a batch: more of it, as long as somebody is at it."""

    def __init__(self, consumer: Consumer, batch: Sequence[Pulled]) -> None:
        self._consumer = consumer
        self._left = {message.stream_seq: message for message in batch}
        self._due_at = time.monotonic() + MORE_TIME_EVERY_S

    async def extend(self) -> None:
        """Ask for more time, if it is time to, for what is not done with."""
        if time.monotonic() > self._due_at:
            self._due_at = time.monotonic() + MORE_TIME_EVERY_S
            await self._consumer.working(self._left.values())

    def end(self, messages: Iterable[Pulled]) -> None:
        """Ask no more for these."""
        for message in messages:
            self._left.pop(message.stream_seq, None)


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


async def clear_up(clearing: Clearing) -> None:
    """Clear what was done with last; a broker that is away keeps it for the next worker."""
    try:
        await clearing.clear()
    except BrokerUnavailable as error:
        log.warning("not_cleared", reason=str(error))
