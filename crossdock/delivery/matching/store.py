"""Statements on stored events that are matched again, each inside one tenant's transaction."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Select, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.delivery.matching.model import Occurrence
from crossdock.inbound.tables import event_aliases, events

_OCCURRENCE: Final = (
    events.c.id,
    events.c.source_id,
    events.c.stream_seq,
    events.c.event_type,
    events.c.content_type,
    events.c.provider_id,
    events.c.headers,
    events.c.status,
    events.c.data_key,
    func.octet_length(events.c.body).label("size"),
    events.c.stored_at,
    events.c.released_at,
)


async def between(
    conn: AsyncConnection, tenant_id: UUID, low: UUID, high: UUID, limit: int
) -> list[Occurrence]:
    """Return the first events between two ids, oldest first; both are outside."""
    # The planner believes that there are few rows, and would sort: see `inbound.events.store.walk`.
    await conn.execute(text("SET LOCAL enable_sort = off"))
    query = (
        select(*_OCCURRENCE)
        .where(events.c.tenant_id == tenant_id, events.c.id > low, events.c.id < high)
        .order_by(events.c.id)
        .limit(literal_column(str(limit)))
    )
    found = await _read(conn, query)
    await conn.execute(text("SET LOCAL enable_sort = on"))
    return found


async def some(
    conn: AsyncConnection, tenant_id: UUID, event_ids: Collection[UUID]
) -> list[Occurrence]:
    """Return those of the events that are kept, oldest first."""
    if not event_ids:
        return []
    query = (
        select(*_OCCURRENCE)
        .where(
            events.c.tenant_id == tenant_id,
            events.c.id.in_(event_ids),
            events.c.id.between(min(event_ids), max(event_ids)),
        )
        .order_by(events.c.id)
    )
    return await _read(conn, query)


async def bodies(
    conn: AsyncConnection, tenant_id: UUID, event_ids: Collection[UUID]
) -> dict[UUID, bytes]:
    """Return the bodies of events as they are stored, by their ids."""
    query = select(events.c.id, events.c.body).where(
        events.c.tenant_id == tenant_id,
        events.c.id.in_(event_ids),
        events.c.id.between(min(event_ids), max(event_ids)),
    )
    return {row.id: row.body for row in await conn.execute(query)}


async def originals(
    conn: AsyncConnection, tenant_id: UUID, alias_ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """Return whose duplicates some ids are; those that are none's are missing."""
    query = select(event_aliases.c.alias_id, event_aliases.c.event_id).where(
        event_aliases.c.tenant_id == tenant_id, event_aliases.c.alias_id.in_(alias_ids)
    )
    return {row.alias_id: row.event_id for row in await conn.execute(query)}


async def first(conn: AsyncConnection, tenant_id: UUID) -> UUID | None:
    """Return the oldest event that is kept."""
    query = select(events.c.id).where(events.c.tenant_id == tenant_id)
    return (await conn.execute(query.order_by(events.c.id).limit(1))).scalar_one_or_none()


async def first_released(conn: AsyncConnection, tenant_id: UUID, since: Any) -> UUID | None:
    """Return the oldest event that was released at some moment or later."""
    query = select(events.c.id).where(
        events.c.tenant_id == tenant_id,
        events.c.released_at.is_not(None),
        events.c.released_at >= since,
    )
    return (await conn.execute(query.order_by(events.c.id).limit(1))).scalar_one_or_none()


async def _read(conn: AsyncConnection, query: Select[Any]) -> list[Occurrence]:
    return [Occurrence(**row) for row in (await conn.execute(query)).mappings()]
