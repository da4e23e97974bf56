"""Room is bounded, and nobody takes it all: no destination, no tenant, no backlog."""

import asyncio
import time
from uuid import UUID

from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.dispatch.lines import Caps
from tests.beds.delivery import DeliveryBed, Receiver, event_ids, hanging, until


async def are_delivered(bed: DeliveryBed, tenant: UUID, count: int) -> bool:
    return await bed.states(tenant) == ["delivered"] * count


async def test_a_hanging_destination_does_not_stop_the_others(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    caps = Caps(total=16, tenant=16, destination=4, waiting=16)
    slow, quick = await bed.tenant(), await bed.tenant()
    await bed.destination(slow, receiver.url("/hang", hanging))
    await bed.destination(quick, receiver.url("/quick"))
    flood = await bed.persist(*(bed.arrival(slow) for _ in range(300)))
    await bed.make_due(flood)
    async with bed.dispatching(caps=caps, timeout_s=20) as dispatcher:
        await until(lambda: len(receiver.seen("/hang")) == 4)
        latencies = []
        for _ in range(20):
            jobs = await bed.persist(bed.arrival(quick))
            started = time.monotonic()
            await dispatcher.offer(jobs)
            (event_id,) = event_ids(jobs)
            await until(lambda one=event_id: receiver.by_id[one])  # type: ignore[misc]
            latencies.append(time.monotonic() - started)
        assert sorted(latencies)[-2] < 0.5
        assert dispatcher.waiting <= 7, "it holds a third of the room; the rest is in the database"
        backlog = await bed.persist(*(bed.arrival(quick) for _ in range(50)))
        await bed.make_due(backlog)
        await until(lambda: all(receiver.by_id[one] for one in event_ids(backlog)))
    assert len(receiver.seen("/hang")) == 4


async def test_one_tenant_with_many_destinations_does_not_stop_the_others(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    caps = Caps(total=16, tenant=8, destination=4, waiting=16)
    slow, quick = await bed.tenant(), await bed.tenant()
    for n in range(6):
        await bed.destination(slow, receiver.url(f"/hang{n}", hanging))
    await bed.destination(quick, receiver.url("/quick"))
    await bed.make_due(await bed.persist(*(bed.arrival(slow) for _ in range(50))))
    async with bed.dispatching(caps=caps, timeout_s=20):
        await until(lambda: len(receiver.calls) == 8)
        jobs = await bed.persist(*(bed.arrival(quick) for _ in range(40)))
        await bed.make_due(jobs)
        await until(lambda: len(receiver.seen("/quick")) == 40)
    assert len(receiver.calls) == 48


async def test_a_destination_that_cannot_be_reached_is_left_alone(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    closed = receiver.url("/x").replace("127.0.0.1", "127.0.0.2")
    await bed.destination(tenant, closed)
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(100))))
    async with bed.dispatching(policy=RetryPolicy(delays_s=(60.0,))):

        async def attempts() -> int:
            return sum(one.delivery.attempts for one in await bed.all_of(tenant))

        await until(attempts)
        await asyncio.sleep(0.5)
        made = await attempts()
    assert 5 <= made <= 16, "the breaker opened; the rest was not attempted, and is not counted"
    assert set(await bed.states(tenant)) == {"pending"}


async def test_memory_holds_no_more_than_its_share_of_a_backlog(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    caps = Caps(total=4, tenant=4, destination=2, waiting=4)
    tenants = [await bed.tenant() for _ in range(3)]
    for one in tenants:
        await bed.destination(one, receiver.url(f"/{one}"))
    arrivals = [bed.arrival(one) for one in tenants for _ in range(60)]
    jobs = await bed.persist(*arrivals)
    most = 0
    async with bed.dispatching(caps=caps) as dispatcher:
        await dispatcher.offer(jobs)
        while len(receiver.calls) < 180:
            most = max(most, dispatcher.flying + dispatcher.waiting)
            await asyncio.sleep(0)
        for one in tenants:
            await until(lambda one=one: are_delivered(bed, one, 60))  # type: ignore[misc]
    assert most <= 8
    assert len(receiver.calls) == 180, "each of them once"


async def test_large_bodies_are_held_by_their_bytes(bed: DeliveryBed, receiver: Receiver) -> None:
    size, limit = 200_000, 2_000_000
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    jobs = await bed.persist(*(bed.arrival(tenant, b"x" * size) for _ in range(60)))
    most = 0
    caps = Caps(total=64, tenant=64, destination=64, waiting=64)
    async with bed.dispatching(caps=caps, held_bytes=limit) as dispatcher:
        await dispatcher.offer(jobs)
        while len(receiver.calls) < 60:
            most = max(most, dispatcher.held_bytes)
            await asyncio.sleep(0)
        await until(lambda: are_delivered(bed, tenant, 60))
        assert dispatcher.held_bytes == 0
    assert 0 < most < limit + size, "what is above it went back to the database, and came again"
