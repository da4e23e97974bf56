"""Statements on alerts: raised by services inside a tenant and by duties, listed by the tenant."""

from collections.abc import Sequence
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.permissions import OWNER
from crossdock.alerts.model import Alert, Owner
from crossdock.alerts.tables import alerts
from crossdock.db.pages import newest_first
from crossdock.identity.tables import users
from crossdock.paging import Window
from crossdock.tenancy.tables import tenants

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of a duty, likewise."""

MAX_OWNERS: Final = 20
"""So many are told by mail; the list shows it to all."""


async def add(conn: AsyncConnection, alert: Alert) -> bool:
    """Insert an alert, inside the tenant, unless it was raised before; tell which."""
    made = await conn.execute(
        insert(alerts)
        .values(msgspec.structs.asdict(alert))
        .on_conflict_do_nothing()
        .returning(alerts.c.id)
    )
    return made.one_or_none() is not None


async def add_raw(conn: asyncpg.Connection, alert: Alert) -> bool:
    """Insert an alert on a connection of a duty, unless it was raised before; tell which."""
    made = await conn.fetchval(
        "INSERT INTO crossdock.alerts"
        " (tenant_id, id, kind, subject, level, period, detail, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8)"
        " ON CONFLICT DO NOTHING RETURNING id",
        alert.tenant_id,
        alert.id,
        alert.kind,
        alert.subject,
        alert.level,
        alert.period,
        msgspec.json.encode(alert.detail).decode(),
        alert.created_at,
    )
    return made is not None


async def owners(conn: AsyncConnection, tenant_id: UUID) -> Sequence[Owner]:
    """Return the owners of a tenant who may sign in, those longest there first."""
    query = (
        select(users.c.email, tenants.c.name)
        .join(tenants, tenants.c.id == users.c.tenant_id)
        .where(
            users.c.tenant_id == tenant_id,
            users.c.state == "active",
            users.c.roles.contains([OWNER]),
        )
        .order_by(users.c.id)
        .limit(MAX_OWNERS)
    )
    return [Owner(*row) for row in await conn.execute(query)]


async def owners_raw(conn: asyncpg.Connection, tenant_id: UUID) -> Sequence[Owner]:
    """Return the same on a connection of a duty."""
    rows = await conn.fetch(
        "SELECT u.email, t.name FROM crossdock.users AS u"
        " JOIN crossdock.tenants AS t ON t.id = u.tenant_id"
        " WHERE u.tenant_id = $1 AND u.state = 'active' AND $2 = ANY (u.roles)"
        " ORDER BY u.id LIMIT $3",
        tenant_id,
        OWNER,
        MAX_OWNERS,
    )
    return [Owner(*row) for row in rows]


async def page(
    conn: AsyncConnection, tenant_id: UUID, window: Window, *, is_open: bool | None
) -> Sequence[Alert]:
    """Return alerts, newest first."""
    query = select(alerts).where(alerts.c.tenant_id == tenant_id)
    if is_open is not None:
        query = query.where(alerts.c.resolved_at.is_(None) == is_open)
    rows = await conn.execute(newest_first(query, alerts.c.id, window))
    return [Alert(**row) for row in rows.mappings()]


async def resolve(conn: AsyncConnection, tenant_id: UUID, kind: str, subject: str) -> None:
    """Note that what was told of a subject has passed."""
    await conn.execute(
        update(alerts)
        .where(
            alerts.c.tenant_id == tenant_id,
            alerts.c.kind == kind,
            alerts.c.subject == subject,
            alerts.c.resolved_at.is_(None),
        )
        .values(resolved_at=func.now())
    )


async def resolve_before(conn: asyncpg.Connection, day: str) -> int:
    """Note that all alerts about days before this one have passed; return how many there were."""
    done: str = await conn.execute(
        "UPDATE crossdock.alerts SET resolved_at = now()"
        " WHERE resolved_at IS NULL AND period <> '' AND period < $1",
        day,
    )
    return int(done.removeprefix("UPDATE "))
