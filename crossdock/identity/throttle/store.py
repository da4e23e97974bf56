"""Statements on throttles, in the control database and by its clock."""

from datetime import timedelta

import asyncpg

from crossdock.identity.throttle.rules import Limit

SWEPT_AT_ONCE = 10_000


async def take(conn: asyncpg.Connection, key: bytes, limit: Limit) -> float | None:
    """Count one try and return nothing, or change nothing and return the seconds to wait.

    The row is locked before it is judged, so that tries at the same moment count one by one. A
    refused try finds its wait in the row as it was before the statement; where that is not there
    yet, it was made a moment ago.
    """
    wait: float | None = await conn.fetchval(
        "WITH taken AS ("
        " INSERT INTO crossdock.throttles AS t (key, free_at)"
        " VALUES ($1, clock_timestamp() + $2::interval)"
        " ON CONFLICT (key) DO UPDATE"
        " SET free_at = greatest(t.free_at, clock_timestamp()) + $2::interval"
        " WHERE t.free_at <= clock_timestamp() + $3::interval RETURNING 1)"
        " SELECT greatest(coalesce(extract(epoch FROM"
        " (SELECT t.free_at FROM crossdock.throttles AS t WHERE t.key = $1)"
        " - clock_timestamp() - $3::interval), 0), 0.001)::float8"
        " WHERE NOT EXISTS (SELECT FROM taken)",
        key,
        timedelta(seconds=limit.every_s),
        timedelta(seconds=limit.ahead_s),
    )
    return wait


async def clear(conn: asyncpg.Connection, key: bytes) -> None:
    """Forget the tries of one subject."""
    await conn.execute("DELETE FROM crossdock.throttles WHERE key = $1", key)


async def sweep(conn: asyncpg.Connection) -> int:
    """Delete some rows that limit nothing any more; return how many there were."""
    done: str = await conn.execute(
        "DELETE FROM crossdock.throttles AS t WHERE t.free_at < clock_timestamp() AND t.key IN ("
        "SELECT o.key FROM crossdock.throttles AS o WHERE o.free_at < clock_timestamp()"
        " LIMIT $1 FOR UPDATE SKIP LOCKED)",
        SWEPT_AT_ONCE,
    )
    return int(done.rpartition(" ")[2])
