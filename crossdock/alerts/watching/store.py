"""Statements of watching, all on a connection of `maintenance` and over all tenants of a shard.

Destinations and sources are looked at a page at a time, in the order of their ids: what a round
costs is bounded, and nobody's crowd keeps others from being seen.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import msgspec

from crossdock.alerts.model import Alert, AlertEdit, Watched
from crossdock.alerts.watching.model import Destination, Last, Place, Source

NAMED: Final = 5
"""Reasons that are told, the commonest."""
COUNTED: Final = 10_000
"""Dead letters that are counted for it."""
LOOKED_AT: Final = 50
"""Deliveries that are looked at for the last error."""

_wishes: Final = msgspec.json.Decoder(AlertEdit)


async def take_turn(conn: asyncpg.Connection) -> bool:
    """Tell whether this transaction is the one that watches; the others need not."""
    taken: bool = await conn.fetchval(
        "SELECT pg_try_advisory_xact_lock(hashtextextended('crossdock:alerts', 0))"
    )
    return taken


async def destinations(
    conn: asyncpg.Connection, after: Place, limit: int, since: datetime
) -> list[Destination]:
    """Return the next destinations, with their dead letters since a moment.

    What counts is when a delivery was given up: with two days of retries it was made long before.
    """
    rows = await conn.fetch(
        """
        SELECT d.tenant_id, d.id, d.name, d.state, d.disabled_reason, d.disabled_at,
            d.failing_since, t.state = 'active' AS is_active, s.settings::text AS settings,
            (
                SELECT count(*) FROM (
                    SELECT FROM crossdock.deliveries AS v
                    WHERE v.tenant_id = d.tenant_id AND v.destination_id = d.id
                        AND v.state = 'dead' AND v.finished_at > $4
                        AND NOT EXISTS (
                            SELECT FROM crossdock.events AS e
                            WHERE e.tenant_id = v.tenant_id AND e.id = v.event_id
                                AND starts_with(e.event_type, 'crossdock.')
                        )
                    LIMIT coalesce((s.settings ->> 'dead_letters_per_hour')::int, $5)
                ) AS counted
            ) AS dead
        FROM (
            SELECT tenant_id, id, name, state, disabled_reason, disabled_at, failing_since
            FROM crossdock.destinations WHERE (tenant_id, id) > ($1, $2)
            ORDER BY tenant_id, id LIMIT $3
        ) AS d
        JOIN crossdock.tenants AS t ON t.id = d.tenant_id
        LEFT JOIN crossdock.alert_settings AS s ON s.tenant_id = d.tenant_id
        ORDER BY d.tenant_id, d.id
        """,
        *after,
        limit,
        since,
        AlertEdit().dead_letters_per_hour,
    )
    return [Destination(**_seen(row)) for row in rows]


async def sources(
    conn: asyncpg.Connection, after: Place, limit: int, now: datetime
) -> list[Source]:
    """Return the next sources, with about how many webhooks each refused in the last hour.

    All of this clock hour, and of the one before as great a part as the last sixty minutes have of
    it.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = await conn.fetch(
        """
        SELECT s.tenant_id, s.id, s.name, s.state, t.state = 'active' AS is_active,
            a.settings::text AS settings,
            (
                SELECT coalesce(sum(CASE c.hour
                    WHEN $4::timestamptz THEN c.in_hour + c.hour_before * $5::float8
                    WHEN $4::timestamptz - interval '1 hour' THEN c.in_hour * $5::float8
                    ELSE 0 END), 0)::bigint
                FROM crossdock.refusal_counts AS c
                WHERE c.tenant_id = s.tenant_id AND c.source_id = s.id AND c.day >= $6
            ) AS refused
        FROM (
            SELECT tenant_id, id, name, state FROM crossdock.sources
            WHERE (tenant_id, id) > ($1, $2) AND state <> 'deleted'
            ORDER BY tenant_id, id LIMIT $3
        ) AS s
        JOIN crossdock.tenants AS t ON t.id = s.tenant_id
        LEFT JOIN crossdock.alert_settings AS a ON a.tenant_id = s.tenant_id
        ORDER BY s.tenant_id, s.id
        """,
        *after,
        limit,
        hour,
        1 - (now - hour) / timedelta(hours=1),
        hour.date() - timedelta(days=1),
    )
    return [Source(**_seen(row)) for row in rows]


async def latest(
    conn: asyncpg.Connection, kinds: Sequence[Watched], subjects: Sequence[tuple[UUID, str]]
) -> list[Alert]:
    """Return the newest alert of each of these kinds about each of these subjects of tenants."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (a.tenant_id, a.kind, a.subject) a.tenant_id, a.id, a.kind, a.subject,
            a.level, a.period, a.detail, a.created_at, a.resolved_at
        FROM unnest($1::uuid[], $2::text[]) AS w (tenant_id, subject)
        JOIN crossdock.alerts AS a ON a.tenant_id = w.tenant_id AND a.subject = w.subject
        WHERE a.kind = ANY ($3)
        ORDER BY a.tenant_id, a.kind, a.subject, a.created_at DESC
        """,
        [tenant for tenant, _ in subjects],
        [subject for _, subject in subjects],
        kinds,
    )
    return [_alert(row) for row in rows]


async def open_alerts(
    conn: asyncpg.Connection, kinds: Sequence[Watched], after: UUID, limit: int
) -> list[Alert]:
    """Return the next alerts of these kinds that have not passed, in the order of their ids."""
    rows = await conn.fetch(
        """
        SELECT tenant_id, id, kind, subject, level, period, detail, created_at, resolved_at
        FROM crossdock.alerts
        WHERE resolved_at IS NULL AND kind = ANY ($1) AND id > $2 ORDER BY id LIMIT $3
        """,
        kinds,
        after,
        limit,
    )
    return [_alert(row) for row in rows]


async def living(conn: asyncpg.Connection, subjects: Sequence[tuple[UUID, UUID]]) -> set[Place]:
    """Return which of these are still destinations, or sources, of their tenants."""
    rows = await conn.fetch(
        """
        SELECT w.tenant_id, w.id FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, id)
        WHERE EXISTS (
            SELECT FROM crossdock.destinations AS d WHERE d.tenant_id = w.tenant_id AND d.id = w.id
        ) OR EXISTS (
            SELECT FROM crossdock.sources AS s
            WHERE s.tenant_id = w.tenant_id AND s.id = w.id AND s.state <> 'deleted'
        )
        """,
        [tenant for tenant, _ in subjects],
        [subject for _, subject in subjects],
    )
    return {(row["tenant_id"], row["id"]) for row in rows}


async def last_of(conn: asyncpg.Connection, tenant_id: UUID, destination_id: UUID) -> Last:
    """Return how the last attempt for a destination ended that is not mended."""
    row = await conn.fetchrow(
        """
        SELECT last_status, last_error FROM (
            (
                SELECT last_status, last_error, attempts FROM crossdock.deliveries
                WHERE tenant_id = $1 AND destination_id = $2 AND state = 'pending'
                ORDER BY due_at LIMIT $3
            ) UNION ALL (
                SELECT last_status, last_error, attempts FROM crossdock.deliveries
                WHERE tenant_id = $1 AND destination_id = $2 AND state = 'dead'
                ORDER BY finished_at DESC LIMIT 1
            )
        ) AS unfinished WHERE attempts > 0 LIMIT 1
        """,
        tenant_id,
        destination_id,
        LOOKED_AT,
    )
    return Last() if row is None else Last(*row)


async def why_dead(
    conn: asyncpg.Connection, tenant_id: UUID, destination_id: UUID, since: datetime
) -> dict[str, int]:
    """Return how many of a destination's dead letters since a moment have which reason."""
    rows = await conn.fetch(
        """
        SELECT reason, count(*) AS number FROM (
            SELECT coalesce(reason, '') AS reason FROM crossdock.deliveries
            WHERE tenant_id = $1 AND destination_id = $2 AND state = 'dead' AND finished_at > $3
            LIMIT $4
        ) AS lately GROUP BY reason ORDER BY number DESC, reason LIMIT $5
        """,
        tenant_id,
        destination_id,
        since,
        COUNTED,
        NAMED,
    )
    return dict(map(tuple, rows))


async def why_refused(
    conn: asyncpg.Connection, tenant_id: UUID, source_id: UUID, now: datetime
) -> dict[str, int]:
    """Return how many webhooks a source refused today for which reason, the commonest first."""
    rows = await conn.fetch(
        "SELECT reason, count FROM crossdock.refusal_counts"
        " WHERE tenant_id = $1 AND source_id = $2 AND day = $3"
        " ORDER BY count DESC, reason LIMIT $4",
        tenant_id,
        source_id,
        now.date(),
        NAMED,
    )
    return dict(map(tuple, rows))


async def resolve(conn: asyncpg.Connection, alert: Alert, because: str, now: datetime) -> bool:
    """Note that an alert has passed, and why; tell whether nobody else did."""
    done = await conn.fetchval(
        "UPDATE crossdock.alerts SET resolved_at = $3,"
        " detail = detail || jsonb_build_object('resolved_because', $4::text)"
        " WHERE tenant_id = $1 AND id = $2 AND resolved_at IS NULL RETURNING id",
        alert.tenant_id,
        alert.id,
        now,
        because,
    )
    return done is not None


def _seen(row: asyncpg.Record) -> dict[str, Any]:
    fields = dict(row)
    settings = fields.pop("settings")
    return fields | {"wishes": AlertEdit() if settings is None else _wishes.decode(settings)}


def _alert(row: asyncpg.Record) -> Alert:
    return Alert(**{**row, "detail": msgspec.json.decode(row["detail"])})
