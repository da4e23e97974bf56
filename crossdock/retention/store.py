"""Statements on what retention dropped, and on what else has its time."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

import asyncpg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.paging import Window
from crossdock.retention.model import Drop, Total
from crossdock.retention.tables import retention_drops


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Drop]:
    """Return what went of a tenant, newest first."""
    query = select(retention_drops).where(retention_drops.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, retention_drops.c.id, window))
    return [Drop(**row) for row in rows.mappings()]


_TOTALS: Final = """
SELECT begins, ends, count(*), sum(events)::bigint, sum(bytes)::bigint, sum(kept)::bigint,
    dropped_at
FROM crossdock.retention_drops
GROUP BY begins, ends, dropped_at
ORDER BY dropped_at DESC, begins DESC
LIMIT $1
"""


async def totals(conn: asyncpg.Connection, shard: int, limit: int) -> list[Total]:
    """Return what went of all tenants, by partition and pass, newest first."""
    return [
        Total(
            shard=shard,
            begins=row[0],
            ends=row[1],
            tenants=row[2],
            events=row[3],
            bytes=row[4],
            kept=row[5],
            dropped_at=row[6],
        )
        for row in await conn.fetch(_TOTALS, limit)
    ]


_FORGET_REFUSALS: Final = """
DELETE FROM crossdock.refusals AS r
USING (SELECT tenant_id, source_id, id FROM crossdock.refusals WHERE id < $1 LIMIT $2) AS old
WHERE r.tenant_id = old.tenant_id AND r.source_id = old.source_id AND r.id = old.id
"""


async def forget_refusals(conn: asyncpg.Connection, before: UUID, limit: int) -> int:
    """Delete some refusals with ids below one; return how many there were."""
    return _count(await conn.execute(_FORGET_REFUSALS, before, limit))


async def forget_counts(conn: asyncpg.Connection, before: date) -> int:
    """Delete the counts of refusals of days before one; return how many rows there were."""
    return _count(await conn.execute("DELETE FROM crossdock.refusal_counts WHERE day < $1", before))


async def forget_drops(conn: asyncpg.Connection, before: datetime) -> int:
    """Delete what is told of drops before a moment; return how many rows there were."""
    return _count(
        await conn.execute("DELETE FROM crossdock.retention_drops WHERE dropped_at < $1", before)
    )


def _count(done: str) -> int:
    return int(done.rpartition(" ")[2])
