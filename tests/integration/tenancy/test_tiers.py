"""A tenant with a database role of its own, and back."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from sqlalchemy import make_url, text

from crossdock.config import Settings
from crossdock.db import Databases
from crossdock.embedded import EmbeddedPostgres
from crossdock.errors import ConfigurationError, Conflict, Invalid
from crossdock.tenancy.model import Tenant
from crossdock.tenancy.tiers import set_tier

NewTenant = Callable[..., Awaitable[Tenant]]


@pytest.fixture(scope="module")
def admin_url(settings: Settings, postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.admin_url(str(make_url(settings.database.url).database))


async def role_of(settings: Settings, tenant: Tenant) -> str:
    """Return as whom a process that starts now works for a tenant."""
    fresh = await Databases.open(settings.database, {"app", "control"})
    try:
        async with fresh.tenant(tenant.id) as conn:
            return str((await conn.execute(text("SELECT current_user"))).scalar_one())
    finally:
        await fresh.close()


async def test_a_dedicated_tenant_has_its_own_role_and_then_not(
    settings: Settings,
    database: Databases,
    new_tenant: NewTenant,
    admin: asyncpg.Connection,
    admin_url: str,
) -> None:
    tenant = await new_tenant()
    assert await role_of(settings, tenant) == "crossdock_app"
    for _ in range(2):
        seen = await set_tier(database, admin_url, tenant.slug, "dedicated")
        assert seen.placement.tier == "dedicated"
    assert await role_of(settings, tenant) == f"crossdock_tenant_{tenant.id.hex}"
    for _ in range(2):
        seen = await set_tier(database, admin_url, tenant.slug, "shared")
        assert seen.placement.tier == "shared"
    assert await role_of(settings, tenant) == "crossdock_app"
    gone = "SELECT count(*) FROM pg_roles WHERE rolname = $1"
    assert await admin.fetchval(gone, f"crossdock_tenant_{tenant.id.hex}") == 0
    told = "SELECT count(*) FROM crossdock.audit WHERE tenant_id = $1 AND action = 'tenant.tier'"
    assert await admin.fetchval(told, tenant.id) == 2


async def test_what_can_not_be_is_said(
    database: Databases, new_tenant: NewTenant, admin_url: str
) -> None:
    tenant = await new_tenant()
    with pytest.raises(Invalid):
        await set_tier(database, admin_url, tenant.slug, "golden")
    with pytest.raises(Conflict):
        await set_tier(database, admin_url, "platform", "dedicated")
    with pytest.raises(ConfigurationError, match="ADMIN_URL"):
        await set_tier(database, None, tenant.slug, "dedicated")
