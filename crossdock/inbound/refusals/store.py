"""Statements on refusals, each inside one tenant's transaction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import case, delete, func, select
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.inbound.refusals.model import Refusal, RefusalCount
from crossdock.inbound.tables import refusal_counts, refusals
from crossdock.paging import Window

KEPT: Final = 50
"""Refusals of one source, the newest."""

_REFUSAL: Final = tuple(refusals.c[name] for name in Refusal.__struct_fields__)


async def add(
    conn: AsyncConnection, tenant_id: UUID, source_id: UUID, found: Sequence[Refusal]
) -> None:
    """Insert refusals of a source; those that are there already stay."""
    rows = [
        {"tenant_id": tenant_id, "source_id": source_id, **msgspec.structs.asdict(one)}
        for one in found
    ]
    await conn.execute(insert_or(refusals).values(rows).on_conflict_do_nothing())


async def trim(conn: AsyncConnection, tenant_id: UUID, source_id: UUID) -> None:
    """Delete all refusals of a source but the newest."""
    of_source = (refusals.c.tenant_id == tenant_id) & (refusals.c.source_id == source_id)
    last = (
        select(refusals.c.id)
        .where(of_source)
        .order_by(refusals.c.id.desc())
        .offset(KEPT)
        .limit(1)
        .scalar_subquery()
    )
    await conn.execute(delete(refusals).where(of_source, refusals.c.id <= last))


async def count(
    conn: AsyncConnection, tenant_id: UUID, now: datetime, counts: Mapping[tuple[UUID, str], int]
) -> None:
    """Add to the numbers of a day of UTC and of its present hour, by source and reason."""
    now = now.astimezone(UTC)
    hour = now.replace(minute=0, second=0, microsecond=0)
    rows = [
        {
            "tenant_id": tenant_id,
            "source_id": source_id,
            "day": now.date(),
            "reason": reason,
            "count": number,
            "hour": hour,
            "in_hour": number,
        }
        # In one order, for others wait for these rows.
        for (source_id, reason), number in sorted(counts.items())
    ]
    statement = insert_or(refusal_counts).values(rows)
    added, c = statement.excluded, refusal_counts.c
    # Gateways' clocks differ a little: what is late counts for the hour that has begun.
    is_same = c.hour >= added.hour
    is_next = c.hour == added.hour - timedelta(hours=1)
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "source_id", "day", "reason"],
            set_={
                "count": c.count + added.count,
                "hour": func.greatest(c.hour, added.hour),
                "in_hour": case((is_same, c.in_hour + added.in_hour), else_=added.in_hour),
                "hour_before": case((is_same, c.hour_before), (is_next, c.in_hour), else_=0),
            },
        )
    )


async def page(
    conn: AsyncConnection, tenant_id: UUID, source_id: UUID, window: Window
) -> Sequence[Refusal]:
    """Return refusals of a source, newest first."""
    query = select(*_REFUSAL).where(
        refusals.c.tenant_id == tenant_id, refusals.c.source_id == source_id
    )
    rows = await conn.execute(newest_first(query, refusals.c.id, window))
    return [Refusal(**row) for row in rows.mappings()]


async def counts(
    conn: AsyncConnection, tenant_id: UUID, source_id: UUID, since: date
) -> list[RefusalCount]:
    """Return a source's numbers since a day, newest first, and of a day the highest first."""
    c = refusal_counts.c
    query = (
        select(c.day, c.reason, c.count)
        .where(c.tenant_id == tenant_id, c.source_id == source_id, c.day >= since)
        .order_by(c.day.desc(), c.count.desc(), c.reason)
    )
    return [RefusalCount(*row) for row in await conn.execute(query)]
