"""A tenant of the dedicated tier has a role that is bound to it, and connections of its own."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import make_url, text

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db import Databases
from crossdock.db.dedicated import drop_dedicated_role, ensure_dedicated_role, login_of
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import DatabaseUnavailable, PoolExhausted
from tests.beds.shards import Town, resized, seen

TENANT_TABLES = """
SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = 'crossdock'::regnamespace AND c.relkind IN ('r', 'p')
    AND a.attname = 'tenant_id' AND has_table_privilege('crossdock_app', c.oid, 'SELECT')
"""
WRITE = """
INSERT INTO crossdock.destinations (tenant_id, id, name, url)
VALUES ($1, gen_random_uuid(), 'x', 'u')
"""
ROLES: tuple[DatabaseRole, ...] = ("app", "control")


@pytest.fixture
def admin_url(town: Town, postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.admin_url(str(make_url(town.settings.url).database))


async def dedicated(town: Town, admin_url: str) -> UUID:
    tenant = await town.add(0, tier="dedicated")
    await ensure_dedicated_role(admin_url, town.settings, tenant)
    return tenant


@pytest.fixture
async def databases(town: Town) -> AsyncIterator[Databases]:
    found = await Databases.open(town.settings, ROLES)
    yield found
    await found.close()


async def who(databases: Databases, tenant: UUID) -> str:
    async with databases.tenant(tenant) as conn:
        found = await conn.scalar(text("SELECT session_user"))
        return str(found)


async def test_statements_of_the_role_reach_nobody_else(town: Town, admin_url: str) -> None:
    own, other = await dedicated(town, admin_url), await town.add(0)
    login = login_of(town.settings, own)
    session = await asyncpg.connect(town.settings.url, user=login.name, password=login.password)
    enough = "SELECT count(*) FROM crossdock.api_keys WHERE tenant_id = $1"
    for attempt in (
        f"SELECT set_config('crossdock.tenant_id', '{other}', false)",
        f"BEGIN; SELECT set_config('crossdock.tenant_id', '{other}', true)",
        f"SET crossdock.tenant_ids = '{other}'",
        "SET SESSION AUTHORIZATION crossdock_app",
        "SET ROLE crossdock_app",
    ):
        try:
            await session.execute(attempt)
        except asyncpg.PostgresError:
            await session.execute("ROLLBACK")
        assert await session.fetchval(enough, own) == 1
        assert await session.fetchval(enough, other) == 0
        assert await session.fetchval("SELECT array_agg(id) FROM crossdock.tenants") == [own]
        for row in await town.admins[0].fetch(TENANT_TABLES):
            found = await session.fetch(f'SELECT tenant_id FROM crossdock."{row[0]}"')  # noqa: S608
            assert {one[0] for one in found} <= {own}, row[0]
        with pytest.raises(asyncpg.PostgresError):
            await session.execute(WRITE, other)
        if session.is_in_transaction():
            await session.execute("ROLLBACK")
    with pytest.raises(asyncpg.PostgresError) as caught:
        await session.execute(f"SELECT crossdock.enter('{other}')")
    assert caught.value.sqlstate == "CD001"
    await session.close()


async def test_the_role_reaches_no_session_of_others(town: Town, admin_url: str) -> None:
    own, other = await dedicated(town, admin_url), await town.add(0)
    login = login_of(town.settings, own)
    session = await asyncpg.connect(town.settings.url, user=login.name, password=login.password)
    shared = await asyncpg.connect(
        town.settings.url, user="crossdock_app", password=town.settings.app_password
    )
    await shared.execute(f"BEGIN; SELECT crossdock.enter('{other.hex}')")
    for attempt in (
        f"SELECT pg_terminate_backend({shared.get_server_pid()})",
        f"SELECT pg_cancel_backend({shared.get_server_pid()})",
        "SELECT query FROM pg_stat_activity",
        "SELECT pg_stat_get_backend_activity(n) FROM generate_series(1, 9) AS n",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await session.fetch(attempt)
    assert await shared.fetchval("SELECT 1") == 1
    await session.close()
    await shared.close()


async def test_a_dedicated_tenant_is_entered_by_its_own_role(
    town: Town, databases: Databases, admin_url: str
) -> None:
    own, shared = await dedicated(town, admin_url), await town.add(0)
    assert await who(databases, own) == f"crossdock_tenant_{own.hex}"
    assert await seen(databases, own) == (0, {own})
    assert await who(databases, shared) == "crossdock_app"
    again = await asyncio.gather(*(seen(databases, own) for _ in range(20)))
    assert again == [(0, {own})] * 20
    limits = "SELECT current_setting('statement_timeout')"
    async with databases.tenant(own) as conn:
        assert await conn.scalar(text(limits)) == "10s"


async def test_making_the_role_again_changes_nothing(
    town: Town, databases: Databases, admin_url: str
) -> None:
    own = await dedicated(town, admin_url)
    await asyncio.gather(*(ensure_dedicated_role(admin_url, town.settings, own) for _ in range(3)))
    assert await seen(databases, own) == (0, {own})


async def test_the_pool_least_recently_used_closes(town: Town, admin_url: str) -> None:
    settings = resized(town.settings, dedicated_pools=2, dedicated_pool_size=1)
    databases = await Databases.open(settings, ROLES)
    tenants = [await dedicated(town, admin_url) for _ in range(4)]
    names = [login_of(settings, tenant).name for tenant in tenants]
    open_now = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1"

    async def connected() -> list[int]:
        return [await town.admins[0].fetchval(open_now, name) for name in names]

    async def comes_to(wanted: list[int]) -> None:
        async with asyncio.timeout(10):
            while await connected() != wanted:
                await asyncio.sleep(0.01)

    for tenant in (tenants[0], tenants[1], tenants[0], tenants[2]):
        await seen(databases, tenant)
    await comes_to([1, 0, 1, 0])
    async with databases.tenant(tenants[0]):
        for tenant in tenants[1:]:
            await seen(databases, tenant)
        await comes_to([1, 0, 0, 1])
    await databases.close()
    await comes_to([0, 0, 0, 0])


async def test_all_dedicated_pools_together_have_an_end(town: Town, admin_url: str) -> None:
    settings = resized(
        town.settings, dedicated_pools=1, dedicated_pool_size=1, acquire_timeout_s=0.05
    )
    databases = await Databases.open(settings, ROLES)
    first, second, shared = await dedicated(town, admin_url), await dedicated(town, admin_url), None
    shared = await town.add(0)
    async with databases.tenant(first):
        with pytest.raises(PoolExhausted):
            await seen(databases, second)
        assert await seen(databases, shared) == (0, {shared})
    assert await seen(databases, second) == (0, {second})
    await databases.close()


async def test_a_tenant_that_changes_its_tier_is_served_on(
    town: Town, databases: Databases, admin_url: str
) -> None:
    tenant = await dedicated(town, admin_url)
    assert (await who(databases, tenant)).endswith(tenant.hex)
    await town.admins[0].execute(
        "UPDATE crossdock.placements SET tier = 'shared' WHERE tenant_id = $1", tenant
    )
    await drop_dedicated_role(admin_url, town.settings, tenant)
    await drop_dedicated_role(admin_url, town.settings, tenant)
    async with asyncio.timeout(20):
        while True:
            try:
                if await who(databases, tenant) == "crossdock_app":
                    break
            except DatabaseUnavailable:  # the connection that was ended
                await asyncio.sleep(0.01)
    await town.admins[0].execute(
        "UPDATE crossdock.placements SET tier = 'dedicated' WHERE tenant_id = $1", tenant
    )
    await ensure_dedicated_role(admin_url, town.settings, tenant)
    async with asyncio.timeout(20):
        while await who(databases, tenant) == "crossdock_app":
            await asyncio.sleep(0.05)


async def test_the_tier_counts_on_a_single_shard_too(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> None:
    admin_url = postgres_server.admin_url(fresh_database.url.rpartition("/")[2])
    admin = await asyncpg.connect(admin_url)
    town = Town(fresh_database, (admin,))
    databases = await Databases.open(fresh_database, ROLES)
    tenant = await dedicated(town, admin_url)
    assert await who(databases, tenant) == login_of(fresh_database, tenant).name
    await admin.execute("UPDATE crossdock.placements SET tier = 'shared'")
    await drop_dedicated_role(admin_url, fresh_database, tenant)
    assert await who(databases, tenant) == "crossdock_app", "refused once, it asks and is told"
    await databases.close()
    await admin.close()


async def test_a_role_that_goes_lets_its_work_end(
    town: Town, databases: Databases, admin_url: str
) -> None:
    tenant = await dedicated(town, admin_url)
    name = login_of(town.settings, tenant).name
    exists = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1"
    async with databases.tenant(tenant) as conn:
        going = asyncio.create_task(drop_dedicated_role(admin_url, town.settings, tenant))
        async with asyncio.timeout(10):
            while await town.admins[0].fetchval(exists, name):
                await asyncio.sleep(0.01)
        assert await conn.scalar(text("SELECT session_user")) == name
    await going
    assert await town.admins[0].fetchval(exists, name) is None


async def test_a_dedicated_tenant_without_its_role_is_away(
    town: Town, databases: Databases
) -> None:
    tenant = await town.add(0, tier="dedicated")
    with pytest.raises(DatabaseUnavailable):
        await seen(databases, tenant)
