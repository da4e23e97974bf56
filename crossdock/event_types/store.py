"""Statements on event types and their schemas, each inside one tenant's transaction."""

from collections.abc import Sequence
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.event_types.model import DetailedType, EventType, SchemaVersion
from crossdock.event_types.tables import event_type_versions as versions
from crossdock.event_types.tables import event_types
from crossdock.inbound.tables import events
from crossdock.paging import Window

Connection: TypeAlias = AsyncConnection
"""A connection in a tenant's transaction, for callers who only pass it on."""

_VERSION = (versions.c.number, versions.c.schema, versions.c.created_at)
_EDITED = ("description", "mode", "compatibility", "latest", "version", "updated_at")


async def lock_all(conn: AsyncConnection, tenant_id: UUID) -> None:
    """Wait for everybody else who adds a type or a schema, and keep others waiting.

    A statement of its own, so that those after it see what the others have committed.
    """
    key = func.hashtextextended(f"event-types:{tenant_id}", 0)
    await conn.execute(select(func.pg_advisory_xact_lock(key)))


async def totals(conn: AsyncConnection, tenant_id: UUID, but: UUID) -> tuple[int, int]:
    """Return how many types there are, and what all schemas in force weigh but one type's."""
    in_force = (
        select(func.coalesce(func.sum(versions.c.weight), 0))
        .join(
            event_types,
            (event_types.c.tenant_id == versions.c.tenant_id)
            & (event_types.c.id == versions.c.event_type_id)
            & (event_types.c.latest == versions.c.number),
        )
        .where(versions.c.tenant_id == tenant_id, versions.c.event_type_id != but)
    )
    count = (
        select(func.count()).select_from(event_types).where(event_types.c.tenant_id == tenant_id)
    )
    row = await conn.execute(select(count.scalar_subquery(), in_force.scalar_subquery()))
    found: tuple[int, int] = tuple(row.one())
    return found


async def add(conn: AsyncConnection, event_type: EventType) -> bool:
    """Insert a type and tell whether its name was free."""
    statement = (
        insert_or(event_types)
        .values(**msgspec.structs.asdict(event_type))
        .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
        .returning(event_types.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def add_version(
    conn: AsyncConnection, event_type: EventType, version: SchemaVersion, *, weight: int, kept: int
) -> None:
    """Insert a schema, and drop those that are older than the `kept` newest."""
    owner = {"tenant_id": event_type.tenant_id, "event_type_id": event_type.id}
    row = owner | msgspec.structs.asdict(version) | {"weight": weight}
    await conn.execute(insert(versions).values(row))
    await conn.execute(
        delete(versions).where(
            versions.c.tenant_id == event_type.tenant_id,
            versions.c.event_type_id == event_type.id,
            versions.c.number <= version.number - kept,
        )
    )


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[EventType]:
    """Return types, newest first."""
    query = select(event_types).where(event_types.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, event_types.c.id, window))
    return [EventType(**row) for row in rows.mappings()]


async def get(conn: AsyncConnection, tenant_id: UUID, type_id: UUID) -> EventType | None:
    """Return one type."""
    return await _one(conn, _of(tenant_id, type_id))


async def lock(conn: AsyncConnection, tenant_id: UUID, type_id: UUID) -> EventType | None:
    """Return one type, held against other writers until the transaction ends."""
    return await _one(conn, _of(tenant_id, type_id).with_for_update())


async def detailed(conn: AsyncConnection, tenant_id: UUID, type_id: UUID) -> DetailedType | None:
    """Return one type with its newest schema, both of one moment."""
    newest = (
        select(versions.c.schema)
        .where(
            versions.c.tenant_id == event_types.c.tenant_id,
            versions.c.event_type_id == event_types.c.id,
            versions.c.number == event_types.c.latest,
        )
        .scalar_subquery()
    )
    query = _of(tenant_id, type_id).add_columns(newest.label("schema"))
    row = (await conn.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    fields = dict(row)
    schema: str | None = fields.pop("schema")
    return DetailedType(EventType(**fields), schema)


async def save(conn: AsyncConnection, event_type: EventType) -> None:
    """Write what can change of a type that was locked before."""
    fields = msgspec.structs.asdict(event_type)
    await conn.execute(
        update(event_types)
        .where(event_types.c.tenant_id == event_type.tenant_id, event_types.c.id == event_type.id)
        .values({name: fields[name] for name in _EDITED})
    )


async def remove(conn: AsyncConnection, tenant_id: UUID, type_id: UUID) -> None:
    """Delete a type and all its schemas."""
    await conn.execute(
        delete(event_types).where(event_types.c.tenant_id == tenant_id, event_types.c.id == type_id)
    )


async def page_versions(
    conn: AsyncConnection, tenant_id: UUID, type_id: UUID, window: Window
) -> Sequence[SchemaVersion]:
    """Return schemas of a type, newest first."""
    query = select(*_VERSION).where(
        versions.c.tenant_id == tenant_id, versions.c.event_type_id == type_id
    )
    if window.after is not None:
        query = query.where(versions.c.number < window.after.int)
    rows = await conn.execute(query.order_by(versions.c.number.desc()).limit(window.fetch))
    return [SchemaVersion(**row) for row in rows.mappings()]


async def get_version(
    conn: AsyncConnection, tenant_id: UUID, type_id: UUID, number: int
) -> SchemaVersion | None:
    """Return one schema of a type."""
    query = select(*_VERSION).where(
        versions.c.tenant_id == tenant_id,
        versions.c.event_type_id == type_id,
        versions.c.number == number,
    )
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else SchemaVersion(**row)


async def newest_events(
    conn: AsyncConnection, tenant_id: UUID, name: str, limit: int
) -> list[tuple[UUID, int]]:
    """Return the newest stored events of a type, and the bytes of their bodies."""
    query = (
        select(events.c.id, func.octet_length(events.c.body))
        .where(events.c.tenant_id == tenant_id, events.c.event_type == name)
        .order_by(events.c.id.desc())
        .limit(limit)
    )
    return [(row[0], row[1]) for row in await conn.execute(query)]


async def _one(conn: AsyncConnection, query: Select[Any]) -> EventType | None:
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else EventType(**row)


def _of(tenant_id: UUID, type_id: UUID) -> Select[Any]:
    return select(event_types).where(
        event_types.c.tenant_id == tenant_id, event_types.c.id == type_id
    )
