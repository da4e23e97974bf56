"""A shard that is away takes its own tenants along, and nobody else's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import msgspec
import pytest

from crossdock.config import DatabaseRole, DatabaseSettings
from crossdock.db import Databases
from crossdock.db.roles import ensure_roles
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import DatabaseUnavailable
from tests.beds.shards import Town, seen

ROLES: tuple[DatabaseRole, ...] = ("app", "control")


@pytest.fixture
async def two_servers(
    new_database: Callable[[], DatabaseSettings],
    postgres_server: EmbeddedPostgres,
    private_postgres: EmbeddedPostgres,
) -> AsyncIterator[Town]:
    """Shard 1 on a server of its own."""
    first = new_database()
    second = msgspec.structs.replace(first, url=private_postgres.settings().url)
    await ensure_roles(private_postgres.admin_url(), second)
    opened = Town.open(postgres_server, first, second, second_server=private_postgres)
    async with opened as town:
        yield town
        private_postgres.resume()  # or its administrator's goodbye is never heard


async def refused(databases: Databases, tenant: UUID) -> None:
    """Be refused because a tenant's shard is away."""
    with pytest.raises(DatabaseUnavailable):
        await seen(databases, tenant)


async def back(databases: Databases, tenant: UUID) -> None:
    """Wait until a tenant is served."""
    async with asyncio.timeout(30):
        while True:
            try:
                await seen(databases, tenant)
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize("away", [0, 1])
async def test_a_database_that_takes_no_connections(town: Town, away: int) -> None:
    databases = await Databases.open(town.settings, ROLES)
    there = await town.add(1 - away)
    gone = await town.add(away)
    await seen(databases, there), await seen(databases, gone)
    name = await town.admins[away].fetchval("SELECT current_database()")
    other = town.admins[1 - away]
    await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = $1 AND usename <> 'postgres'",
        name,
    )
    try:
        for _ in range(10):
            await refused(databases, gone)
            assert await seen(databases, there) == (1 - away, {there})
    finally:
        await other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    await back(databases, gone)
    await databases.close()


@pytest.mark.parametrize("end", ["kill", "pause"])
async def test_a_server_that_died_or_hangs(
    two_servers: Town, private_postgres: EmbeddedPostgres, end: str
) -> None:
    town = two_servers
    databases = await Databases.open(town.settings, ROLES)
    there, gone = await town.add(0), await town.add(1)
    await seen(databases, there), await seen(databases, gone)
    getattr(private_postgres, end)()
    waiting = [asyncio.create_task(refused(databases, gone)) for _ in range(20)]
    served = 0
    while not all(task.done() for task in waiting):
        assert await seen(databases, there) == (0, {there})
        served += 1
        await asyncio.sleep(0.01)
    assert served
    await asyncio.gather(*waiting)
    if end == "pause":
        asker = asyncio.create_task(refused(databases, gone))
        await asyncio.sleep(0)
        for _ in range(100):  # one asks whether it is back, the others need not wait for that
            await refused(databases, gone)
        assert not asker.done()
        await asker
    if end == "kill":
        await asyncio.to_thread(private_postgres.start)
    else:
        private_postgres.resume()
    await back(databases, gone)
    await databases.close()


async def test_who_starts_while_the_control_database_is_away_says_so(town: Town) -> None:
    nowhere = msgspec.structs.replace(town.settings, url="postgresql://127.0.0.1:1/crossdock")
    databases = await Databases.open(nowhere, ROLES)
    tenant = await town.add(1)
    await refused(databases, tenant)
    with pytest.raises(DatabaseUnavailable):
        await databases.shards()
    await databases.close()
