"""Statements of telling, on a connection of `maintenance`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import msgspec

from crossdock.alerts.model import Alert
from crossdock.alerts.telling.model import Untold


async def untold(conn: asyncpg.Connection, limit: int) -> list[Untold]:
    """Return what nobody was told of yet, oldest first; of one alert, that it was raised first."""
    rows = await conn.fetch(
        """
        WITH waiting AS (
            (
                SELECT tenant_id, id, 'raised' AS phase FROM crossdock.alerts
                WHERE told_at IS NULL ORDER BY created_at LIMIT $1
            ) UNION ALL (
                SELECT tenant_id, id, 'resolved' FROM crossdock.alerts
                WHERE resolved_at IS NOT NULL AND resolved_told_at IS NULL
                ORDER BY resolved_at LIMIT $1
            )
        )
        SELECT w.phase, a.tenant_id, a.id, a.kind, a.subject, a.level, a.period, a.detail,
            a.created_at, a.resolved_at,
            t.state = 'active'
                AND NOT coalesce(s.settings -> 'muted' ? a.kind, false)
                AND EXISTS (
                    SELECT FROM crossdock.destinations AS d, unnest(d.event_types) AS named
                    WHERE d.tenant_id = a.tenant_id AND starts_with(named, 'crossdock.')
                ) AS is_wanted
        FROM waiting AS w
        JOIN crossdock.alerts AS a ON a.tenant_id = w.tenant_id AND a.id = w.id
        JOIN crossdock.tenants AS t ON t.id = w.tenant_id
        LEFT JOIN crossdock.alert_settings AS s ON s.tenant_id = w.tenant_id
        ORDER BY a.id, w.phase
        """,
        limit,
    )
    return [_untold(dict(row)) for row in rows]


async def mark_told(conn: asyncpg.Connection, told: Sequence[Untold], now: datetime) -> None:
    """Note that these were told, or need not be."""
    for phase, column in (("raised", "told_at"), ("resolved", "resolved_told_at")):
        alerts = [one.alert for one in told if one.phase == phase]
        await conn.execute(
            f"UPDATE crossdock.alerts AS a SET {column} = $3"  # noqa: S608 - of two words of ours
            " FROM unnest($1::uuid[], $2::uuid[]) AS w (tenant_id, id)"
            f" WHERE a.tenant_id = w.tenant_id AND a.id = w.id AND a.{column} IS NULL",
            [alert.tenant_id for alert in alerts],
            [alert.id for alert in alerts],
            now,
        )


def _untold(row: dict[str, Any]) -> Untold:
    phase, is_wanted = row.pop("phase"), row.pop("is_wanted")
    row["detail"] = msgspec.json.decode(row["detail"])
    return Untold(Alert(**row), phase, is_wanted)
