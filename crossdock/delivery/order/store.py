"""Statements of order: locks, the floor, who is next.

Whoever ends an ordered delivery, or adds one, holds its tenant's lane until the end of the
transaction: shared where it ends one whose lease it has (a line has one of these at most, so that
two such never meet in a line), alone otherwise. Who joins holds all lanes alone. The lock is a
statement of its own, and the first: what comes after it sees all that was committed before.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.delivery.model import Leased
from crossdock.delivery.order import rules
from crossdock.delivery.order.model import Joined, Line, Waiting

if TYPE_CHECKING:
    import asyncpg

Key = tuple[UUID, UUID]
"""Tenant and destination."""

_CLASS: Final = 0x6F726472
"""Which of all advisory locks with two numbers are the lanes."""

_HOLD: Final = f"SELECT pg_advisory_xact_lock({_CLASS}, lane) FROM unnest($1::int[]) AS lane"
_SHARE: Final = _HOLD.replace("_lock(", "_lock_shared(")
_EVERY_LANE: Final = list(range(rules.LANES))

_BLOCKED: Final = (
    "d.line IS NOT NULL AND d.state = 'pending' AND d.due_at = 'infinity'::timestamptz"
)
_ACTIVE: Final = "a.line IS NOT NULL AND a.state = 'pending' AND a.due_at < 'infinity'::timestamptz"


async def hold(conn: AsyncConnection, tenant_id: UUID) -> None:
    """Hold a tenant's lane alone, before anything of its deliveries is touched."""
    await conn.exec_driver_sql(_HOLD, (rules.lanes([tenant_id]),))


async def share(conn: "asyncpg.Connection", tenants: Iterable[UUID]) -> None:
    """Hold tenants' lanes together with all who end deliveries that they have leased."""
    await conn.execute(_SHARE, rules.lanes(tenants))


async def hold_lanes(conn: "asyncpg.Connection", tenants: Collection[UUID] | None = None) -> None:
    """Hold lanes alone: those of some tenants, or every one."""
    await conn.execute(_HOLD, _EVERY_LANE if tenants is None else rules.lanes(tenants))


# The arrays come by subqueries, that a plan for these very ones looks no cheaper than one for all:
# to plan this anew each time takes ten times as long as to do it.
_PROMOTE: Final = f"""
WITH head AS (
    SELECT w.tenant_id, first.id
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::bigint[]))
        AS w (tenant_id, destination_id, line)
    CROSS JOIN LATERAL (
        SELECT d.id, d.order_seq FROM crossdock.deliveries AS d
        WHERE d.tenant_id = w.tenant_id AND d.destination_id = w.destination_id
            AND d.line = w.line AND {_BLOCKED}
        ORDER BY d.order_seq, d.id LIMIT 1
    ) AS first
    WHERE first.order_seq <= (SELECT seq FROM crossdock.order_floor)
        AND NOT EXISTS (
            SELECT FROM crossdock.deliveries AS a
            WHERE a.tenant_id = w.tenant_id AND a.destination_id = w.destination_id
                AND a.line = w.line AND {_ACTIVE}
        )
        AND NOT EXISTS (
            SELECT FROM crossdock.destinations AS t
            CROSS JOIN LATERAL (
                SELECT FROM crossdock.deliveries AS h
                WHERE h.tenant_id = w.tenant_id AND h.destination_id = w.destination_id
                    AND h.line = w.line AND h.line IS NOT NULL AND h.state = 'dead'
                    AND (h.order_seq, h.id) < (first.order_seq, first.id)
                LIMIT 1
            ) AS held
            WHERE t.tenant_id = w.tenant_id AND t.id = w.destination_id
                AND t.order_hold = 'until_delivered'
        )
)
UPDATE crossdock.deliveries AS d SET lease = $4::uuid,
    due_at = now() + $5::float8 * interval '1 second'
FROM head WHERE d.tenant_id = head.tenant_id AND d.id = head.id AND {_BLOCKED}
RETURNING d.tenant_id, d.destination_id, d.id, d.event_id, d.attempts, d.line
"""


async def promote(conn: AsyncConnection, lines: Collection[Line]) -> set[Key]:
    """Make the next of each line due, unless one is under way or a dead letter holds the line.

    Its caller has asked for `hold` before it changed anything.

    Args:
        conn: inside the tenant's transaction.
        lines: in which something was added, or came to an end.

    Returns:
        The destinations that have something due by that.
    """
    if not lines:
        return set()
    rows = await conn.exec_driver_sql(_PROMOTE, (*_columns(lines), None, 0.0))
    return {(row.tenant_id, row.destination_id) for row in rows}


async def promote_many(conn: "asyncpg.Connection", lines: Collection[Line]) -> set[Key]:
    """Do as `promote` for lines of many tenants, all of them entered."""
    if not lines:
        return set()
    return {(row[0], row[1]) for row in await conn.fetch(_PROMOTE, *_columns(lines), None, 0.0)}


async def lease_next(
    conn: "asyncpg.Connection",
    lines: Collection[Line],
    *,
    lease: UUID,
    lease_s: float,
    lease_ends: float,
) -> list[Leased]:
    """Do as `promote_many`, and lease what is made due by that: it is claimed at once."""
    rows = await conn.fetch(_PROMOTE, *_columns(lines), lease, lease_s)
    return [
        Leased(
            tenant_id=row[0],
            id=row[2],
            event_id=row[3],
            destination_id=row[1],
            attempts=row[4],
            lease=lease,
            lease_ends=lease_ends,
            line=row[5],
        )
        for row in rows
    ]


_WAITING: Final = f"""
SELECT f.seq, (
    SELECT d.order_seq FROM crossdock.deliveries AS d
    WHERE {_BLOCKED} AND d.order_seq > f.seq ORDER BY d.order_seq LIMIT 1
)
FROM crossdock.order_floor AS f
"""


async def waiting(conn: "asyncpg.Connection") -> Waiting:
    """Return how far joining has come, and what is next; sees all tenants."""
    row = await conn.fetchrow(_WAITING)
    return Waiting(row[0], row[1])


_JOINING: Final = f"""
WITH joins AS MATERIALIZED (
    SELECT d.tenant_id, d.destination_id, d.line, d.order_seq FROM crossdock.deliveries AS d
    WHERE {_BLOCKED} AND d.order_seq > (SELECT seq FROM crossdock.order_floor)
        AND d.order_seq <= $1
    ORDER BY d.order_seq FETCH FIRST $2 ROWS WITH TIES
)
SELECT tenant_id, destination_id, line, min(order_seq), (SELECT count(*) FROM joins),
    (SELECT max(order_seq) FROM joins)
FROM joins GROUP BY tenant_id, destination_id, line
"""


async def joining(conn: "asyncpg.Connection", acked: int, rows: int, lines: int) -> Joined:
    """Return what joins now that all up to a sequence is persisted.

    Args:
        conn: sees all tenants.
        acked: the sequence.
        rows: about how many deliveries join at once.
        lines: into how many lines, at most, unless one event has more.
    """
    found = await conn.fetch(_JOINING, acked, rows)
    has_more = bool(found) and found[0][4] >= rows
    firsts = [((row[0], row[1], row[2]), row[3]) for row in found]
    return rules.cut(firsts, lines, found[0][5] if has_more else acked, has_more=has_more)


_RAISE: Final = "UPDATE crossdock.order_floor SET seq = $1 WHERE seq < $1"


async def raise_floor(conn: "asyncpg.Connection", floor: int) -> None:
    """Write down how far joining has come, unless it has come further."""
    await conn.execute(_RAISE, floor)


_ENTER: Final = "SELECT crossdock.enter_many($1)"


async def enter(conn: "asyncpg.Connection", lines: Collection[Line]) -> None:
    """Enter the tenants whose lines these are: their destinations say what holds a line."""
    await conn.execute(_ENTER, list({line[0] for line in lines}))


_LOWER: Final = "UPDATE crossdock.order_floor SET seq = $1"

_REBASE: Final = """
UPDATE crossdock.deliveries SET order_seq = order_seq - $1
WHERE line IS NOT NULL AND state IN ('pending', 'dead') AND order_seq > $2
"""


async def begin_anew(conn: "asyncpg.Connection", floor: int, last: int) -> None:
    """Lower the floor to another stream's, and put what an earlier one left before all of its.

    Args:
        conn: sees all tenants, and holds every lane.
        floor: of the stream as it is.
        last: its newest sequence: what is above it is another stream's.
    """
    await conn.execute(_REBASE, 2**62, last)
    await conn.execute(_LOWER, floor)


_LINES: Final = f"""
WITH RECURSIVE line AS (
    (SELECT d.tenant_id, d.destination_id, d.line, d.order_seq FROM crossdock.deliveries AS d
     WHERE {_BLOCKED} AND (d.tenant_id, d.destination_id, d.line) > ($1, $2, $3)
     ORDER BY d.tenant_id, d.destination_id, d.line, d.order_seq, d.id LIMIT 1)
    UNION ALL
    SELECT next.tenant_id, next.destination_id, next.line, next.order_seq
    FROM line CROSS JOIN LATERAL (
        SELECT d.tenant_id, d.destination_id, d.line, d.order_seq FROM crossdock.deliveries AS d
        WHERE {_BLOCKED} AND (d.tenant_id, d.destination_id, d.line)
            > (line.tenant_id, line.destination_id, line.line)
        ORDER BY d.tenant_id, d.destination_id, d.line, d.order_seq, d.id LIMIT 1
    ) AS next
)
SELECT l.tenant_id, l.destination_id, l.line,
    l.order_seq <= (SELECT seq FROM crossdock.order_floor) AND NOT EXISTS (
        SELECT FROM crossdock.deliveries AS a
        WHERE a.tenant_id = l.tenant_id AND a.destination_id = l.destination_id
            AND a.line = l.line AND {_ACTIVE}
    )
FROM (SELECT * FROM line LIMIT $4) AS l
"""


async def lines_after(
    conn: "asyncpg.Connection", after: Line, limit: int
) -> list[tuple[Line, bool]]:
    """Return the next lines in which something is blocked, and whether nothing in them moves."""
    rows = await conn.fetch(_LINES, *after, limit)
    return [((row[0], row[1], row[2]), row[3]) for row in rows]


_CANCEL_ORPHANS: Final = f"""
WITH chosen AS (
    SELECT w.tenant_id, blocked.id
    FROM unnest((SELECT $1::uuid[]), (SELECT $2::uuid[]), (SELECT $3::bigint[]))
        AS w (tenant_id, destination_id, line)
    CROSS JOIN LATERAL (
        SELECT d.id FROM crossdock.deliveries AS d
        WHERE d.tenant_id = w.tenant_id AND d.destination_id = w.destination_id
            AND d.line = w.line AND {_BLOCKED}
        ORDER BY d.order_seq, d.id LIMIT $4
    ) AS blocked
    WHERE NOT EXISTS (
        SELECT FROM crossdock.destinations AS t
        WHERE t.tenant_id = w.tenant_id AND t.id = w.destination_id
    )
)
UPDATE crossdock.deliveries AS d
SET state = 'cancelled', reason = 'destination_deleted', due_at = now(), finished_at = now()
FROM chosen WHERE d.tenant_id = chosen.tenant_id AND d.id = chosen.id AND {_BLOCKED}
"""


async def cancel_orphans(conn: "asyncpg.Connection", lines: Collection[Line], limit: int) -> None:
    """Cancel what is blocked in lines whose destination was deleted, so many of each at most."""
    await conn.execute(_CANCEL_ORPHANS, *_columns(lines), limit)


def _columns(lines: Collection[Line]) -> tuple[list[Any], list[Any], list[Any]]:
    ordered = sorted(lines)
    return (
        [tenant for tenant, _, _ in ordered],
        [destination for _, destination, _ in ordered],
        [line for _, _, line in ordered],
    )
