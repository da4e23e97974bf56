"""Leases: a worker that dies or stalls neither loses a delivery nor overwrites another's result."""

import asyncio
import time
from contextlib import suppress
from uuid import UUID

from aiohttp import web

from crossdock import ids
from crossdock.delivery.dispatch import store
from crossdock.delivery.dispatch.dispatcher import Job
from crossdock.delivery.dispatch.recorder import Outcome, Recorder
from crossdock.delivery.dispatch.store import Settled
from crossdock.delivery.model import Attempt, Leased
from tests.beds.delivery import DeliveryBed, Receiver, until


async def claim(bed: DeliveryBed, tenant: UUID, destination: UUID, quota: int = 10) -> list[Leased]:
    async with bed.database.queue() as conn:
        found = await store.claim(
            conn,
            [((tenant, destination), quota)],
            lease=ids.new(),
            lease_s=30,
            lease_ends=time.time() + 30,
        )
    return [leased for leased, _ in found.leased]


def delivered(leased: Leased, error: str | None = None) -> Outcome:
    number = leased.attempts + 1
    attempt = Attempt(ids.new(), leased.id, number, 1, 200, error, [], b"")
    settled = Settled(leased, "delivered", number, status=200, error=error, attempt=attempt)
    return Outcome(settled)


async def record(bed: DeliveryBed, *outcomes: Outcome) -> Recorder:
    recorder = Recorder(bed.database)
    for outcome in outcomes:
        recorder.add(outcome)
    running = asyncio.create_task(recorder.run())
    await recorder.flushed()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return recorder


async def test_a_claim_takes_the_oldest_and_nobody_takes_them_again(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(5)))
    assert await claim(bed, tenant, made.destination.id) == [], "they are leased"
    await bed.make_due(jobs)
    first = await claim(bed, tenant, made.destination.id, 3)
    second = await claim(bed, tenant, made.destination.id, 3)
    assert (len(first), len(second)) == (3, 2)
    assert not {one.id for one in first} & {one.id for one in second}


async def test_claims_at_the_same_moment_do_not_wait_for_each_other(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    await bed.make_due(await bed.persist(*(bed.arrival(tenant) for _ in range(40))))
    found = await asyncio.gather(*(claim(bed, tenant, made.destination.id, 10) for _ in range(4)))
    claimed = [one.id for some in found for one in some]
    assert len(claimed) == len(set(claimed)) == 40


async def test_a_result_under_a_lease_that_was_taken_over_is_dropped(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    (job,) = jobs = await bed.persist(bed.arrival(tenant))
    await bed.make_due(jobs)
    (taken,) = await claim(bed, tenant, made.destination.id)
    stale = await record(bed, delivered(job.leased))
    assert stale.fenced == 1
    assert await bed.states(tenant) == ["pending"]
    fresh = await record(bed, delivered(taken))
    assert fresh.fenced == 0
    (found,) = await bed.all_of(tenant)
    assert (found.delivery.state, len(found.attempts)) == ("delivered", 1)
    again = await record(bed, delivered(taken))
    assert again.fenced == 1, "what is finished stays as it is"


async def test_a_result_that_can_not_be_stored_is_written_without_its_words(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """Nothing of the kind is known to come through; if it does, it must not hold up the others."""
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(6)))
    outcomes = [delivered(job.leased) for job in jobs]
    outcomes[3] = delivered(jobs[3].leased, error="a NUL \x00 and a surrogate \udc80")
    recorder = await record(bed, *outcomes)
    assert recorder.written == 6
    assert await bed.states(tenant) == ["delivered"] * 6
    errors = [one.attempts[0].error for one in await bed.all_of(tenant)]
    assert errors.count(None) == 5
    assert "internal: the answer could not be recorded" in errors


async def test_a_lease_that_was_taken_over_can_not_be_given_back(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    (job,) = jobs = await bed.persist(bed.arrival(tenant))
    await bed.make_due(jobs)
    await claim(bed, tenant, made.destination.id)
    async with bed.database.batch("dispatch", [tenant]) as conn:
        await store.release(conn, [(job.leased, 0.0)])
    assert await claim(bed, tenant, made.destination.id) == []


async def test_a_lease_that_ends_makes_the_delivery_due_by_itself(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """A worker claims and dies: nobody says so, and another attempts it once the lease is over."""
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/ok"))
    await bed.make_due(await bed.persist(bed.arrival(tenant)))
    async with bed.database.queue() as conn:
        key = (tenant, made.destination.id)
        ends = time.time() + 0.5
        await store.claim(conn, [(key, 1)], lease=ids.new(), lease_s=0.5, lease_ends=ends)
    async with bed.dispatching():
        (call,) = await until(lambda: receiver.calls)
    assert time.time() >= ends
    assert call.headers["webhook-id"]


async def test_an_attempt_that_could_outlive_its_lease_is_not_begun(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/ok"))
    (job,) = await bed.persist(bed.arrival(tenant))
    late = Job(
        Leased(
            tenant_id=tenant,
            id=job.leased.id,
            event_id=job.leased.event_id,
            destination_id=job.leased.destination_id,
            attempts=0,
            lease=job.leased.lease,
            lease_ends=time.time() + 1,
        ),
        job.cargo,
    )
    async with bed.dispatching(timeout_s=5) as dispatcher:
        await dispatcher.offer([late])
        await until(lambda: receiver.calls)
        await dispatcher.recorder.flushed()
    (found,) = await bed.all_of(tenant)
    assert found.delivery.attempts == 1, "it was given back, claimed anew, and made once"
    assert len(receiver.calls) == 1


async def test_a_drain_gives_back_what_waits_and_finishes_what_flies(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    go = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await go.wait()
        return web.Response()

    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/wait", wait))
    jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(14)))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(jobs)
        await until(lambda: len(receiver.calls) == 8)
        asyncio.get_running_loop().call_later(0.1, go.set)
        assert await dispatcher.drain(5.0)
        assert (dispatcher.flying, dispatcher.waiting) == (0, 0)
    states = await bed.states(tenant)
    assert (states.count("delivered"), states.count("pending")) == (8, 6)
    assert len(await claim(bed, tenant, made.destination.id)) == 6, "due now, not when leases end"


async def test_a_drain_that_must_not_wait_leaves_the_rest_to_the_leases(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/hang", hang))
    jobs = await bed.persist(bed.arrival(tenant))
    async with bed.dispatching() as dispatcher:
        await dispatcher.offer(jobs)
        await until(lambda: receiver.calls)
        assert not await dispatcher.drain(0.05)
    assert await bed.states(tenant) == ["pending"]


async def test_a_round_finds_every_destination_whatever_their_number(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = [await bed.destination(tenant, receiver.url("/ok")) for _ in range(25)]
    await bed.make_due(await bed.persist(bed.arrival(tenant)))
    found: list[UUID] = []
    after = (tenant, UUID(int=0))
    async with bed.database.queue() as conn:
        while page := await store.heads(conn, after, 10):
            assert all(due_in_s <= 0 for (owner, _), due_in_s in page if owner == tenant)
            found += [destination for (owner, destination), _ in page if owner == tenant]
            after = page[-1][0]
    assert sorted(found) == sorted(one.destination.id for one in made)
