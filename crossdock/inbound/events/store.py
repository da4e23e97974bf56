"""Statements on events, each inside one tenant's transaction.

What a list asks for is equalities that lead an index and a range of ids, all leakproof, so that the
indexes serve under row-level security. What a generic plan could not look into is written out: the
limit, for which it would take a tenth of all rows, and what partial indexes are about, for it could
not know that they have it.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import (
    RowMapping,
    Select,
    Text,
    any_,
    case,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids, native
from crossdock.db.pages import newest_first
from crossdock.errors import NotFound
from crossdock.inbound.model import (
    DELIVERED,
    Event,
    EventFilter,
    EventStatus,
    EventSummary,
    EventViolation,
    FieldFilter,
)
from crossdock.inbound.tables import event_aliases, event_fields, events, releases, sources
from crossdock.paging import Window
from crossdock.secrets.seal import NONCE_BYTES, TAG_BYTES, VERSION

SEAL_BYTES: Final = len(VERSION) + NONCE_BYTES + TAG_BYTES
"""By which a sealed body is longer than the plain one."""

_SUMMARY: Final = (
    events.c.id,
    events.c.source_id,
    events.c.event_type,
    events.c.provider_id,
    events.c.content_type,
    (
        func.octet_length(events.c.body) - case((events.c.data_key.is_(None), 0), else_=SEAL_BYTES)
    ).label("size"),
    events.c.status,
    events.c.violation,
    events.c.schema_version,
    events.c.data_key,
    events.c.matched,
)
_EVENT: Final = (*_SUMMARY, events.c.traceparent, events.c.headers, events.c.body)

_violations: Final = msgspec.json.Decoder(tuple[EventViolation, ...])


class StoredEvent(msgspec.Struct, frozen=True):
    """An event as its row has it."""

    event: Event
    """Its body may be sealed."""
    data_key: UUID | None
    """What sealed it, if anything did."""


def newest(tenant_id: UUID, window: Window, wanted: EventFilter) -> Select[Any]:
    """Return the query of one page of a list."""
    found = select(*_SUMMARY).where(events.c.tenant_id == tenant_id)
    if wanted.source_id is not None:
        found = found.where(events.c.source_id == wanted.source_id)
    if wanted.event_type is not None:
        found = found.where(events.c.event_type == wanted.event_type)
    if wanted.status is not None:
        found = found.where(events.c.status == literal_column(f"'{wanted.status}'"))
    if wanted.matched is not None:
        found = found.where(events.c.matched == literal_column("0"))
    walked, query = events.c.id, found
    if wanted.payload:
        walked, query = event_fields.c.id, _by_fields(tenant_id, found, wanted.payload)
    # The time of an event is in its id, and the partitions are cut by it.
    if wanted.received_after is not None:
        query = query.where(walked >= ids.floor(wanted.received_after))
    if wanted.received_before is not None:
        query = query.where(walked < ids.floor(wanted.received_before))
    return newest_first(query, walked, window).limit(literal_column(str(window.fetch)))


def _by_fields(tenant_id: UUID, found: Select[Any], wanted: Sequence[FieldFilter]) -> Select[Any]:
    """Return a query that walks the events of one value, newest first, and looks at each.

    The offset says nothing and keeps the planner from joining in another order: it would walk all
    events of a type to find the few with a value.
    """
    first, *others = (native.field_key(one.pointer, one.value) for one in wanted)
    each = found.where(events.c.id == event_fields.c.id)
    for key in others:
        other = event_fields.alias()
        there = select(other.c.id).where(
            other.c.tenant_id == tenant_id, other.c.key == key, other.c.id == events.c.id
        )
        each = each.where(there.correlate(events).exists())
    looked_at = each.correlate(event_fields).offset(literal_column("0")).lateral("found")
    return (
        select(*looked_at.c)
        .select_from(event_fields.join(looked_at, true()))
        .where(event_fields.c.tenant_id == tenant_id, event_fields.c.key == first)
    )


async def walk(conn: AsyncConnection) -> None:
    """Have the planner walk indexes in their order for the rest of the transaction.

    It would rather sort where it believes that there are few rows; and it is mistaken about a large
    tenant under a generic plan, and about any under a partition that was not analysed yet.
    """
    await conn.execute(text("SET LOCAL enable_sort = off"))


async def page_events(
    conn: AsyncConnection, tenant_id: UUID, window: Window, wanted: EventFilter
) -> Sequence[EventSummary]:
    """Return events, newest first, without their bodies."""
    await walk(conn)
    rows = await conn.execute(newest(tenant_id, window, wanted))
    return [EventSummary(**_fields(row)) for row in rows.mappings()]


async def indexes(conn: AsyncConnection, tenant_id: UUID, pointer: str) -> bool:
    """Tell whether any source of the tenant's, a deleted one too, has indexed a pointer."""
    query = select(sources.c.id).where(
        sources.c.tenant_id == tenant_id, literal(pointer, Text) == any_(sources.c.indexed_fields)
    )
    return (await conn.execute(query.limit(1))).one_or_none() is not None


async def get_event(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> StoredEvent | None:
    """Return one event by its own id."""
    query = select(*_EVENT).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else _stored(row)


async def get_summary(
    conn: AsyncConnection, tenant_id: UUID, event_id: UUID
) -> EventSummary | None:
    """Return one event by its own id, without its body."""
    query = select(*_SUMMARY).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    row = (await conn.execute(query)).mappings().one_or_none()
    return None if row is None else EventSummary(**_fields(row))


async def get_some(
    conn: AsyncConnection, tenant_id: UUID, wanted: Sequence[UUID]
) -> list[StoredEvent]:
    """Return those events of some that are there, with their bodies, oldest first."""
    query = (
        select(*_EVENT)
        .where(events.c.tenant_id == tenant_id, events.c.id.in_(wanted))
        .order_by(events.c.id)
    )
    return [_stored(row) for row in (await conn.execute(query)).mappings()]


async def get_summaries(
    conn: AsyncConnection, tenant_id: UUID, wanted: Sequence[UUID]
) -> list[EventSummary]:
    """Return those events of some that are there, without their bodies, oldest first."""
    query = (
        select(*_SUMMARY)
        .where(events.c.tenant_id == tenant_id, events.c.id.in_(wanted))
        .order_by(events.c.id)
    )
    return [EventSummary(**_fields(row)) for row in (await conn.execute(query)).mappings()]


async def since(
    conn: AsyncConnection, tenant_id: UUID, after: UUID, limit: int, source_id: UUID | None = None
) -> list[EventSummary]:
    """Return events above an id that were announced, oldest first, without their bodies."""
    query = select(*_SUMMARY).where(
        events.c.tenant_id == tenant_id,
        events.c.id > after,
        events.c.status.in_([literal_column(f"'{status}'") for status in sorted(DELIVERED)]),
    )
    if source_id is not None:
        query = query.where(events.c.source_id == source_id)
    await walk(conn)
    ordered = query.order_by(events.c.id).limit(literal_column(str(limit)))
    return [EventSummary(**_fields(row)) for row in (await conn.execute(ordered)).mappings()]


async def has_event(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> bool:
    """Tell whether there is an event of that id."""
    query = select(events.c.id).where(events.c.tenant_id == tenant_id, events.c.id == event_id)
    return (await conn.execute(query)).one_or_none() is not None


async def resolve(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> UUID:
    """Return an event's own id for one that it was ever answered under.

    Raises:
        NotFound: there is no such event.
    """
    if await has_event(conn, tenant_id, event_id):
        return event_id
    original = await follow_alias(conn, tenant_id, event_id)
    if original is None:
        raise NotFound
    return original


async def follow_alias(conn: AsyncConnection, tenant_id: UUID, alias_id: UUID) -> UUID | None:
    """Return the event that a duplicate's id stands for."""
    query = select(event_aliases.c.event_id).where(
        event_aliases.c.tenant_id == tenant_id, event_aliases.c.alias_id == alias_id
    )
    return (await conn.execute(query)).scalar_one_or_none()


async def move(
    conn: AsyncConnection, tenant_id: UUID, event_id: UUID, before: EventStatus, after: EventStatus
) -> bool:
    """Give an event another status, and tell whether it had the one that it had to have."""
    statement = (
        update(events)
        .where(events.c.tenant_id == tenant_id, events.c.id == event_id, events.c.status == before)
        .values(status=after)
        .returning(events.c.id)
    )
    return (await conn.execute(statement)).one_or_none() is not None


async def ask_release(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> None:
    """Have a worker release an event."""
    await conn.execute(
        releases.insert().values(tenant_id=tenant_id, id=ids.new(), event_id=event_id)
    )


def _stored(row: RowMapping) -> StoredEvent:
    return StoredEvent(Event(**_fields(row)), row["data_key"])


def _fields(row: RowMapping) -> dict[str, Any]:
    fields = dict(row)
    violation = fields.pop("violation")
    fields["violations"] = () if violation is None else _violations.decode(violation)
    fields["encrypted"] = fields.pop("data_key") is not None
    return fields
