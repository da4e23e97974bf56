"""A tenant is entered where it lives, whatever a process believed before."""

import asyncio
from uuid import UUID

import asyncpg
import msgspec
import pytest

from crossdock import context, ids
from crossdock.config import DatabaseSettings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ConfigurationError, DatabaseUnavailable, NotFound, TenantMismatch
from crossdock.tenancy.rules import PLATFORM
from tests.beds.shards import Town, seen


async def test_tenants_of_two_shards_live_side_by_side(town: Town, databases: Databases) -> None:
    homes = {await town.add(shard): shard for shard in (0, 1, 0, 1, 1)}
    found = await asyncio.gather(*(seen(databases, tenant) for tenant in homes))
    assert found == [(shard, {tenant}) for tenant, shard in homes.items()]
    for tenant, shard in homes.items():
        assert (await databases.shard_of(tenant)).number == shard
        async with databases.operator(tenant) as conn:
            assert await conn.fetchval("SELECT shard FROM crossdock.home") == shard
            assert await conn.fetchval("SELECT array_agg(id) FROM crossdock.tenants") == [tenant]


async def test_nobody_is_found_nowhere(databases: Databases) -> None:
    for _ in range(2):
        with pytest.raises(NotFound):
            await seen(databases, ids.new())
        with pytest.raises(NotFound):
            await databases.shard_of(ids.new())
        with pytest.raises(NotFound):
            async with databases.operator(ids.new()):
                pytest.fail("entered")


async def test_what_memory_says_saves_the_look_up(town: Town) -> None:
    tenant = await town.add(1)
    # A placement that is only in memory: had it been looked up, the tenant would not be found.
    await town.admins[0].execute("DELETE FROM crossdock.placements WHERE tenant_id = $1", tenant)
    known = await Databases.open(town.settings, {"app", "directory"}, placed=lambda _: 1)
    assert await seen(known, tenant) == (1, {tenant})
    await known.close()


async def test_on_one_shard_an_invented_tenant_is_not_entered(
    fresh_database: DatabaseSettings,
) -> None:
    """To enter it would be an error in the server's log; here it would be a refused password."""
    settings = msgspec.structs.replace(fresh_database, app_password="another")
    databases = await Databases.open(settings, {"app", "control"}, placed=lambda _: None)
    with pytest.raises(NotFound):
        await seen(databases, ids.new())
    with pytest.raises(DatabaseUnavailable):
        await seen(databases, PLATFORM)
    await databases.close()


@pytest.mark.parametrize("stale", ["remembered", "told"])
async def test_a_tenant_that_moved_is_found_again(town: Town, stale: str) -> None:
    told: dict[UUID, int] = {}
    databases = await Databases.open(town.settings, {"app", "control"}, placed=told.get)
    for before, after in ((0, 1), (1, 0)):
        tenant = await town.add(before)
        if stale == "told":
            told[tenant] = before
        assert (await seen(databases, tenant))[0] == before
        await town.move(tenant, after)
        assert await seen(databases, tenant) == (after, {tenant})
        told.clear()
        assert await seen(databases, tenant) == (after, {tenant})
    await databases.close()


async def test_a_tenant_erased_from_its_shard_is_not_found(
    town: Town, databases: Databases
) -> None:
    tenant = await town.add(1)
    assert (await seen(databases, tenant))[0] == 1
    await town.admins[1].execute("DELETE FROM crossdock.api_keys WHERE tenant_id = $1", tenant)
    await town.admins[1].execute("DELETE FROM crossdock.tenants WHERE id = $1", tenant)
    with pytest.raises(NotFound):
        await seen(databases, tenant)


async def test_work_of_one_tenant_does_not_reach_anothers_rows(
    town: Town, databases: Databases
) -> None:
    own, other = await town.add(0), await town.add(1)
    with context.bound(own):
        assert await seen(databases, own) == (0, {own})
        with pytest.raises(TenantMismatch):
            await seen(databases, other)
        with pytest.raises(TenantMismatch):
            async with databases.shard(1).tenant(other):
                pytest.fail("entered")
        with pytest.raises(TenantMismatch):
            await seen(databases, ids.new())
    assert await seen(databases, other) == (1, {other})


async def test_the_control_tables_are_those_of_shard_0(town: Town, databases: Databases) -> None:
    async with databases.control() as conn:
        assert await conn.fetchval("SELECT count(*) FROM crossdock.shards") == 2
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.fetchval("SELECT count(*) FROM crossdock.tenants")


async def test_a_new_shard_is_noticed_by_whoever_runs(town: Town, databases: Databases) -> None:
    assert set(await databases.shards()) == {0, 1}
    await town.admins[0].execute(
        "INSERT INTO crossdock.shards (id, name, url) SELECT 2, 'third', url"
        " FROM crossdock.shards WHERE id = 1"
    )
    try:
        async with asyncio.timeout(20):
            while set(await databases.shards()) != {0, 1, 2}:
                await asyncio.sleep(0.05)
    finally:
        await town.admins[0].execute("DELETE FROM crossdock.shards WHERE id = 2")


async def test_an_installation_of_one_shard_looks_nothing_up(
    fresh_database: DatabaseSettings, postgres_server: EmbeddedPostgres
) -> None:
    tenant = ids.new()
    admin = await asyncpg.connect(postgres_server.admin_url(fresh_database.url.rpartition("/")[2]))
    # It has no placement: had one been looked up, the tenant would not be found.
    await admin.execute(
        "INSERT INTO crossdock.tenants (id, slug, name) VALUES ($1, 'one', 'One')", tenant
    )
    await admin.close()
    databases = await Databases.open(fresh_database, {"app", "directory", "operator"})
    assert await seen(databases, tenant) == (0, set())
    assert (await databases.shard_of(tenant)).number == 0
    for _ in range(2):
        with pytest.raises(NotFound):
            await seen(databases, ids.new())
    await databases.close()


async def test_a_process_must_be_able_to_find_tenants(town: Town) -> None:
    with pytest.raises(ConfigurationError, match="directory"):
        await Databases.open(town.settings, {"app"})
