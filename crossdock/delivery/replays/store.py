"""Statements on replays: each inside one tenant's transaction, but for the search for work."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, and_, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock import ids
from crossdock.db.pages import newest_first
from crossdock.delivery.model import DeliveryState, Replay, ReplayFilter
from crossdock.delivery.tables import deliveries, destinations, replays
from crossdock.inbound.tables import events
from crossdock.paging import Window

if TYPE_CHECKING:
    import asyncpg


class Candidate(msgspec.Struct, frozen=True):
    """A delivery that a replay looks at."""

    id: UUID
    event_id: UUID
    destination_id: UUID
    state: DeliveryState
    reason: str | None
    last_status: int | None
    source_id: UUID | None
    """`None` for an event that is no longer kept."""
    event_type: str | None


async def add(conn: AsyncConnection, replay: Replay) -> None:
    """Insert a replay."""
    fields = msgspec.structs.asdict(replay)
    fields["filter"] = msgspec.to_builtins(replay.filter)
    await conn.execute(insert(replays).values(fields))


async def page(conn: AsyncConnection, tenant_id: UUID, window: Window) -> Sequence[Replay]:
    """Return replays, newest first."""
    query = select(replays).where(replays.c.tenant_id == tenant_id)
    rows = await conn.execute(newest_first(query, replays.c.id, window))
    return [_replay(row) for row in rows]


async def get(conn: AsyncConnection, tenant_id: UUID, replay_id: UUID) -> Replay | None:
    """Return one replay."""
    query = select(replays).where(replays.c.tenant_id == tenant_id, replays.c.id == replay_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _replay(row)


async def cancel(conn: AsyncConnection, tenant_id: UUID, replay_id: UUID) -> None:
    """End a running replay; waits for the chunk that is being worked on."""
    await conn.execute(
        update(replays)
        .where(
            replays.c.tenant_id == tenant_id,
            replays.c.id == replay_id,
            replays.c.state == "running",
        )
        .values(state="cancelled", finished_at=func.now())
    )


_RUNNING: Final = """
SELECT tenant_id, id FROM crossdock.replays WHERE state = 'running' ORDER BY id LIMIT $1
"""


async def running(conn: "asyncpg.Connection", limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Return running replays of all tenants, oldest first, as tenant and id."""
    return [(row[0], row[1]) for row in await conn.fetch(_RUNNING, limit)]


async def hold(conn: AsyncConnection, tenant_id: UUID, replay_id: UUID) -> Replay | None:
    """Return a running replay to work on, or `None` if it ended or another worker has it."""
    query = (
        select(replays)
        .where(
            replays.c.tenant_id == tenant_id,
            replays.c.id == replay_id,
            replays.c.state == "running",
        )
        .with_for_update(skip_locked=True)
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _replay(row)


async def candidates(conn: AsyncConnection, replay: Replay, limit: int) -> Sequence[Candidate]:
    """Return the next deliveries of the time range, oldest first.

    Only those from before the replay: what it makes itself is younger than it. Conditions without
    an index are the caller's, so that a chunk's cost is bounded however rare a match is.
    """
    wanted = replay.filter
    low = replay.cursor or UUID(int=0)
    if wanted.created_after is not None:
        # One below the floor: the comparison is exclusive, as it must be for the cursor.
        low = max(low, UUID(int=max(0, ids.floor(wanted.created_after).int - 1)))
    high = replay.id
    if wanted.created_before is not None:
        high = min(high, ids.floor(wanted.created_before))
    query = select(
        deliveries.c.id,
        deliveries.c.event_id,
        deliveries.c.destination_id,
        deliveries.c.state,
        deliveries.c.reason,
        deliveries.c.last_status,
    ).where(
        deliveries.c.tenant_id == replay.tenant_id,
        deliveries.c.id > low,
        deliveries.c.id < high,
    )
    if wanted.state == "dead":  # these have an index of their own
        query = query.where(deliveries.c.state == "dead")
    some = query.order_by(deliveries.c.id).limit(limit).subquery()
    is_its_event = and_(events.c.tenant_id == replay.tenant_id, events.c.id == some.c.event_id)
    joined = (
        select(some, events.c.source_id, events.c.event_type)
        .select_from(some.outerjoin(events, is_its_event))
        .order_by(some.c.id)
    )
    return [Candidate(*row) for row in await conn.execute(joined)]


async def hold_finished(
    conn: AsyncConnection, tenant_id: UUID, delivery_ids: Collection[UUID], state: DeliveryState
) -> set[UUID]:
    """Return those of the deliveries that are in that state, and hold them."""
    query = (
        select(deliveries.c.id)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
            deliveries.c.state == state,
        )
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    return set((await conn.execute(query)).scalars())


async def living_destinations(conn: AsyncConnection, tenant_id: UUID) -> set[UUID]:
    """Return the destinations that a tenant still has."""
    query = select(destinations.c.id).where(destinations.c.tenant_id == tenant_id)
    return set((await conn.execute(query)).scalars())


async def advance(
    conn: AsyncConnection, replay: Replay, *, cursor: UUID | None, made: int, is_done: bool
) -> None:
    """Write how far a replay is."""
    await conn.execute(
        update(replays)
        .where(replays.c.tenant_id == replay.tenant_id, replays.c.id == replay.id)
        .values(
            cursor=cursor,
            matched=replays.c.matched + made,
            state="done" if is_done else "running",
            finished_at=func.now() if is_done else None,
        )
    )


def _replay(row: Row[Any]) -> Replay:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    fields["filter"] = msgspec.convert(fields["filter"], ReplayFilter)
    return Replay(**fields)
