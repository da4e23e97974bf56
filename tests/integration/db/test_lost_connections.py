"""A connection that the server closed while nobody used it is replaced, not handed out."""

import asyncio

import pytest

from crossdock import ids
from crossdock.db import Database
from crossdock.errors import NotFound
from tests.beds.world import World

LEFT = """
SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND datname = current_database()
"""
KILL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE usename = $1 AND datname = current_database()
"""


async def _use(database: Database, role: str) -> None:
    if role == "app":
        with pytest.raises(NotFound):  # the database answered: nobody is there
            async with database.tenant(ids.new()):
                raise AssertionError
        return
    async with database.queue() as connection:
        assert await connection.fetchval("SELECT 1") == 1


@pytest.mark.parametrize("role", ["app", "dispatch"])
async def test_connections_lost_while_idle_are_replaced(
    world: World, database: Database, role: str
) -> None:
    await asyncio.gather(*(_use(database, role) for _ in range(4)))
    assert await world.admin.fetchval(KILL, f"crossdock_{role}") >= 1
    async with asyncio.timeout(10):
        while await world.admin.fetchval(LEFT, f"crossdock_{role}"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)  # what the server said last is read by this loop
    await asyncio.gather(*(_use(database, role) for _ in range(4)))
