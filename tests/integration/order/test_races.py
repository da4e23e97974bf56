"""Who ends a delivery, who joins, and who adds one, all at the same moment."""

import asyncio
import time
from typing import Any

from crossdock import ids
from crossdock.delivery.dispatch import store as dispatching
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import Attempt, Leased
from crossdock.delivery.order import store
from tests.beds.delivery import Receiver, until
from tests.beds.ordering import OrderBed, numbers, over


async def claimed(bed: OrderBed, lease_s: float = 30.0) -> list[Leased]:
    """Claim what is due, as a worker that does nothing about it."""
    async with bed.database.queue() as conn:
        found = await dispatching.claim(
            conn,
            [((bed.tenant, bed.destination), 100)],
            lease=ids.new(),
            lease_s=lease_s,
            lease_ends=time.time() + lease_s,
        )
    return [leased for leased, _ in found.leased]


def delivered(leased: Leased) -> Settled:
    """Return the result of a delivery that arrived."""
    attempt = Attempt(ids.new(), leased.id, 1, 1, 204, None, [], b"")
    return Settled(leased, "delivered", 1, status=204, attempt=attempt)


async def end(conn: Any, bed: OrderBed, leased: Leased) -> None:
    """Do what a recorder does, inside a transaction of the test's."""
    await store.share(conn, {bed.tenant})
    await dispatching.settle(conn, [delivered(leased)])
    await store.promote_many(conn, {bed.line(leased.line or 0)})


async def waits_for_a_lane(bed: OrderBed) -> bool:
    """Tell whether anybody waits for a lane."""
    async with bed.database.queue() as conn:
        return bool(
            await conn.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
            )
        )


async def test_an_end_and_a_joining_at_once_strand_nobody(
    bed: OrderBed, receiver: Receiver
) -> None:
    """The end sees the old floor, the joiner sees the head under way: one has to see the other."""
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1])
    await bed.join()
    (leased,) = await claimed(bed)
    accepted = await bed.accept([1])
    (second,) = await bed.persist(accepted)
    async with bed.database.batch("dispatch", {bed.tenant}) as conn:
        await end(conn, bed, leased)
        await bed.ack(accepted)
        joining = asyncio.create_task(bed.join())
        await until(lambda: waits_for_a_lane(bed))
    await joining
    assert await bed.active() == [second]


async def test_a_joining_and_an_end_the_other_way_round(bed: OrderBed, receiver: Receiver) -> None:
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1])
    await bed.join()
    (leased,) = await claimed(bed)
    accepted = await bed.accept([1])
    (second,) = await bed.persist(accepted)
    await bed.ack(accepted)

    async def finish() -> None:
        async with bed.database.batch("dispatch", {bed.tenant}) as conn:
            await end(conn, bed, leased)

    async with bed.database.queue() as conn:
        await store.hold_lanes(conn)
        ending = asyncio.create_task(finish())
        await until(lambda: waits_for_a_lane(bed))
        joined = await store.joining(conn, accepted[-1].pulled.stream_seq, 10, 10)
        await store.raise_floor(conn, joined.floor)
        await store.enter(conn, joined.lines)
        assert await store.promote_many(conn, joined.lines) == set(), "the head is under way"
    await ending
    assert await bed.active() == [second]


async def test_an_end_and_an_addition_at_once_strand_nobody(
    bed: OrderBed, receiver: Receiver
) -> None:
    """A replay adds to a line whose last one ends just now: neither sees the other's row."""
    await bed.open(receiver.url("/ok"))
    await bed.arrive([1])
    await bed.join()
    (leased,) = await claimed(bed)

    async def add() -> None:
        async with bed.database.tenant(bed.tenant) as conn:
            await store.hold(conn, bed.tenant)
            await conn.exec_driver_sql(
                "INSERT INTO crossdock.deliveries"
                " (tenant_id, id, event_id, destination_id, due_at, line, order_seq)"
                " SELECT tenant_id, $1, event_id, destination_id, 'infinity', line, order_seq"
                " FROM crossdock.deliveries WHERE id = $2",
                (ids.new(), leased.id),
            )
            await store.promote(conn, {bed.line(1)})

    async with bed.database.batch("dispatch", {bed.tenant}) as conn:
        await end(conn, bed, leased)
        adding = asyncio.create_task(add())
        await until(lambda: waits_for_a_lane(bed))
    await adding
    (made,) = await bed.rows("state = 'pending'")
    assert await bed.active() == [made["id"]]


async def test_an_older_one_that_is_added_waits_for_the_one_under_way(
    bed: OrderBed, receiver: Receiver
) -> None:
    """A line never has two under way; then the older goes before all that wait."""
    await bed.open(receiver.url("/ok"))
    older, younger, _ = await bed.arrive([1, 1, 1])
    await bed.join()
    (leased,) = await claimed(bed)
    async with bed.database.batch("dispatch", {bed.tenant}) as conn:
        await end(conn, bed, leased)
    assert await bed.active() == [younger]
    await claimed(bed)
    async with bed.database.tenant(bed.tenant) as conn:
        await store.hold(conn, bed.tenant)
        await conn.exec_driver_sql(
            "UPDATE crossdock.deliveries SET state = 'pending', due_at = 'infinity', lease = NULL"
            " WHERE id = $1",
            (older,),
        )
        assert await store.promote(conn, {bed.line(1)}) == set()
    assert await bed.active() == [younger]
    async with bed.database.queue() as conn:
        await conn.execute(
            "UPDATE crossdock.deliveries SET state = 'delivered' WHERE id = $1", younger
        )
    await bed.promote(1)
    assert await bed.active() == [older]


async def test_a_worker_killed_between_record_and_promotion_undoes_both(
    bed: OrderBed, receiver: Receiver
) -> None:
    """They are one transaction: the next worker repeats the head, and then goes on."""
    await bed.open(receiver.url("/ok"))
    _, second = await bed.arrive([1, 1])
    async with bed.database.session("dispatch") as blocker:
        transaction = blocker.transaction()
        await transaction.start()
        # The next in line is held: whoever promotes it has recorded the head, and can't go on.
        await blocker.execute("SELECT FROM crossdock.deliveries WHERE id = $1 FOR UPDATE", second)
        async with bed.deliveries.dispatching(lease_s=8.0) as dispatcher:
            await bed.join()
            await until(lambda: receiver.calls)

            async def is_waiting() -> bool:
                return bool(
                    await blocker.fetchval(
                        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted"
                        " AND locktype = 'transactionid')"
                    )
                )

            await until(is_waiting)
            assert dispatcher.recorder.written == 0
            for task in asyncio.all_tasks():
                if "Recorder.run" in repr(task.get_coro()):
                    task.cancel()
        await transaction.rollback()
    assert {row["state"] for row in await bed.rows()} == {"pending"}
    async with bed.database.queue() as conn:
        await conn.execute(
            "UPDATE crossdock.deliveries SET due_at = now() WHERE id <> $1 AND tenant_id = $2",
            second,
            bed.tenant,
        )
    async with bed.working():
        await over(bed)
    assert numbers(receiver.calls)[1] == [0, 0, 1]


async def test_a_lease_that_ends_is_taken_over_and_the_line_keeps_waiting(
    bed: OrderBed, receiver: Receiver
) -> None:
    await bed.open(receiver.url("/ok"))
    first, _ = await bed.arrive([1, 1])
    await bed.join()
    (slow,) = await claimed(bed, lease_s=0.2)
    async with bed.working() as ((dispatcher, _),):
        await over(bed)
        assert dispatcher.recorder.fenced == 0
    assert numbers(receiver.calls)[1] == [0, 1]
    async with bed.database.batch("dispatch", {bed.tenant}) as conn:
        assert await dispatching.settle(conn, [delivered(slow)]) == set(), "it is fenced"
    assert (slow.id, slow.line) == (first, 1)
