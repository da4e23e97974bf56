"""Two shards on two servers: what happens to one of them makes the other's settings no older."""

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import UUID

import pytest

from crossdock.bus.connection import Bus, connect
from crossdock.db import Databases
from crossdock.db.roles import ensure_roles
from crossdock.directory import Directory, Memory
from crossdock.embedded import EmbeddedNats, EmbeddedPostgres
from crossdock.embedded.postgres import DATABASE
from crossdock.errors import BrokerUnavailable
from crossdock.outbox.service import drain_forever
from crossdock.secrets.seal import Sealer
from proto.subjects import settings_bucket
from tests.beds.people import People
from tests.beds.settings import ACCESS_TTL_S, ROLES
from tests.beds.shards import Town
from tests.conftest import QUICK, _migrate

CURRENT_S: Final = 1.0
POLL_S: Final = 0.01

pytestmark = pytest.mark.timeout(120)


class Bed:
    """A gateway's directory, and a drainer a shard."""

    def __init__(self, databases: Databases, bus: Bus, town: Town) -> None:
        self.databases = databases
        self.bus = bus
        self.town = town
        self.memory = Memory(Sealer(os.urandom(32)))
        self.directory = Directory(bus, databases, self.memory, access_ttl_s=ACCESS_TTL_S)
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Start all of it, and wait until both shards are current."""
        for database in (await self.databases.shards()).values():
            self.drain(database.number)
        self.tasks.append(asyncio.create_task(self.directory.run()))
        await self.until(lambda: self.directory.ready and self.current() == [True, True])

    def drain(self, shard: int) -> None:
        """Start a drainer."""
        work = drain_forever(self.databases.shard(shard), self.bus, access_ttl_s=ACCESS_TTL_S)
        self.tasks.append(asyncio.create_task(work))

    def current(self) -> list[bool]:
        """Return which of the two is current."""
        return [self.directory.is_current(shard) for shard in (0, 1)]

    async def change(self, shard: int, tenant_id: UUID) -> float:
        """Change a tenant; return the seconds until the gateway knows."""
        people = People(self.databases.shard(shard), tenant_id)
        name = f"role-{time.monotonic_ns()}"
        await people.add_role(name, "events:read")
        return await self.until(lambda: name in self.roles(tenant_id))

    def roles(self, tenant_id: UUID) -> set[str]:
        """Return the roles that the gateway knows of."""
        found = self.directory.tenant(tenant_id)
        return set() if found is None else set(found.roles)

    async def until(self, holds: Callable[[], bool], *, within_s: float = 20.0) -> float:
        """Wait until something holds; return the seconds it took."""
        began = time.monotonic()
        while not holds():
            for task in self.tasks:
                if task.done():
                    task.result()
            assert time.monotonic() - began < within_s, self.current()
            await asyncio.sleep(POLL_S)
        return time.monotonic() - began


@pytest.fixture
def second_postgres() -> Iterator[EmbeddedPostgres]:
    """The second shard's server."""
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-test-") as folder,
        EmbeddedPostgres(Path(folder), tuning=QUICK) as server,
    ):
        _migrate(server, DATABASE)
        yield server


@pytest.fixture
async def bed(
    private_nats: EmbeddedNats,
    private_postgres: EmbeddedPostgres,
    second_postgres: EmbeddedPostgres,
) -> AsyncIterator[Bed]:
    """An installation of two shards, with roles of the same passwords on both."""
    first, second = private_postgres.settings(), second_postgres.settings()
    bus = await connect(private_nats.settings())
    await ensure_roles(second_postgres.admin_url(DATABASE), first)
    async with Town.open(private_postgres, first, second, second_server=second_postgres) as town:
        databases = await Databases.open(first, ROLES)
        bed = Bed(databases, bus, town)
        try:
            yield bed
        finally:
            for task in bed.tasks:
                task.cancel()
            await asyncio.gather(*bed.tasks, return_exceptions=True)
            await databases.close()
            with suppress(BrokerUnavailable):
                await bus.close()


@pytest.mark.parametrize("away", [0, 1])
@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_one_database_is_away_and_the_others_settings_stay_current(
    bed: Bed,
    private_postgres: EmbeddedPostgres,
    second_postgres: EmbeddedPostgres,
    away: int,
    how: str,
) -> None:
    tenants = [await bed.town.add(shard) for shard in (0, 1)]
    await bed.start()
    for shard, tenant in enumerate(tenants):
        assert await bed.change(shard, tenant) < CURRENT_S
    there, server = 1 - away, (private_postgres, second_postgres)[away]
    await asyncio.to_thread(server.kill if how == "killed" else server.pause)
    try:
        await bed.until(lambda: not bed.directory.is_current(away))
        for _ in range(10):
            assert await bed.change(there, tenants[there]) < CURRENT_S
            assert bed.directory.is_current(there)
        assert bed.roles(tenants[away]), "the last good copy serves"
        assert bed.directory.age_of(away) > CURRENT_S
    finally:
        await asyncio.to_thread(server.start if how == "killed" else server.resume)
    await bed.until(lambda: bed.current() == [True, True])
    assert await bed.change(away, tenants[away]) < CURRENT_S


async def test_one_bucket_is_lost_and_only_its_shard_falls_back(bed: Bed) -> None:
    tenants = [await bed.town.add(shard) for shard in (0, 1)]
    await bed.start()
    bed.tasks[1].cancel()  # nobody fills it again
    del bed.tasks[1]
    await bed.bus.jetstream().delete_stream(f"KV_{settings_bucket(1)}")
    followers = bed.directory._followers
    await bed.until(lambda: followers[1].falls_back)
    for shard, tenant in enumerate(tenants):
        assert await bed.change(shard, tenant) < CURRENT_S
        assert bed.directory.is_current(shard)
    assert not followers[0].falls_back


async def test_a_shard_that_is_added_is_followed_within_seconds(bed: Bed) -> None:
    admin, *_ = bed.town.admins
    row = await admin.fetchrow("DELETE FROM crossdock.shards WHERE id = 1 RETURNING name, url")
    bed.drain(0)
    bed.tasks.append(asyncio.create_task(bed.directory.run()))
    await bed.until(lambda: bed.directory.is_current(0))
    assert bed.directory.shards == [0]
    await admin.execute("INSERT INTO crossdock.shards (id, name, url) VALUES (1, $1, $2)", *row)
    await bed.until(lambda: bed.directory.is_current(1), within_s=8)
    tenant = await bed.town.add(1)
    assert await bed.change(1, tenant) < CURRENT_S


async def test_a_gateway_starts_with_the_control_database_away(
    bed: Bed, private_postgres: EmbeddedPostgres
) -> None:
    """The broker's buckets tell which shards there are."""
    tenants = [await bed.town.add(shard) for shard in (0, 1)]
    await bed.start()
    for shard, tenant in enumerate(tenants):
        await bed.change(shard, tenant)
    settings = private_postgres.settings()
    await asyncio.to_thread(private_postgres.kill)
    databases = await Databases.open(settings, ROLES)
    late = Directory(bed.bus, databases, Memory(Sealer(bytes(32))), access_ttl_s=ACCESS_TTL_S)
    bed.tasks.append(asyncio.create_task(late.run()))
    await bed.until(lambda: late.ready and late.shards == [0, 1])
    assert all(late.tenant(tenant) for tenant in tenants)
    await bed.until(lambda: late.is_current(1))
    await databases.close()
