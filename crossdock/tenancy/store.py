"""Statements on tenants: as they see themselves, as an operator does, and on the places of all."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.paging import Window
from crossdock.tenancy.model import Placement, Plan, Tenant, TenantState
from crossdock.tenancy.tables import tenants

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `control`, `operator` or `directory`, for callers who only pass it on."""

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, likewise."""

_COLUMNS: Final = Tenant.__struct_fields__
_SHOWN: Final = ", ".join(f"t.{name}" for name in _COLUMNS)
_TENANT: Final = f"SELECT {_SHOWN} FROM crossdock.tenants AS t"
_RETURNING: Final = f" RETURNING {_SHOWN}"
_PLACES: Final = ", ".join(f"p.{name}" for name in Placement.__struct_fields__)
_PLACE: Final = f"SELECT {_PLACES} FROM crossdock.placements AS p"


async def own(conn: AsyncConnection, tenant_id: UUID, *, lock: bool = False) -> Tenant | None:
    """Return the tenant that was entered, on demand held against other writers."""
    columns = [tenants.c[name] for name in _COLUMNS]
    query = select(*columns).where(tenants.c.id == tenant_id)
    row = await conn.execute(query.with_for_update() if lock else query)
    found = row.mappings().one_or_none()
    return None if found is None else Tenant(**found)


async def rename(conn: AsyncConnection, tenant_id: UUID, name: str) -> None:
    """Write the name of the tenant that was entered."""
    await conn.execute(update(tenants).where(tenants.c.id == tenant_id).values(name=name))


async def add(conn: asyncpg.Connection, tenant: Tenant) -> bool:
    """Insert the tenant that was entered; tell whether it is new."""
    made = await conn.fetchval(
        "INSERT INTO crossdock.tenants (id, slug, name, state, shard, version, created_at, plan)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING RETURNING id",
        tenant.id,
        tenant.slug,
        tenant.name,
        tenant.state,
        tenant.shard,
        tenant.version,
        tenant.created_at,
        tenant.plan,
    )
    return made is not None


async def lock(conn: asyncpg.Connection, tenant_id: UUID) -> Tenant | None:
    """Return the tenant that was entered, held against other writers."""
    row = await conn.fetchrow(_TENANT + " WHERE t.id = $1 FOR UPDATE", tenant_id)
    return _tenant(row)


async def get(conn: asyncpg.Connection, tenant_id: UUID) -> Tenant | None:
    """Return a tenant."""
    row = await conn.fetchrow(_TENANT + " WHERE t.id = $1", tenant_id)
    return _tenant(row)


async def some(conn: asyncpg.Connection, tenant_ids: Collection[UUID]) -> list[Tenant]:
    """Return those of the tenants that are on this shard."""
    rows = await conn.fetch(_TENANT + " WHERE t.id = ANY ($1)", tenant_ids)
    return [found for row in rows if (found := _tenant(row)) is not None]


async def set_state(
    conn: asyncpg.Connection,
    tenant_id: UUID,
    state: TenantState,
    *,
    reason: str | None,
    terminate_at: datetime | None,
    ends_tokens: bool,
) -> Tenant:
    """Write a tenant's state as a new version of it.

    Tokens end by the clock that stamps them, read after the row was locked.
    """
    row = await conn.fetchrow(
        "UPDATE crossdock.tenants AS t SET state = $2, version = t.version + 1, reason = $3,"
        " terminate_at = $4,"
        " not_before = CASE WHEN $5 THEN clock_timestamp() ELSE t.not_before END"
        " WHERE t.id = $1" + _RETURNING,
        tenant_id,
        state,
        reason,
        terminate_at,
        ends_tokens,
    )
    return _known(row)


async def set_quota(
    conn: asyncpg.Connection,
    tenant_id: UUID,
    plan: Plan,
    quotas: Mapping[str, int],
    blocked_until: datetime | None,
) -> Tenant:
    """Write what a tenant may have as a new version of it."""
    row = await conn.fetchrow(
        "UPDATE crossdock.tenants AS t SET plan = $2, quotas = $3::text::jsonb,"
        " blocked_until = $4, version = t.version + 1"
        " WHERE t.id = $1" + _RETURNING,
        tenant_id,
        plan,
        msgspec.json.encode(quotas).decode(),
        blocked_until,
    )
    return _known(row)


async def add_place(conn: asyncpg.Connection, place: Placement) -> bool:
    """Claim a slug and a shard for a tenant; tell whether they were free."""
    done: str = await conn.execute(
        "INSERT INTO crossdock.placements (tenant_id, slug, name, shard, tier, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        *msgspec.structs.astuple(place),
    )
    return done.endswith(" 1")


async def place_of(conn: asyncpg.Connection, tenant_id: UUID) -> Placement | None:
    """Return where a tenant lives."""
    row = await conn.fetchrow(_PLACE + " WHERE p.tenant_id = $1", tenant_id)
    return None if row is None else Placement(**row)


async def find_place(
    conn: asyncpg.Connection, slug: str, tenant_id: UUID | None
) -> Placement | None:
    """Return where the tenant of a slug or an id lives."""
    row = await conn.fetchrow(
        _PLACE + " WHERE p.slug = $1 OR p.tenant_id = $2",
        slug,
        tenant_id,
    )
    return None if row is None else Placement(**row)


async def places(conn: asyncpg.Connection, window: Window) -> list[Placement]:
    """Return where tenants live, newest first."""
    rows = await conn.fetch(
        _PLACE + " WHERE $1::uuid IS NULL OR p.tenant_id < $1 ORDER BY p.tenant_id DESC LIMIT $2",
        window.after,
        window.fetch,
    )
    return [Placement(**row) for row in rows]


async def rename_place(conn: asyncpg.Connection, tenant_id: UUID, name: str) -> None:
    """Write a tenant's name where lists find it while its shard is away."""
    await conn.execute(
        "UPDATE crossdock.placements SET name = $2 WHERE tenant_id = $1", tenant_id, name
    )


async def set_tier(conn: asyncpg.Connection, tenant_id: UUID, tier: str) -> None:
    """Write whether a tenant shares a role and a pool with others."""
    await conn.execute(
        "UPDATE crossdock.placements SET tier = $2 WHERE tenant_id = $1", tenant_id, tier
    )


async def is_signup(conn: asyncpg.Connection, tenant_id: UUID) -> bool:
    """Tell whether a tenant is being made by somebody who signed up."""
    found: bool = await conn.fetchval(
        "SELECT EXISTS (SELECT FROM crossdock.signups WHERE tenant_id = $1)", tenant_id
    )
    return found


def _tenant(row: asyncpg.Record | None) -> Tenant | None:
    return None if row is None else _known(row)


def _known(row: asyncpg.Record) -> Tenant:
    return Tenant(**{**row, "quotas": msgspec.json.decode(row["quotas"])})
