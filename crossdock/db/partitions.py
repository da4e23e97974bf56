"""Partitions of events, deliveries and attempts, made ahead of time.

A partition is a range of UUIDv7, that is of time. A row whose id lies outside of all of them is
stored in the default one (`events_rest`, …) and moves when a partition for it is made: what was
answered with 202 is stored whatever its id says. `crossdock.db.retention` drops the old ones.

All of it runs as `crossdock_maintenance`: rows move under its policies, and the tables themselves
change by definer functions that take nothing but one of three names and two moments.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg
import msgspec
import structlog

from crossdock import ids

log = structlog.get_logger(__name__)

PARENTS: Final = ("deliveries", "attempts", "event_fields", "events")
"""In the order in which they are dropped: what is kept of the later ones hangs on the first."""

PERIOD: Final = timedelta(days=1)
AHEAD: Final = timedelta(days=7)
BEHIND: Final = timedelta(days=1)
"""A fresh database also takes what was accepted a little before it was there."""

ADVISORY_LOCK: Final = 0x63726F7370617274
"""Held by whoever changes partitions."""

LOCK_TIMEOUT: Final = "1s"
"""Everybody queues behind a waiting exclusive lock, so waiting is short, and tried again later."""


class Partition(msgspec.Struct, frozen=True):
    """One range of ids, as the catalogue has it."""

    name: str
    low: UUID
    high: UUID

    @property
    def begins(self) -> datetime:
        """Return the first moment whose ids it takes."""
        return ids.time_of(self.low)

    @property
    def ends(self) -> datetime:
        """Return the first moment after it."""
        return ids.time_of(self.high)


async def listed(connection: asyncpg.Connection, parent: str) -> list[Partition]:
    """Return the partitions of a table, oldest first, without the default one."""
    rows = await connection.fetch(
        "SELECT name, low, high FROM crossdock.partitions($1) ORDER BY low", parent
    )
    return [Partition(row["name"], row["low"], row["high"]) for row in rows]


async def id_range(
    connection: asyncpg.Connection, now: datetime | None = None
) -> tuple[UUID, UUID] | None:
    """Return `[low, high)`: the ids around now for which events have partitions without a gap.

    A gateway clamps its clock to it, so that a machine whose clock is years off still makes ids
    that live where they will be looked for. `None` where there is no partition for now.
    """
    moment = ids.floor(now or datetime.now(UTC))
    runs: list[tuple[UUID, UUID]] = []
    for one in await listed(connection, "events"):
        if runs and runs[-1][1] == one.low:
            runs[-1] = (runs[-1][0], one.high)
        else:
            runs.append((one.low, one.high))
    return next((run for run in runs if run[0] <= moment < run[1]), None)


async def ensure_ahead(
    connection: asyncpg.Connection,
    *,
    now: datetime | None = None,
    period: timedelta = PERIOD,
    ahead: timedelta = AHEAD,
) -> list[str]:
    """Make the partitions from a day ago until `ahead`; return the names of those that are new.

    Args:
        connection: one of `crossdock_maintenance`, outside of a transaction.
        now: injected by tests.
        period: how much time a new partition spans; whole periods since the epoch.
        ahead: how far the future is covered.
    """
    now = now or datetime.now(UTC)
    made: list[str] = []
    async with alone(connection):
        for parent in PARENTS:
            present = await listed(connection, parent)
            low = _aligned(now - BEHIND, period)
            while low <= now + ahead:
                if not any(one.begins < low + period and low < one.ends for one in present):
                    made.append(await _make(connection, parent, low, low + period))
                low += period
    if made:
        log.info("partitions_made", count=len(made), last=made[-1])
    return made


async def _make(connection: asyncpg.Connection, parent: str, low: datetime, high: datetime) -> str:
    """Make one partition, and move into it what the default one holds of its range."""
    first, after = ids.floor(low), ids.floor(high)
    inside = f"FROM crossdock.{parent} WHERE id >= $1 AND id < $2"
    async with connection.transaction():
        await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        fresh = await connection.fetchval(
            "SELECT crossdock.prepare_partition($1, $2, $3)", parent, low, high
        )
        if await connection.fetchval(f"SELECT EXISTS (SELECT {inside})", first, after):
            await connection.execute("SELECT crossdock.lock_partitions($1)", parent)
            await connection.execute(
                f"WITH moved AS (DELETE {inside} RETURNING *)"
                f" INSERT INTO crossdock.{fresh} SELECT * FROM moved",
                first,
                after,
            )
        name = await connection.fetchval(
            "SELECT crossdock.attach_partition($1, $2, $3)", parent, low, high
        )
    return str(name)


def _aligned(moment: datetime, period: timedelta) -> datetime:
    """Return the start of the period that a moment is in, counted from the epoch."""
    epoch = datetime.fromtimestamp(0, UTC)
    return epoch + ((moment - epoch) // period) * period


@asynccontextmanager
async def alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Keep every other process from changing partitions meanwhile."""
    await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)
