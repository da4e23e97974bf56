"""Statements on destinations, each inside one tenant's transaction."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, delete, null, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.delivery.destinations.model import Destination, Order, Rate, RetryPolicy, Settings
from crossdock.delivery.tables import destinations
from crossdock.errors import Conflict
from crossdock.inbound.tables import sources
from crossdock.paging import Window
from crossdock.secrets.model import SealedSecret

_JSON: Final[dict[str, Any]] = {
    "retry": RetryPolicy,
    "settings": Settings,
    "credentials": SealedSecret,
    "rate": Rate,
}
"""Columns that hold the JSON of a Struct, or NULL."""


async def add(conn: AsyncConnection, destination: Destination) -> bool:
    """Insert a destination and tell whether its name was free."""
    statement = (
        insert_or(destinations)
        .values(**_columns(destination))
        .on_conflict_do_nothing(index_elements=["tenant_id", "name"])
        .returning(destinations.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Destination]:
    """Return destinations, newest first."""
    query = select(destinations).where(destinations.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, destinations.c.id, window))
    return [_destination(row) for row in rows]


async def get(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, *, lock: bool = False
) -> Destination | None:
    """Return one destination, on demand held against other writers."""
    query = select(destinations).where(
        destinations.c.tenant_id == tenant_id, destinations.c.id == destination_id
    )
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _destination(row)


async def enabled(conn: AsyncConnection, tenant_id: UUID) -> Sequence[Destination]:
    """Return all destinations of a tenant that take deliveries."""
    query = select(destinations).where(
        destinations.c.tenant_id == tenant_id, destinations.c.state == "enabled"
    )
    return [_destination(row) for row in await conn.execute(query)]


async def listening(conn: AsyncConnection, tenant_id: UUID) -> Sequence[Destination]:
    """Return all destinations of a tenant that new events go to, as persisting has it."""
    query = select(destinations).where(
        destinations.c.tenant_id == tenant_id,
        or_(destinations.c.state == "enabled", destinations.c.disabled_reason == "failing"),
    )
    return [_destination(row) for row in await conn.execute(query.order_by(destinations.c.id))]


async def save(conn: AsyncConnection, destination: Destination) -> None:
    """Write a destination that was locked before.

    Raises:
        Conflict: another destination has its name.
    """
    statement = (
        update(destinations)
        .where(
            destinations.c.tenant_id == destination.tenant_id,
            destinations.c.id == destination.id,
        )
        .values(**_columns(destination))
    )
    try:
        await conn.execute(statement)
    except IntegrityError as error:
        raise Conflict("Another destination has that name.") from error


async def remove(conn: AsyncConnection, tenant_id: UUID, destination_id: UUID) -> None:
    """Delete a destination that was locked before; its deliveries stay."""
    await conn.execute(
        delete(destinations).where(
            destinations.c.tenant_id == tenant_id, destinations.c.id == destination_id
        )
    )


async def known_sources(
    conn: AsyncConnection, tenant_id: UUID, source_ids: Collection[UUID]
) -> set[UUID]:
    """Return those of the ids that name a source of the tenant."""
    query = select(sources.c.id).where(
        sources.c.tenant_id == tenant_id,
        sources.c.id.in_(source_ids),
        sources.c.state != "deleted",
    )
    return set((await conn.execute(query)).scalars())


async def living(
    conn: AsyncConnection, tenant_id: UUID, destination_ids: Collection[UUID]
) -> dict[UUID, bool]:
    """Return those of the destinations that are still there, and which of them want order."""
    query = select(destinations.c.id, destinations.c.order_by.is_not(None).label("is_ordered"))
    query = query.where(
        destinations.c.tenant_id == tenant_id, destinations.c.id.in_(destination_ids)
    )
    return {row.id: row.is_ordered for row in await conn.execute(query)}


def _columns(destination: Destination) -> dict[str, Any]:
    fields = msgspec.structs.asdict(destination)
    fields["source_ids"] = list(destination.source_ids)
    fields["event_types"] = list(destination.event_types)
    fields["secrets"] = msgspec.to_builtins(destination.secrets)
    order = fields.pop("order")
    fields["order_by"] = None if order is None else order.by
    fields["order_hold"] = "until_dead" if order is None else order.hold
    for name in _JSON:
        fields[name] = null() if fields[name] is None else msgspec.to_builtins(fields[name])
    return fields


def _destination(row: Row[Any]) -> Destination:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    fields["source_ids"] = tuple(fields["source_ids"])
    fields["event_types"] = tuple(fields["event_types"])
    fields["secrets"] = msgspec.convert(fields["secrets"], tuple[SealedSecret, ...])
    by, hold = fields.pop("order_by"), fields.pop("order_hold")
    fields["order"] = None if by is None else Order(by, hold)
    for name, shape in _JSON.items():
        if fields[name] is not None:
            fields[name] = msgspec.convert(fields[name], shape)
    return Destination(**fields)
