"""A tenant's end: nothing of it is left in any table but its tombstone and its audit."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.errors import Conflict
from crossdock.supervisor.environment import environment
from crossdock.tenancy.erasure import Eraser
from crossdock.tenancy.erasure.store import FEEDS, KEPT, erasable
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.service import Tenants
from tests.beds.filling import counts, fill, tables

NewTenant = Callable[..., Awaitable[Tenant]]


async def publish(admin: asyncpg.Connection, tenant: Tenant) -> None:
    """Do what the drainer does: gateways have heard of everything."""
    await admin.execute(
        "UPDATE crossdock.outbox SET published_at = now()"
        " WHERE tenant_id = $1 AND published_at IS NULL",
        tenant.id,
    )


async def forget(admin: asyncpg.Connection, tenant: Tenant) -> None:
    """Do what time does: nobody reads of it any more."""
    for feed in FEEDS:
        await admin.execute(f"DELETE FROM crossdock.{feed} WHERE tenant_id = $1", tenant.id)  # noqa: S608


async def actions(admin: asyncpg.Connection, tenant: Tenant) -> list[str]:
    query = "SELECT action FROM crossdock.audit WHERE tenant_id = $1 ORDER BY id"
    return [row["action"] for row in await admin.fetch(query, tenant.id)]


def test_every_table_of_tenants_is_erased_or_says_why_not() -> None:
    assert {table.name for table in erasable()} | KEPT | FEEDS == {t.name for t in tables()}


async def test_nothing_is_left_but_the_tombstone_and_the_audit(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant, neighbour = await new_tenant(), await new_tenant()
    for one in (tenant, neighbour):
        await fill(admin, one.id, rows=5)
        await admin.execute(
            "INSERT INTO crossdock.logins VALUES ($1, $1, $2)", one.id, os.urandom(32)
        )
    full, theirs = await counts(admin, tenant.id), await counts(admin, neighbour.id)
    assert all(full.values()), full
    eraser = Eraser(database, 0, batch=2)

    await tenants.terminate(tenant.slug, reason="left", grace_days=0)
    assert tenant.id not in await eraser.work()
    told = await tenants.find(tenant.slug)
    assert told.state == "terminated"
    assert (await counts(admin, tenant.id))["sources"] == full["sources"], "Gateways first."
    await publish(admin, tenant)
    assert tenant.id not in await eraser.work()
    left = {name: rows for name, rows in (await counts(admin, tenant.id)).items() if rows}
    assert set(left) <= KEPT | FEEDS, left
    await publish(admin, tenant)
    await forget(admin, tenant)
    assert tenant.id in await eraser.work()

    left = {name: rows for name, rows in (await counts(admin, tenant.id)).items() if rows}
    assert set(left) == {"audit"}
    done = await tenants.find(tenant.slug)
    assert (done.state, done.reason, done.terminate_at) == ("terminated", "left", None)
    assert (await actions(admin, tenant))[-3:] == ["tenant.terminate", "tenant.end", "tenant.erase"]
    logins = await admin.fetch("SELECT tenant_id FROM crossdock.logins")
    assert tenant.id not in {row["tenant_id"] for row in logins}
    assert neighbour.id in {row["tenant_id"] for row in logins}
    assert await counts(admin, neighbour.id) == theirs
    assert tenant.id not in await eraser.work()
    with pytest.raises(Conflict):
        await tenants.create("Another", tenant.slug)
    for verb in (tenants.resume(tenant.slug), tenants.suspend(tenant.slug, reason="x")):
        with pytest.raises(Conflict, match="terminated"):
            await verb


async def test_what_comes_in_late_is_erased_too(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant = await new_tenant()
    eraser = Eraser(database, 0)
    await tenants.terminate(tenant.slug, reason="left", grace_days=0)
    await eraser.work()
    await publish(admin, tenant)
    await eraser.work()
    await forget(admin, tenant)
    late = "INSERT INTO crossdock.usage_days VALUES ($1, '2026-01-01', 1, 1)"
    await admin.execute(late, tenant.id)
    assert tenant.id not in await eraser.work(), "A pass that finds something is not the last."
    assert tenant.id in await eraser.work()


async def test_within_the_grace_all_of_it_can_be_had_back(
    tenants: Tenants, new_tenant: NewTenant, database: Databases, admin: asyncpg.Connection
) -> None:
    tenant = await new_tenant()
    await fill(admin, tenant.id)
    full = await counts(admin, tenant.id)
    ended = await tenants.terminate(tenant.slug, reason="left", grace_days=30)
    assert ended.terminate_at is not None
    assert ended.terminate_at - datetime.now(UTC) > timedelta(days=29)
    await publish(admin, tenant)
    assert tenant.id not in await Eraser(database, 0).work()
    now = await counts(admin, tenant.id)
    assert {name: now[name] for name in full if name not in KEPT | FEEDS} == {
        name: full[name] for name in full if name not in KEPT | FEEDS
    }
    resumed = await tenants.resume(tenant.slug)
    assert (resumed.state, resumed.reason, resumed.terminate_at) == ("active", None, None)
    await admin.execute(
        "UPDATE crossdock.tenants SET terminate_at = now() WHERE id = $1", tenant.id
    )
    assert tenant.id not in await Eraser(database, 0).work()
    assert (await counts(admin, tenant.id))["users"] == full["users"]


async def test_only_a_shorter_grace_changes_an_end(tenants: Tenants, new_tenant: NewTenant) -> None:
    tenant = await new_tenant()
    ended = await tenants.terminate(tenant.slug, reason="left", grace_days=7)
    assert await tenants.terminate(tenant.slug, reason="again", grace_days=7) == ended
    assert await tenants.terminate(tenant.slug, reason="again", grace_days=30) == ended
    sooner = await tenants.terminate(tenant.slug, reason="asked to", grace_days=1)
    assert (sooner.state, sooner.reason) == ("terminating", "asked to")
    assert sooner.terminate_at is not None
    assert timedelta(hours=23) < sooner.terminate_at - datetime.now(UTC) <= timedelta(days=1)


ERASE = """
import asyncio
from crossdock import config
from crossdock.db import Databases
from crossdock.tenancy.erasure import Eraser

async def main():
    database = await Databases.open(
        config.load().database, {"maintenance", "operator", "control"}
    )
    while True:
        await Eraser(database, 0, batch=1).work()

asyncio.run(main())
"""


async def test_a_kill_in_the_middle_loses_nothing_and_repeats_nothing(
    settings: Settings,
    tenants: Tenants,
    new_tenant: NewTenant,
    database: Databases,
    admin: asyncpg.Connection,
) -> None:
    tenant, neighbour = await new_tenant(), await new_tenant()
    await fill(admin, tenant.id, rows=100)
    await fill(admin, neighbour.id, rows=2)
    theirs = await counts(admin, neighbour.id)
    await tenants.terminate(tenant.slug, reason="left", grace_days=0)
    eraser = Eraser(database, 0)
    await eraser.work()
    await publish(admin, tenant)
    total = sum((await counts(admin, tenant.id)).values())

    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ERASE), env=environment(settings)
    )
    try:
        async with asyncio.timeout(30):
            while sum((await counts(admin, tenant.id)).values()) > total - 50:
                await asyncio.sleep(0.01)
    finally:
        child.kill()
        await child.wait()
    middle: dict[str, Any] = await counts(admin, tenant.id)
    assert any(middle[name] for name in middle if name not in KEPT | FEEDS), "It was too fast."

    await publish(admin, tenant)
    await eraser.work()
    await forget(admin, tenant)
    assert tenant.id in await eraser.work()
    left = {name: rows for name, rows in (await counts(admin, tenant.id)).items() if rows}
    assert set(left) == {"audit"}
    assert (await actions(admin, tenant)).count("tenant.end") == 1
    assert (await actions(admin, tenant)).count("tenant.erase") == 1
    assert await counts(admin, neighbour.id) == theirs
