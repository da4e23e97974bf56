"""Statements on sources and events, each inside one tenant's transaction."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.db.pages import newest_first
from crossdock.errors import Conflict
from crossdock.inbound.model import Event, EventFilter, EventSummary, Recipe, Source
from crossdock.inbound.tables import event_aliases, events, sources
from crossdock.paging import Window
from crossdock.secrets.model import SealedSecret

_SUMMARY = (
    events.c.id,
    events.c.source_id,
    events.c.event_type,
    events.c.provider_id,
    events.c.content_type,
    func.octet_length(events.c.body).label("size"),
)
_EVENT = (
    events.c.id,
    events.c.source_id,
    events.c.event_type,
    events.c.provider_id,
    events.c.content_type,
    events.c.traceparent,
    events.c.headers,
    events.c.body,
)


async def add_source(conn: AsyncConnection, source: Source) -> bool:
    """Insert a source and tell whether its name was free."""
    statement = (
        insert_or(sources)
        .values(**_columns(source))
        .on_conflict_do_nothing(
            # Written out: with a parameter, a generic plan could not prove that the index fits.
            index_elements=["tenant_id", "name"],
            index_where=text("state <> 'deleted'"),
        )
        .returning(sources.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def page_sources(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Source]:
    """Return sources, newest first."""
    query = _living(tenant_id)
    rows = await conn.execute(newest_first(query, sources.c.id, window))
    return [_source(row) for row in rows.mappings()]


async def get_source(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> Source | None:
    """Return one source."""
    query = _living(tenant_id).where(sources.c.id == source_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _source(row)


async def lock_source(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> Source | None:
    """Return one source, held against other writers until the transaction ends."""
    query = _living(tenant_id).where(sources.c.id == source_id).with_for_update()
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _source(row)


async def save_source(conn: AsyncConnection, source: Source) -> None:
    """Write a source that was locked before.

    Raises:
        Conflict: another source has its name.
    """
    statement = (
        update(sources)
        .where(sources.c.tenant_id == source.tenant_id, sources.c.id == source.id)
        .values(**_columns(source))
    )
    try:
        await conn.execute(statement)
    except IntegrityError as error:
        raise Conflict("Another source has that name.") from error


async def page_events(
    conn: AsyncConnection, tenant_id: UUID, window: Window, wanted: EventFilter
) -> Sequence[EventSummary]:
    """Return events, newest first, without their bodies."""
    query = select(*_SUMMARY).where(events.c.tenant_id == tenant_id)
    if wanted.source_id is not None:
        query = query.where(events.c.source_id == wanted.source_id)
    if wanted.event_type is not None:
        query = query.where(events.c.event_type == wanted.event_type)
    # The time of an event is in its id, and the partitions are cut by it.
    if wanted.received_after is not None:
        query = query.where(events.c.id >= ids.floor(wanted.received_after))
    if wanted.received_before is not None:
        query = query.where(events.c.id < ids.floor(wanted.received_before))
    rows = await conn.execute(newest_first(query, events.c.id, window))
    return [EventSummary(**row) for row in rows.mappings()]


async def get_event(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> Event | None:
    """Return one event by its own id."""
    query = select(*_EVENT).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else Event(**row)


async def has_event(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> bool:
    """Tell whether there is an event of that id."""
    query = select(events.c.id).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    return (await conn.execute(query)).one_or_none() is not None


async def follow_alias(conn: AsyncConnection, tenant_id: UUID, alias_id: UUID) -> UUID | None:
    """Return the event that a duplicate's id stands for."""
    query = select(event_aliases.c.event_id).where(
        event_aliases.c.tenant_id == tenant_id, event_aliases.c.alias_id == alias_id
    )
    return (await conn.execute(query)).scalar_one_or_none()


def _living(tenant_id: UUID) -> Select[Any]:
    return select(sources).where(sources.c.tenant_id == tenant_id, sources.c.state != "deleted")


def _columns(source: Source) -> dict[str, Any]:
    """Return a source as its row; its recipe is then complete but for the secrets."""
    fields = msgspec.structs.asdict(source)
    fields["recipe"] = {"scheme": source.scheme, **msgspec.to_builtins(source.recipe)}
    fields["secrets"] = msgspec.to_builtins(source.secrets)
    return fields


def _source(row: RowMapping) -> Source:
    fields = dict(row)
    recipe = {name: value for name, value in fields["recipe"].items() if name != "scheme"}
    fields["recipe"] = msgspec.convert(recipe, Recipe)
    fields["secrets"] = msgspec.convert(fields["secrets"], tuple[SealedSecret, ...])
    return Source(**fields)
