"""Statements of releasing, as the role `ingest`; all but the first inside one tenant."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from crossdock.inbound.release.model import Asked, Going, Held, Parcel

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


_LOOK: Final = """
SELECT e.id, e.source_id, e.stream_seq, e.event_type, e.content_type, e.traceparent,
    e.provider_id,
    CASE
        WHEN e.status = 'releasing' THEN 'released'
        WHEN e.violation IS NULL THEN 'accepted'
        ELSE 'warned'
    END,
    e.schema_version,
    CASE WHEN e.data_key IS NULL AND octet_length(e.body) <= $5 THEN e.body END,
    e.headers, e.data_key, CASE WHEN $6 THEN e.body END
FROM crossdock.events AS e
WHERE e.tenant_id = $1 AND e.id = ANY ($2::uuid[]) AND e.id BETWEEN $3 AND $4
    AND e.status IN ('held', 'releasing')
ORDER BY e.id
"""


async def look(
    conn: asyncpg.Connection,
    tenant_id: UUID,
    event_ids: Sequence[UUID],
    most_bytes: int,
    *,
    bodies: bool,
) -> list[Parcel]:
    """Return events that are about to be released, in their order.

    Args:
        conn: holds their rows.
        tenant_id: whose they are.
        event_ids: which.
        most_bytes: of a body that a message carries.
        bodies: whether all bodies are wanted, as they are stored.
    """
    rows = await conn.fetch(
        _LOOK, tenant_id, event_ids, min(event_ids), max(event_ids), most_bytes, bodies
    )
    return [Parcel(tenant_id, *row) for row in rows]


_RELEASE: Final = """
UPDATE crossdock.events AS e
SET status = given.status, matched = given.matched, released_at = now()
FROM unnest($2::uuid[], $3::text[], $4::smallint[]) AS given (id, status, matched)
WHERE e.tenant_id = $1 AND e.id = given.id AND e.id BETWEEN $5 AND $6
"""


async def release(
    conn: asyncpg.Connection, tenant_id: UUID, events: Sequence[tuple[UUID, str, int]]
) -> None:
    """Let events go, each with its status from now on, and how many destinations want it."""
    ids, statuses, matched = (list(column) for column in zip(*events, strict=True))
    await conn.execute(_RELEASE, tenant_id, ids, statuses, matched, min(ids), max(ids))


_ADD_DELIVERIES: Final = """
INSERT INTO crossdock.deliveries
    (tenant_id, id, event_id, destination_id, is_replay, line, order_seq, due_at)
SELECT $1, id, event_id, destination_id, false, line, order_seq,
    CASE WHEN line IS NULL THEN now() ELSE 'infinity' END
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[])
    AS given (id, event_id, destination_id, line, order_seq)
"""


async def add_deliveries(
    conn: asyncpg.Connection, tenant_id: UUID, planned: Sequence[Going]
) -> None:
    """Insert deliveries that are anybody's: due now, or once their line has come to them."""
    if planned:
        rows = [
            (one.id, one.event_id, one.destination_id, one.line, one.order_seq) for one in planned
        ]
        await conn.execute(_ADD_DELIVERIES, tenant_id, *map(list, zip(*rows, strict=True)))


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
