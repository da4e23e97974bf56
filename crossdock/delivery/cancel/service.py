"""The use cases of cancelling."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec.structs import replace

from crossdock.db import Databases
from crossdock.delivery import store as deliveries
from crossdock.delivery.cancel import store
from crossdock.delivery.destinations import store as destinations
from crossdock.delivery.model import Delivery
from crossdock.delivery.order import store as order
from crossdock.errors import Conflict, NotFound, Refused

CHUNK: Final = 1000
"""Deliveries that one call cancels of a destination."""


class CancelledPending(msgspec.Struct, frozen=True):
    """What one call cancelled of a destination's deliveries."""

    cancelled: int
    has_more: bool
    """It took as many as one call may: ask again."""


class Cancelling:
    """Calls off a tenant's deliveries. The next of a line is due in the same transaction."""

    def __init__(self, database: Databases, *, chunk: int = CHUNK) -> None:
        self._database = database
        self._chunk = chunk

    async def cancel(self, tenant_id: UUID, delivery_id: UUID) -> Delivery:
        """Cancel a delivery that waits, or discard a dead letter; to repeat it changes nothing.

        An attempt that is under way goes on, and its result is dropped.

        Raises:
            NotFound: this tenant has no such delivery.
            Conflict: it arrived, or was replayed.
        """
        (outcome,) = await self.cancel_some(tenant_id, [delivery_id])
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    async def cancel_some(
        self, tenant_id: UUID, delivery_ids: Sequence[UUID]
    ) -> Sequence[Delivery | Refused]:
        """Cancel some deliveries; one that can't be cancelled does not stop the others.

        Returns:
            In the order of the ids, which are all different: the delivery, or why it stays as it
            is, as `cancel` would raise it.
        """
        async with self._database.tenant(tenant_id) as conn:
            await order.hold(conn, tenant_id)
            found = await deliveries.hold_deliveries(conn, tenant_id, delivery_ids)
            ended = await _cancel(conn, tenant_id, list(found)) if found else {}
        return [_outcome(found.get(one), ended.get(one)) for one in delivery_ids]

    async def cancel_pending(self, tenant_id: UUID, destination_id: UUID) -> CancelledPending:
        """Cancel what waits for a destination, so many at a call; dead letters stay.

        Raises:
            NotFound: this tenant has no such destination.
        """
        async with self._database.tenant(tenant_id) as conn:
            if await destinations.get(conn, tenant_id, destination_id) is None:
                raise NotFound
            await order.hold(conn, tenant_id)
            some = await store.pending(conn, tenant_id, destination_id, self._chunk)
            held = await store.hold_pending(conn, tenant_id, some) if some else []
            ended = await _cancel(conn, tenant_id, held) if held else {}
        return CancelledPending(len(ended), len(some) == self._chunk)


async def _cancel(
    conn: Any, tenant_id: UUID, delivery_ids: Sequence[UUID]
) -> dict[UUID, store.Ended]:
    """Cancel deliveries that are held, and let their lines go on."""
    ended = await store.cancel(conn, tenant_id, delivery_ids)
    await order.promote(conn, {one.line for one in ended if one.line is not None})
    return {one.id: one for one in ended}


def _outcome(found: Delivery | None, ended: store.Ended | None) -> Delivery | Refused:
    """Return a delivery as it is now, or why it was not cancelled."""
    if found is None:
        return NotFound()
    if ended is not None:
        return replace(
            found,
            state="cancelled",
            reason=ended.reason,
            due_at=None,
            finished_at=ended.finished_at,
        )
    if found.state == "cancelled":
        return found
    return Conflict(
        "That delivery has arrived."
        if found.state == "delivered"
        else "That delivery was replayed: cancel the one that took its place."
    )
