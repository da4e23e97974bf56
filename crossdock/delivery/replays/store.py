"""Statements on replays: each inside one tenant's transaction, but for the search for work."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Row, Uuid, and_, bindparam, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.db.pages import newest_first
from crossdock.delivery.model import DeliveryState, Replay, ReplayFilter, ReplayState
from crossdock.delivery.replays import rules
from crossdock.delivery.tables import deliveries, replays
from crossdock.inbound.tables import events
from crossdock.paging import Window

if TYPE_CHECKING:
    import asyncpg

FINISHED: Final[tuple[DeliveryState, ...]] = ("dead", "delivered", "cancelled")
"""States of deliveries that can be made again."""


class Candidate(msgspec.Struct, frozen=True):
    """A delivery that a replay looks at."""

    id: UUID
    event_id: UUID
    destination_id: UUID
    state: DeliveryState
    reason: str | None
    last_status: int | None
    line: int | None
    order_seq: int | None
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


async def get(
    conn: AsyncConnection, tenant_id: UUID, replay_id: UUID, *, lock: bool = False
) -> Replay | None:
    """Return one replay, on demand held; that waits for the chunk which is being worked on."""
    query = select(replays).where(replays.c.tenant_id == tenant_id, replays.c.id == replay_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _replay(row)


async def turn(
    conn: AsyncConnection, tenant_id: UUID, replay_id: UUID, state: ReplayState
) -> Replay:
    """Give a replay that is held another state."""
    statement = (
        update(replays)
        .where(replays.c.tenant_id == tenant_id, replays.c.id == replay_id)
        .values(
            state=state,
            waits_for=None,
            finished_at=func.now() if state == "cancelled" else None,
        )
        .returning(*replays.c)
    )
    return _replay((await conn.execute(statement)).one())


async def first_delivery(conn: AsyncConnection, tenant_id: UUID, *, only_dead: bool) -> UUID | None:
    """Return the oldest delivery that is kept, or the oldest dead letter."""
    query = select(deliveries.c.id).where(deliveries.c.tenant_id == tenant_id)
    if only_dead:
        query = query.where(deliveries.c.state == "dead")
    return (await conn.execute(query.order_by(deliveries.c.id).limit(1))).scalar_one_or_none()


async def mark(conn: AsyncConnection) -> int:
    """Return the number below which every transaction that has begun by now is."""
    found = await conn.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))
    value: int = found.scalar_one()
    return value


async def ended(conn: AsyncConnection) -> int:
    """Return the number below which all transactions have ended."""
    found = await conn.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    value: int = found.scalar_one()
    return value


_RUNNING: Final = """
SELECT tenant_id, id FROM (
    SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS place
    FROM crossdock.replays WHERE state = 'running'
) AS found
WHERE place <= $1 ORDER BY place, id LIMIT $2
"""


async def running(
    conn: "asyncpg.Connection", of_one: int, limit: int
) -> Sequence[tuple[UUID, UUID]]:
    """Return running replays as tenant and id, at most so many of one tenant; the oldest first."""
    return [(row[0], row[1]) for row in await conn.fetch(_RUNNING, of_one, limit)]


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


async def claim_destination(conn: AsyncConnection, destination_id: UUID) -> bool:
    """Keep other replays from making what a destination missed, and tell whether none is at it."""
    key = func.hashtextextended(f"replay:{destination_id}", 0)
    return bool((await conn.execute(select(func.pg_try_advisory_xact_lock(key)))).scalar_one())


async def candidates(conn: AsyncConnection, replay: Replay, limit: int) -> Sequence[Candidate]:
    """Return the next deliveries of the time range, oldest first.

    Only those from before the replay: what it makes itself is younger than it. Conditions without
    an index are the caller's, so that a chunk's cost is bounded however rare a match is.
    """
    wanted = replay.filter
    low, high = rules.bounds(replay)
    query = select(
        deliveries.c.id,
        deliveries.c.event_id,
        deliveries.c.destination_id,
        deliveries.c.state,
        deliveries.c.reason,
        deliveries.c.last_status,
        deliveries.c.line,
        deliveries.c.order_seq,
    ).where(
        deliveries.c.tenant_id == replay.tenant_id,
        deliveries.c.id > low,
        deliveries.c.id < high,
    )
    if wanted.delivery_ids:
        query = query.where(deliveries.c.id.in_(wanted.delivery_ids))
    elif wanted.state == "dead":  # these have an index of their own
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
    conn: AsyncConnection,
    tenant_id: UUID,
    delivery_ids: Collection[UUID],
    states: Collection[DeliveryState],
) -> dict[UUID, DeliveryState]:
    """Return those of the deliveries that are in one of some states, and hold them."""
    query = (
        select(deliveries.c.id, deliveries.c.state)
        .where(
            deliveries.c.tenant_id == tenant_id,
            deliveries.c.id.in_(delivery_ids),
            deliveries.c.id.between(min(delivery_ids), max(delivery_ids)),
            deliveries.c.state.in_(states),
        )
        .order_by(deliveries.c.id)
        .with_for_update()
    )
    return {row.id: row.state for row in await conn.execute(query)}


async def sent(
    conn: AsyncConnection, tenant_id: UUID, destination_id: UUID, event_ids: Sequence[UUID]
) -> set[UUID]:
    """Return those of the events, which are in order, that have any delivery to a destination.

    What persisting made lies beside its event, and so in one range of ids for all of them; what was
    made later has an index by event.
    """
    low = UUID(int=event_ids[0].int >> 64 << 64)
    high = UUID(int=event_ids[-1].int >> 64 << 64 | (1 << 64) - 1)
    given = bindparam("event_ids", list(event_ids), type_=ARRAY(Uuid))
    query = select(deliveries.c.event_id).where(
        deliveries.c.tenant_id == tenant_id,
        deliveries.c.destination_id == destination_id,
        deliveries.c.event_id == func.any(given),
    )
    beside = query.where(deliveries.c.id.between(low, high))
    later = query.where(
        deliveries.c.is_replay, deliveries.c.event_id.between(event_ids[0], event_ids[-1])
    )
    found = await conn.execute(beside.union(later))
    return set(found.scalars())


_TOO_MANY: Final = text(
    """
    SELECT wanted.id FROM unnest(CAST(:ids AS uuid[])) AS wanted (id)
    WHERE EXISTS (
        SELECT FROM crossdock.deliveries AS d
        WHERE d.tenant_id = :tenant_id AND d.destination_id = wanted.id AND d.state = 'pending'
        ORDER BY d.due_at OFFSET :most
    )
    LIMIT 1
    """
)


async def crowded(
    conn: AsyncConnection, tenant_id: UUID, destination_ids: Collection[UUID], most: int
) -> UUID | None:
    """Return a destination for which more than so many deliveries wait, if there is one."""
    given = {"ids": list(destination_ids), "tenant_id": tenant_id, "most": most}
    return (await conn.execute(_TOO_MANY, given)).scalar_one_or_none()


async def advance(
    conn: AsyncConnection, replay: Replay, *, cursor: UUID | None, seen: int, made: int, end: bool
) -> None:
    """Write how far a replay is."""
    await conn.execute(
        update(replays)
        .where(replays.c.tenant_id == replay.tenant_id, replays.c.id == replay.id)
        .values(
            cursor=cursor,
            seen=replays.c.seen + seen,
            matched=replays.c.matched + made,
            waits_for=None,
            state="done" if end else "running",
            finished_at=func.now() if end else None,
        )
    )


async def wait(conn: AsyncConnection, replay: Replay, destination_id: UUID) -> None:
    """Write for which destination a replay waits, unless that is on record."""
    await conn.execute(
        update(replays)
        .where(
            replays.c.tenant_id == replay.tenant_id,
            replays.c.id == replay.id,
            or_(replays.c.waits_for.is_(None), replays.c.waits_for != destination_id),
        )
        .values(waits_for=destination_id)
    )


def _replay(row: Row[Any]) -> Replay:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    fields["filter"] = msgspec.convert(fields["filter"], ReplayFilter)
    return Replay(**fields)
