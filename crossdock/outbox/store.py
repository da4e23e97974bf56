"""The outbox's statements: writing a change, reading the feed, and the rows that snapshots show."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.outbox.tables import outbox

Topic = Literal["source", "tenant", "token"]
"""`source`: one source, by its id. `tenant`: all of a tenant's sources, by the tenant's id.
`token`: an ingest token that a source no longer has, by its SHA-256 in hex."""

TOPICS: Final[tuple[Topic, ...]] = ("source", "tenant", "token")

Connection: TypeAlias = asyncpg.Connection
"""A connection in a transaction, for callers who only pass it on."""

Row: TypeAlias = asyncpg.Record
"""What a snapshot is made of."""

CHANNEL: Final = "crossdock_outbox"
"""Notified by every insert, once its transaction commits."""

FEED_S: Final = 3600.0
"""How long a published row stays for gateways that have lost the bucket."""

_ROWS: Final = """
    SELECT s.tenant_id, s.id, s.token_hash, s.version + t.version AS version, t.shard,
        t.state AS tenant_state, s.state AS source_state, s.max_body_bytes,
        s.recipe::text AS recipe, s.secrets::text AS secrets
    FROM crossdock.sources AS s JOIN crossdock.tenants AS t ON t.id = s.tenant_id
"""


class Change(msgspec.Struct, frozen=True):
    """A row of the outbox: what changed, never how."""

    id: int
    topic: Topic
    key: str


class Position(msgspec.Struct, frozen=True):
    """A place in the feed."""

    finished: int
    """Every transaction with a lower id has ended, and what it changed is visible."""
    at: float
    """Unix seconds by the database's clock."""
    waiting: int | None
    """The lowest transaction of those with a row that is not published."""
    behind_s: float
    """Age of the oldest such row; 0 where there is none."""

    @property
    def published(self) -> int:
        """Return the place up to which everything is on the broker."""
        return self.finished if self.waiting is None else min(self.finished, self.waiting)


async def add(connection: AsyncConnection, tenant_id: UUID, topic: Topic, key: str) -> None:
    """Say that something of a tenant changed, in the transaction that changes it."""
    row = {"tenant_id": tenant_id, "topic": topic, "key": key}
    # Inline: asking for the id back would need the right to read the outbox.
    await connection.execute(insert(outbox).inline().values(row))


async def add_tenant(connection: Connection, tenant_id: UUID) -> None:
    """Say that a tenant changed, in the transaction that changes it."""
    await connection.execute(
        "INSERT INTO crossdock.outbox (tenant_id, topic, key) VALUES ($1, 'tenant', $2)",
        tenant_id,
        str(tenant_id),
    )


async def claim(connection: Connection, limit: int) -> list[Change]:
    """Lock the oldest rows that wait and that no other drainer has."""
    rows = await connection.fetch(
        "SELECT id, topic, key FROM crossdock.outbox"
        " WHERE published_at IS NULL AND topic = ANY($1)"
        " ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED",
        TOPICS,
        limit,
    )
    return [Change(*row) for row in rows]


async def mark_published(connection: Connection, ids: Sequence[int]) -> None:
    """Note that rows are on the broker; the feed keeps them for a while."""
    await connection.execute(
        "UPDATE crossdock.outbox SET published_at = now()"
        " WHERE published_at IS NULL AND id = ANY($1)",
        ids,
    )


async def forget_published(connection: Connection) -> None:
    """Drop rows from the feed that everybody has had time to read."""
    await connection.execute(
        "DELETE FROM crossdock.outbox WHERE published_at < now() - make_interval(secs => $1)",
        FEED_S,
    )


async def position(connection: Connection) -> Position:
    """Return where the feed stands, in this statement's snapshot."""
    row = await connection.fetchrow(
        """
        SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS finished,
            extract(epoch FROM clock_timestamp())::float8 AS at,
            waiting.position AS waiting,
            coalesce(extract(epoch FROM clock_timestamp() - waiting.since), 0)::float8 AS behind_s
        FROM (
            SELECT min(position) AS position, min(created_at) AS since
            FROM crossdock.outbox WHERE published_at IS NULL AND topic = ANY($1)
        ) AS waiting
        """,
        TOPICS,
    )
    return Position(*row)


async def changed_since(connection: Connection, transaction: int) -> list[Change]:
    """Return what a transaction or a later one changed, published or not."""
    rows = await connection.fetch(
        "SELECT max(id), topic, key FROM crossdock.outbox"
        " WHERE position >= $1 AND topic = ANY($2) GROUP BY topic, key",
        transaction,
        TOPICS,
    )
    return [Change(*row) for row in rows]


async def sources_by_id(
    connection: Connection, source_ids: Collection[UUID], tenant_ids: Collection[UUID]
) -> list[Row]:
    """Return the snapshot rows of some sources, and of all sources of some tenants."""
    rows: list[Row] = await connection.fetch(
        _ROWS + " WHERE s.id = ANY($1) OR s.tenant_id = ANY($2)", source_ids, tenant_ids
    )
    return rows


async def sources_by_token(connection: Connection, digests: Collection[bytes]) -> list[Row]:
    """Return the snapshot rows of the sources that have these tokens."""
    rows: list[Row] = await connection.fetch(_ROWS + " WHERE s.token_hash = ANY($1)", digests)
    return rows


async def sources_after(connection: Connection, digest: bytes, limit: int) -> list[Row]:
    """Return a page of all snapshot rows, in the order of the tokens' digests."""
    rows: list[Row] = await connection.fetch(
        _ROWS + " WHERE s.token_hash > $1 ORDER BY s.token_hash LIMIT $2", digest, limit
    )
    return rows


async def versions(connection: Connection) -> dict[str, int]:
    """Return the version of every source's snapshot, by its token's digest in hex."""
    rows = await connection.fetch(
        "SELECT encode(s.token_hash, 'hex'), s.version + t.version"
        " FROM crossdock.sources AS s JOIN crossdock.tenants AS t ON t.id = s.tenant_id"
    )
    return dict(map(tuple, rows))


async def listen(
    connection: Connection, wake: Callable[[], None], ended: Callable[[], None]
) -> None:
    """Call `wake` after each commit that wrote to the outbox, and `ended` with the connection."""
    connection.add_termination_listener(lambda *_: ended())
    await connection.add_listener(CHANNEL, lambda *_: wake())
