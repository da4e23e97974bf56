"""Statements of cancelling, each inside one tenant's transaction.

A delivery that is cancelled has no lease any more: what an attempt that is still under way comes to
is recorded by nobody.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import case, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.delivery.order.model import Line
from crossdock.delivery.tables import deliveries

CANCELLED: Final = "cancelled_by_owner"
DISCARDED: Final = "discarded_by_owner"


class Ended(msgspec.Struct, frozen=True):
    """A delivery that was cancelled just now."""

    id: UUID
    reason: str
    finished_at: datetime
    line: Line | None


async def cancel(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> list[Ended]:
    """Cancel those of the deliveries that are pending or dead, held before; return them."""
    columns = deliveries.c
    query = (
        update(deliveries)
        .where(
            columns.tenant_id == tenant_id,
            columns.id.in_(delivery_ids),
            columns.id.between(min(delivery_ids), max(delivery_ids)),
            columns.state.in_(("pending", "dead")),
        )
        .values(
            state="cancelled",
            reason=case((columns.state == "dead", DISCARDED), else_=CANCELLED),
            lease=None,
            due_at=func.now(),
            finished_at=func.now(),
        )
        .returning(
            columns.id, columns.reason, columns.finished_at, columns.destination_id, columns.line
        )
    )
    return [
        Ended(
            row.id,
            row.reason,
            row.finished_at,
            None if row.line is None else (tenant_id, row.destination_id, row.line),
        )
        for row in await conn.execute(query)
    ]


async def pending(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, limit: int
) -> list[UUID]:
    """Return some of what is pending for a destination, that which is due last first.

    So the heads of its lines go last, and nobody takes their place meanwhile.
    """
    query = (
        select(deliveries.c.id)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.destination_id == destination_id,
            deliveries.c.state == "pending",
        )
        .order_by(deliveries.c.due_at.desc())
        .limit(limit)
    )
    return list((await conn.execute(query)).scalars())


async def hold_pending(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID]
) -> list[UUID]:
    """Return those of the deliveries that are pending still, held against other writers."""
    query = (
        select(deliveries.c.id)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
            deliveries.c.state == "pending",
        )
        .order_by(deliveries.c.id)  # whoever else holds some takes them in the same order
        .with_for_update()
    )
    return list((await conn.execute(query)).scalars())
