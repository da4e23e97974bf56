"""Deliveries made again on demand, one by one or some at once."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from crossdock import ids
from crossdock.delivery import store
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.model import Delivery
from crossdock.errors import Conflict, NotFound, Refused


async def make(
    conn: Any, tenant_id: UUID, delivery_ids: Sequence[UUID], now: datetime
) -> Sequence[Delivery | Refused]:
    """Make some deliveries again; one that can't be made again does not stop the others.

    Returns:
        In the order of the ids, which are all different: the new delivery, or why there is none.
    """
    found = await store.hold_deliveries(conn, tenant_id, delivery_ids)
    if not found:
        return [NotFound() for _ in delivery_ids]
    there = found.values()
    living = await destinations.living(conn, tenant_id, {one.destination_id for one in there})
    kept = await store.kept_events(conn, tenant_id, {one.event_id for one in there})
    outcomes = [_again(found.get(key), living, kept, now) for key in delivery_ids]
    await store.add_deliveries(conn, [one for one in outcomes if isinstance(one, Delivery)])
    dead = [
        key
        for key, outcome in zip(delivery_ids, outcomes, strict=True)
        if isinstance(outcome, Delivery) and found[key].state == "dead"
    ]
    if dead:
        await store.mark_replayed(conn, tenant_id, dead)
    return outcomes


def fresh(tenant_id: UUID, event_id: UUID, destination_id: UUID, now: datetime) -> Delivery:
    """Return a delivery that is due now."""
    return Delivery(
        tenant_id=tenant_id,
        id=ids.new(now.timestamp()),
        event_id=event_id,
        destination_id=destination_id,
        state="pending",
        attempts=0,
        due_at=now,
        replay_id=None,
        last_status=None,
        last_error=None,
        reason=None,
        finished_at=None,
    )


def _again(
    old: Delivery | None, living: Collection[UUID], kept: Collection[UUID], now: datetime
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
    return fresh(old.tenant_id, old.event_id, old.destination_id, now)
