"""Tenants' data keys in their rows: made once, found by whoever may, gone when destroyed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest

from crossdock import ids
from crossdock.config import DatabaseSettings
from crossdock.db import Database, Databases
from crossdock.db.joining import joining
from crossdock.db.tenant_pool import raw_of
from crossdock.secrets import payloads
from crossdock.secrets.payloads import BatchKeys, PayloadShredded, TenantKeys
from crossdock.secrets.seal import SealBroken, Sealer
from tests.beds.world import World, tenant

MASTER = Sealer(b"the key that wraps all the other")
BODY = b'{"secret": true}'

Fresh = Callable[[], Awaitable[UUID]]


@pytest.fixture
def keys(databases: Databases) -> TenantKeys:
    return TenantKeys(databases, MASTER)


@pytest.fixture(scope="module")
async def shard(fresh_database: DatabaseSettings) -> AsyncIterator[Database]:
    opened = await Database.open(fresh_database, ["dispatch", "ingest"])
    yield opened
    await opened.close()


@pytest.fixture
def fresh(world: World) -> Fresh:
    async def make() -> UUID:
        made = tenant()
        await world.add(made)
        return made.id

    return make


async def test_a_tenant_has_one_key_however_many_ask(
    keys: TenantKeys, world: World, fresh: Fresh
) -> None:
    one, other = await fresh(), await fresh()

    found = await asyncio.gather(*(keys.current(one) for _ in range(8)))

    assert len({key.id for key in found}) == 1
    assert (await keys.current(other)).id != found[0].id
    assert await world.count("payload_keys", "tenant_id = $1", one) == 1
    kept = await world.admin.fetchval(
        "SELECT wrapped FROM crossdock.payload_keys WHERE tenant_id = $1", one
    )
    assert len(kept) == 32 + 29


async def test_what_one_process_seals_another_opens(
    keys: TenantKeys, databases: Databases, shard: Database, fresh: Fresh
) -> None:
    owner, event = await fresh(), ids.new()
    key = await keys.current(owner)
    sealed = payloads.seal_payload(key, owner, event, BODY)

    for reader in (
        TenantKeys(databases, MASTER),
        BatchKeys(shard, "dispatch", MASTER),
        BatchKeys(shard, "ingest", MASTER),
    ):
        found = await reader.get(owner, key.id)
        assert payloads.open_payload(found, owner, event, sealed) == BODY


async def test_a_destroyed_key_is_forgotten_soon(
    databases: Databases, shard: Database, world: World, fresh: Fresh
) -> None:
    owner, now = await fresh(), 0.0
    readers = (
        TenantKeys(databases, MASTER, lambda: now),
        BatchKeys(shard, "dispatch", MASTER, lambda: now),
    )
    key_id = (await readers[0].current(owner)).id
    for reader in readers:
        await reader.get(owner, key_id)
    await world.admin.execute("DELETE FROM crossdock.payload_keys WHERE tenant_id = $1", owner)

    for reader in readers:
        assert (await reader.get(owner, key_id)).id == key_id
    now = payloads.KEPT_S + 0.1
    for reader in readers:
        with pytest.raises(PayloadShredded):
            await reader.get(owner, key_id)


async def test_a_retired_key_still_opens_and_no_longer_seals(
    keys: TenantKeys, world: World, fresh: Fresh
) -> None:
    owner = await fresh()
    old = await keys.current(owner)
    await world.admin.execute(
        "UPDATE crossdock.payload_keys SET retired_at = now() WHERE tenant_id = $1", owner
    )

    new = await keys.current(owner)

    assert new.id != old.id
    assert (await keys.get(owner, old.id)).id == old.id


async def test_nobody_gets_anothers_key(
    keys: TenantKeys, databases: Databases, shard: Database, fresh: Fresh
) -> None:
    owner, other = await fresh(), await fresh()
    key = await keys.current(owner)

    for reader in (TenantKeys(databases, MASTER), BatchKeys(shard, "dispatch", MASTER)):
        with pytest.raises(PayloadShredded):
            await reader.get(other, key.id)


async def test_a_key_of_another_installation_is_no_end_of_a_batch(
    keys: TenantKeys, databases: Databases, shard: Database, fresh: Fresh
) -> None:
    good, bad = await fresh(), await fresh()
    stranger = TenantKeys(databases, Sealer(b"what another installation has...."[:32]))
    wanted = {(good, (await keys.current(good)).id), (bad, (await stranger.current(bad)).id)}
    reader = BatchKeys(shard, "dispatch", MASTER)

    await reader.load(wanted)

    for owner, key_id in wanted:
        if owner == good:
            assert (await reader.get(owner, key_id)).id == key_id
        else:
            with pytest.raises(SealBroken):
                await reader.get(owner, key_id)


async def test_a_key_made_in_a_transaction_that_fails_was_never_made(
    keys: TenantKeys, databases: Databases, world: World, fresh: Fresh
) -> None:
    owner = await fresh()
    made = []

    async def make_and_fail() -> None:
        async with databases.tenant(owner) as connection:
            with joining(owner, connection, await raw_of(connection)):
                made.append(await keys.current(owner))
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await make_and_fail()

    assert await world.count("payload_keys", "tenant_id = $1", owner) == 0
    assert (await keys.current(owner)).id != made[0].id


async def test_memory_of_opened_keys_is_bounded(
    keys: TenantKeys, world: World, fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "KEPT", 2)
    owners = [await fresh() for _ in range(4)]
    for owner in owners:
        await keys.current(owner)

    assert len(keys._opened._keys) == 2
