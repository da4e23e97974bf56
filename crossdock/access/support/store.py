"""Statements on support accesses: the operators' side, and the tenant's."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.support.model import SupportAccess
from crossdock.access.tables import support_accesses
from crossdock.db.pages import newest_first
from crossdock.paging import Window

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `operator` inside a tenant, for callers who only pass it on."""


async def add(conn: asyncpg.Connection, access: SupportAccess) -> None:
    """Insert an access."""
    await conn.execute(
        "INSERT INTO crossdock.support_accesses"
        " (tenant_id, id, operator_id, operator, reason, created_at, ends_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        access.tenant_id,
        access.id,
        access.operator_id,
        access.operator,
        access.reason,
        access.created_at,
        access.ends_at,
    )


async def hold(conn: asyncpg.Connection, tenant_id: UUID, support_id: UUID) -> SupportAccess | None:
    """Return an access, held against whoever would end it."""
    row = await conn.fetchrow(
        "SELECT * FROM crossdock.support_accesses WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant_id,
        support_id,
    )
    return None if row is None else SupportAccess(**row)


async def now(conn: asyncpg.Connection) -> datetime:
    """Return this moment by the shard's clock, the one clock that tokens go by."""
    moment: datetime = await conn.fetchval("SELECT clock_timestamp()")
    return moment


async def end(
    conn: asyncpg.Connection, access: SupportAccess, ended_by: str, moment: datetime
) -> None:
    """Note that an access was ended before its time."""
    await conn.execute(
        "UPDATE crossdock.support_accesses SET ended_at = $3, ended_by = $4"
        " WHERE tenant_id = $1 AND id = $2",
        access.tenant_id,
        access.id,
        moment,
        ended_by,
    )


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[SupportAccess]:
    """Return accesses, newest first."""
    query = select(support_accesses).where(support_accesses.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, support_accesses.c.id, window))
    return [SupportAccess(**row) for row in rows.mappings()]


async def get(
    conn: AsyncConnection, tenant_id: UUID, support_id: UUID, *, lock: bool = False
) -> SupportAccess | None:
    """Return an access to the tenant that was entered."""
    query = select(support_accesses).where(
        support_accesses.c.tenant_id == tenant_id, support_accesses.c.id == support_id
    )
    query = query.with_for_update() if lock else query
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else SupportAccess(**row)


async def end_own(
    conn: AsyncConnection, access: SupportAccess, ended_by: str, moment: datetime
) -> None:
    """Note that the tenant ended an access."""
    await conn.execute(
        update(support_accesses)
        .where(support_accesses.c.tenant_id == access.tenant_id, support_accesses.c.id == access.id)
        .values(ended_at=moment, ended_by=ended_by)
    )
