"""Dropping what is old, and keeping of it what is not finished.

A partition whose time is up goes at once, without dead tuples. What must outlive it (unfinished
deliveries, dead letters, their events and attempts) is copied into a small partition of the same
range, which takes its place: no bound ever moves, and the lock that everybody must wait for lasts
only as long as comparing what is kept. The ledger follows: a dedupe key lives as long as its event.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from crossdock import ids
from crossdock.db.partitions import LOCK_TIMEOUT, PARENTS, Partition, alone, listed

log = structlog.get_logger(__name__)

PAGES_A_BATCH: Final = 2048
"""16 MiB of the ledger a transaction: a second at most, and no lock but on the rows that go."""

_UNFINISHED: Final = (
    "SELECT d.tenant_id, d.{column} FROM crossdock.deliveries AS d WHERE d.state = 'pending'"
    " UNION ALL"
    " SELECT d.tenant_id, d.{column} FROM crossdock.deliveries AS d"
    " WHERE d.state = 'dead' AND d.id >= $3"
)
"""Two arms, so that each is read from its own partial index, which holds nothing else."""

_KEPT: Final = {
    "deliveries": "(p.state = 'pending' OR (p.state = 'dead' AND p.id >= $3))",
    "attempts": f"(p.tenant_id, p.delivery_id) IN ({_UNFINISHED.format(column='id')})",
    "event_fields": f"(p.tenant_id, p.id) IN ({_UNFINISHED.format(column='event_id')})",
    "events": f"(p.tenant_id, p.id) IN ({_UNFINISHED.format(column='event_id')})",
}
"""Which rows outlive their partition; `$3` is the first id of dead letters still worth keeping."""


class Dropped(msgspec.Struct, frozen=True):
    """What became of one partition whose time was up."""

    name: str
    rows_kept: int
    """Zero: the partition is gone. Otherwise a small one with these rows took its place."""


class DropReport(msgspec.Struct, frozen=True):
    """What one pass of retention did."""

    partitions: tuple[Dropped, ...] = ()
    stray_rows: int = 0
    """Old rows that were outside of every partition."""
    keys: int = 0
    """Ledger keys that went with their events."""
    aliases: int = 0


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
    strays = keys = aliases = 0
    async with alone(connection):
        for parent in PARENTS:
            for partition in await listed(connection, parent):
                if partition.ends <= cutoff:
                    dropped += await _retire(connection, parent, partition, keep_dead)
            strays += await _delete_strays(connection, parent, before, keep_dead)
        await connection.execute(
            "DELETE FROM crossdock.route_changes WHERE created_at < now() - interval '1 hour'"
        )
        if dropped or strays:
            keys = await _delete_orphans(connection, "event_keys", before)
            aliases = await _delete_orphans(connection, "event_aliases", before)
    report = DropReport(tuple(dropped), strays, keys, aliases)
    if report != DropReport():
        log.info("partitions_dropped", **msgspec.to_builtins(report))
    return report


async def _retire(
    connection: asyncpg.Connection, parent: str, partition: Partition, keep_dead: UUID
) -> list[Dropped]:
    """Drop one partition, or put a small one with what is kept of it in its place."""
    arguments = (partition.low, partition.high, keep_dead)
    kept = f"SELECT p.* FROM crossdock.{parent} AS p WHERE p.id >= $1 AND p.id < $2"
    if not await connection.fetchval(
        f"SELECT EXISTS ({kept} AND NOT {_KEPT[parent]}) OR NOT EXISTS ({kept})", *arguments
    ):
        return []
    kept += f" AND {_KEPT[parent]}"
    fresh = await connection.fetchval(
        "SELECT crossdock.prepare_partition($1, $2, $3)", parent, partition.begins, partition.ends
    )
    await connection.execute(f"INSERT INTO crossdock.{fresh} {kept}", *arguments)
    try:
        async with connection.transaction():
            done = await _swap(
                connection, parent, partition, fresh=fresh, kept=kept, keep_dead=keep_dead
            )
    except asyncpg.LockNotAvailableError:
        log.warning("partition_busy", name=partition.name)
        return []
    return [done]


async def _swap(
    connection: asyncpg.Connection,
    parent: str,
    partition: Partition,
    *,
    fresh: str,
    kept: str,
    keep_dead: UUID,
) -> Dropped:
    """Under the lock: mend in the copy what changed since it was made, and let it take over."""
    arguments = (partition.low, partition.high, keep_dead)
    same = "k.tenant_id = f.tenant_id AND k.id = f.id"
    if parent == "deliveries":  # the only ones that are ever updated
        same += " AND k.* *= f.*"
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
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


async def _delete_strays(
    connection: asyncpg.Connection, parent: str, before: UUID, keep_dead: UUID
) -> int:
    """Delete old rows of the default partition that nothing keeps."""
    done: str = await connection.execute(
        f"DELETE FROM crossdock.{parent} AS p WHERE p.id >= $1 AND p.id < $2"
        f" AND p.tableoid = 'crossdock.{parent}_rest'::regclass AND NOT {_KEPT[parent]}",
        UUID(int=0),
        before,
        keep_dead,
    )
    return int(done.rpartition(" ")[2])


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
