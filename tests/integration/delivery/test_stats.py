"""What is counted of attempts: by workers in batches, by the hour, and forgotten in time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from crossdock import ids
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.stats import store
from crossdock.delivery.stats.model import Counts, Report
from crossdock.delivery.stats.service import Stats, forget_stats
from crossdock.errors import NotFound
from tests.beds.delivery import DeliveryBed, Receiver, failing_first, until

TWICE = RetryPolicy(delays_s=(0.05,))


async def counted(bed: DeliveryBed, tenant: UUID, destination: UUID, attempts: int) -> Report:
    """Return what is told of a destination, once so many attempts are."""

    async def are_there() -> Report | None:
        found = await Stats(bed.databases).of(tenant, destination, 24)
        return found if found.total.delivered + found.total.failed >= attempts else None

    found: Report = await until(are_there)
    return found


async def test_each_attempt_is_counted_once(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    good = (await bed.destination(tenant, receiver.url("/a", failing_first(1)))).destination.id
    bad = (await bed.destination(tenant, receiver.url("/b", 404), breaker="off")).destination.id
    async with bed.dispatching(policy=TWICE) as dispatcher:
        await dispatcher.offer(await bed.persist(*(bed.arrival(tenant) for _ in range(4))))

        async def is_over() -> bool:
            return "pending" not in await bed.states(tenant)

        await until(is_over)
        one = await counted(bed, tenant, good, 8)
        assert (one.total.delivered, one.total.failed, one.total.dead) == (4, 4, 0)
        assert sum(one.total.durations) == 8
        await dispatcher.offer(await bed.persist(bed.arrival(tenant)))
        await until(lambda: len(receiver.seen("/b")) == 10)
        await until(is_over)
    # The drain at the end of the block has written the rest: nothing is lost by stopping.
    two = await Stats(bed.databases).of(tenant, bad, 24)
    assert (two.total.delivered, two.total.failed, two.total.dead) == (0, 10, 5)
    assert [hour.counts.failed for hour in two.hours[:-2]] == [0] * 22
    assert (two.backlog.pending, two.backlog.oldest, two.backlog.next_due_at) == (0, None, None)


async def test_workers_counts_add_up(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    row = (tenant, key, hour)
    for counts in (
        Counts(dead=1),
        Counts(1, 2, 0, (1, 0, 2)),
        Counts(2, 0, 0, (0, 0, 0, 0, 2)),
        Counts(1, 0, 0, (1,)),
    ):
        async with bed.database.batch("dispatch", {tenant}) as conn:
            await store.add(conn, {row: counts})
    report = await Stats(bed.databases).of(tenant, key, 2)
    assert report.total == Counts(4, 2, 1, (2, 0, 2, 0, 2))


async def test_what_waits_is_told(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(3)))
    leased = (await Stats(bed.databases).of(tenant, key, 1)).backlog
    assert (leased.pending, leased.is_capped, leased.next_due_at) == (3, False, None)
    assert leased.oldest == min(job.leased.id for job in jobs)
    async with bed.database.queue() as conn:
        await conn.execute(
            "UPDATE crossdock.deliveries SET lease = NULL, due_at = now() + interval '1 hour'"
            " WHERE id = $1",
            jobs[0].leased.id,
        )
    waiting = (await Stats(bed.databases).of(tenant, key, 1)).backlog
    assert waiting.next_due_at is not None
    assert waiting.next_due_at > datetime.now(UTC) + timedelta(minutes=55)


async def test_it_is_forgotten_in_time_and_with_its_destination(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)

    async def rows() -> int:
        async with bed.database.batch("dispatch", {tenant}) as conn:
            found: int = await conn.fetchval("SELECT count(*) FROM crossdock.destination_stats")
        return found

    async with bed.database.batch("dispatch", {tenant}) as conn:
        old = [hour - timedelta(days=days) for days in (31, 32, 33)]
        await store.add(conn, {(tenant, key, moment): Counts(1) for moment in (hour, *old)})
    assert await rows() == 4
    assert await forget_stats(bed.database, batch=2) == 3
    assert await rows() == 1
    await bed.destinations.delete(tenant, key, None)
    assert await rows() == 0
    async with bed.database.batch("dispatch", {tenant}) as conn:
        await store.add(conn, {(tenant, key, hour): Counts(1)})
    assert await rows() == 0, "what a worker still had is not written for one that is gone"
    with pytest.raises(NotFound):
        await Stats(bed.databases).of(tenant, key, 1)
    with pytest.raises(NotFound):
        await Stats(bed.databases).of(tenant, ids.new(), 1)
