"""Replays of events: what a disabled destination missed, and everything again."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from crossdock import ids
from crossdock.delivery.destinations.model import Order
from crossdock.delivery.model import Replay, ReplayFilter
from crossdock.delivery.replays import rules
from crossdock.delivery.replays.runner import ReplayRunner
from crossdock.delivery.replays.service import Replays
from crossdock.errors import Conflict, Invalid
from crossdock.inbound.events.service import Events
from crossdock.inbound.persist import Arrival
from crossdock.inbound.persist.routes import Routes
from crossdock.inbound.release import Releaser
from crossdock.secrets.payloads import TenantKeys, seal_payload
from tests.beds.delivery import DeliveryBed, Receiver, until


async def carried_out(bed: DeliveryBed, replay: Replay, **runner: Any) -> Replay:
    """Run replays until one is done."""
    replays = Replays(bed.databases)
    working = ReplayRunner(bed.database, bed.keys, **runner)

    async def is_over() -> Replay | None:
        await working.work()
        found = await replays.get(replay.tenant_id, replay.id)
        return found if found.state == "done" else None

    found: Replay = await until(is_over)
    return found


async def made_by(bed: DeliveryBed, replay: Replay) -> list[UUID]:
    """Return the events of the deliveries that a replay made, in the order of making."""
    found = await bed.all_of(replay.tenant_id)
    return [one.delivery.event_id for one in found if one.delivery.replay_id == replay.id]


async def test_all_that_came_while_a_destination_was_disabled_is_delivered_after_it_is_enabled(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """Before, in between, after: each arrives, and none twice."""
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/x"))
    key = made.destination.id
    async with bed.dispatching() as dispatcher:
        before = [bed.arrival(tenant) for _ in range(3)]
        await dispatcher.offer(await bed.persist(*before))
        await until(lambda: len(receiver.seen("/x")) == 3)
        await bed.destinations.switch(tenant, key, "disabled")
        between = [bed.arrival(tenant) for _ in range(25)]
        assert await bed.persist(*between) == []
        await bed.destinations.switch(tenant, key, "enabled")
        after = [bed.arrival(tenant) for _ in range(3)]
        await dispatcher.offer(await bed.persist(*after))
        wanted = ReplayFilter(state="missed", destination_id=key)
        started = await Replays(bed.databases).create(tenant, wanted)
        done = await carried_out(bed, started, chunk=4)
        await until(lambda: len(receiver.seen("/x")) == 31)
    assert (done.matched, done.seen) == (25, 31)
    assert await made_by(bed, started) == [one.event_id for one in between]
    told = [call.headers["webhook-id"] for call in receiver.seen("/x")]
    sent = [ids.encode("evt", one.event_id) for one in (*before, *between, *after)]
    assert sorted(told) == sorted(sent)
    again = await Replays(bed.databases).create(tenant, wanted)
    assert (await carried_out(bed, again)).matched == 0, "nothing is missing any more"


async def test_what_was_accepted_before_and_stored_while_it_was_disabled_is_missed_too(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    """The queue between gateway and database may hold it for hours: its id is older than that."""
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    early = bed.arrival(tenant)
    stored = bed.arrival(tenant)
    await bed.persist(stored)
    await asyncio.sleep(0.002)  # ids have milliseconds
    await bed.destinations.switch(tenant, key, "disabled")
    await bed.persist(early)
    await bed.destinations.switch(tenant, key, "enabled")
    started = await Replays(bed.databases).create(
        tenant, ReplayFilter(state="missed", destination_id=key)
    )
    await carried_out(bed, started)
    assert await made_by(bed, started) == [early.event_id]


async def test_what_was_released_while_it_was_disabled_is_missed_too(
    bed: DeliveryBed, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago it came in: here, longer than a replay looks back."""
    monkeypatch.setattr(rules, "LATEST", timedelta(0))
    monkeypatch.setattr(rules, "CLOCKS_APART", timedelta(0))
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    kept, left = (
        replace(one, message=replace(one.message, status="quarantined"))
        for one in (bed.arrival(tenant), bed.arrival(tenant))
    )
    await bed.persist(kept, left)
    await asyncio.sleep(0.002)  # ids have milliseconds
    await bed.destinations.switch(tenant, key, "disabled")
    await Events(bed.databases).release(tenant, kept.event_id)

    async def announce(_: object) -> None:
        """Tell nobody: there is no broker here."""

    await until(Releaser(bed.database, announce, inline_bytes=1024).work)
    await bed.destinations.switch(tenant, key, "enabled")
    started = await Replays(bed.databases).create(
        tenant, ReplayFilter(state="missed", destination_id=key)
    )
    await carried_out(bed, started)
    assert await made_by(bed, started) == [kept.event_id]


async def test_a_batch_that_is_being_stored_while_the_destination_is_enabled_is_waited_for(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    late = bed.arrival(tenant)
    replays, runner = Replays(bed.databases), ReplayRunner(bed.database)
    async with bed.database.session("ingest") as conn:
        # A batch that has read where events go, and is not committed yet.
        await conn.execute("BEGIN")
        await conn.execute("SELECT pg_current_xact_id()")
        await conn.execute("SELECT set_config('crossdock.tenant_ids', $1, true)", tenant.hex)
        await bed.destinations.switch(tenant, key, "enabled")
        started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
        assert not await runner.work()
        assert (await replays.get(tenant, started.id)).seen == 0
        await conn.execute(
            "INSERT INTO crossdock.events (tenant_id, id, source_id, stream_seq, event_type,"
            " content_type, traceparent, headers, body, status)"
            " VALUES ($1, $2, $3, 1, 'a.b', 'application/json', '', '[]', '{}', 'accepted')",
            tenant,
            late.event_id,
            UUID(int=7),
        )
        await conn.execute("COMMIT")
    assert (await carried_out(bed, started)).matched == 1
    assert await made_by(bed, started) == [late.event_id]


async def test_a_batch_has_its_number_before_it_reads_where_events_go(
    bed: DeliveryBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could wait for it otherwise."""
    tenant = await bed.tenant()
    numbered: list[bool] = []
    original = Routes.of

    async def of(self: Routes, conn: Any, tenants: Any) -> Any:
        query = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
        numbered.append(await conn.fetchval(query))
        return await original(self, conn, tenants)

    monkeypatch.setattr(Routes, "of", of)
    await bed.persist(bed.arrival(tenant))
    assert numbered == [True]


async def test_a_filter_looks_into_payloads_that_are_sealed(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/x"), filter="payload.n > 1")
    key = made.destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    data_key = await TenantKeys(bed.databases, bed.payloads).current(tenant)
    arrivals = []
    for number in (1, 2):
        plain = bed.arrival(tenant)
        body = seal_payload(data_key, tenant, plain.event_id, b'{"n": %d}' % number)
        message = replace(plain.message, body=body, data_key=data_key.id.bytes)
        arrivals.append(Arrival.of(message, plain.stream_seq))
    await bed.persist(*arrivals)
    await bed.destinations.switch(tenant, key, "enabled")
    started = await Replays(bed.databases).create(
        tenant, ReplayFilter(state="missed", destination_id=key)
    )
    await carried_out(bed, started)
    assert await made_by(bed, started) == [arrivals[1].event_id]


async def test_two_replays_at_once_make_what_was_missed_once(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    await bed.persist(*(bed.arrival(tenant) for _ in range(60)))
    await bed.destinations.switch(tenant, key, "enabled")
    replays = Replays(bed.databases)
    wanted = ReplayFilter(state="missed", destination_id=key)
    started = [await replays.create(tenant, wanted) for _ in range(3)]
    done = await asyncio.gather(*(carried_out(bed, one, chunk=7) for one in started))
    assert sum(one.matched for one in done) == 60
    events = [one.delivery.event_id for one in await bed.all_of(tenant)]
    assert len(events) == len(set(events)) == 60


async def test_all_goes_to_whoever_wants_it_now(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    first = (await bed.destination(tenant, receiver.url("/a"))).destination.id
    paid = [bed.arrival(tenant, event_type="order.paid") for _ in range(5)]
    made = [bed.arrival(tenant, event_type="user.made") for _ in range(4)]
    await bed.persist(*paid, *made)
    await bed.destination(tenant, receiver.url("/b"), event_types=("order.*",))
    off = (await bed.destination(tenant, receiver.url("/c"))).destination.id
    await bed.destinations.switch(tenant, off, "disabled")
    replays = Replays(bed.databases)

    async def count(**wanted: Any) -> int:
        started = await replays.create(tenant, ReplayFilter(state="all", **wanted))
        return (await carried_out(bed, started, chunk=2)).matched

    now, hour = datetime.now(UTC), timedelta(hours=1)
    assert await count() == 9 + 5
    assert await count(event_types=("user.*",)) == 4
    assert await count(destination_id=first) == 9
    assert await count(destination_id=off, event_types=("user.*",)) == 4, "it waits for its return"
    assert await count(created_before=now - hour) == 0
    assert await count(created_after=now - hour, source_id=UUID(int=8)) == 0
    chosen = (paid[0].event_id, made[0].event_id, ids.new())
    assert await count(event_ids=chosen) == 3


async def test_filters_are_those_of_now(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    made = await bed.destination(tenant, receiver.url("/x"), filter="payload.total > 10")
    key = made.destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    small, large = (bed.arrival(tenant, b'{"total": %d}' % total) for total in (5, 50))
    odd = bed.arrival(tenant, b"not JSON")
    await bed.persist(small, large, odd)
    await bed.destinations.switch(tenant, key, "enabled")
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    assert (await carried_out(bed, started)).matched == 1
    assert await made_by(bed, started) == [large.event_id]
    with pytest.raises(Conflict):
        await bed.deliveries.replay_event(tenant, small.event_id)
    (again,) = await bed.deliveries.replay_event(tenant, large.event_id)
    assert again.destination_id == key


async def test_ordered_events_keep_their_places(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant = await bed.tenant()
    order = Order(by="/key", hold="until_dead")
    key = (await bed.destination(tenant, receiver.url("/x"), order=order)).destination.id
    await bed.destinations.switch(tenant, key, "disabled")
    arrivals = [bed.arrival(tenant, b'{"key": %d}' % (number % 2)) for number in range(20)]
    await bed.persist(*arrivals)
    async with bed.database.queue() as conn:
        await conn.execute("UPDATE crossdock.order_floor SET seq = 1 << 40")
    await bed.destinations.switch(tenant, key, "enabled")
    replays = Replays(bed.databases)
    started = await replays.create(tenant, ReplayFilter(state="missed", destination_id=key))
    assert (await carried_out(bed, started, chunk=7)).matched == 20
    found = [one.delivery for one in await bed.all_of(tenant)]
    assert len({one.line for one in found}) == 2
    assert None not in {one.line for one in found}
    assert sum(one.due_at is not None for one in found) == 2, "only the heads are due"
    async with bed.dispatching():
        await until(lambda: len(receiver.seen("/x")) == 20)
    told = [call.headers["webhook-id"] for call in receiver.seen("/x")]
    for line in (0, 1):
        theirs = [ids.encode("evt", one.event_id) for one in arrivals[line::2]]
        assert [one for one in told if one in theirs] == theirs


async def test_what_can_not_be_missed_is_refused(bed: DeliveryBed, receiver: Receiver) -> None:
    tenant, stranger = await bed.tenant(), await bed.tenant()
    key = (await bed.destination(tenant, receiver.url("/x"))).destination.id
    replays = Replays(bed.databases)

    async def pointers(who: UUID, **wanted: Any) -> list[str]:
        with pytest.raises(Invalid) as refused:
            await replays.create(who, ReplayFilter(**wanted))
        return [one.pointer for one in refused.value.violations]

    assert await pointers(tenant, state="missed") == ["/destination_id"]
    assert await pointers(tenant, state="missed", destination_id=key) == ["/created_after"]
    assert await pointers(stranger, state="missed", destination_id=key) == ["/destination_id"]
    assert await pointers(tenant, state="all", reason="gone") == ["/reason"]
    assert await pointers(tenant, state="dead", event_ids=(key,)) == ["/event_ids"]
    assert await pointers(tenant, state="all", delivery_ids=(key,)) == ["/delivery_ids"]


async def test_a_batch_of_deliveries_named_one_by_one_is_made_again(
    bed: DeliveryBed, receiver: Receiver
) -> None:
    tenant = await bed.tenant()
    await bed.destination(tenant, receiver.url("/x"))
    async with bed.dispatching() as dispatcher:
        jobs = await bed.persist(*(bed.arrival(tenant) for _ in range(10)))
        await dispatcher.offer(jobs)
        await until(lambda: len(receiver.seen("/x")) == 10)
    chosen = tuple(job.leased.id for job in jobs[::2])
    replays = Replays(bed.databases)
    wanted = ReplayFilter(state=None, delivery_ids=(*chosen, ids.new()))
    started = await replays.create(tenant, wanted)
    done = await carried_out(bed, started, chunk=2)
    assert (done.matched, done.seen) == (5, 5)
    there = sorted(jobs[::2], key=lambda job: job.leased.id)
    assert await made_by(bed, started) == [job.leased.event_id for job in there]
