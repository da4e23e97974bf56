"""Statements on tenants: their own view as the app role, the operators' as maintenance."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.errors import Conflict
from crossdock.tenancy.model import Tenant, TenantState
from crossdock.tenancy.tables import tenants


async def own(conn: AsyncConnection, tenant_id: UUID) -> Tenant | None:
    """Return the tenant that was entered."""
    row = await conn.execute(select(tenants).where(tenants.c.id == tenant_id))
    found = row.mappings().one_or_none()
    return None if found is None else Tenant(**found)


async def add(conn: asyncpg.Connection, tenant: Tenant) -> None:
    """Insert a tenant.

    Raises:
        Conflict: another has its slug.
    """
    made = await conn.fetchval(
        "INSERT INTO crossdock.tenants (id, slug, name, state, shard, version, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (slug) DO NOTHING RETURNING id",
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.state,
        tenant.shard,
        tenant.version,
        tenant.created_at,
    )
    if made is None:
        raise Conflict(f"There is a tenant with the slug {tenant.slug} already.")


async def page(conn: asyncpg.Connection) -> Sequence[Tenant]:
    """Return all tenants, newest first."""
    rows = await conn.fetch("SELECT * FROM crossdock.tenants ORDER BY id DESC")
    return [Tenant(**row) for row in rows]


async def lock(conn: asyncpg.Connection, slug: str, tenant_id: UUID | None) -> Tenant | None:
    """Return the tenant of a slug or an id, held against other writers."""
    row = await conn.fetchrow(
        "SELECT * FROM crossdock.tenants WHERE slug = $1 OR id = $2 FOR UPDATE", slug, tenant_id
    )
    return None if row is None else Tenant(**row)


async def set_state(conn: asyncpg.Connection, tenant_id: UUID, state: TenantState) -> Tenant:
    """Write a tenant's state as a new version of it."""
    row = await conn.fetchrow(
        "UPDATE crossdock.tenants SET state = $2, version = version + 1 WHERE id = $1 RETURNING *",
        tenant_id,
        state,
    )
    return Tenant(**row)
