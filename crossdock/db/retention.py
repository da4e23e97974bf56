"""Dropping what is old, and keeping of it what is not finished.

A partition whose time is up goes at once, without dead tuples. What must outlive it (unfinished
deliveries, dead letters, their events and attempts; events that are held, or about to be released)
is copied into a small partition of the same range, which takes its place: no bound ever moves, and
the lock that everybody must wait for lasts only as long as comparing what is kept. The ledger
follows: a dedupe key lives as long as its event. What went is counted for each tenant, before the
lock, and written down by the transaction that drops it (`retention_drops`).
"""

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from crossdock import ids
from crossdock.db.partitions import PARENTS, Partition, alone, listed

log = structlog.get_logger(__name__)

LOCK_TIMEOUT: Final = "300ms"
RETRY_S: Final = (0.5, 1.0, 2.0)
"""While the lock is waited for, everybody queues behind it: so briefly, and again after a while. A
partition that is busy all the time is left for the next pass."""

PAGES_A_BATCH: Final = 2048
"""16 MiB of the ledger a transaction: a second at most, and no lock but on the rows that go."""


def _unfinished(column: str, *bounds: str) -> str:
    """Return the query of deliveries that are not finished, within any of some bounds.

    An arm for each state, so that each is read from its own partial index, which holds nothing
    else; and bounds, so that what is pending today is no part of what is compared under a lock.
    """
    select = f"SELECT d.tenant_id, d.{column} FROM crossdock.deliveries AS d WHERE"
    return " UNION ALL ".join(
        f"{select} {state} AND {bound}"
        for bound in bounds
        for state in ("d.state = 'pending'", "d.state = 'dead' AND d.id >= $3")
    )


_WANTED: Final = (
    "(p.tenant_id, p.id) IN ("
    + _unfinished(
        "event_id",
        # A first delivery's id is of its event's time; only a replay's is of a later one.
        "d.id >= $1 AND d.id < $2",
        "d.is_replay AND d.event_id >= $1 AND d.event_id < $2",
    )
    + " UNION ALL SELECT e.tenant_id, e.id FROM crossdock.events AS e"
    " WHERE e.status IN ('held', 'releasing') AND e.id >= $1 AND e.id < $2)"
)
"""Of an event, or what it is found by: it has a delivery that is not finished, or none yet."""

_KEPT: Final = {
    "deliveries": "(p.state = 'pending' OR (p.state = 'dead' AND p.id >= $3))",
    "attempts": f"(p.tenant_id, p.delivery_id) IN ({_unfinished('id', 'd.id < $2')})",
    "event_fields": _WANTED,
    "events": _WANTED,
}
"""Which rows outlive their partition, `[$1, $2)`; `$3` is the first id of dead letters still worth
keeping."""

_SAME: Final = {
    "deliveries": " AND k.* *= f.*",
    "attempts": "",
    "event_fields": " AND k.key = f.key",
    "events": " AND k.status = f.status",
}
"""When a copy that was made before the lock is still true: by what of a row may ever change."""


class Dropped(msgspec.Struct, frozen=True):
    """What became of one partition whose time was up."""

    name: str
    rows_kept: int
    """Zero: the partition is gone. Otherwise a small one with these rows took its place."""


class Share(msgspec.Struct, frozen=True):
    """What one tenant had in a partition."""

    tenant_id: UUID
    events: int
    """Of them that went, or would."""
    bytes: int
    """Of their bodies."""
    kept: int
    """Events that stay, for they are not finished."""


class Due(msgspec.Struct, frozen=True):
    """A partition of events whose time is up."""

    name: str
    begins: datetime
    ends: datetime
    shares: tuple[Share, ...]


class DropReport(msgspec.Struct, frozen=True):
    """What one pass of retention did."""

    partitions: tuple[Dropped, ...] = ()
    stray_rows: int = 0
    """Old rows that were outside of every partition."""
    keys: int = 0
    """Ledger keys that went with their events."""
    aliases: int = 0
    events: int = 0
    """Events that went, and the bytes of their bodies."""
    bytes: int = 0


async def drop_before(
    connection: asyncpg.Connection,
    cutoff: datetime,
    *,
    dead_before: datetime | None = None,
) -> DropReport:
    """Drop every partition that ends at or before the cutoff, and the ledger keys of its events.

    Safe to repeat and to interrupt: a pass does what an earlier one left.

    Args:
        connection: one of `crossdock_maintenance`, outside of a transaction.
        cutoff: partitions that end at or before it go.
        dead_before: dead letters older than this are not kept either; `None` keeps them all.
    """
    keep_dead = ids.floor(dead_before) if dead_before else UUID(int=0)
    before = ids.floor(cutoff)
    dropped: list[Dropped] = []
    shares: list[Share] = []
    strays = keys = aliases = 0
    async with alone(connection):
        for parent in PARENTS:
            for partition in await listed(connection, parent):
                if partition.ends <= cutoff:
                    done, its = await _retire(connection, parent, partition, keep_dead)
                    dropped += done
                    shares += its
            gone, its = await _delete_strays(connection, parent, cutoff, keep_dead)
            strays += gone
            shares += its
        await connection.execute(
            "DELETE FROM crossdock.route_changes WHERE created_at < now() - interval '1 hour'"
        )
        if dropped or strays:
            keys = await _delete_orphans(connection, "event_keys", before)
            aliases = await _delete_orphans(connection, "event_aliases", before)
    report = DropReport(
        tuple(dropped),
        strays,
        keys,
        aliases,
        sum(share.events for share in shares),
        sum(share.bytes for share in shares),
    )
    if report != DropReport():
        log.info("partitions_dropped", **msgspec.to_builtins(report))
    return report


async def due_before(connection: asyncpg.Connection, cutoff: datetime) -> list[Due]:
    """Return what `drop_before` would drop of events, and leave it as it is.

    Args:
        connection: one of `crossdock_maintenance`.
        cutoff: partitions that end at or before it would go.
    """
    found = []
    for partition in await listed(connection, "events"):
        if partition.ends <= cutoff:
            arguments = (partition.low, partition.high, UUID(int=0))
            kept = _kept_of("events", columns="p.tenant_id, p.id")
            shares = await _shares(connection, f"({kept})", *arguments)
            if any(share.events for share in shares) or not shares:
                found.append(Due(partition.name, partition.begins, partition.ends, tuple(shares)))
    return found


def _kept_of(parent: str, columns: str = "p.*") -> str:
    """Return the query of what is kept of a partition."""
    return (
        f"SELECT {columns} FROM crossdock.{parent} AS p"
        f" WHERE p.id >= $1 AND p.id < $2 AND {_KEPT[parent]}"
    )


async def _retire(
    connection: asyncpg.Connection, parent: str, partition: Partition, keep_dead: UUID
) -> tuple[list[Dropped], list[Share]]:
    """Drop one partition, or put a small one with what is kept of it in its place."""
    arguments = (partition.low, partition.high, keep_dead)
    inside = f"SELECT FROM crossdock.{parent} AS p WHERE p.id >= $1 AND p.id < $2"
    if not await connection.fetchval(
        f"SELECT EXISTS ({inside} AND NOT {_KEPT[parent]}) OR NOT EXISTS ({inside})", *arguments
    ):
        return [], []
    fresh = await connection.fetchval(
        "SELECT crossdock.prepare_partition($1, $2, $3)", parent, partition.begins, partition.ends
    )
    await connection.execute(f"INSERT INTO crossdock.{fresh} {_kept_of(parent)}", *arguments)
    shares: list[Share] = []
    if parent == "events":
        # All of the partition is read for this, while everybody else goes on.
        shares = await _shares(connection, f"crossdock.{fresh}", *arguments[:2])
    for wait_s in (*RETRY_S, None):
        try:
            async with connection.transaction():
                await _write_down(connection, partition.begins, partition.ends, shares)
                done = await _swap(connection, parent, partition, fresh=fresh, keep_dead=keep_dead)
        except asyncpg.LockNotAvailableError:
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        else:
            return [done], shares
    log.warning("partition_busy", name=partition.name)
    return [], []


async def _swap(
    connection: asyncpg.Connection,
    parent: str,
    partition: Partition,
    *,
    fresh: str,
    keep_dead: UUID,
) -> Dropped:
    """Under the lock: mend in the copy what changed since it was made, and let it take over."""
    arguments = (partition.low, partition.high, keep_dead)
    kept = _kept_of(parent)
    same = f"k.tenant_id = f.tenant_id AND k.id = f.id{_SAME[parent]}"
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    # What is kept is found by indexes: to read all of the partition now would stop everybody.
    await connection.execute("SET LOCAL enable_seqscan = off")
    await connection.execute("SELECT crossdock.lock_partitions($1)", parent)
    await connection.execute(
        f"DELETE FROM crossdock.{fresh} AS f"
        f" WHERE NOT EXISTS (SELECT FROM ({kept}) AS k WHERE {same})",
        *arguments,
    )
    await connection.execute(
        f"INSERT INTO crossdock.{fresh} {kept} ON CONFLICT DO NOTHING", *arguments
    )
    rows: int = await connection.fetchval(f"SELECT count(*) FROM crossdock.{fresh}")
    await connection.execute("SELECT crossdock.drop_partition($1, $2)", parent, partition.begins)
    if rows:
        await connection.execute(
            "SELECT crossdock.attach_partition($1, $2, $3)",
            parent,
            partition.begins,
            partition.ends,
        )
    else:
        await connection.execute(
            "SELECT crossdock.discard_partition($1, $2)", parent, partition.begins
        )
    return Dropped(partition.name, rows)


async def _shares(connection: asyncpg.Connection, kept: str, *arguments: UUID) -> list[Share]:
    """Return what each tenant has in a range of ids, given what is kept of it."""
    rows = await connection.fetch(
        "SELECT p.tenant_id, count(*) FILTER (WHERE k.id IS NULL),"
        " coalesce(sum(octet_length(p.body)) FILTER (WHERE k.id IS NULL), 0)::bigint, count(k.id)"
        f" FROM crossdock.events AS p LEFT JOIN {kept} AS k USING (tenant_id, id)"
        " WHERE p.id >= $1 AND p.id < $2 GROUP BY p.tenant_id",
        *arguments,
    )
    return [Share(*row) for row in rows]


async def _write_down(
    connection: asyncpg.Connection, begins: datetime, ends: datetime, shares: list[Share]
) -> None:
    """Insert what went of each tenant, for those of whom anything did."""
    gone = [share for share in shares if share.events]
    if gone:
        await connection.execute(
            "INSERT INTO crossdock.retention_drops"
            " (tenant_id, id, begins, ends, events, bytes, kept)"
            " SELECT t, i, $1, $2, e, b, k FROM unnest($3::uuid[], $4::uuid[], $5::bigint[],"
            " $6::bigint[], $7::bigint[]) AS given (t, i, e, b, k)",
            begins,
            ends,
            [share.tenant_id for share in gone],
            [ids.new() for _ in gone],
            [share.events for share in gone],
            [share.bytes for share in gone],
            [share.kept for share in gone],
        )


async def _delete_strays(
    connection: asyncpg.Connection, parent: str, cutoff: datetime, keep_dead: UUID
) -> tuple[int, list[Share]]:
    """Delete old rows of the default partition that nothing keeps; tell whose events they were."""
    size = "octet_length(p.body)" if parent == "events" else "0"
    async with connection.transaction():
        rows = await connection.fetch(
            f"WITH gone AS (DELETE FROM crossdock.{parent} AS p WHERE p.id >= $1 AND p.id < $2"
            f" AND p.tableoid = 'crossdock.{parent}_rest'::regclass AND NOT {_KEPT[parent]}"
            f" RETURNING p.tenant_id, {size} AS size)"
            " SELECT tenant_id, count(*), sum(size)::bigint FROM gone GROUP BY tenant_id",
            UUID(int=0),
            ids.floor(cutoff),
            keep_dead,
        )
        shares = [Share(row[0], row[1], row[2], 0) for row in rows]
        if parent == "events":
            await _write_down(connection, ids.time_of(UUID(int=0)), cutoff, shares)
    return sum(share.events for share in shares), shares if parent == "events" else []


async def _delete_orphans(connection: asyncpg.Connection, table: str, before: UUID) -> int:
    """Delete, some pages at a time, old rows whose event is gone.

    The table is read in its own order: an index by event would cost the hot path more, every day,
    than this reading does once a day.
    """
    pages: int = await connection.fetchval(
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int",
        f"crossdock.{table}",
    )
    deleted = 0
    for page in range(0, pages + 1, PAGES_A_BATCH):
        done: str = await connection.execute(
            f"DELETE FROM crossdock.{table} AS k"
            " WHERE k.ctid >= $1 AND k.ctid < $2 AND k.event_id < $3 AND NOT EXISTS ("
            "SELECT FROM crossdock.events AS e"
            " WHERE e.tenant_id = k.tenant_id AND e.id = k.event_id AND e.id < $3)",
            (page, 0),
            (page + PAGES_A_BATCH, 0),
            before,
        )
        deleted += int(done.rpartition(" ")[2])
    return deleted
