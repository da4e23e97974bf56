"""Each role sees the rows it has entered, and no others."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from crossdock.access.tables import api_keys
from crossdock.config import DatabaseRole
from crossdock.db import Database
from crossdock.delivery.tables import attempts, deliveries, destinations
from crossdock.errors import ConfigurationError, NotFound
from crossdock.inbound.persist import Persister
from crossdock.inbound.tables import event_aliases, events
from crossdock.outbox.tables import outbox
from crossdock.tenancy.tables import tenants
from tests.beds.world import Destination, Tenant, World, fresh, tenant

READABLE = (tenants, api_keys, destinations, events, event_aliases, deliveries, attempts)


@pytest.fixture(scope="module")
async def neighbours(world: World, database: Database) -> tuple[Tenant, Tenant]:
    """Two tenants with a row of everything each."""
    both = tenant(Destination(fresh())), tenant(Destination(fresh()))
    await world.add(*both)
    persister = Persister(database, lease_s=60)
    for one in both:
        arrival = world.webhook(one)
        await persister.persist([arrival, world.again(arrival)])
        delivery = await world.admin.fetchval(
            "SELECT id FROM crossdock.deliveries WHERE tenant_id = $1", one.id
        )
        await world.admin.execute(
            "INSERT INTO crossdock.attempts (tenant_id, id, delivery_id, number, duration_ms)"
            " VALUES ($1, $2, $3, 1, 5)",
            one.id,
            fresh(),
            delivery,
        )
        async with database.tenant(one.id) as conn:
            await conn.execute(
                insert(api_keys).values(
                    tenant_id=one.id, id=fresh(), name="k", secret_hash=b"", permissions=[]
                )
            )
    return both


async def test_a_tenant_sees_its_own_rows_and_no_others(
    database: Database, neighbours: tuple[Tenant, Tenant]
) -> None:
    for own, other in (neighbours, neighbours[::-1]):
        async with database.tenant(own.id) as conn:
            for table in READABLE:
                column = table.c[table.info["tenant"]]
                found = set((await conn.execute(select(column))).scalars())
                assert found == {own.id}, table.name
                stranger = select(column).where(column == other.id)
                assert (await conn.execute(stranger)).all() == [], table.name


async def test_the_tenant_ends_with_its_transaction(
    database: Database, neighbours: tuple[Tenant, Tenant]
) -> None:
    for number in range(20):
        async with database.tenant(neighbours[number % 2].id) as conn:
            await conn.execute(select(tenants.c.id))
    assert database._app is not None
    async with database._app._engine.connect() as bare:
        for table in READABLE:
            assert (await bare.execute(select(table.c[table.info["tenant"]]))).all() == []
        left = await bare.scalar(text("SELECT current_setting('crossdock.tenant_id', true)"))
        assert not left


async def test_a_tenant_can_write_for_nobody_else(
    database: Database, neighbours: tuple[Tenant, Tenant]
) -> None:
    own, other = neighbours
    writes: list[Any] = [
        insert(destinations).values(tenant_id=other.id, id=fresh(), name="x", url="u"),
        insert(outbox).inline().values(tenant_id=other.id, topic="t", key="k"),
        destinations.update().values(tenant_id=other.id),
        deliveries.insert().values(
            tenant_id=other.id,
            id=fresh(),
            event_id=fresh(),
            destination_id=fresh(),
            due_at=text("now()"),
        ),
    ]
    for write in writes:
        with pytest.raises(DBAPIError, match="row-level security"):
            async with database.tenant(own.id) as conn:
                await conn.execute(write)
    async with database.tenant(own.id) as conn:
        done = await conn.execute(
            destinations.update().where(destinations.c.tenant_id == other.id).values(name="mine")
        )
        assert done.rowcount == 0


async def test_what_is_unknown_here_cannot_be_entered(world: World, database: Database) -> None:
    away = tenant()
    await world.add(away)
    await world.admin.execute("UPDATE crossdock.tenants SET shard = 7 WHERE id = $1", away.id)
    for stranger in (fresh(), away.id):
        with pytest.raises(NotFound):
            async with database.tenant(stranger):
                pytest.fail("entered")


async def test_an_error_rolls_everything_back(
    database: Database, neighbours: tuple[Tenant, Tenant]
) -> None:
    own = neighbours[0].id

    async def fail() -> None:
        async with database.tenant(own) as conn:
            await conn.execute(insert(outbox).inline().values(tenant_id=own, topic="t", key="lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.maintenance() as raw:
        assert await raw.fetchval("SELECT count(*) FROM crossdock.outbox WHERE key = 'lost'") == 0


@pytest.mark.parametrize("role", ["ingest", "dispatch"])
async def test_a_batch_sees_its_set_and_no_others(
    database: Database, neighbours: tuple[Tenant, Tenant], role: Any
) -> None:
    own, other = neighbours
    for entered in ([own.id], [own.id, other.id], []):
        async with database.batch(role, entered) as conn:
            for table in ("destinations", "events"):
                found = await conn.fetch(f"SELECT tenant_id FROM crossdock.{table}")  # noqa: S608
                assert {row[0] for row in found} == set(entered), table
            found = await conn.fetch("SELECT id FROM crossdock.tenants")
            assert {row[0] for row in found} == set(entered)


async def test_a_batch_can_write_for_nobody_outside_its_set(
    database: Database, neighbours: tuple[Tenant, Tenant]
) -> None:
    own, other = neighbours
    made = {
        "event_keys (tenant_id, source_id, dedupe_hash, event_id)": (fresh(), b"k" * 16, fresh()),
        "event_aliases (tenant_id, alias_id, event_id)": (fresh(), fresh()),
        "events (tenant_id, id, source_id, stream_seq, event_type, content_type, traceparent,"
        " headers, body)": (fresh(), fresh(), 1, "", "", "", b"[]", b""),
        "deliveries (tenant_id, id, event_id, destination_id, due_at)": (
            fresh(),
            fresh(),
            fresh(),
            datetime.now(UTC),
        ),
    }
    for target, values in made.items():
        marks = ", ".join(f"${at + 2}" for at in range(len(values)))
        statement = f"INSERT INTO crossdock.{target} VALUES ($1, {marks})"  # noqa: S608
        for entered in ([own.id], []):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                async with database.batch("ingest", entered) as conn:
                    await conn.execute(statement, other.id, *values)


FORBIDDEN: dict[DatabaseRole, tuple[str, ...]] = {
    "app": (
        "DELETE FROM crossdock.events",
        "INSERT INTO crossdock.events SELECT * FROM crossdock.events",
        "UPDATE crossdock.tenants SET state = 'active'",
        "SELECT * FROM crossdock.event_keys",
        "SELECT * FROM crossdock.outbox",
        "SELECT * FROM crossdock.events_rest",
        "TRUNCATE crossdock.destinations",
        "SELECT crossdock.enter_many('{}')",
        "SELECT crossdock.drop_partition('events', now())",
        "SELECT crossdock.lock_partitions('events')",
        "CREATE TABLE crossdock.mine (i int)",
        "CREATE TEMP TABLE mine (i int)",
        "SET ROLE crossdock_owner",
        "ALTER TABLE crossdock.events DISABLE ROW LEVEL SECURITY",
    ),
    "ingest": (
        "UPDATE crossdock.deliveries SET state = 'dead'",
        "DELETE FROM crossdock.event_keys",
        "UPDATE crossdock.event_keys SET event_id = tenant_id",
        "SELECT slug FROM crossdock.tenants",
        "SELECT * FROM crossdock.sources",
        "SELECT * FROM crossdock.api_keys",
        "INSERT INTO crossdock.route_changes (tenant_id) VALUES (gen_random_uuid())",
    ),
    "dispatch": (
        "INSERT INTO crossdock.deliveries SELECT * FROM crossdock.deliveries",
        "DELETE FROM crossdock.deliveries",
        "UPDATE crossdock.deliveries SET tenant_id = tenant_id",
        "UPDATE crossdock.deliveries SET event_id = event_id",
        "UPDATE crossdock.destinations SET url = 'http://elsewhere/'",
        "SELECT * FROM crossdock.api_keys",
        "SELECT * FROM crossdock.attempts",
    ),
    "maintenance": (
        "UPDATE crossdock.deliveries SET state = 'dead'",
        "INSERT INTO crossdock.events SELECT * FROM crossdock.events",
        "SELECT * FROM crossdock.api_keys",
        "SELECT * FROM crossdock.destinations",
        "DROP TABLE crossdock.events",
        "SELECT crossdock.drop_partition('tenants', now())",
        "DELETE FROM crossdock.tenants",
    ),
    "directory": (
        "UPDATE crossdock.sources SET state = 'active'",
        "SELECT * FROM crossdock.destinations",
        "SELECT * FROM crossdock.events",
        "SELECT * FROM crossdock.api_keys",
        "DELETE FROM crossdock.outbox",
    ),
}


@pytest.fixture(scope="module")
async def sessions(database: Database) -> AsyncIterator[dict[str, asyncpg.Connection]]:
    """A bare connection of each role."""
    found: dict[str, asyncpg.Connection] = {}
    opened = [(role, database.session(role)) for role in FORBIDDEN]
    for role, session in opened:
        found[role] = await session.__aenter__()
    yield found
    for _, session in opened:
        await session.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("role", "statement"), [(role, one) for role, many in FORBIDDEN.items() for one in many]
)
async def test_a_role_can_do_its_work_and_no_more(
    sessions: dict[str, asyncpg.Connection], role: str, statement: str
) -> None:
    with pytest.raises(asyncpg.PostgresError) as caught:
        await sessions[role].execute(statement)
    assert caught.value.sqlstate in {"42501", "CD003"}, caught.value


async def test_a_process_takes_only_the_roles_it_was_opened_with(database: Database) -> None:
    narrow = await Database.open(database.settings, ["directory"])
    with pytest.raises(ConfigurationError):
        async with narrow.tenant(fresh()):
            pytest.fail("entered")
    with pytest.raises(ConfigurationError):
        async with narrow.batch("ingest", []):
            pytest.fail("entered")
    await narrow.close()
