"""Statements on quotas: what a tenant has of something, and what it was sent."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.alerts.model import Alert
from crossdock.outbox.tables import outbox
from crossdock.tenancy.model import Day, Made, Plan
from crossdock.tenancy.tables import tenants

Connection: TypeAlias = AsyncConnection
"""A connection inside a tenant, for callers who only pass it on."""

RawConnection: TypeAlias = asyncpg.Connection
"""A connection of `operator` or `maintenance`, likewise."""

_COUNTS: Final[Mapping[Made, str]] = {
    "sources": "SELECT count(*) FROM crossdock.sources"
    " WHERE tenant_id = {tenant} AND state <> 'deleted'",
    "destinations": "SELECT count(*) FROM crossdock.destinations WHERE tenant_id = {tenant}",
    "users": "SELECT (SELECT count(*) FROM crossdock.users WHERE tenant_id = {tenant})"
    " + (SELECT count(*) FROM crossdock.invitations WHERE tenant_id = {tenant}"
    " AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > now())",
    # One that was rotated is on its way out, and its successor counts for both while it is live.
    "api_keys": "SELECT count(*) FROM crossdock.api_keys AS k WHERE k.tenant_id = {tenant}"
    " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())"
    " AND NOT EXISTS (SELECT FROM crossdock.api_keys AS n WHERE n.tenant_id = {tenant}"
    " AND n.id = k.rotated_to AND n.revoked_at IS NULL"
    " AND (n.expires_at IS NULL OR n.expires_at > now()))",
    "connections": "SELECT 0::bigint",
    "concurrent_jobs": "SELECT count(*) FROM crossdock.replays"
    " WHERE tenant_id = {tenant} AND state = 'running'",
}
"""How many a tenant has of what is counted where it is made."""

TELLING: Final = "alert"
"""The outbox's topic of alerts whose letters are to be written; the drainer of settings leaves it
alone."""

MADE: Final[tuple[Made, ...]] = tuple(_COUNTS)

_DAY: Final = (
    "SELECT coalesce(sum(events) FILTER (WHERE day = {today}), 0)::bigint,"
    " coalesce(sum(bytes) FILTER (WHERE day = {today}), 0)::bigint,"
    " coalesce(sum(events), 0)::bigint"
    " FROM crossdock.usage_days WHERE tenant_id = {tenant} AND day > {since}"
)


class Counted(msgspec.Struct, frozen=True):
    """What a tenant was sent today, and what it may have."""

    tenant_id: UUID
    plan: Plan
    quotas: dict[str, int]
    events: int
    bytes: int


class Block(msgspec.Struct, frozen=True):
    """A tenant whose day may be used up, held against other writers."""

    tenant_id: UUID
    name: str
    plan: Plan
    quotas: dict[str, int]
    blocked_until: datetime | None


async def hold(
    conn: AsyncConnection, tenant_id: UUID, resource: Made
) -> tuple[Plan, dict[str, int]] | None:
    """Keep everybody else from making more of something until this transaction ends.

    Returns the tenant's plan and its own limits. What the next statement counts includes what was
    made by whoever held it before: it sees all that is committed when it begins.
    """
    key = func.hashtextextended(f"quota:{tenant_id}:{resource}", 0)
    held = select(tenants.c.plan, tenants.c.quotas, func.pg_advisory_xact_lock(key))
    row = (await conn.execute(held.where(tenants.c.id == tenant_id))).one_or_none()
    return None if row is None else (row.plan, row.quotas)


async def count(
    conn: AsyncConnection, tenant_id: UUID, resources: Sequence[Made]
) -> dict[Made, int]:
    """Return how many the tenant that was entered has of some things."""
    row = await conn.execute(text(_counting(resources, ":tenant")), {"tenant": tenant_id})
    return dict(zip(resources, row.one(), strict=True))


async def count_raw(
    conn: asyncpg.Connection, tenant_id: UUID, resources: Sequence[Made]
) -> dict[Made, int]:
    """Return the same on an operator's connection."""
    row = await conn.fetchrow(_counting(resources, "$1::uuid"), tenant_id)
    return dict(zip(resources, row.values(), strict=True))


async def day(conn: AsyncConnection, tenant_id: UUID, today: date, since: date) -> Day:
    """Return what the tenant that was entered was sent today, and after `since` altogether."""
    named = {"tenant": tenant_id, "today": today, "since": since}
    row = await conn.execute(
        text(_DAY.format(tenant=":tenant", today=":today", since=":since")), named
    )
    return Day(*row.one())


async def day_raw(conn: asyncpg.Connection, tenant_id: UUID, today: date, since: date) -> Day:
    """Return the same on the connection of an operator or of maintenance."""
    statement = _DAY.format(tenant="$1::uuid", today="$2::date", since="$3::date")
    return Day(*await conn.fetchrow(statement, tenant_id, today, since))


async def add_usage(
    conn: asyncpg.Connection, today: date, counted: Mapping[UUID, tuple[int, int]]
) -> list[Counted]:
    """Add events and bytes to the day of many tenants; return what each has now, and may have.

    In the order of their ids, so that two workers never wait for each other in a circle. A tenant
    that is not here is passed over.
    """
    order = sorted(counted)
    rows = await conn.fetch(
        """
        WITH told AS (
            SELECT n.tenant_id, n.events, n.bytes, t.plan, t.quotas
            FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS n (tenant_id, events, bytes)
            JOIN crossdock.tenants AS t ON t.id = n.tenant_id
        ), added AS (
            INSERT INTO crossdock.usage_days AS u (tenant_id, day, events, bytes)
            SELECT tenant_id, $1, events, bytes FROM told ORDER BY tenant_id
            ON CONFLICT (tenant_id, day) DO UPDATE
            SET events = u.events + excluded.events, bytes = u.bytes + excluded.bytes
            RETURNING u.tenant_id, u.events, u.bytes
        )
        SELECT told.tenant_id, told.plan, told.quotas, added.events, added.bytes
        FROM told JOIN added ON added.tenant_id = told.tenant_id
        """,
        today,
        order,
        [counted[tenant][0] for tenant in order],
        [counted[tenant][1] for tenant in order],
    )
    return [
        Counted(
            row["tenant_id"],
            row["plan"],
            msgspec.json.decode(row["quotas"]),
            row["events"],
            row["bytes"],
        )
        for row in rows
    ]


async def earlier(
    conn: asyncpg.Connection, tenant_ids: Sequence[UUID], today: date, since: date
) -> dict[UUID, int]:
    """Return how many events tenants were sent after `since` and before today."""
    rows = await conn.fetch(
        "SELECT tenant_id, sum(events)::bigint FROM crossdock.usage_days"
        " WHERE tenant_id = ANY ($1) AND day > $3 AND day < $2 GROUP BY tenant_id",
        tenant_ids,
        today,
        since,
    )
    return dict(map(tuple, rows))


async def lock_for_block(conn: asyncpg.Connection, tenant_id: UUID) -> Block | None:
    """Return what a tenant may have now, held against whoever would change it."""
    row = await conn.fetchrow(
        "SELECT id, name, plan, quotas, blocked_until FROM crossdock.tenants"
        " WHERE id = $1 FOR NO KEY UPDATE",
        tenant_id,
    )
    if row is None:
        return None
    return Block(
        row["id"],
        row["name"],
        row["plan"],
        msgspec.json.decode(row["quotas"]),
        row["blocked_until"],
    )


async def block(conn: asyncpg.Connection, tenant_id: UUID, until: datetime) -> None:
    """Have a tenant's webhooks refused until a moment, as a new version of it."""
    await conn.execute(
        "UPDATE crossdock.tenants SET blocked_until = $2, version = version + 1 WHERE id = $1",
        tenant_id,
        until,
    )


async def add_telling(conn: AsyncConnection, alert: Alert) -> None:
    """Have the owners told of an alert, in the transaction that raises it."""
    row = {"tenant_id": alert.tenant_id, "topic": TELLING, "key": str(alert.id)}
    await conn.execute(insert(outbox).inline().values(row))


async def add_telling_raw(conn: asyncpg.Connection, alert: Alert) -> None:
    """Do the same on the connection of a duty."""
    await conn.execute(
        "INSERT INTO crossdock.outbox (tenant_id, topic, key) VALUES ($1, $2, $3)",
        alert.tenant_id,
        TELLING,
        str(alert.id),
    )


async def claim_tellings(conn: asyncpg.Connection, limit: int) -> list[Alert]:
    """Take alerts that nobody was told of yet, for this transaction to tell."""
    rows = await conn.fetch(
        """
        WITH waiting AS MATERIALIZED (
            SELECT tenant_id, id, key FROM crossdock.outbox
            WHERE published_at IS NULL AND topic = $1
            ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE crossdock.outbox AS o SET published_at = now() FROM waiting AS w
            WHERE o.tenant_id = w.tenant_id AND o.id = w.id
        )
        SELECT a.tenant_id, a.id, a.kind, a.subject, a.level, a.period, a.detail, a.created_at,
            a.resolved_at
        FROM waiting AS w JOIN crossdock.alerts AS a
            ON a.tenant_id = w.tenant_id AND a.id = w.key::uuid
        ORDER BY a.id
        """,
        TELLING,
        limit,
    )
    return [Alert(**{**row, "detail": msgspec.json.decode(row["detail"])}) for row in rows]


async def forget_days(conn: asyncpg.Connection, before: date) -> None:
    """Remove the counters of days that are long gone."""
    await conn.execute("DELETE FROM crossdock.usage_days WHERE day < $1", before)


def _counting(resources: Sequence[Made], tenant: str) -> str:
    parts = [f"({_COUNTS[one].format(tenant=tenant)}) AS {one}" for one in resources]
    return "SELECT " + ", ".join(parts)
