"""Statements of persisting, as the role `ingest`; each takes a whole batch.

Each that inserts may wait for a transaction that is about to insert the same key, and so everybody
comes with rows in the same order.

Rows travel as one array of composite values (`crossdock.new_event_3[]`): asyncpg looks at every
element of an array to see whether it is an array itself, and a row is one element.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg

from crossdock.db.schema import encode_headers
from crossdock.inbound.persist.model import Arrival, Lease, Planned, Route

Key = tuple[UUID, UUID, bytes]
"""Tenant, source and dedupe hash: what the ledger is keyed by."""

_ROUTES: Final = """
SELECT t.id, t.state, d.id, d.source_ids, d.event_types, d.state = 'enabled',
    d.filter, d.order_by
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
    for row in await conn.fetch(_ROUTES, tenants, shard):
        tenant, state, destination, sources, types, enabled, condition, order_by = row
        routes = found.setdefault(tenant, [])
        if destination is not None:
            is_open = enabled and state == "active"
            routes.append(Route(destination, sources, types, is_open, condition, order_by))
    return found


_ROW: Final = """
tenant_id, id, source_id, stream_seq, event_type, provider_id, content_type, traceparent, headers,
body, status, violation, schema_version, data_key, matched
"""

_ADD_DELIVERIES: Final = """
INSERT INTO crossdock.deliveries
    (tenant_id, id, event_id, destination_id, is_replay, line, order_seq, due_at, lease)
SELECT tenant_id, id, event_id, destination_id, false, line, order_seq,
    CASE WHEN line IS NOT NULL THEN 'infinity'
        ELSE now() + CASE WHEN is_open THEN $2 ELSE 0 END * interval '1 second' END,
    CASE WHEN is_open AND line IS NULL THEN $3::uuid END
FROM unnest($1::crossdock.new_delivery_2[])
"""

_ADD_FIELDS: Final = """
INSERT INTO crossdock.event_fields (tenant_id, id, key)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bytea[])
"""

_ADD_NEW: Final = f"""
WITH given AS (
    SELECT * FROM unnest($4::crossdock.new_event_3[])
), stored AS (
    INSERT INTO crossdock.events ({_ROW}) SELECT {_ROW} FROM given
), planned AS (
    {_ADD_DELIVERIES}
)
INSERT INTO crossdock.event_keys (tenant_id, source_id, dedupe_hash, event_id)
SELECT tenant_id, source_id, dedupe_hash, id FROM given
"""


async def add_new(
    conn: asyncpg.Connection,
    arrivals: Sequence[Arrival],
    planned: Sequence[Planned],
    lease: Lease,
) -> None:
    """Claim keys, insert their events and the deliveries; all or nothing, see `is_taken`.

    Deliveries that may go now are leased, so that nobody else claims them.
    """
    rows = [
        (
            one.arrival.tenant_id,
            one.id,
            one.arrival.event_id,
            one.destination_id,
            one.is_leased,
            one.line,
            None if one.line is None else one.arrival.stream_seq,
        )
        for one in planned
    ]
    if arrivals:
        events = [_event(arrival) for arrival in arrivals]
        await conn.execute(_ADD_NEW, rows, lease.seconds, lease.id, events)
    elif rows:
        await conn.execute(_ADD_DELIVERIES, rows, lease.seconds, lease.id)


def is_taken(error: Exception) -> bool:
    """Say whether `add_new` failed because one of its keys has an owner."""
    return isinstance(error, asyncpg.UniqueViolationError) and error.table_name == "event_keys"


_ADD_KEYED: Final = f"""
WITH given AS (
    SELECT * FROM unnest($1::crossdock.new_event_3[])
), claimed AS (
    INSERT INTO crossdock.event_keys (tenant_id, source_id, dedupe_hash, event_id)
    SELECT tenant_id, source_id, dedupe_hash, id FROM given
    ON CONFLICT DO NOTHING
    RETURNING event_id
), stored AS (
    INSERT INTO crossdock.events ({_ROW})
    SELECT {_ROW} FROM given WHERE id IN (SELECT event_id FROM claimed)
)
SELECT id FROM given WHERE id NOT IN (SELECT event_id FROM claimed)
"""


async def add_keyed(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Claim keys, insert the events that got theirs; return the ids of those that did not."""
    rows = await conn.fetch(_ADD_KEYED, [_event(arrival) for arrival in arrivals])
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


_ADD_UNKEYED: Final = f"""
INSERT INTO crossdock.events ({_ROW})
SELECT {_ROW} FROM unnest($1::crossdock.new_event_3[])
ON CONFLICT DO NOTHING
RETURNING id
"""


async def add_unkeyed(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> set[UUID]:
    """Insert events that have no key; return the ids of those that were there before."""
    rows = await conn.fetch(_ADD_UNKEYED, [_event(arrival) for arrival in arrivals])
    return {arrival.event_id for arrival in arrivals} - {row[0] for row in rows}


def _event(arrival: Arrival) -> tuple[object, ...]:
    message = arrival.message
    return (
        arrival.tenant_id,
        arrival.event_id,
        arrival.source_id,
        arrival.stream_seq,
        message.event_type,
        message.provider_id,
        message.content_type,
        message.traceparent,
        encode_headers(message.headers),
        message.body,
        message.dedupe,
        message.status or "accepted",
        message.violation or None,
        message.schema_version or None,
        arrival.data_key,
        arrival.matched,
    )


async def add_fields(conn: asyncpg.Connection, arrivals: Sequence[Arrival]) -> None:
    """Insert what new events are to be found by."""
    rows = [
        (arrival.tenant_id, arrival.event_id, field)
        for arrival in arrivals
        for field in set(arrival.message.fields)
    ]
    if rows:
        await conn.execute(_ADD_FIELDS, *map(list, zip(*rows, strict=True)))


_PAUSED: Final = """
SELECT s.tenant_id, s.id
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
JOIN crossdock.sources AS s USING (tenant_id, id)
WHERE s.state = 'paused'
"""


async def paused(
    conn: asyncpg.Connection, sources: Collection[tuple[UUID, UUID]]
) -> set[tuple[UUID, UUID]]:
    """Return those of these sources, by tenant and id, that are paused now.

    The transaction takes its number first, so that whoever changes a source, and waits for all
    numbers that were given until then, has waited for those who read how it was before.
    """
    await conn.execute("SELECT pg_current_xact_id()")
    rows = await conn.fetch(_PAUSED, *_columns(sources))
    return {(row[0], row[1]) for row in rows}


_STORED: Final = """
SELECT e.tenant_id, e.id, e.status
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
JOIN crossdock.events AS e USING (tenant_id, id)
"""


async def stored(
    conn: asyncpg.Connection, events: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], str]:
    """Return the statuses of those of these events, by tenant and id, that are there."""
    rows = await conn.fetch(_STORED, *_columns(events))
    return {(row[0], row[1]): row[2] for row in rows}


_ALIASED: Final = """
SELECT a.tenant_id, a.alias_id, a.event_id
FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, alias_id)
JOIN crossdock.event_aliases AS a USING (tenant_id, alias_id)
"""


async def aliased(
    conn: asyncpg.Connection, events: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], UUID]:
    """Return, by tenant and id, whose duplicates those of these events are that are known so."""
    rows = await conn.fetch(_ALIASED, *_columns(events))
    return {(row[0], row[1]): row[2] for row in rows}


def _columns(pairs: Collection[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [first for first, _ in pairs], [second for _, second in pairs]


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
