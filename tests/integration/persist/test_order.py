"""The one order in which everybody takes locks, so that no two workers wait in a circle."""

import asyncio
from math import inf

import asyncpg
import pytest

from crossdock.db import Database
from crossdock.embedded import EmbeddedPostgres
from crossdock.inbound.persist import Persister, Redelivered, Stored
from tests.beds.world import World, tenant
from tests.faults.waiting import until

WAITING = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.mark.parametrize("careful", [True, False])
async def test_events_without_a_key_come_before_keys(
    world: World, database: Database, postgres_server: EmbeddedPostgres, *, careful: bool
) -> None:
    owner = tenant()
    await world.add(owner)
    keyed, unkeyed = world.webhook(owner), world.webhook(owner, dedupe=None)
    first, second = Persister(database, lease_s=60), Persister(database, lease_s=60)
    if careful:
        first._careful_until = inf

    async def wait(number: int) -> bool:
        return bool(await world.admin.fetchval(WAITING) == number)

    holder = await asyncpg.connect(postgres_server.admin_url(world.settings.url.rpartition("/")[2]))
    key_held = holder.transaction()
    await key_held.start()
    await holder.execute(
        "INSERT INTO crossdock.event_keys (tenant_id, source_id, dedupe_hash, event_id)"
        " VALUES ($1, $2, $3, $4)",
        owner.id,
        keyed.source_id,
        keyed.message.dedupe,
        keyed.event_id,
    )
    one = asyncio.create_task(first.persist([keyed, unkeyed]))
    await until(lambda: wait(1), "a worker that waits for the key", within=20)
    other = asyncio.create_task(second.persist([unkeyed]))
    await until(lambda: wait(2), "another that waits for the first one's event", within=20)
    await key_held.rollback()
    await holder.close()

    assert all(isinstance(outcome, Stored) for outcome in (await one).outcomes)
    assert [type(outcome) for outcome in (await other).outcomes] == [Redelivered]
