"""Statements on destinations and deliveries, each inside one tenant's transaction."""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, Uuid, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.db.pages import newest_first
from crossdock.delivery.model import Attempt, Delivery, DeliveryFilter
from crossdock.delivery.tables import attempts, deliveries, of_event
from crossdock.inbound.model import EventStatus
from crossdock.inbound.tables import events
from crossdock.paging import Window

if TYPE_CHECKING:
    from sqlalchemy import Select

_DELIVERY: Final = [column for column in deliveries.c if column.name not in {"lease", "is_replay"}]
_MADE: Final = ("tenant_id", "id", "event_id", "destination_id", "replay_id")
_arrays = func.unnest(*(bindparam(f"{name}s", type_=ARRAY(Uuid)) for name in _MADE))
_ADD_DELIVERIES: Final = insert(deliveries).from_select(
    [*_MADE, "due_at"],
    select(_arrays.table_valued(*_MADE, name="made").render_derived(), func.now()),
)


async def page_deliveries(
    conn: AsyncConnection, tenant_id: UUID, window: Window, wanted: DeliveryFilter
) -> Sequence[Delivery]:
    """Return deliveries, newest first."""
    query = select(*_DELIVERY).where(deliveries.c.tenant_id == tenant_id)
    for name in ("state", "destination_id", "reason"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(deliveries.c[name] == value)
    if wanted.event_id is not None:
        query = query.where(of_event(tenant_id, wanted.event_id))
    # The time of a delivery is in its id, and the partitions are cut by it.
    if wanted.created_after is not None:
        query = query.where(deliveries.c.id >= ids.floor(wanted.created_after))
    if wanted.created_before is not None:
        query = query.where(deliveries.c.id < ids.floor(wanted.created_before))
    rows = await conn.execute(newest_first(query, deliveries.c.id, window))
    return [_delivery(row) for row in rows]


async def get_delivery(
    conn: AsyncConnection, tenant_id: UUID, delivery_id: UUID
) -> Delivery | None:
    """Return one delivery."""
    query: Select[Any] = select(*_DELIVERY).where(
        deliveries.c.tenant_id == tenant_id, deliveries.c.id == delivery_id
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _delivery(row)


async def hold_deliveries(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> dict[UUID, Delivery]:
    """Return those of the deliveries that there are, held against other writers, by their ids."""
    query = (
        select(*_DELIVERY)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
        )
        .order_by(deliveries.c.id)  # whoever else holds some takes them in the same order
        .with_for_update()
    )
    return {row.id: _delivery(row) for row in await conn.execute(query)}


async def attempts_of(
    conn: AsyncConnection, tenant_id: UUID, delivery_id: UUID
) -> Sequence[Attempt]:
    """Return the attempts of a delivery, first to last; all are younger than it."""
    query = (
        select(*(column for column in attempts.c if column.name != "tenant_id"))
        .where(
            attempts.c.tenant_id == tenant_id,
            attempts.c.delivery_id == delivery_id,
            attempts.c.id >= delivery_id,
        )
        .order_by(attempts.c.number, attempts.c.id)
    )
    return [_attempt(row) for row in await conn.execute(query)]


async def add_deliveries(conn: AsyncConnection, made: Iterable[Delivery]) -> None:
    """Insert deliveries that are due now: any number in one statement."""
    rows = list(made)
    if rows:
        given = {f"{name}s": [getattr(row, name) for row in rows] for name in _MADE}
        await conn.execute(_ADD_DELIVERIES, given)


async def mark_replayed(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> None:
    """Say of dead letters that a new delivery has taken their place."""
    await conn.execute(
        update(deliveries)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
        )
        .values(state="replayed")
    )


async def kept_events(
    conn: AsyncConnection, tenant_id: UUID, event_ids: Collection[UUID]
) -> set[UUID]:
    """Return those of the events that are still kept."""
    query = select(events.c.id).where(
        events.c.tenant_id == tenant_id,
        events.c.id.in_(event_ids),
        events.c.id.between(min(event_ids), max(event_ids)),
    )
    return set((await conn.execute(query)).scalars())


class Origin(msgspec.Struct, frozen=True):
    """What decides where an event goes, and whether."""

    source_id: UUID
    event_type: str
    status: EventStatus


async def origin(conn: AsyncConnection, tenant_id: UUID, event_id: UUID) -> Origin | None:
    """Return where an event came from; `None` for one that is gone."""
    query = select(events.c.source_id, events.c.event_type, events.c.status).where(
        events.c.tenant_id == tenant_id, events.c.id == event_id
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Origin(*row)


def _delivery(row: Row[Any]) -> Delivery:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    if fields["state"] != "pending":
        fields["due_at"] = None
    return Delivery(**fields)


def _attempt(row: Row[Any]) -> Attempt:
    return Attempt(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
