"""Statements on what is counted: of the dispatcher, of a tenant, of maintenance."""

from collections.abc import Mapping
from datetime import MAXYEAR, datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import delete, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.delivery.stats.model import Backlog, Counts, Hour
from crossdock.delivery.tables import deliveries, destination_stats

if TYPE_CHECKING:
    import asyncpg

Row = tuple[UUID, UUID, datetime]
"""Tenant, destination, and when the hour began."""

_ADD: Final = """
INSERT INTO crossdock.destination_stats AS s
    (tenant_id, destination_id, hour, delivered, failed, dead, durations)
SELECT g.tenant_id, g.destination_id, g.hour, g.delivered, g.failed, g.dead, g.durations::bigint[]
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::bigint[], $5::bigint[], $6::bigint[],
    $7::text[]) AS g (tenant_id, destination_id, hour, delivered, failed, dead, durations)
JOIN crossdock.destinations AS d ON d.tenant_id = g.tenant_id AND d.id = g.destination_id
ORDER BY g.tenant_id, g.destination_id, g.hour
ON CONFLICT (tenant_id, destination_id, hour) DO UPDATE SET
    delivered = s.delivered + excluded.delivered,
    failed = s.failed + excluded.failed,
    dead = s.dead + excluded.dead,
    durations = coalesce((
        SELECT array_agg(coalesce(ours, 0) + coalesce(theirs, 0) ORDER BY place)
        FROM unnest(s.durations, excluded.durations) WITH ORDINALITY AS u (ours, theirs, place)
    ), '{}')
"""


async def add(conn: "asyncpg.Connection", counted: Mapping[Row, Counts]) -> None:
    """Add what was counted, in one order for all writers; of destinations that there are."""
    rows = sorted(counted.items())
    await conn.execute(
        _ADD,
        [key[0] for key, _ in rows],
        [key[1] for key, _ in rows],
        [key[2] for key, _ in rows],
        [one.delivered for _, one in rows],
        [one.failed for _, one in rows],
        [one.dead for _, one in rows],
        # As text: an array of arrays would come out as one.
        ["{" + ",".join(map(str, one.durations)) + "}" for _, one in rows],
    )


_FORGET: Final = """
DELETE FROM crossdock.destination_stats WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM crossdock.destination_stats WHERE hour < $1 LIMIT $2
))
"""


async def forget_before(conn: "asyncpg.Connection", moment: datetime, limit: int) -> int:
    """Delete some hours from before a moment; return how many."""
    done = await conn.execute(_FORGET, moment, limit)
    return int(done.rpartition(" ")[2])


async def forget(conn: AsyncConnection, tenant_id: UUID, destination_id: UUID) -> None:
    """Delete all that was counted of a destination."""
    await conn.execute(
        delete(destination_stats).where(
            destination_stats.c.tenant_id == tenant_id,
            destination_stats.c.destination_id == destination_id,
        )
    )


async def since(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, moment: datetime
) -> list[Hour]:
    """Return what was counted in the hours that began at a moment or later."""
    stats = destination_stats.c
    query = select(stats.hour, stats.delivered, stats.failed, stats.dead, stats.durations).where(
        stats.tenant_id == tenant_id,
        stats.destination_id == destination_id,
        stats.hour >= moment,
    )
    return [
        Hour(row.hour, Counts(row.delivered, row.failed, row.dead, tuple(row.durations)))
        for row in await conn.execute(query)
    ]


async def backlog(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, most: int
) -> Backlog:
    """Return what waits for a destination; at most so many deliveries are looked at."""
    some = (
        select(deliveries.c.id, deliveries.c.due_at, deliveries.c.lease)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.destination_id == destination_id,
            deliveries.c.state == literal_column("'pending'"),
        )
        .order_by(deliveries.c.due_at)
        .limit(most + 1)
        .cte("some")
    )
    query = select(
        select(func.count()).select_from(some).scalar_subquery().label("pending"),
        select(some.c.id).order_by(some.c.id).limit(1).scalar_subquery().label("oldest"),
        select(func.min(some.c.due_at))
        .where(some.c.lease.is_(None))
        .scalar_subquery()
        .label("next_due_at"),
    )
    row = (await conn.execute(query)).one()
    due_at = row.next_due_at
    if due_at is not None and due_at.year == MAXYEAR:  # others of its line are before it
        due_at = None
    return Backlog(min(row.pending, most), row.pending > most, row.oldest, due_at)
