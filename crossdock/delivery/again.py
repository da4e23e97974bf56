"""Deliveries made again on demand, one by one or some at once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from crossdock import ids
from crossdock.delivery import store
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.model import Delivery
from crossdock.delivery.order import store as order
from crossdock.errors import Conflict, NotFound, Refused


async def make(
    conn: Any, tenant_id: UUID, delivery_ids: Sequence[UUID], now: datetime
) -> Sequence[Delivery | Refused]:
    """Make some deliveries again; one that can't be made again does not stop the others.

    Returns:
        In the order of the ids, which are all different: the new delivery, or why there is none.
    """
    if await store.are_ordered(conn, tenant_id, delivery_ids):
        await order.hold(conn, tenant_id)
    found = await store.hold_deliveries(conn, tenant_id, delivery_ids)
    if not found:
        return [NotFound() for _ in delivery_ids]
    there = found.values()
    living = await destinations.living(conn, tenant_id, {one.destination_id for one in there})
    kept = await store.kept_events(conn, tenant_id, {one.event_id for one in there})
    outcomes = [_again(found.get(key), living, kept, now) for key in delivery_ids]
    dead = [
        key
        for key, outcome in zip(delivery_ids, outcomes, strict=True)
        if isinstance(outcome, Delivery) and found[key].state == "dead"
    ]
    if dead:
        await store.mark_replayed(conn, tenant_id, dead)
    freed = [found[key] for key in dead]
    made = [one for one in outcomes if isinstance(one, Delivery)]
    first = await add(conn, tenant_id, made, freed)
    return [first.get(one.id, one) if isinstance(one, Delivery) else one for one in outcomes]


async def add(
    conn: Any, tenant_id: UUID, made: Sequence[Delivery], freed: Sequence[Delivery] = ()
) -> dict[UUID, Delivery]:
    """Insert deliveries; those of a line stand in it at the place of their events.

    Whoever adds some of a line holds the tenant's lane before: see `delivery.order`.

    Args:
        conn: inside the tenant.
        tenant_id: whose.
        made: the new ones.
        freed: dead letters that hold their lines no more.

    Returns:
        Those of lines as they are now, by their ids: the first of a line is due, others wait.
    """
    await store.add_deliveries(conn, made)
    ordered = [one for one in made if one.line is not None]
    lines = {
        (tenant_id, one.destination_id, one.line)
        for one in (*ordered, *freed)
        if one.line is not None
    }
    if not lines:
        return {}
    await order.promote(conn, lines)
    return await store.some_deliveries(conn, tenant_id, [one.id for one in ordered])


def fresh(
    tenant_id: UUID,
    event_id: UUID,
    destination_id: UUID,
    now: datetime,
    *,
    line: int | None = None,
    order_seq: int | None = None,
) -> Delivery:
    """Return a delivery that is due now, or that takes its place in a line."""
    return Delivery(
        tenant_id=tenant_id,
        id=ids.new(now.timestamp()),
        event_id=event_id,
        destination_id=destination_id,
        state="pending",
        attempts=0,
        due_at=now if line is None else None,
        replay_id=None,
        last_status=None,
        last_error=None,
        reason=None,
        finished_at=None,
        line=line,
        order_seq=None if line is None else order_seq,
    )


def _again(
    old: Delivery | None, living: Mapping[UUID, bool], kept: Collection[UUID], now: datetime
) -> Delivery | Refused:
    """Return a delivery in the place of another, or why there can't be one."""
    if old is None:
        return NotFound()
    if old.state == "pending":
        return Conflict("That delivery is still under way.")
    if old.state == "replayed":
        return Conflict("That delivery was replayed before.")
    if old.destination_id not in living:
        return Conflict("Its destination was deleted.")
    if old.event_id not in kept:
        return Conflict("Its event is no longer kept.")
    return fresh(
        old.tenant_id,
        old.event_id,
        old.destination_id,
        now,
        # Where order is no longer asked for, it is due at once.
        line=old.line if living[old.destination_id] else None,
        order_seq=old.order_seq,
    )
