"""Statements on the audit: entries are added in the transaction of what they tell."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.audit.model import AuditFilter, Entry, Recorded
from crossdock.audit.tables import audit
from crossdock.db.pages import newest_first
from crossdock.paging import Window


async def add(conn: AsyncConnection, tenant_id: UUID, entry: Entry) -> None:
    """Add an entry, inside the tenant."""
    row = {"tenant_id": tenant_id, "id": ids.new(), **msgspec.structs.asdict(entry)}
    await conn.execute(insert(audit).inline().values(row))


async def add_raw(conn: asyncpg.Connection, tenant_id: UUID, entry: Entry) -> None:
    """Add an entry on a connection of an operator or of maintenance."""
    await conn.execute(
        "INSERT INTO crossdock.audit (tenant_id, id, actor_kind, actor_id, action, target, address,"
        " detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb)",
        tenant_id,
        ids.new(),
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.target,
        entry.address,
        msgspec.json.encode(entry.detail).decode(),
    )


async def page(
    conn: AsyncConnection, tenant_id: UUID, window: Window, wanted: AuditFilter
) -> Sequence[Recorded]:
    """Return entries, newest first."""
    query = select(audit).where(audit.c.tenant_id == tenant_id)
    if wanted.action is not None and wanted.action.endswith("."):
        query = query.where(audit.c.action.startswith(wanted.action, autoescape=True))
    elif wanted.action is not None:
        query = query.where(audit.c.action == wanted.action)
    if wanted.actor_id is not None:
        query = query.where(audit.c.actor_id == wanted.actor_id)
    rows = await conn.execute(newest_first(query, audit.c.id, window))
    return [Recorded(**row) for row in rows.mappings()]
