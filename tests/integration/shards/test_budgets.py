"""One tenant's rush does not take the others' connections."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from crossdock.db import Databases
from crossdock.errors import PoolExhausted
from tests.beds.shards import Town, resized, seen

NAP = text("SELECT pg_sleep(0.02)")
BACKENDS = """
SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()
"""


@pytest.fixture
async def small(town: Town) -> AsyncIterator[Databases]:
    """A process with six connections, of which a tenant may hold two."""
    settings = resized(town.settings, pool_size=6, tenant_connections=2, acquire_timeout_s=20)
    databases = await Databases.open(settings, {"app", "control"})
    yield databases
    await databases.close()


class Watched:
    """Callers that note how many of them are inside at once."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.inside: dict[UUID, int] = {}
        self.most_of_one = 0
        self.most = 0

    async def call(self, tenant: UUID) -> None:
        async with self._databases.tenant(tenant) as conn:
            self.inside[tenant] = self.inside.get(tenant, 0) + 1
            self.most_of_one = max(self.most_of_one, *self.inside.values())
            self.most = max(self.most, sum(self.inside.values()))
            await conn.execute(NAP)
            self.inside[tenant] -= 1


def waiting(pool: str) -> float | None:
    return REGISTRY.get_sample_value("crossdock_database_waiting", {"pool": pool})


async def test_fifty_callers_keep_to_their_share(town: Town, small: Databases) -> None:
    tenants = [await town.add(0) for _ in range(5)]
    watched = Watched(small)
    await asyncio.gather(*(watched.call(tenants[number % 5]) for number in range(50)))
    assert watched.most_of_one == 2
    assert watched.most == 6
    assert await town.admins[0].fetchval(BACKENDS, "crossdock_app") == 6
    assert waiting("0") == 0


async def test_a_quiet_tenant_passes_a_rush(town: Town, small: Databases) -> None:
    noisy, quiet = await town.add(0), await town.add(0)
    watched = Watched(small)
    rush = [asyncio.create_task(watched.call(noisy)) for _ in range(48)]
    while watched.most_of_one < 2:
        await asyncio.sleep(0.001)
    await asyncio.gather(watched.call(quiet), watched.call(quiet))
    assert not rush[-1].done()
    await asyncio.gather(*rush)


async def test_who_waits_too_long_is_told_to_come_again(town: Town) -> None:
    settings = resized(town.settings, tenant_connections=1, acquire_timeout_s=0.05)
    databases = await Databases.open(settings, {"app", "control"})
    tenant, other = await town.add(0), await town.add(0)

    def refused() -> float:
        found = REGISTRY.get_sample_value("crossdock_database_refused_total", {"tier": "shared"})
        return found or 0.0

    before = refused()
    async with databases.tenant(tenant):
        with pytest.raises(PoolExhausted):
            await seen(databases, tenant)
        assert await seen(databases, other) == (0, {other})
    assert refused() == before + 1
    assert await seen(databases, tenant) == (0, {tenant})
    await databases.close()


async def test_callers_that_give_up_leave_their_places(town: Town, small: Databases) -> None:
    tenants = [await town.add(0) for _ in range(3)]
    watched = Watched(small)
    for round_ in range(4):
        tasks = [asyncio.create_task(watched.call(tenants[n % 3])) for n in range(40)]
        await asyncio.sleep(0.005 * round_)
        for task in tasks[:: 2 + round_]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        watched.inside.clear()  # a cancelled call did not come to note its end
    await asyncio.gather(*(watched.call(tenants[number % 3]) for number in range(30)))
    assert waiting("0") == 0
