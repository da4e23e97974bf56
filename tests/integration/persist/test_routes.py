"""Routes are kept in memory and are never older than the batch that uses them."""

import asyncio

import asyncpg
import pytest

from crossdock.db import Database
from crossdock.db.engine import connecting
from crossdock.inbound.changes import FEED_S
from crossdock.inbound.persist import Persister, Stored, store
from crossdock.inbound.persist.matching import Routed
from crossdock.inbound.persist.routes import Routes
from tests.beds.world import Destination, Tenant, World, fresh, tenant


async def destinations_of(world: World, persister: Persister, one: Tenant) -> set[object]:
    """Return where the next webhook of a tenant goes at once."""
    done = await persister.persist([world.webhook(one)])
    assert isinstance(done.outcomes[0], Stored)
    return {leased.destination_id for leased, _ in done.leased}


async def test_every_committed_change_is_seen_by_the_next_batch(
    world: World, persister: Persister
) -> None:
    first, second = Destination(fresh()), Destination(fresh())
    one = tenant(first)
    await world.add(one)
    assert await destinations_of(world, persister, one) == {first.id}
    change = world.admin.execute
    await change(
        "INSERT INTO crossdock.destinations (tenant_id, id, name, url)"
        " VALUES ($1, $2, 'second', 'http://127.0.0.1:9/')",
        one.id,
        second.id,
    )
    assert await destinations_of(world, persister, one) == {first.id, second.id}
    await change(
        "UPDATE crossdock.destinations SET event_types = '{refund}' WHERE id = $1", first.id
    )
    assert await destinations_of(world, persister, one) == {second.id}
    await change("UPDATE crossdock.tenants SET state = 'suspended' WHERE id = $1", one.id)
    assert await destinations_of(world, persister, one) == set()
    await change("UPDATE crossdock.tenants SET state = 'active' WHERE id = $1", one.id)
    await change("DELETE FROM crossdock.destinations WHERE id = $1", first.id)
    assert await destinations_of(world, persister, one) == {second.id}


async def test_a_change_that_was_under_way_for_long_is_seen_once_it_is_committed(
    world: World, persister: Persister
) -> None:
    one, two = tenant(Destination(fresh())), tenant()
    added = Destination(fresh())
    await world.add(one, two)
    slow = await asyncpg.connect(**connecting(world.settings, "app"))
    try:
        await slow.execute(f"BEGIN; SELECT crossdock.enter('{one.id}')")
        await slow.execute(
            "INSERT INTO crossdock.destinations (tenant_id, id, name, url)"
            " VALUES ($1, $2, 'slow', 'http://127.0.0.1:9/')",
            one.id,
            added.id,
        )
        for _ in range(3):
            await world.admin.execute(
                "UPDATE crossdock.tenants SET state = 'active' WHERE id = $1", two.id
            )
            assert await destinations_of(world, persister, one) == {one.destinations[0].id}
        await slow.execute("COMMIT")
    finally:
        await slow.close()
    assert await destinations_of(world, persister, one) == {one.destinations[0].id, added.id}


async def test_nothing_is_read_again_that_has_not_changed(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tenant(Destination(fresh())), tenant(Destination(fresh()))
    await world.add(one, two)
    routes = Routes(shard=0)
    read: list[set[object]] = []
    original = store.routes

    async def counting(conn: asyncpg.Connection, tenants: object, shard: int) -> object:
        read.append(set(tenants))  # type: ignore[call-overload]
        return await original(conn, tenants, shard)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "routes", counting)
    for _ in range(2):
        async with database.batch("ingest", [one.id, two.id]) as conn:
            assert set(await routes.of(conn, [one.id, two.id])) == {one.id, two.id}
    await world.admin.execute(
        "UPDATE crossdock.destinations SET event_types = '{refund}' WHERE tenant_id = $1", two.id
    )
    async with database.batch("ingest", [one.id, two.id]) as conn:
        await routes.of(conn, [one.id, two.id])
    assert read == [{one.id, two.id}, {two.id}]


async def test_what_was_read_before_a_change_is_not_kept_after_it(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tenant(Destination(fresh()))
    added = Destination(fresh())
    await world.add(one)
    routes = Routes(shard=0)
    original = store.routes
    is_read, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(conn: asyncpg.Connection, tenants: object, shard: int) -> object:
        found = await original(conn, tenants, shard)  # type: ignore[arg-type]
        is_read.set()
        await may_go_on.wait()
        return found

    async def ask() -> int:
        async with database.batch("ingest", [one.id]) as conn:
            return len((await routes.of(conn, [one.id]))[one.id].routes)

    monkeypatch.setattr(store, "routes", slow)
    early = asyncio.create_task(ask())
    await is_read.wait()
    await world.admin.execute(
        "INSERT INTO crossdock.destinations (tenant_id, id, name, url)"
        " VALUES ($1, $2, 'added', 'http://127.0.0.1:9/')",
        one.id,
        added.id,
    )
    monkeypatch.setattr(store, "routes", original)
    assert await ask() == 2
    may_go_on.set()
    assert await early == 1
    assert await ask() == 2


async def test_memory_is_bounded_and_forgotten_when_the_feed_may_have_gaps(
    world: World, database: Database
) -> None:
    tenants = [tenant(Destination(fresh())) for _ in range(5)]
    await world.add(*tenants)
    now = 0.0
    routes = Routes(shard=0, capacity=3, clock=lambda: now)
    everybody = [one.id for one in tenants]
    async with database.batch("ingest", everybody) as conn:
        assert len(await routes.of(conn, everybody)) == 5
        assert len(routes._known) == 3
    await world.admin.execute(
        "UPDATE crossdock.destinations SET event_types = '{refund}' WHERE tenant_id = ANY ($1)",
        everybody,
    )
    await world.admin.execute("TRUNCATE crossdock.route_changes")
    now = FEED_S + 1
    async with database.batch("ingest", everybody) as conn:
        found = await routes.of(conn, everybody)
    assert all(not route.takes_all for routed in found.values() for route in routed.routes)


async def test_a_restored_server_is_not_taken_for_the_one_that_was_asked_before(
    world: World, database: Database
) -> None:
    one = tenant(Destination(fresh()))
    await world.add(one)
    routes = Routes(shard=0)
    async with database.batch("ingest", [one.id]) as conn:
        await routes.of(conn, [one.id])
        routes._position += 1_000_000
        routes._known[one.id] = Routed([])
        assert len((await routes.of(conn, [one.id]))[one.id].routes) == 1
        assert routes._position < 1_000_000
