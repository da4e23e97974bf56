"""Statements of persisting, as the role `ingest`; each takes a whole batch as arrays."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from crossdock.db.schema import encode_headers
from crossdock.inbound.persist.model import Arrival, Planned, Route

Key = tuple[UUID, UUID, bytes]
"""Tenant, source and dedupe hash: what the ledger is keyed by."""

_CHANGES: Final = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    ARRAY(SELECT DISTINCT tenant_id FROM crossdock.route_changes WHERE position >= $1)
"""


async def changes(conn: asyncpg.Connection, position: int) -> tuple[int, list[UUID]]:
    """Return whose routes changed from a transaction on, and the one up to which all is known.

    Transactions below the position returned have all finished, and this statement sees them.
    """
    row = await conn.fetchrow(_CHANGES, position)
    return row[0], row[1]


_ROUTES: Final = """
SELECT t.id, t.state, d.id, d.source_ids, d.event_types, d.state = 'enabled'
FROM unnest($1::uuid[]) AS wanted (tenant_id)
JOIN crossdock.tenants AS t ON t.id = wanted.tenant_id AND t.shard = $2 AND t.state <> 'terminated'
LEFT JOIN crossdock.destinations AS d
    ON d.tenant_id = t.id AND (d.state = 'enabled' OR d.disabled_reason = 'failing')
"""


async def routes(
    conn: asyncpg.Connection, tenants: Collection[UUID], shard: int
) -> dict[UUID, list[Route]]:
    """Return the destinations of each of these tenants; one that is not here is missing."""
    found: dict[UUID, list[Route]] = {}
    for tenant, state, destination, sources, types, enabled in await conn.fetch(
        _ROUTES, tenants, shard
    ):
        routes = found.setdefault(tenant, [])
        if destination is not None:
            routes.append(Route(destination, sources, types, enabled and state == "active"))
    return found


_CLAIM: Final = """
INSERT INTO crossdock.event_keys (tenant_id, source_id, dedupe_hash, event_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::uuid[])
ON CONFLICT DO NOTHING
RETURNING event_id
"""


async def claim(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Claim dedupe keys, in the order given; return the ids of the events that got theirs.

    Waits for a transaction that is about to claim one of them, so everybody must come in order.
    """
    rows = await conn.fetch(
        _CLAIM,
        [arrival.tenant_id for arrival in arrivals],
        [arrival.source_id for arrival in arrivals],
        [arrival.message.dedupe for arrival in arrivals],
        [arrival.event_id for arrival in arrivals],
    )
    return {row[0] for row in rows}


_OWNERS: Final = """
SELECT k.tenant_id, k.source_id, k.dedupe_hash, k.event_id
FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) AS wanted (tenant_id, source_id, dedupe_hash)
JOIN crossdock.event_keys AS k USING (tenant_id, source_id, dedupe_hash)
"""


async def owners(conn: asyncpg.Connection, keys: Collection[Key]) -> dict[Key, UUID]:
    """Return the events that own these dedupe keys; asked after claiming, so that all do."""
    rows = await conn.fetch(
        _OWNERS,
        [tenant for tenant, _, _ in keys],
        [source for _, source, _ in keys],
        [dedupe for _, _, dedupe in keys],
    )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


_ADD_EVENTS: Final = """
INSERT INTO crossdock.events
    (tenant_id, id, source_id, stream_seq, event_type, provider_id, content_type, traceparent,
     headers, body)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
    $7::text[], $8::text[], $9::bytea[], $10::bytea[])
"""

_ADD_UNKEYED: Final = _ADD_EVENTS + "ON CONFLICT DO NOTHING RETURNING id\n"


async def add_events(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> None:
    """Insert events that are known to be new: they own their key."""
    await conn.execute(_ADD_EVENTS, *_columns(arrivals))


async def add_unkeyed(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Insert events that have no key; return the ids of those that were not there yet."""
    rows = await conn.fetch(_ADD_UNKEYED, *_columns(arrivals))
    return {row[0] for row in rows}


def _columns(arrivals: Sequence[Arrival]) -> tuple[list[object], ...]:
    messages = [arrival.message for arrival in arrivals]
    return (
        [arrival.tenant_id for arrival in arrivals],
        [arrival.event_id for arrival in arrivals],
        [arrival.source_id for arrival in arrivals],
        [arrival.stream_seq for arrival in arrivals],
        [message.event_type for message in messages],
        [message.provider_id for message in messages],
        [message.content_type for message in messages],
        [message.traceparent for message in messages],
        [encode_headers(message.headers) for message in messages],
        [message.body for message in messages],
    )


_ADD_DELIVERIES: Final = """
INSERT INTO crossdock.deliveries
    (tenant_id, id, event_id, destination_id, is_replay, due_at, lease)
SELECT tenant_id, id, event_id, destination_id, false,
    now() + CASE WHEN is_open THEN $6 ELSE 0 END * interval '1 second',
    CASE WHEN is_open THEN $7::uuid END
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bool[])
    AS planned (tenant_id, id, event_id, destination_id, is_open)
"""


async def add_deliveries(
    conn: asyncpg.Connection, planned: Sequence[Planned], *, lease: UUID, lease_s: float
) -> None:
    """Insert deliveries: those that may go now are leased, so that nobody else claims them."""
    await conn.execute(
        _ADD_DELIVERIES,
        [one.arrival.tenant_id for one in planned],
        [one.id for one in planned],
        [one.arrival.event_id for one in planned],
        [one.destination_id for one in planned],
        [one.is_open for one in planned],
        lease_s,
        lease,
    )


_ADD_ALIASES: Final = """
INSERT INTO crossdock.event_aliases (tenant_id, alias_id, event_id)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[])
ON CONFLICT DO NOTHING
"""


async def add_aliases(
    conn: asyncpg.Connection, originals: Mapping[tuple[UUID, UUID], UUID]
) -> None:
    """Write down, by tenant and id, which event another id was answered for."""
    ordered = sorted(originals)
    await conn.execute(
        _ADD_ALIASES,
        [tenant for tenant, _ in ordered],
        [alias for _, alias in ordered],
        [originals[key] for key in ordered],
    )
