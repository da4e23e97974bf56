"""Statements of releasing, as the role `ingest`; all but the first inside one tenant."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from crossdock.inbound.release.model import Asked, Held, Parcel

_WAITING: Final = """
WITH RECURSIVE asked AS (
    (SELECT tenant_id FROM crossdock.releases WHERE tenant_id > $1 ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id
    FROM asked CROSS JOIN LATERAL (
        SELECT r.tenant_id FROM crossdock.releases AS r WHERE r.tenant_id > asked.tenant_id
        ORDER BY r.tenant_id LIMIT 1
    ) AS next
)
SELECT tenant_id FROM asked LIMIT $2
"""


async def waiting(conn: asyncpg.Connection, after: UUID, limit: int) -> list[UUID]:
    """Return the next tenants, by their id, that have asked for anything."""
    return [row[0] for row in await conn.fetch(_WAITING, after, limit)]


_EVENTS_ASKED: Final = """
SELECT id, event_id FROM crossdock.releases
WHERE tenant_id = $1 AND event_id IS NOT NULL
ORDER BY event_id LIMIT $2
FOR UPDATE SKIP LOCKED
"""


async def hold_events_asked(
    conn: asyncpg.Connection, tenant_id: UUID, limit: int
) -> list[tuple[UUID, UUID]]:
    """Return requests for single events, as their own ids and the events', held until the end."""
    rows = await conn.fetch(_EVENTS_ASKED, tenant_id, limit)
    return [(row[0], row[1]) for row in rows]


_SOURCES: Final = """
SELECT source_id, min(created_at) FROM crossdock.releases
WHERE tenant_id = $1 AND source_id IS NOT NULL
GROUP BY source_id ORDER BY 2 LIMIT $2
"""


async def sources_asked(conn: asyncpg.Connection, tenant_id: UUID, limit: int) -> list[UUID]:
    """Return a tenant's sources that are to be released, in the order of asking."""
    return [row[0] for row in await conn.fetch(_SOURCES, tenant_id, limit)]


_SOURCE_ASKED: Final = """
SELECT r.id, r.created_at < now() - $3 * interval '1 second',
    EXISTS (
        SELECT FROM crossdock.sources AS s
        WHERE s.tenant_id = $1 AND s.id = $2 AND s.state = 'paused'
    )
FROM crossdock.releases AS r
WHERE r.tenant_id = $1 AND r.source_id = $2
ORDER BY r.id
FOR UPDATE OF r SKIP LOCKED
"""


async def hold_source_asked(
    conn: asyncpg.Connection, tenant_id: UUID, source_id: UUID, settled_s: float
) -> list[Asked]:
    """Return the requests for a source, held until the end; none where another worker has them."""
    rows = await conn.fetch(_SOURCE_ASKED, tenant_id, source_id, settled_s)
    return [Asked(row[0], row[1], row[2]) for row in rows]


_HELD: Final = """
SELECT id, octet_length(body) FROM crossdock.events
WHERE tenant_id = $1 AND source_id = $2 AND status = 'held' AND id > $3
ORDER BY id LIMIT $4
FOR UPDATE
"""


async def hold_held(
    conn: asyncpg.Connection, tenant_id: UUID, source_id: UUID, after: UUID, limit: int
) -> list[Held]:
    """Return the next events that a source holds, with their sizes, kept from others."""
    rows = await conn.fetch(_HELD, tenant_id, source_id, after, limit)
    return [Held(row[0], row[1]) for row in rows]


_RELEASING: Final = """
SELECT id, octet_length(body) FROM crossdock.events
WHERE tenant_id = $1 AND id = ANY ($2::uuid[]) AND id BETWEEN $3 AND $4 AND status = 'releasing'
ORDER BY id
FOR UPDATE
"""


async def hold_releasing(
    conn: asyncpg.Connection, tenant_id: UUID, event_ids: Sequence[UUID]
) -> list[Held]:
    """Return those of these events that are to be released, with their sizes, kept from others."""
    rows = await conn.fetch(_RELEASING, tenant_id, event_ids, min(event_ids), max(event_ids))
    return [Held(row[0], row[1]) for row in rows]


_RELEASE: Final = """
UPDATE crossdock.events AS e
SET status = CASE
    WHEN e.status = 'releasing' THEN 'released'
    WHEN e.violation IS NULL THEN 'accepted'
    ELSE 'warned'
END
WHERE e.tenant_id = $1 AND e.id = ANY ($2::uuid[]) AND e.id BETWEEN $3 AND $4
    AND e.status IN ('held', 'releasing')
RETURNING e.id, e.source_id, e.stream_seq, e.event_type, e.content_type, e.traceparent,
    e.provider_id, e.status, e.schema_version,
    CASE WHEN e.data_key IS NULL AND octet_length(e.body) <= $5 THEN e.body END
"""


async def release(
    conn: asyncpg.Connection, tenant_id: UUID, event_ids: Sequence[UUID], most_bytes: int
) -> list[Parcel]:
    """Let events go; return them in their order, with the bodies that a message carries."""
    rows = await conn.fetch(
        _RELEASE, tenant_id, event_ids, min(event_ids), max(event_ids), most_bytes
    )
    return sorted((Parcel(tenant_id, *row) for row in rows), key=lambda one: one.event_id)


_ADD_DELIVERIES: Final = """
INSERT INTO crossdock.deliveries (tenant_id, id, event_id, destination_id, is_replay, due_at)
SELECT $1, id, event_id, destination_id, false, now()
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS given (id, event_id, destination_id)
"""


async def add_deliveries(
    conn: asyncpg.Connection, tenant_id: UUID, planned: Sequence[tuple[UUID, UUID, UUID]]
) -> None:
    """Insert deliveries (id, event, destination) that are due now, and anybody's."""
    if planned:
        await conn.execute(_ADD_DELIVERIES, tenant_id, *map(list, zip(*planned, strict=True)))


_DONE: Final = "DELETE FROM crossdock.releases WHERE tenant_id = $1 AND id = ANY ($2::uuid[])"


async def done(conn: asyncpg.Connection, tenant_id: UUID, asked: Sequence[UUID]) -> None:
    """Delete requests that are done with."""
    await conn.execute(_DONE, tenant_id, asked)


_SNAPSHOT: Final = """
SELECT pg_snapshot_xmin(found)::text::bigint, pg_snapshot_xmax(found)::text::bigint
FROM pg_current_snapshot() AS found
"""


async def snapshot(conn: asyncpg.Connection) -> tuple[int, int]:
    """Return below which number all transactions have ended, and at which none has begun."""
    row = await conn.fetchrow(_SNAPSHOT)
    return row[0], row[1]
