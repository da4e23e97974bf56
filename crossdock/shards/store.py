"""Statements on shards and placements, as the role `control` on shard 0; and on a new shard."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from crossdock.shards.model import Shard, ShardState

LOCK: Final = 0x63726F737368
"""Held while a shard is added, so that two don't get the same number."""


async def hold(conn: asyncpg.Connection) -> None:
    """Be the only one that adds shards, until the connection closes."""
    await conn.execute("SELECT pg_advisory_lock($1)", LOCK)


async def all_shards(conn: asyncpg.Connection) -> Sequence[tuple[Shard, int]]:
    """Return the shards in order, each with the number of tenants placed on it."""
    rows = await conn.fetch(
        "SELECT s.*, coalesce(p.tenants, 0) AS tenants FROM crossdock.shards AS s"
        " LEFT JOIN (SELECT shard, count(*) AS tenants FROM crossdock.placements GROUP BY shard)"
        " AS p ON p.shard = s.id ORDER BY s.id"
    )
    return [(_shard(row), row["tenants"]) for row in rows]


async def add(conn: asyncpg.Connection, number: int, name: str, url: str) -> Shard:
    """Write down a shard that is ready for tenants."""
    row = await conn.fetchrow(
        "INSERT INTO crossdock.shards (id, name, url) VALUES ($1, $2, $3) RETURNING *",
        number,
        name,
        url,
    )
    return _shard(row)


async def set_state(conn: asyncpg.Connection, name: str, state: ShardState) -> Shard | None:
    """Open or close a shard for new tenants."""
    row = await conn.fetchrow(
        "UPDATE crossdock.shards SET state = $2 WHERE name = $1 RETURNING *", name, state
    )
    return None if row is None else _shard(row)


async def hold_state(conn: asyncpg.Connection, number: int) -> ShardState | None:
    """Return a shard's state, held as it is until the transaction ends."""
    found: ShardState | None = await conn.fetchval(
        "SELECT state FROM crossdock.shards WHERE id = $1 FOR SHARE", number
    )
    return found


async def emptiest(conn: asyncpg.Connection) -> int | None:
    """Return the open shard with the fewest tenants, held open until the transaction ends."""
    found: int | None = await conn.fetchval(
        "SELECT s.id FROM crossdock.shards AS s LEFT JOIN"
        " (SELECT shard, count(*) AS tenants FROM crossdock.placements GROUP BY shard) AS p"
        " ON p.shard = s.id WHERE s.state = 'open'"
        " ORDER BY coalesce(p.tenants, 0), s.id LIMIT 1 FOR SHARE OF s"
    )
    return found


async def is_migrated(conn: asyncpg.Connection) -> bool:
    """Say whether a database has our schema, as far as this role may see."""
    found: bool = await conn.fetchval("SELECT to_regclass('crossdock.home') IS NOT NULL")
    return found


async def number_of(conn: asyncpg.Connection) -> int | None:
    """Return which shard a migrated database says it is; `None` where it does not know yet."""
    found: int | None = await conn.fetchval("SELECT shard FROM crossdock.home")
    return found


async def has_tenants(conn: asyncpg.Connection) -> bool:
    """Say whether anybody lives on a shard, as the role `maintenance`, which sees all."""
    found: bool = await conn.fetchval("SELECT EXISTS (SELECT FROM crossdock.tenants)")
    return found


def _shard(row: asyncpg.Record) -> Shard:
    return Shard(row["id"], row["name"], row["url"], row["state"], row["created_at"])
