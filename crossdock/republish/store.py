"""Statements on events that were announced, each inside one tenant's transaction."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy import Select, Text, and_, case, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.inbound.model import DELIVERED
from crossdock.inbound.tables import events
from crossdock.republish.model import Amount, Stored, Wanted

_STORED: Final = (
    events.c.id,
    events.c.source_id,
    events.c.stream_seq,
    events.c.event_type,
    events.c.content_type,
    events.c.traceparent,
    func.octet_length(events.c.body).label("size"),
    events.c.data_key.is_not(None).label("is_sealed"),
)


async def tenants(conn: asyncpg.Connection) -> list[UUID]:
    """Return the ids of all tenants of the installation, in their order."""
    rows = await conn.fetch("SELECT tenant_id FROM crossdock.placements ORDER BY tenant_id")
    return [row[0] for row in rows]


async def count(
    conn: AsyncConnection,
    tenant_id: UUID,
    wanted: Wanted,
    *,
    after: UUID | None,
    most: int,
    limit: int,
) -> tuple[Amount, UUID | None]:
    """Count the next so many events, and return the last one's id; `None` where there was none.

    `most` is the size of a body up to which its message carries it.
    """
    size = func.octet_length(events.c.body)
    carried = case((and_(events.c.data_key.is_(None), size <= most), size), else_=0)
    part = _wanted(select(events.c.id, carried.label("size")), tenant_id, wanted, after)
    rows = part.order_by(events.c.id).limit(limit).subquery()
    # There is no largest uuid before PostgreSQL 18; as text they have the same order.
    last = func.max(cast(rows.c.id, Text))
    query = select(func.count(), func.coalesce(func.sum(rows.c.size), 0), last)
    found, total, name = (await conn.execute(query)).one()
    return Amount(int(found), int(total)), None if name is None else UUID(name)


async def page(
    conn: AsyncConnection, tenant_id: UUID, wanted: Wanted, *, after: UUID | None, limit: int
) -> Sequence[Stored]:
    """Return the next so many events, oldest first."""
    query = _wanted(select(*_STORED), tenant_id, wanted, after)
    rows = await conn.execute(query.order_by(events.c.id).limit(limit))
    return [Stored(**row) for row in rows.mappings()]


async def bodies(
    conn: AsyncConnection, tenant_id: UUID, event_ids: Collection[UUID]
) -> Mapping[UUID, bytes]:
    """Return the bodies of these events, by their ids; one that is gone is missing."""
    query = select(events.c.id, events.c.body).where(
        events.c.tenant_id == tenant_id, events.c.id.in_(event_ids)
    )
    return {row[0]: row[1] for row in await conn.execute(query)}


def _wanted(query: Select[Any], tenant_id: UUID, wanted: Wanted, after: UUID | None) -> Select[Any]:
    query = query.where(
        events.c.tenant_id == tenant_id,
        events.c.status.in_(DELIVERED),
        # The time of an event is in its id, and the partitions are cut by it.
        events.c.id < ids.floor(wanted.until),
    )
    if wanted.since is not None:
        query = query.where(events.c.id >= ids.floor(wanted.since))
    if after is not None:
        query = query.where(events.c.id > after)
    if wanted.source_id is not None:
        query = query.where(events.c.source_id == wanted.source_id)
    if wanted.event_types:
        literal = [one for one in wanted.event_types if "*" not in one]
        patterns = [_like(one) for one in wanted.event_types if "*" in one]
        likes = [events.c.event_type.like(one, escape="\\") for one in patterns]
        query = query.where(or_(events.c.event_type.in_(literal), *likes))
    return query


def _like(pattern: str) -> str:
    """Return a pattern of event types as LIKE has it."""
    for special in ("\\", "%", "_"):
        pattern = pattern.replace(special, f"\\{special}")
    return pattern.replace("*", "%")
