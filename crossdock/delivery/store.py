"""Statements on destinations and deliveries, each inside one tenant's transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import MAXYEAR
from typing import TYPE_CHECKING, Any, Final, get_args
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    bindparam,
    case,
    column,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.db.pages import newest_first
from crossdock.delivery.model import Attempt, Delivery, DeliveryFilter, DeliveryState
from crossdock.delivery.tables import attempts, deliveries, not_before, of_event
from crossdock.inbound.tables import events
from crossdock.paging import Window

if TYPE_CHECKING:
    from sqlalchemy import Select

_DELIVERY: Final = [one for one in deliveries.c if one.name not in {"lease", "is_replay"}]
_STATES: Final[dict[str, ColumnElement[str]]] = {
    state: literal_column(f"'{state}'") for state in get_args(DeliveryState)
}
_MADE: Final = ("tenant_id", "id", "event_id", "destination_id", "replay_id", "line", "order_seq")
_arrays = func.unnest(
    *(bindparam(f"{name}s", type_=ARRAY(deliveries.c[name].type)) for name in _MADE)
)
_made = _arrays.table_valued(
    *(column(name, deliveries.c[name].type) for name in _MADE), name="made"
).render_derived()
_ADD_DELIVERIES: Final = insert(deliveries).from_select(
    [*_MADE, "due_at"],
    select(
        *_made.c,
        # Whose turn it is in a line is said once all of it stands there: `order.store.promote`.
        case((_made.c.line.is_(None), func.now()), else_=literal_column("'infinity'::timestamptz")),
    ),
)


async def page_deliveries(
    conn: AsyncConnection, tenant_id: UUID, window: Window, wanted: DeliveryFilter
) -> Sequence[Delivery]:
    """Return deliveries, newest first."""
    query = select(*_DELIVERY).where(*_conditions(tenant_id, wanted))
    if wanted.reason is not None:
        query = query.where(deliveries.c.reason == wanted.reason)
    if wanted.event_id is not None:
        query = query.where(of_event(tenant_id, wanted.event_id))
    rows = await conn.execute(newest_first(query, deliveries.c.id, window))
    return [_delivery(row) for row in rows]


async def count_dead(
    conn: AsyncConnection, tenant_id: UUID, wanted: DeliveryFilter, most: int
) -> tuple[int, list[tuple[str, UUID, int]]]:
    """Count the newest dead letters by reason and destination.

    Returns:
        How many were looked at, one more than `most` where there are more; and the counts of those
        that have the reason that is wanted.
    """
    some = (
        select(deliveries.c.reason, deliveries.c.destination_id)
        .where(*_conditions(tenant_id, wanted))
        .order_by(deliveries.c.id.desc())
        .limit(literal_column(str(most + 1)))
        .cte("some")
    )
    counted = func.count()
    query = select(some.c.reason, some.c.destination_id, counted).group_by(*some.c)
    rows = [(row[0] or "", row[1], row[2]) for row in await conn.execute(query)]
    looked_at = sum(count for _, _, count in rows)
    return looked_at, [row for row in rows if wanted.reason in {None, row[0]}]


def _conditions(tenant_id: UUID, wanted: DeliveryFilter) -> list[ColumnElement[bool]]:
    """Return what an index leads to. The state is written out: the indexes are of some states."""
    found = [deliveries.c.tenant_id == tenant_id]
    if wanted.state is not None:
        found.append(deliveries.c.state == _STATES[wanted.state])
    if wanted.destination_id is not None:
        found.append(deliveries.c.destination_id == wanted.destination_id)
    # The time of a delivery is in its id, and the partitions are cut by it.
    if wanted.created_after is not None:
        found.append(deliveries.c.id >= ids.floor(wanted.created_after))
    if wanted.created_before is not None:
        found.append(deliveries.c.id < ids.floor(wanted.created_before))
    return found


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


async def some_deliveries(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> dict[UUID, Delivery]:
    """Return those of the deliveries that there are, by their ids."""
    if not delivery_ids:
        return {}
    query = select(*_DELIVERY).where(
        deliveries.c.tenant_id == tenant_id,
        deliveries.c.id.in_(delivery_ids),
        deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
    )
    return {row.id: _delivery(row) for row in await conn.execute(query)}


async def are_ordered(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> bool:
    """Tell whether any of the deliveries stands, or stood, in a line."""
    query = select(deliveries.c.id).where(
        deliveries.c.tenant_id == tenant_id,
        deliveries.c.id.in_(delivery_ids),
        deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
        deliveries.c.line.is_not(None),
    )
    return (await conn.execute(query.limit(1))).one_or_none() is not None


async def attempts_of(
    conn: AsyncConnection, tenant_id: UUID, delivery_id: UUID
) -> Sequence[Attempt]:
    """Return the attempts of a delivery, first to last."""
    query = (
        select(*(one for one in attempts.c if one.name != "tenant_id"))
        .where(
            attempts.c.tenant_id == tenant_id,
            attempts.c.delivery_id == delivery_id,
            not_before(delivery_id),
        )
        .order_by(attempts.c.number, attempts.c.id)
    )
    return [_attempt(row) for row in await conn.execute(query)]


async def add_deliveries(conn: AsyncConnection, made: Iterable[Delivery]) -> None:
    """Insert deliveries, any number in one statement: due now, but for those of a line."""
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


def _delivery(row: Row[Any]) -> Delivery:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    # One that stands in a line behind others has no moment yet, and is due at infinity.
    if fields["state"] != "pending" or fields["due_at"].year == MAXYEAR:
        fields["due_at"] = None
    return Delivery(**fields)


def _attempt(row: Row[Any]) -> Attempt:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    fields["request_headers"] = fields["request_headers"] or []  # older releases kept none
    return Attempt(**fields)
