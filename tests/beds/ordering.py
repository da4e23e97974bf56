"""Lines of ordered deliveries, with a real broker to say how far persisting has come.

An event is accepted (published into INGEST), persisted and acknowledged in steps of their own, in
whatever order a test wants: so it is where several workers persist at once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from crossdock import ids
from crossdock.bus import Bus
from crossdock.bus.consumer import Consumer, Pulled
from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.delivery.destinations.model import Hold
from crossdock.delivery.model import Delivery
from crossdock.delivery.order import store
from crossdock.delivery.order.model import Line
from crossdock.delivery.order.service import Joiner
from crossdock.delivery.order.store import Key
from crossdock.inbound.persist import Arrival, decode
from crossdock.inbound.persist import store as persisting
from crossdock.inbound.persist.model import Lease, Planned
from proto import subjects
from tests.beds.delivery import Behaviour, Call, DeliveryBed, Receiver, until
from tests.beds.worker import Ingest

ROOM: Final = 5000
AT_ONCE: Final = 500
_ROWS: Final = """
SELECT id, line, order_seq, state, reason, due_at = 'infinity' AS blocked,
    lease IS NOT NULL AS leased
FROM crossdock.deliveries WHERE tenant_id = $1 AND destination_id = $2
"""


class Accepted(msgspec.Struct, frozen=True):
    """An event that the broker has, and nobody has persisted."""

    pulled: Pulled
    arrival: Arrival
    line: int | None


class OrderBed:
    """One tenant's ordered destination, and what is on its way there."""

    def __init__(self, settings: Settings, databases: Databases, ingest: Ingest) -> None:
        self.deliveries = DeliveryBed(databases, settings)
        self.database = self.deliveries.database
        self.ingest = ingest
        self.consumer = Consumer(
            ingest.bus, subjects.INGEST_STREAM, subjects.persist_consumer(0), room=ROOM
        )
        self.due: list[Key] = []
        self.tenant = UUID(int=0)
        self.destination = UUID(int=0)

    async def open(self, url: str, hold: Hold = "until_dead", **options: Any) -> None:
        """Make a tenant with an ordered destination."""
        self.tenant = await self.deliveries.tenant()
        made = await self.deliveries.destination(self.tenant, url, **options)
        self.destination = made.destination.id
        await self.hold_until(hold)

    async def leave_nothing(self) -> None:
        """End what a test left waiting: the next one's workers would take it up."""
        async with self.database.queue() as conn:
            await conn.execute(
                "UPDATE crossdock.deliveries SET state = 'cancelled' WHERE state = 'pending'"
            )
        await self.ingest.jetstream.purge_stream(subjects.INGEST_STREAM)

    async def hold_until(self, hold: Hold) -> None:
        """Set what a dead letter does to its line."""
        async with self.database.tenant(self.tenant) as conn:
            await conn.exec_driver_sql(
                "UPDATE crossdock.destinations SET order_by = 'source', order_hold = $1"
                " WHERE id = $2",
                (hold, self.destination),
            )

    async def accept(self, lines: Iterable[int | None]) -> list[Accepted]:
        """Accept an event for each; its body tells its line and its number in all."""
        wanted = list(lines)
        made = [
            self.deliveries.arrival(self.tenant, b"%d %d" % (-1 if line is None else line, at))
            for at, line in enumerate(wanted)
        ]
        for at in range(0, len(made), AT_ONCE):
            some = made[at : at + AT_ONCE]
            await asyncio.gather(*(self.ingest.accept(arrival.message) for arrival in some))
        pulled: list[Pulled] = []
        while len(pulled) < len(made):
            pulled += await self.consumer.fetch(len(made) - len(pulled), within_s=5)
        found = []
        for message in pulled:
            arrival = decode(message.data, message.stream_seq)
            assert isinstance(arrival, Arrival)
            line = int(arrival.message.body.split()[0])
            found.append(Accepted(message, arrival, None if line < 0 else line))
        return found

    async def persist(self, accepted: Collection[Accepted]) -> list[UUID]:
        """Store events and their deliveries as a worker does; return the deliveries' ids."""
        planned = [
            Planned(
                _beside(one.arrival.event_id),
                one.arrival,
                self.destination,
                is_open=True,
                is_leased=True,
                line=one.line,
            )
            for one in accepted
        ]
        async with self.database.batch("ingest", {self.tenant}) as conn:
            lease = Lease(ids.new(), 0.0, 0.0)
            await persisting.add_new(conn, [one.arrival for one in accepted], planned, lease)
        return [one.id for one in planned]

    async def ack(self, accepted: Collection[Accepted]) -> None:
        """Acknowledge events, and wait until the broker knows."""
        await self.consumer.ack([one.pulled for one in accepted])
        await self.ingest.bus.round_trip()

    async def arrive(self, lines: Iterable[int | None]) -> list[UUID]:
        """Accept, persist and acknowledge; return the deliveries' ids."""
        accepted = await self.accept(lines)
        made = await self.persist(accepted)
        await self.ack(accepted)
        return made

    def joiner(
        self, on_due: Callable[[Collection[Key]], None] | None = None, bus: Bus | None = None
    ) -> Joiner:
        """Return a joiner that is not running, and whose sweeps are asked for."""
        bus = bus or self.ingest.bus
        return Joiner(self.database, bus, on_due=on_due or self.due.extend, sweep_s=3600.0)

    async def join(self) -> None:
        """Let in all that may."""
        joiner = self.joiner()
        while await joiner.join() == 0:
            pass

    def line(self, number: int) -> Line:
        """Return the name of a line."""
        return self.tenant, self.destination, number

    async def rows(self, where: str = "true", *arguments: Any) -> list[Any]:
        """Return this destination's deliveries in the order of the lines."""
        async with self.database.queue() as conn:
            found: list[Any] = await conn.fetch(
                f"{_ROWS} AND {where} ORDER BY line, order_seq, id",
                self.tenant,
                self.destination,
                *arguments,
            )
        return found

    async def shown(self, delivery_id: UUID) -> Delivery:
        """Return a delivery as its owner sees it."""
        return (await self.deliveries.deliveries.get(self.tenant, delivery_id)).delivery

    async def active(self) -> list[UUID]:
        """Return what is under way, or due some time."""
        return [row["id"] for row in await self.rows("state = 'pending' AND due_at < 'infinity'")]

    async def promote(self, *lines: int) -> set[Key]:
        """Promote as a request of the tenant does."""
        async with self.database.tenant(self.tenant) as conn:
            await store.hold(conn, self.tenant)
            return await store.promote(conn, {self.line(one) for one in lines})

    async def is_over(self) -> bool:
        """Tell whether nothing is pending."""
        return not await self.rows("state = 'pending'")

    @asynccontextmanager
    async def working(self, workers: int = 1, **options: Any) -> AsyncIterator[list[Any]]:
        """Run so many workers' dispatchers and joiners."""
        running: list[asyncio.Task[None]] = []
        dispatchers: list[Any] = []
        async with _all(self.deliveries.dispatching(**options) for _ in range(workers)) as opened:
            for dispatcher in opened:
                joiner = self.joiner(dispatcher.expect)
                running.append(asyncio.create_task(joiner.run()))
                dispatchers.append((dispatcher, joiner))
            try:
                yield dispatchers
            finally:
                for task in running:
                    task.cancel()
                await asyncio.wait(running)


@asynccontextmanager
async def _all(contexts: Iterable[Any]) -> AsyncIterator[list[Any]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(one) for one in contexts]


def _beside(event_id: UUID) -> UUID:
    """Return a delivery's id: the upper half is its event's."""
    return UUID(int=event_id.int >> 64 << 64 | ids.new().int & (1 << 64) - 1 | 1 << 63)


def numbers(calls: Iterable[Call]) -> dict[int, list[int]]:
    """Return what a receiver saw, by line: each event's number, in the order of its calls."""
    found: dict[int, list[int]] = {}
    for call in calls:
        line, number = map(int, call.body.split())
        found.setdefault(line, []).append(number)
    return found


def without_repeats(seen: list[int]) -> list[int]:
    """Return a line's events in the order in which they were first seen."""
    return list(dict.fromkeys(seen))


async def over(bed: OrderBed, within_s: float = 60.0) -> None:
    """Wait until nothing is pending."""
    await until(bed.is_over, within_s=within_s)


def slow(seconds: float) -> Behaviour:
    """Answer after so long."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(seconds)
        return web.Response(status=204)

    return answer


__all__ = ["Accepted", "OrderBed", "Receiver", "numbers", "over", "slow", "without_repeats"]
