"""Statements on alerts: raised by services inside a tenant and by duties, listed by the tenant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.access.permissions import OWNER
from crossdock.alerts.model import Alert, AlertEdit, AlertSettings, Owner
from crossdock.alerts.tables import alert_settings, alerts
from crossdock.db.pages import newest_first
from crossdock.delivery.tables import destinations
from crossdock.identity.tables import users
from crossdock.paging import Window
from crossdock.tenancy.tables import tenants

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of a duty, likewise."""

MAX_OWNERS: Final = 20
"""So many are told by mail; the list shows it to all."""

_ALERT: Final = tuple(alerts.c[name] for name in Alert.__struct_fields__)
_wishes: Final = msgspec.json.Decoder(AlertEdit)


async def add(conn: AsyncConnection, alert: Alert, *, to_tell: bool = True) -> bool:
    """Insert an alert, inside the tenant, unless it was raised before; tell which.

    One that has passed already is told once, as raised; one that is not `to_tell` is no event.
    """
    made = await conn.execute(
        insert(alerts)
        .values(
            **msgspec.structs.asdict(alert),
            told_at=None if to_tell else alert.created_at,
            resolved_told_at=alert.resolved_at,
        )
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
    conn: AsyncConnection,
    tenant_id: UUID,
    window: Window,
    *,
    is_open: bool | None,
    kind: str | None,
) -> Sequence[Alert]:
    """Return alerts, newest first."""
    query = select(*_ALERT).where(alerts.c.tenant_id == tenant_id)
    if is_open is not None:
        query = query.where(alerts.c.resolved_at.is_(None) == is_open)
    if kind is not None:
        query = query.where(alerts.c.kind == kind)
    rows = await conn.execute(newest_first(query, alerts.c.id, window))
    return [Alert(**row) for row in rows.mappings()]


async def get(conn: AsyncConnection, tenant_id: UUID, alert_id: UUID) -> Alert | None:
    """Return one alert."""
    query = select(*_ALERT).where(alerts.c.tenant_id == tenant_id, alerts.c.id == alert_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else Alert(**row)


async def number(conn: AsyncConnection, alert: Alert, since: datetime) -> int:
    """Return the how many-th of its tenant an alert is since a moment, quotas' apart."""
    query = select(func.count()).where(
        alerts.c.tenant_id == alert.tenant_id,
        alerts.c.id <= alert.id,
        alerts.c.created_at > since,
        alerts.c.kind != "quota",
    )
    return int((await conn.execute(query)).scalar_one())


async def number_raw(conn: asyncpg.Connection, alert: Alert, since: datetime) -> int:
    """Return the same on a connection of a duty."""
    found: int = await conn.fetchval(
        "SELECT count(*) FROM crossdock.alerts"
        " WHERE tenant_id = $1 AND id <= $2 AND created_at > $3 AND kind <> 'quota'",
        alert.tenant_id,
        alert.id,
        since,
    )
    return found


async def settings(
    conn: AsyncConnection, tenant_id: UUID, *, lock: bool = False
) -> AlertSettings | None:
    """Return what a tenant wants to be told of, if it ever said so."""
    query = select(
        alert_settings.c.settings, alert_settings.c.version, alert_settings.c.updated_at
    ).where(alert_settings.c.tenant_id == tenant_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None or row.version == 1:  # made to be locked, and never changed
        return None
    return AlertSettings(msgspec.convert(row[0], AlertEdit), *row[1:])


async def settings_raw(conn: asyncpg.Connection, tenant_id: UUID) -> AlertEdit:
    """Return the same on a connection of a duty; the defaults of a tenant that said nothing."""
    found = await conn.fetchval(
        "SELECT settings::text FROM crossdock.alert_settings WHERE tenant_id = $1", tenant_id
    )
    return AlertEdit() if found is None else _wishes.decode(found)


async def begin_settings(conn: AsyncConnection, tenant_id: UUID, edit: AlertEdit) -> None:
    """Make a tenant's row where there is none, for somebody to lock."""
    row = {"tenant_id": tenant_id, "settings": msgspec.to_builtins(edit), "version": 1}
    await conn.execute(insert(alert_settings).inline().values(row).on_conflict_do_nothing())


async def save_settings(conn: AsyncConnection, tenant_id: UUID, changed: AlertSettings) -> None:
    """Write what a tenant wants, which was locked before."""
    await conn.execute(
        update(alert_settings)
        .where(alert_settings.c.tenant_id == tenant_id)
        .values(
            settings=msgspec.to_builtins(changed.edit),
            version=changed.version,
            updated_at=changed.updated_at,
        )
    )


async def count_listeners(conn: AsyncConnection, tenant_id: UUID) -> int:
    """Return how many destinations take events about alerts."""
    named = text("EXISTS (SELECT FROM unnest(event_types) AS t WHERE starts_with(t, 'crossdock.'))")
    query = select(func.count()).where(
        destinations.c.tenant_id == tenant_id, destinations.c.state == "enabled", named
    )
    return int((await conn.execute(query)).scalar_one())


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
    """Note that all quotas' alerts of days before this one have passed; return how many."""
    done: str = await conn.execute(
        "UPDATE crossdock.alerts SET resolved_at = now()"
        " WHERE resolved_at IS NULL AND kind = 'quota' AND period <> '' AND period < $1",
        day,
    )
    return int(done.removeprefix("UPDATE "))
