"""Filters and order, where events are stored: who gets what, in which line; nobody is stopped."""

import asyncio
import os
import time
from collections.abc import Sequence
from uuid import UUID

import msgspec
import pytest

from crossdock import ids
from crossdock.db import Database
from crossdock.inbound.persist import Arrival, Persisted, Persister, Redelivered, Stored, matching
from crossdock.inbound.persist.routes import Routes
from crossdock.secrets.payloads import BatchKeys, seal_payload, wrap
from crossdock.secrets.payloads import DataKey as Key
from crossdock.secrets.seal import Sealer
from crossdock.telemetry.metrics import FILTER_ERRORS
from tests.beds.world import Destination, Tenant, World, fresh, tenant


async def matched(world: World, arrival: Arrival) -> int | None:
    """Return how many wanted an event, as it is stored."""
    found: int | None = await world.admin.fetchval(
        "SELECT matched FROM crossdock.events WHERE id = $1", arrival.event_id
    )
    return found


async def receivers(world: World, arrival: Arrival) -> set[UUID]:
    """Return the destinations that an event has deliveries for."""
    rows = await world.admin.fetch(
        "SELECT destination_id FROM crossdock.deliveries WHERE event_id = $1", arrival.event_id
    )
    return {row[0] for row in rows}


def leased(done: Persisted) -> set[UUID]:
    """Return the destinations that are called at once."""
    return {one.destination_id for one, _ in done.leased}


def errors() -> float:
    """Return how many filters could not be judged so far."""
    return FILTER_ERRORS._value.get()  # type: ignore[no-any-return]


async def test_filters_decide_and_events_say_how_many_want_them(
    world: World, persister: Persister
) -> None:
    every = Destination(fresh())
    large = Destination(fresh(), filter="payload.total > 100")
    typed = Destination(fresh(), event_types=("refund",), filter="payload.total > 0")
    mine = Destination(fresh(), filter="headers['content-type'] == 'application/json'")
    one = tenant(every, large, typed, mine)
    picky = tenant(large_only := Destination(fresh(), filter="payload.total > 100"))
    await world.add(one, picky)
    bodies = [b'{"total": 1}', b'{"total": 101}']
    small, big = (world.webhook(one, body=body) for body in bodies)
    unwanted, wanted = (world.webhook(picky, body=body) for body in bodies)
    done = await persister.persist([small, big, unwanted, wanted])
    assert done.outcomes == [Stored(two.event_id) for two in (small, big, unwanted, wanted)]
    assert await receivers(world, small) == {every.id, mine.id}
    assert await receivers(world, big) == {every.id, large.id, mine.id}
    assert await receivers(world, unwanted) == set()
    assert await receivers(world, wanted) == {large_only.id} <= leased(done)
    assert [await matched(world, two) for two in (small, big, unwanted, wanted)] == [2, 3, 0, 1]
    assert {one.event_id for one in done.announced} >= {unwanted.event_id}
    again = await persister.persist([small, big])
    assert again.outcomes == [Redelivered(small.event_id), Redelivered(big.event_id)]
    assert len(await receivers(world, big)) == 3


@pytest.mark.parametrize("careful", [True, False])
@pytest.mark.parametrize("keyed", [True, False])
async def test_every_way_in_says_how_many_want_it(
    world: World, persister: Persister, *, keyed: bool, careful: bool
) -> None:
    one = tenant(Destination(fresh()), Destination(fresh(), filter="payload.total == 2"))
    plain = tenant(Destination(fresh()), Destination(fresh(), event_types=("refund",)))
    nobody = tenant()
    await world.add(one, plain, nobody)
    arrivals = [world.webhook(who, dedupe=b"" if keyed else None) for who in (one, plain, nobody)]
    persister._careful_until = time.time() + 60 if careful else 0.0
    await persister.persist(arrivals)
    assert [await matched(world, arrival) for arrival in arrivals] == [1, 1, 0]


async def test_a_filter_that_errs_is_counted_and_stops_nobody(
    world: World, persister: Persister
) -> None:
    wrong = [
        Destination(fresh(), filter="payload.nothing.at.all"),
        Destination(fresh(), filter="payload.total"),
        Destination(fresh(), filter="this is no filter any more"),
        Destination(fresh(), filter="[1].all(x, " * 9 + "payload.x" + ")" * 9),
    ]
    every = Destination(fresh())
    one, other = tenant(every, *wrong), tenant(Destination(fresh()))
    await world.add(one, other)
    before = errors()
    arrivals = [world.webhook(one), world.webhook(other), world.webhook(one, body=b"no json")]
    done = await persister.persist(arrivals)
    assert done.outcomes == [Stored(arrival.event_id) for arrival in arrivals]
    assert await receivers(world, arrivals[0]) == {every.id}
    assert await receivers(world, arrivals[2]) == {every.id}
    assert errors() - before == 8


async def test_what_is_kept_back_is_matched_when_it_is_let_go(
    world: World, persister: Persister
) -> None:
    one = tenant(Destination(fresh(), filter="payload.total == 1"))
    await world.add(one)
    arrival = world.webhook(one)
    message = msgspec.structs.replace(arrival.message, status="quarantined", violation="[]")
    still = Arrival.of(message, arrival.stream_seq)
    await persister.persist([still])
    assert await matched(world, still) is None
    assert await receivers(world, still) == set()


async def test_ordered_deliveries_wait_in_their_lines(world: World, persister: Persister) -> None:
    by_key = Destination(fresh(), order_by="/customer")
    by_source = Destination(fresh(), order_by="source", filter="payload.customer != 'c'")
    plain = Destination(fresh())
    one = tenant(by_key, by_source, plain)
    await world.add(one)
    bodies = [b'{"customer":"a"}', b'{"customer":"b"}', b'{"customer":"a"}', b'{"n":1}', b"x"]
    arrivals = [world.webhook(one, body=body) for body in bodies]
    done = await persister.persist(arrivals)
    rows = await world.admin.fetch(
        "SELECT event_id, line, order_seq, due_at = 'infinity' AS waits, lease IS NULL AS free"
        " FROM crossdock.deliveries WHERE destination_id = $1",
        by_key.id,
    )
    found = {row["event_id"]: row for row in rows}
    first, second, third, *others = (found[arrival.event_id] for arrival in arrivals)
    assert first["line"] == third["line"] != second["line"]
    assert 0 <= first["line"] < 2**63
    for arrival, row in zip(arrivals, (first, second, third), strict=False):
        assert (row["order_seq"], row["waits"], row["free"]) == (arrival.stream_seq, True, True)
    for row in others:
        assert (row["line"], row["order_seq"], row["waits"], row["free"]) == (
            None,
            None,
            False,
            False,
        )
    lines = await world.admin.fetch(
        "SELECT DISTINCT line FROM crossdock.deliveries WHERE destination_id = $1", by_source.id
    )
    assert len(lines) == 1
    told = [one.destination_id for one, _ in done.leased]
    assert sorted(told) == sorted([plain.id] * 5 + [by_key.id] * 2)
    assert done.waiting == 3 + 3  # of /customer; of the source, without two whose filter errs


async def sealing(world: World, one: Tenant) -> tuple[Sealer, Key]:
    """Return an installation's key, and a tenant's that it wrapped, which is stored."""
    installation, key_id, key = Sealer(os.urandom(32)), ids.new(), os.urandom(32)
    await world.admin.execute(
        "INSERT INTO crossdock.payload_keys (tenant_id, id, wrapped) VALUES ($1, $2, $3)",
        one.id,
        key_id,
        wrap(installation, one.id, key_id, key),
    )
    return installation, Key(key_id, Sealer(key))


def sealed(arrival: Arrival, key: Key) -> Arrival:
    """Return a webhook with its body sealed."""
    body = seal_payload(key, arrival.tenant_id, arrival.event_id, arrival.message.body)
    message = msgspec.structs.replace(arrival.message, body=body, data_key=key.id.bytes)
    return Arrival.of(message, arrival.stream_seq)


async def test_sealed_payloads_are_opened_where_filters_look_at_them(
    world: World, database: Database
) -> None:
    looking = Destination(fresh(), filter="payload.total == 1", order_by="/total")
    other = Destination(fresh(), filter="event.type == 'order.paid'")
    one = tenant(looking, other)
    await world.add(one)
    installation, key = await sealing(world, one)
    persister = Persister(database, lease_s=60, keys=BatchKeys(database, "ingest", installation))
    arrival = sealed(world.webhook(one), key)
    await persister.persist([arrival])
    assert await receivers(world, arrival) == {looking.id, other.id}
    stored = await world.admin.fetchval(
        "SELECT body FROM crossdock.events WHERE id = $1", arrival.event_id
    )
    assert stored == arrival.message.body
    assert await world.count("deliveries", "destination_id = $1 AND line >= 0", looking.id) == 1
    # Under another installation's key, or after the tenant's was shredded, it does not open.
    before = errors()
    stranger = Persister(
        database, lease_s=60, keys=BatchKeys(database, "ingest", Sealer(os.urandom(32)))
    )
    closed = [sealed(world.webhook(one), key) for _ in range(3)]
    await stranger.persist([closed[0]])
    await Persister(database, lease_s=60).persist([closed[1]])
    await world.admin.execute("DELETE FROM crossdock.payload_keys WHERE id = $1", key.id)
    late = Persister(database, lease_s=60, keys=BatchKeys(database, "ingest", installation))
    await late.persist([closed[2]])
    for arrival in closed:
        assert await receivers(world, arrival) == {other.id}
    assert errors() - before == 3


async def test_a_changed_filter_holds_from_the_next_batch_on(
    world: World, persister: Persister
) -> None:
    one = tenant(where := Destination(fresh(), filter="payload.total == 1"))
    await world.add(one)
    first, second = world.webhook(one), world.webhook(one)
    await persister.persist([first])
    await world.admin.execute(
        "UPDATE crossdock.destinations SET filter = 'payload.total == 2' WHERE id = $1", where.id
    )
    await persister.persist([second])
    assert await receivers(world, first) == {where.id}
    assert await receivers(world, second) == set()


async def test_slow_filters_do_not_hold_up_the_loop(
    world: World, persister: Persister, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = "payload.l.exists(x, payload.l.exists(y, x + y == -1))"
    several = [Destination(fresh(), filter=f"{slow} || payload.l[0] == {n}") for n in range(30)]
    one = tenant(*several)
    await world.add(one)
    body = msgspec.json.encode({"l": list(range(2_000))})
    turns = 0
    during: list[int] = []

    def judged(work: Sequence[matching.Work]) -> object:
        before = turns
        found = judge(work)
        during.append(turns - before)
        return found

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    judge = matching.judge
    monkeypatch.setattr(matching, "judge", judged)
    turning = asyncio.create_task(turn())
    await persister.persist([world.webhook(one, body=body) for _ in range(30)])
    turning.cancel()
    assert during[0] > 0


async def test_compiled_filters_take_so_much_memory_and_no_more(
    world: World, database: Database
) -> None:
    text = "payload.a.matches('^[a-z]{1,20}$') && payload.n == "
    tenants = [tenant(Destination(fresh(), filter=f"{text}{n}")) for n in range(6)]
    await world.add(*tenants)
    everybody = [one.id for one in tenants]
    routes = Routes(shard=0, matchers_bytes=1)
    async with database.batch("ingest", everybody) as conn:
        found = await routes.of(conn, everybody)
        assert all(routed.matcher.size > 1_000 for routed in found.values())
        routes.used({one: found[one] for one in everybody})
        assert list(routes._matchers) == list(routes._known) == everybody[-1:]
        assert routes._taken == found[everybody[-1]].size
        assert len(await routes.of(conn, everybody)) == 6


async def test_many_plain_destinations_count_for_that_memory_too(
    world: World, database: Database, persister: Persister
) -> None:
    many = tenant(*(Destination(fresh(), event_types=("order.*",)) for _ in range(20)))
    await world.add(many, few := tenant(Destination(fresh())))
    await persister.persist([world.webhook(many), world.webhook(few)])
    routes = persister._routes
    assert list(routes._matchers) == [many.id]
    assert routes._taken == routes._known[many.id].size > 0
    await world.admin.execute(
        "UPDATE crossdock.destinations SET event_types = '{refund}' WHERE tenant_id = $1", many.id
    )
    async with database.batch("ingest", [few.id]) as conn:
        await routes.of(conn, [few.id])
    assert (routes._matchers, routes._taken) == ({}, 0)
