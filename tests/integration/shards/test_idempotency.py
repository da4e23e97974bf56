"""Keys live with their tenant: on its shard, and by its role where it has one of its own."""

import os
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import make_url, text

from crossdock.db import Databases
from crossdock.db.dedicated import ensure_dedicated_role, login_of
from crossdock.embedded import EmbeddedPostgres
from crossdock.idempotency.memory import Memory
from crossdock.idempotency.model import Answer, Claim
from crossdock.idempotency.service import Idempotency
from crossdock.idempotency.vault import Vault
from tests.beds.shards import Town

ANSWER = Answer(204, (), b"")
VAULT = Vault(os.urandom(32))
COUNT = "SELECT count(*) FROM crossdock.idempotency_keys WHERE tenant_id = $1"


def claim(tenant_id: UUID) -> Claim:
    """Return a claim of a tenant's; as it holds a secret, it is asked of the database."""
    return Claim(
        tenant_id=tenant_id,
        digest=os.urandom(32),
        fingerprint=os.urandom(32),
        is_secret=True,
    )


async def never() -> Answer:
    pytest.fail("done again")


async def test_a_key_is_kept_on_its_tenants_shard(town: Town, databases: Databases) -> None:
    tenant_id = await town.add(1)
    service = Idempotency(databases, VAULT, Memory())

    async def work() -> Answer:
        return ANSWER

    for way in (service.atomic, service.apart):
        asked = claim(tenant_id)
        assert await way(asked, work) is None
        assert await way(asked, never) == ANSWER
    assert await town.admins[1].fetchval(COUNT, tenant_id) == 2
    assert await town.admins[0].fetchval(COUNT, tenant_id) == 0


async def test_a_dedicated_tenants_work_joins_by_its_own_role(
    town: Town, databases: Databases, postgres_server: EmbeddedPostgres
) -> None:
    tenant_id = await town.add(0, tier="dedicated")
    admin_url = postgres_server.admin_url(str(make_url(town.settings.url).database))
    await ensure_dedicated_role(admin_url, town.settings, tenant_id)
    service = Idempotency(databases, VAULT, Memory())
    seen = []

    async def work() -> Answer:
        for _ in range(2):
            async with databases.tenant(tenant_id) as conn:
                row = await conn.execute(text("SELECT session_user, pg_backend_pid()"))
                seen.append(tuple(row.one()))
        return ANSWER

    login = login_of(town.settings, tenant_id)
    for way in (service.atomic, service.apart):
        asked = claim(tenant_id)
        assert await way(asked, work) is None
        assert await way(asked, never) == ANSWER
    assert {name for name, _ in seen} == {login.name}
    assert seen[0] == seen[1], "One connection."


async def test_a_dedicated_role_sees_no_keys_but_its_tenants(
    town: Town, databases: Databases, postgres_server: EmbeddedPostgres
) -> None:
    own, other = await town.add(0, tier="dedicated"), await town.add(0)
    admin_url = postgres_server.admin_url(str(make_url(town.settings.url).database))
    await ensure_dedicated_role(admin_url, town.settings, own)
    service = Idempotency(databases, VAULT, Memory())

    async def work() -> Answer:
        return ANSWER

    mine, theirs = claim(own), claim(other)
    await service.atomic(mine, work)
    await service.atomic(theirs, work)
    login = login_of(town.settings, own)
    session = await asyncpg.connect(town.settings.url, user=login.name, password=login.password)
    try:
        for entered in (own, other):
            await session.execute(
                "SELECT set_config('crossdock.tenant_id', $1, false)", str(entered)
            )
            assert await session.fetchval("SELECT count(*) FROM crossdock.idempotency_keys") == 1
            ask = "SELECT state FROM crossdock.claim_key($1, $2, $3)"
            assert await session.fetchval(ask, own, mine.digest, mine.lock) == "done"
            assert await session.fetchval(ask, other, theirs.digest, theirs.lock) is None
    finally:
        await session.close()
