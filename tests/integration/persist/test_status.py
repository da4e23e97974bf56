"""What the tail of a message says: held, quarantined, warned, sealed, indexed."""

import asyncio
import os
from typing import Any
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
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
from tests.beds.world import Destination, Tenant, World, fresh, tenant

VIOLATION = '[{"pointer":"/total","detail":"is not a number"}]'
FLOWING = ["", "warned"]
STILL = ["quarantined", "held"]


def told(arrival: Arrival, **tail: Any) -> Arrival:
    """Return a webhook with a tail."""
    message = msgspec.structs.replace(arrival.message, **tail)
    found = decode(ingest.encoder.encode(message), arrival.stream_seq)
    assert isinstance(found, Arrival)
    return found


async def pause(world: World, one: Tenant, state: str = "paused") -> None:
    """Insert a tenant's first source, in a state, or change it."""
    await world.admin.execute(
        "INSERT INTO crossdock.sources (tenant_id, id, name, scheme, recipe, token_hash,"
        " token_sealed, max_body_bytes, state, buffers)"
        " VALUES ($1, $2, $2::uuid::text, 'none', '{}', $3, '', 1024, $4, true)"
        " ON CONFLICT (tenant_id, id) DO UPDATE SET state = $4",
        one.id,
        one.sources[0],
        os.urandom(32),
        state,
    )


@pytest.mark.parametrize("status", FLOWING)
async def test_what_flows_is_delivered_and_announced_with_its_status(
    world: World, persister: Persister, status: str
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    arrival = told(world.webhook(one), status=status, violation=VIOLATION, schema_version=3)
    done = await persister.persist([arrival])
    assert done.outcomes == [Stored(arrival.event_id)]
    assert len(done.leased) == 1
    assert [one.event_id for one in done.announced] == [arrival.event_id]
    row = await world.admin.fetchrow(
        "SELECT status, violation, schema_version, data_key FROM crossdock.events WHERE id = $1",
        arrival.event_id,
    )
    assert tuple(row) == (status or "accepted", VIOLATION, 3, None)


@pytest.mark.parametrize("status", STILL)
@pytest.mark.parametrize("keyed", [True, False])
async def test_what_is_held_or_quarantined_has_no_deliveries_and_is_not_announced(
    world: World, persister: Persister, status: str, *, keyed: bool
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    await pause(world, one)
    still = told(world.webhook(one, dedupe=b"" if keyed else None), status=status)
    other = world.webhook(one)
    for outcome in (Stored, Redelivered):
        done = await persister.persist([still, other])
        assert done.outcomes == [outcome(still.event_id), outcome(other.event_id)]
        assert [arrival.event_id for arrival in done.announced] == [other.event_id]
    assert await world.count("deliveries", "event_id = $1", still.event_id) == 0
    assert await world.count("deliveries", "event_id = $1", other.event_id) == 1
    assert await world.count("events", "id = $1 AND status = $2", still.event_id, status) == 1


async def test_a_duplicate_of_a_quarantined_event_leads_to_it(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    first = told(world.webhook(one), status="quarantined")
    again = world.again(first)
    done = await persister.persist([first, again])
    assert done.outcomes == [
        Stored(first.event_id),
        Duplicate(again.event_id, first.event_id),
    ]
    assert (done.leased, done.announced) == ([], [])


@pytest.mark.parametrize("state", ["active", "deleted"])
async def test_what_was_held_for_a_source_that_is_resumed_meanwhile_flows(
    world: World, persister: Persister, state: str
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    await pause(world, one, state)
    late = told(world.webhook(one), status="held")
    broken = told(world.webhook(one), status="held", violation=VIOLATION)
    done = await persister.persist([late, broken])
    assert len(done.leased) == 2
    assert {arrival.message.status for arrival in done.announced} == {"", "warned"}
    rows = await world.admin.fetch(
        "SELECT status FROM crossdock.events WHERE tenant_id = $1 ORDER BY stream_seq", one.id
    )
    assert [row["status"] for row in rows] == ["accepted", "warned"]


async def test_what_was_let_go_before_a_crash_is_announced_though_its_source_is_paused_again(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    await pause(world, one, "active")
    late = told(world.webhook(one), status="held")
    await persister.persist([late])
    await pause(world, one)
    done = await persister.persist([late])
    assert done.outcomes == [Redelivered(late.event_id)]
    assert [arrival.event_id for arrival in done.announced] == [late.event_id]
    assert done.announced[0].flows


async def test_indexed_values_are_stored_once_and_only_with_their_event(
    world: World, persister: Persister
) -> None:
    one, two = tenant(), tenant()
    await world.add(one, two)
    first, second = os.urandom(16), os.urandom(16)
    batch = [
        told(world.webhook(one), fields=[first, second, first]),
        told(world.webhook(one, dedupe=None), fields=[first]),
        told(world.webhook(two), fields=[first]),
        world.webhook(two),
    ]
    again = world.again(batch[0])
    for _ in range(2):
        await persister.persist([*batch, again])
    rows = await world.admin.fetch(
        "SELECT tenant_id, id, key FROM crossdock.event_fields WHERE tenant_id = ANY ($1)",
        [one.id, two.id],
    )
    assert {tuple(row) for row in rows} == {
        (one.id, batch[0].event_id, first),
        (one.id, batch[0].event_id, second),
        (one.id, batch[1].event_id, first),
        (two.id, batch[2].event_id, first),
    }
    assert len(rows) == 4


async def test_a_sealed_body_is_stored_and_leased_with_its_key(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    key = fresh()
    sealed = told(world.webhook(one, body=b"sealed"), data_key=key.bytes)
    ((_, cargo),) = (await persister.persist([sealed])).leased
    assert (cargo.body, cargo.data_key) == (b"sealed", key)
    found = await world.admin.fetchval(
        "SELECT data_key FROM crossdock.events WHERE id = $1", sealed.event_id
    )
    assert found == key


@pytest.mark.parametrize(
    "tail",
    [
        {"status": "released"},
        {"status": "x" * 10_000},
        {"data_key": b"short"},
        {"fields": [b"short"]},
        {"fields": [b"k" * 16] * 9},
    ],
    ids=["status", "long status", "key", "field", "fields"],
)
def test_a_tail_that_says_nothing_we_know_is_poison(tail: dict[str, Any]) -> None:
    message = ingest.IngestedV1(
        ids.new().bytes, bytes(16), bytes(16), "a", None, None, "", [], "", b"", **tail
    )
    assert isinstance(decode(ingest.encoder.encode(message), 1), Poison)


async def test_messages_of_gateways_before_and_after_ours_are_read(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    fields = msgspec.msgpack.decode(ingest.encoder.encode(world.webhook(one).message))
    older, newer = list(fields[:11]), [*fields, "what a later release adds"]
    newer[1] = ids.new().bytes
    newer[5] = os.urandom(16)
    batch = [decode(msgspec.msgpack.encode(message), 7) for message in (older, newer)]
    done = await persister.persist([one for one in batch if isinstance(one, Arrival)])
    assert [type(outcome) for outcome in done.outcomes] == [Stored, Stored]
    assert len(done.leased) == 2


async def test_a_body_that_is_gone_is_a_second_look_at_what_is_stored(
    world: World, persister: Persister
) -> None:
    one, other = tenant(), tenant()
    await world.add(one, other)
    stored, lost = world.webhook(one), world.webhook(one)
    twin = world.again(stored)
    await persister.persist([stored, twin])
    strange = told(world.webhook(other), event_id=stored.message.event_id)
    outcomes = await persister.recall([stored, twin, lost, strange])
    assert outcomes[:2] == [
        Redelivered(stored.event_id),
        Duplicate(twin.event_id, stored.event_id),
    ]
    assert all(isinstance(outcome, Poison) for outcome in outcomes[2:])
    assert "gone" in outcomes[2].reason  # type: ignore[union-attr]


async def test_workers_with_the_same_tails_agree(world: World, persister: Persister) -> None:
    owners = [tenant(Destination(fresh())) for _ in range(20)]
    await world.add(*owners)
    batch = [
        told(world.webhook(one), status="quarantined" if at % 2 else "", fields=[os.urandom(16)])
        for at, one in enumerate(owners)
    ]
    others = [Persister(persister._database, lease_s=60) for _ in range(3)]
    await asyncio.gather(*(one.persist(batch) for one in (persister, *others)))
    found: list[UUID] = [one.id for one in owners]
    assert await world.count("events", "tenant_id = ANY ($1)", found) == 20
    assert await world.count("event_fields", "tenant_id = ANY ($1)", found) == 20
    assert await world.count("deliveries", "tenant_id = ANY ($1)", found) == 10
