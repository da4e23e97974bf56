"""An event's story: each step, each attempt, what comes next; and why nobody got it."""

from uuid import UUID

import pytest
from msgspec.structs import replace

from crossdock import ids
from crossdock.delivery.destinations.model import RetryPolicy
from crossdock.delivery.timeline import Timelines
from crossdock.delivery.timeline import service as limits
from crossdock.delivery.timeline.model import Timeline
from crossdock.errors import NotFound
from crossdock.inbound.events.service import Events
from tests.beds.delivery import DeliveryBed, Receiver, failing_first, until

LATER = RetryPolicy(delays_s=(3600.0,))


async def told(bed: DeliveryBed, tenant: UUID, event_id: UUID) -> Timeline:
    """Return an event's timeline."""
    return await Timelines(bed.databases, Events(bed.databases)).get(tenant, event_id)


def types(timeline: Timeline, destination: UUID | None = None) -> list[str]:
    """Return what happened: to the event itself, or at one destination."""
    return [one.type for one in timeline.entries if one.destination_id == destination]


async def test_each_step_is_told_in_the_order_of_time(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    good = (await bed.destination(tenant, receiver.url("/a", failing_first(1)))).destination.id
    bad = (await bed.destination(tenant, receiver.url("/b", 500), retry=LATER)).destination.id
    final = RetryPolicy(final_statuses=(404,))
    dead = (await bed.destination(tenant, receiver.url("/c", 404), retry=final)).destination.id
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant, b'{"a": 1}'))
        event = jobs[0].leased.event_id
        under_way = await told(bed, tenant, event)
        assert types(under_way, good) == ["matched", "under_way"]
        await dispatcher.offer(jobs)

        async def is_over() -> bool:
            states = sorted(await bed.states(tenant))
            return states == ["dead", "delivered", "pending"]

        await until(is_over)
    found = await told(bed, tenant, event)
    assert (found.event_id, found.matched, found.unmatched) == (event, 3, [])
    assert not found.is_capped
    assert types(found) == ["received", "stored"]
    assert types(found, good) == ["matched", "attempt", "attempt", "delivered"]
    assert types(found, bad) == ["matched", "attempt", "next_attempt"]
    assert types(found, dead) == ["matched", "attempt", "dead"]
    moments = [one.at for one in found.entries if one.at is not None]
    assert moments == sorted(moments)
    last = found.entries[-1]
    assert (last.type, last.destination_id) == ("next_attempt", bad)
    ended = next(one for one in found.entries if one.type == "dead")
    assert ended.detail == "rejected"
    attempt = next(one.attempt for one in found.entries if one.attempt and one.attempt.number == 2)
    assert attempt.status == 204
    names = {name for name, _ in attempt.request_headers}
    assert {"webhook-id", "webhook-signature", "content-type"} <= names


async def test_an_event_that_matched_nothing_says_so_and_why(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    url = receiver.url("/x")
    by_type = (await bed.destination(tenant, url, event_types=("other",))).destination.id
    by_filter = (await bed.destination(tenant, url, filter="payload.n > 5")).destination.id
    broken = (await bed.destination(tenant, url, filter="payload.n.m > 5")).destination.id
    off = (await bed.destination(tenant, url)).destination.id
    await bed.destinations.switch(tenant, off, "disabled")
    arrival = bed.arrival(tenant, b'{"n": 1}')
    assert await bed.persist(arrival) == []
    now = (await bed.destination(tenant, url)).destination.id
    found = await told(bed, tenant, arrival.event_id)
    assert types(found) == ["received", "stored", "unmatched"]
    assert found.matched == 0
    assert {one.destination_id: one.why for one in found.unmatched} == {
        by_type: "type",
        by_filter: "filter",
        broken: "filter_error",
        off: "disabled",
        now: "wanted_now",
    }
    assert all(one.detail for one in found.unmatched if one.why == "filter_error")


async def test_what_is_told_is_bounded(
    bed: DeliveryBed, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x", 200))
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant))
        await dispatcher.offer(jobs)
        event = jobs[0].leased.event_id
        for _ in range(5):
            await bed.deliveries.replay_event(tenant, event)
        await until(lambda: len(receiver.seen("/x")) == 6)
    assert not (await told(bed, tenant, event)).is_capped
    monkeypatch.setattr(limits, "MOST_DELIVERIES", 4)
    found = await told(bed, tenant, event)
    assert found.is_capped
    told_of = [one.type for one in found.entries]
    assert (told_of.count("replayed"), told_of.count("matched")) == (4, 0), "the newest are told of"
    monkeypatch.setattr(limits, "MOST_DELIVERIES", 100)
    monkeypatch.setattr(limits, "MOST_ATTEMPTS", 2)
    assert [one.type for one in (await told(bed, tenant, event)).entries].count("attempt") == 2


async def test_what_is_kept_back_is_told(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x"))
    arrival = bed.arrival(tenant)
    arrival = replace(arrival, message=replace(arrival.message, status="quarantined"))
    await bed.persist(arrival)
    found = await told(bed, tenant, arrival.event_id)
    assert types(found) == ["received", "stored", "kept_back"]
    assert found.entries[-1].detail == "quarantined"
    assert found.unmatched == []


async def test_a_delivery_that_waits_says_for_what(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x", 500), retry=LATER)).destination.id
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(bed.arrival(tenant))
        await dispatcher.offer(jobs)
        await until(lambda: receiver.seen("/x"))
    await bed.destinations.switch(tenant, key, "disabled")
    last = (await told(bed, tenant, jobs[0].leased.event_id)).entries[-1]
    assert (last.type, last.at, last.detail) == ("waiting", None, "its destination is disabled")


async def test_nobody_elses_and_nothing_that_is_not_there(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant, stranger = await bed.tenant(), await bed.tenant()
    await bed.destination(tenant, receiver.url("/x"))
    (job,) = await bed.persist(bed.arrival(tenant))
    for who, event in ((stranger, job.leased.event_id), (tenant, ids.new())):
        with pytest.raises(NotFound):
            await told(bed, who, event)
