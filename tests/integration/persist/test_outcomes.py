"""What becomes of each message of a batch."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.db import Database, Databases
from crossdock.errors import NotFound
from crossdock.inbound.events.service import Events
from crossdock.inbound.persist import (
    Arrival,
    Duplicate,
    Persister,
    Poison,
    Redelivered,
    Stored,
    decode,
)
from proto import ingest
from tests.beds.world import Destination, World, fresh, id_at, tenant


async def test_new_events_are_stored_with_their_deliveries_leased(
    world: World, persister: Persister
) -> None:
    one, two = tenant(Destination(fresh()), Destination(fresh())), tenant()
    await world.add(one, two)
    batch = [world.webhook(one), world.webhook(two)]
    before = datetime.now(UTC)
    done = await persister.persist(batch)
    assert done.outcomes == [Stored(batch[0].event_id), Stored(batch[1].event_id)]
    assert done.waiting == 0
    assert {leased.destination_id for leased, _ in done.leased} == {
        destination.id for destination in one.destinations
    }
    row = await world.admin.fetchrow(
        "SELECT * FROM crossdock.events WHERE id = $1", batch[0].event_id
    )
    message = batch[0].message
    assert (row["tenant_id"], row["source_id"]) == (one.id, one.sources[0])
    assert (row["stream_seq"], row["body"]) == (batch[0].stream_seq, message.body)
    assert row["traceparent"] == message.traceparent
    for leased, cargo in done.leased:
        row = await world.admin.fetchrow(
            "SELECT * FROM crossdock.deliveries WHERE tenant_id = $1 AND id = $2",
            leased.tenant_id,
            leased.id,
        )
        assert (row["state"], row["lease"], row["attempts"]) == ("pending", leased.lease, 0)
        assert not row["is_replay"]
        assert timedelta(seconds=55) < row["due_at"] - before < timedelta(seconds=70)
        assert (cargo.event_id, cargo.body) == (batch[0].event_id, message.body)


async def test_a_message_that_comes_again_is_recognised_and_not_matched_again(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    batch = [world.webhook(one), world.webhook(one, dedupe=None)]
    first = await persister.persist(batch)
    again = await persister.persist(batch)
    assert again.outcomes == [Redelivered(arrival.event_id) for arrival in batch]
    assert again.leased == []
    assert await world.count("deliveries", "tenant_id = $1", one.id) == len(first.leased) == 2


async def test_duplicates_lead_to_their_original_by_every_id(
    world: World, databases: Databases, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    original = world.webhook(one)
    beside = world.again(original)
    done = await persister.persist([original, beside, beside])
    later = world.again(original)
    assert done.outcomes == [
        Stored(original.event_id),
        Duplicate(beside.event_id, original.event_id),
        Duplicate(beside.event_id, original.event_id),
    ]
    for _ in range(2):
        assert (await persister.persist([later])).outcomes == [
            Duplicate(later.event_id, original.event_id)
        ]
    assert await world.count("events", "tenant_id = $1", one.id) == 1
    assert await world.count("deliveries", "tenant_id = $1", one.id) == 1
    events = Events(databases)
    for accepted in (original, beside, later):
        assert (await events.get(one.id, accepted.event_id)).id == original.event_id


async def test_the_same_key_of_two_sources_or_tenants_is_two_events(
    world: World, persister: Persister
) -> None:
    one, two = tenant(sources=2), tenant()
    await world.add(one, two)
    key = b"k" * 16
    batch = [
        world.webhook(one, dedupe=key),
        world.webhook(one, dedupe=key, source=1),
        world.webhook(two, dedupe=key),
    ]
    done = await persister.persist(batch)
    assert done.outcomes == [Stored(arrival.event_id) for arrival in batch]


async def test_two_workers_with_the_same_keys_agree_on_one_event(
    world: World, database: Database
) -> None:
    tenants = [tenant(Destination(fresh())) for _ in range(40)]
    await world.add(*tenants)
    workers = [Persister(database, lease_s=60) for _ in range(4)]
    originals = [world.webhook(one) for one in tenants for _ in range(5)]
    batches = [originals] + [[world.again(one) for one in originals] for _ in range(3)]
    batches[2].reverse()
    done = await asyncio.gather(
        *(worker.persist(batch) for worker, batch in zip(workers, batches, strict=True))
    )
    for at in range(len(originals)):
        outcomes = [
            result.outcomes[-1 - at if number == 2 else at] for number, result in enumerate(done)
        ]
        stored = [outcome for outcome in outcomes if isinstance(outcome, Stored)]
        assert len(stored) == 1
        assert all(
            isinstance(outcome, Duplicate) and outcome.original == stored[0].event_id
            for outcome in outcomes
            if outcome not in stored
        )
    owners = [one.id for one in tenants]
    assert await world.count("events", "tenant_id = ANY ($1)", owners) == len(originals)
    assert await world.count("deliveries", "tenant_id = ANY ($1)", owners) == len(originals)


async def test_an_event_goes_where_it_is_wanted(world: World, persister: Persister) -> None:
    source = fresh()
    everything, orders = Destination(fresh()), Destination(fresh(), event_types=("order.*",))
    other = Destination(fresh(), source_ids=(fresh(),))
    its = Destination(fresh(), source_ids=(source,), event_types=("refund", "order.paid"))
    one = msgspec.structs.replace(tenant(everything, orders, other, its), sources=(source,))
    await world.add(one)
    done = await persister.persist([world.webhook(one, event_type="order.paid")])
    wanted = {leased.destination_id for leased, _ in done.leased}
    assert wanted == {everything.id, orders.id, its.id}
    done = await persister.persist([world.webhook(one, event_type="")])
    assert [leased.destination_id for leased, _ in done.leased] == [everything.id]


async def test_what_nobody_may_attempt_yet_waits_without_a_lease(
    world: World, persister: Persister
) -> None:
    failing = Destination(fresh(), state="disabled", disabled_reason="failing")
    gone = Destination(fresh(), state="disabled", disabled_reason="gone")
    off = Destination(fresh(), state="disabled", disabled_reason="by_owner")
    held = tenant(Destination(fresh()), state="suspended")
    ending = tenant(Destination(fresh()), state="terminating")
    one = tenant(failing, gone, off)
    await world.add(one, held, ending)
    done = await persister.persist([world.webhook(who) for who in (one, held, ending)])
    assert all(isinstance(outcome, Stored) for outcome in done.outcomes)
    assert (done.leased, done.waiting) == ([], 3)
    rows = await world.admin.fetch(
        "SELECT destination_id, state, lease, due_at <= now() AS is_due FROM crossdock.deliveries"
        " WHERE tenant_id = ANY ($1)",
        [one.id, held.id, ending.id],
    )
    assert {row["destination_id"] for row in rows} == {
        failing.id,
        held.destinations[0].id,
        ending.destinations[0].id,
    }
    assert all(
        (row["state"], row["lease"], row["is_due"]) == ("pending", None, True) for row in rows
    )


async def test_messages_of_tenants_that_are_not_here_are_poison_and_harm_nobody(
    world: World, persister: Persister
) -> None:
    one, gone, unknown = tenant(), tenant(state="terminated"), tenant()
    away = tenant()
    await world.add(one, gone, away)
    await world.admin.execute("UPDATE crossdock.tenants SET shard = 1 WHERE id = $1", away.id)
    batch = [world.webhook(who) for who in (unknown, one, gone, away)]
    outcomes = (await persister.persist(batch)).outcomes
    assert outcomes[1] == Stored(batch[1].event_id)
    assert all(isinstance(outcomes[at], Poison) for at in (0, 2, 3))


@pytest.mark.parametrize("field", ["event_type", "content_type", "provider_id", "traceparent"])
async def test_a_message_that_no_column_takes_is_found_and_the_rest_are_stored(
    world: World, persister: Persister, field: str
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    batch = [world.webhook(one) for _ in range(20)]
    bad = msgspec.structs.replace(batch[13].message, **{field: "null\0byte"})
    batch[13] = Arrival.of(bad, batch[13].stream_seq)
    done = await persister.persist(batch)
    assert isinstance(done.outcomes[13], Poison)
    assert [isinstance(outcome, Stored) for outcome in done.outcomes].count(True) == 19
    assert await world.count("events", "tenant_id = $1", one.id) == 19
    assert len(done.leased) == 19


async def test_one_id_under_two_keys_is_poison_the_second_time(
    world: World, persister: Persister
) -> None:
    one = tenant()
    await world.add(one)
    first = world.webhook(one)
    forged = world.webhook(one, event_id=first.event_id)
    await persister.persist([first])
    outcomes = (await persister.persist([forged, world.webhook(one)])).outcomes
    assert isinstance(outcomes[0], Poison)
    assert isinstance(outcomes[1], Stored)
    assert await world.count("event_keys", "tenant_id = $1", one.id) == 2


async def test_an_id_from_any_time_is_stored(world: World, persister: Persister) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    times = [datetime(1971, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)]
    batch = [world.webhook(one, event_id=id_at(moment)) for moment in times]
    done = await persister.persist(batch)
    assert all(isinstance(outcome, Stored) for outcome in done.outcomes)
    assert len(done.leased) == 2
    assert await world.count("events_rest", "tenant_id = $1", one.id) == 2


async def test_an_empty_batch_is_nothing(persister: Persister) -> None:
    done = await persister.persist([])
    assert (done.outcomes, done.leased, done.waiting) == ([], [], 0)


async def test_a_stranger_finds_nothing_by_an_alias(
    world: World, databases: Databases, persister: Persister
) -> None:
    one, two = tenant(), tenant()
    await world.add(one, two)
    original = world.webhook(one)
    copy = world.again(original)
    await persister.persist([original, copy])
    events = Events(databases)
    assert (await events.get(one.id, copy.event_id)).id == original.event_id
    for known in (original.event_id, copy.event_id):
        with pytest.raises(NotFound):
            await events.get(two.id, known)


def test_decoding_never_fails_it_says_so() -> None:
    one = tenant()
    message = ingest.Ingested(
        event_id=ids.new().bytes,
        tenant_id=one.id.bytes,
        source_id=one.sources[0].bytes,
        event_type="a.b",
        dedupe=None,
        provider_id=None,
        content_type="text/plain",
        headers=[],
        traceparent="",
        body=b"\xff\0",
    )
    data = ingest.encoder.encode(message)
    arrival = decode(data, 7)
    assert isinstance(arrival, Arrival)
    assert arrival.message == message
    assert (arrival.stream_seq, arrival.event_id) == (7, UUID(bytes=message.event_id))
    short = msgspec.structs.replace(message, tenant_id=b"short")
    hashed = msgspec.structs.replace(message, dedupe=b"short")
    timeless = msgspec.structs.replace(message, event_id=bytes(range(16)))
    late = msgspec.structs.replace(message, event_id=b"\xff" * 6 + message.event_id[6:])
    wrong = (short, hashed, timeless, late)
    for bad in (b"", b"\xc1", data[:-1], b"{}", *map(ingest.encoder.encode, wrong)):
        assert isinstance(decode(bad, 1), Poison)
