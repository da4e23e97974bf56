"""The outbox's statements: writing a change, reading the feed, and the rows that snapshots show."""

from collections.abc import Callable, Collection, Sequence
from typing import Final, Literal, TypeAlias
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from crossdock.outbox.tables import outbox
from proto.settings import TENANT, TYPE

Topic = Literal["source", "tenant", "token", "session", "user", "type"]
"""`source`: one source, by its id. `tenant`: a tenant and all of its sources, by the tenant's id.
`token`: an ingest token that a source no longer has, by its SHA-256 in hex. `session`: a session,
or an operator's access to the tenant, that was revoked, by its id. `user`: a user whose tokens of
before now are worth nothing, by its id. `type`: an event type, by its id."""

TOPICS: Final[tuple[Topic, ...]] = ("source", "tenant", "token", "session", "user", "type")

SLACK_S: Final = 60.0
"""How long revocations are remembered beyond the life of the access tokens that they end."""

Connection: TypeAlias = asyncpg.Connection
"""A connection in a transaction, for callers who only pass it on."""

Row: TypeAlias = asyncpg.Record
"""What a snapshot is made of."""

CHANNEL: Final = "crossdock_outbox"
"""Notified by every insert, once its transaction commits."""

FEED_S: Final = 3600.0
"""How long a published row stays for gateways that have lost the bucket."""

_SOURCES: Final = """
    SELECT s.tenant_id, s.id, s.token_hash, s.version + t.version AS version, t.shard,
        t.state AS tenant_state, s.state AS source_state, s.max_body_bytes,
        s.recipe::text AS recipe, s.secrets::text AS secrets,
        coalesce(extract(epoch FROM t.blocked_until), 0)::float8 AS blocked_until,
        s.webhooks_per_minute, t.plan, t.quotas::text AS quotas,
        s.content_types, s.indexed_fields, s.buffers, s.encrypts,
        k.id AS data_key_id, k.wrapped AS data_key
    FROM crossdock.sources AS s JOIN crossdock.tenants AS t ON t.id = s.tenant_id
    LEFT JOIN crossdock.payload_keys AS k
        ON s.encrypts AND k.tenant_id = s.tenant_id AND k.retired_at IS NULL
    WHERE s.scheme <> 'api'
"""
"""What a tenant publishes itself comes through no door, so gateways need not know of its source.
Whoever gives a tenant another data key must make the tenant's version grow."""

_TYPES: Final = """
    SELECT e.tenant_id, e.id, e.version, e.name, e.mode, e.latest,
        CASE WHEN e.mode <> 'off' THEN v.schema END AS schema
    FROM crossdock.event_types AS e
    LEFT JOIN crossdock.event_type_versions AS v
        ON v.tenant_id = e.tenant_id AND v.event_type_id = e.id AND v.number = e.latest
"""
"""Nothing here depends on the tenant's own row: a type's version is its own. A schema that nothing
is held to stays at home."""

_TENANTS: Final = """
    SELECT t.id, t.version + t.roles_version AS version, t.shard, t.state, t.plan,
        t.quotas::text AS quotas,
        coalesce(extract(epoch FROM t.not_before), 0)::float8 AS not_before,
        coalesce(extract(epoch FROM t.blocked_until), 0)::float8 AS blocked_until,
        (
            SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name,
                'permissions', r.permissions, 'inherits', r.inherits)), '[]')
            FROM crossdock.roles AS r WHERE r.tenant_id = t.id
        )::text AS roles
    FROM crossdock.tenants AS t
"""
"""A change of roles counts in `roles_version`, by a trigger: so the sum grows with each change."""


_US: Final = "(extract(epoch FROM until) * 1000000)::bigint"
"""What is revoked anew ends later: as a version it is exact to the microsecond."""
_UNTIL: Final = "extract(epoch FROM until)::float8"
_NOW: Final = "extract(epoch FROM clock_timestamp())::float8"


class Change(msgspec.Struct, frozen=True):
    """A row of the outbox: what changed, never how."""

    id: int
    topic: Topic
    key: str
    tenant_id: UUID


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


async def add_change(connection: Connection, tenant_id: UUID, topic: Topic, key: str) -> None:
    """Do what `add` does, on a connection of asyncpg's."""
    await connection.execute(
        "INSERT INTO crossdock.outbox (tenant_id, topic, key) VALUES ($1, $2, $3)",
        tenant_id,
        topic,
        key,
    )


async def add_tenant(connection: Connection, tenant_id: UUID) -> None:
    """Say that a tenant changed, in the transaction that changes it."""
    await add_change(connection, tenant_id, "tenant", str(tenant_id))


async def claim(connection: Connection, limit: int) -> list[Change]:
    """Lock the oldest rows that wait and that no other drainer has."""
    rows = await connection.fetch(
        "SELECT id, topic, key, tenant_id FROM crossdock.outbox"
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


async def forget_published(connection: Connection, kept_s: float = FEED_S) -> None:
    """Drop rows from the feed that everybody has had time to read."""
    await connection.execute(
        "DELETE FROM crossdock.outbox WHERE published_at < now() - make_interval(secs => $1)",
        kept_s,
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
        "SELECT max(id), topic, key, tenant_id FROM crossdock.outbox"
        " WHERE position >= $1 AND topic = ANY($2) GROUP BY topic, key, tenant_id",
        transaction,
        TOPICS,
    )
    return [Change(*row) for row in rows]


async def revoked_within(connection: Connection, keep_s: float) -> list[Change]:
    """Return every revocation that an access token may still live to see.

    The feed has them all, for it is kept for longer than access tokens live; an operator's access
    may be granted for longer still, so those that ended early are asked for by themselves.
    """
    rows = await connection.fetch(
        """
        SELECT max(id), topic, key, tenant_id FROM crossdock.outbox
        WHERE topic = ANY('{session,user}') AND created_at > now() - make_interval(secs => $1)
        GROUP BY topic, key, tenant_id
        UNION ALL
        SELECT 0, 'session', id::text, tenant_id FROM crossdock.support_accesses
        WHERE ended_at IS NOT NULL AND ends_at > now() - make_interval(secs => $2)
        """,
        keep_s + SLACK_S,
        SLACK_S,
    )
    return [Change(*row) for row in rows]


async def sessions(
    connection: Connection, keys: Collection[tuple[UUID, UUID]], keep_s: float
) -> list[Row]:
    """Return until when to remember that these sessions, or operators' accesses, are revoked.

    `until` is null for one that is not revoked. One without a row is gone with its user, or with
    its tenant: its tokens end like any other's.
    """
    rows: list[Row] = await connection.fetch(
        f"""
        SELECT tenant_id, id, gone, {_US} AS version, {_UNTIL} AS until, {_NOW} AS now FROM (
            SELECT wanted.tenant_id, wanted.id, s.id IS NULL AND a.id IS NULL AS gone, CASE
                WHEN s.id IS NOT NULL THEN s.revoked_at + make_interval(secs => $3)
                WHEN a.ended_at IS NOT NULL THEN a.ends_at + make_interval(secs => $4)
                WHEN a.id IS NULL THEN clock_timestamp() + make_interval(secs => $3)
            END AS until
            FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
            LEFT JOIN crossdock.sessions AS s
                ON s.tenant_id = wanted.tenant_id AND s.id = wanted.id
            LEFT JOIN crossdock.support_accesses AS a
                ON a.tenant_id = wanted.tenant_id AND a.id = wanted.id
        ) AS found
        """,  # noqa: S608 - expressions of ours
        *_columns(keys),
        keep_s,
        SLACK_S,
    )
    return rows


async def users(
    connection: Connection, keys: Collection[tuple[UUID, UUID]], keep_s: float
) -> list[Row]:
    """Return from when on these users' tokens are good (`at`), and until when to remember it."""
    rows: list[Row] = await connection.fetch(
        f"""
        SELECT tenant_id, id, gone, {_US} AS version, extract(epoch FROM not_before)::float8 AS at,
            {_UNTIL} AS until, {_NOW} AS now
        FROM (
            SELECT wanted.tenant_id, wanted.id, u.id IS NULL AS gone, u.not_before,
                make_interval(secs => $3)
                    + CASE WHEN u.id IS NULL THEN clock_timestamp() ELSE u.not_before END AS until
            FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
            LEFT JOIN crossdock.users AS u
                ON u.tenant_id = wanted.tenant_id AND u.id = wanted.id
        ) AS found
        """,  # noqa: S608 - expressions of ours
        *_columns(keys),
        keep_s,
    )
    return rows


def _columns(keys: Collection[tuple[UUID, UUID]]) -> tuple[list[UUID], list[UUID]]:
    return [tenant for tenant, _ in keys], [one for _, one in keys]


async def tenants_by_id(connection: Connection, tenant_ids: Collection[UUID]) -> list[Row]:
    """Return the snapshot rows of some tenants."""
    rows: list[Row] = await connection.fetch(_TENANTS + " WHERE t.id = ANY($1)", tenant_ids)
    return rows


async def tenants_after(connection: Connection, after: UUID, limit: int) -> list[Row]:
    """Return a page of all tenants' snapshot rows, in the order of their ids."""
    rows: list[Row] = await connection.fetch(
        _TENANTS + " WHERE t.id > $1 ORDER BY t.id LIMIT $2", after, limit
    )
    return rows


async def sources_by_id(
    connection: Connection, source_ids: Collection[UUID], tenant_ids: Collection[UUID]
) -> list[Row]:
    """Return the snapshot rows of some sources, and of all sources of some tenants."""
    rows: list[Row] = await connection.fetch(
        _SOURCES + " AND (s.id = ANY($1) OR s.tenant_id = ANY($2))", source_ids, tenant_ids
    )
    return rows


async def sources_by_token(connection: Connection, digests: Collection[bytes]) -> list[Row]:
    """Return the snapshot rows of the sources that have these tokens."""
    rows: list[Row] = await connection.fetch(_SOURCES + " AND s.token_hash = ANY($1)", digests)
    return rows


async def sources_after(connection: Connection, digest: bytes, limit: int) -> list[Row]:
    """Return a page of all snapshot rows, in the order of the tokens' digests."""
    rows: list[Row] = await connection.fetch(
        _SOURCES + " AND s.token_hash > $1 ORDER BY s.token_hash LIMIT $2", digest, limit
    )
    return rows


async def types_by_id(connection: Connection, keys: Collection[tuple[UUID, UUID]]) -> list[Row]:
    """Return the snapshot rows of some event types, by their tenants' ids and their own."""
    rows: list[Row] = await connection.fetch(
        _TYPES + " JOIN unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)"
        " ON wanted.tenant_id = e.tenant_id AND wanted.id = e.id",
        *_columns(keys),
    )
    return rows


async def types_after(connection: Connection, after: tuple[UUID, UUID], limit: int) -> list[Row]:
    """Return a page of all event types' snapshot rows, in the order of tenants' and own ids."""
    rows: list[Row] = await connection.fetch(
        _TYPES + " WHERE (e.tenant_id, e.id) > ($1, $2) ORDER BY e.tenant_id, e.id LIMIT $3",
        *after,
        limit,
    )
    return rows


async def versions(connection: Connection) -> dict[str, int]:
    """Return the version of every snapshot but revocations', by the bucket's key."""
    rows = await connection.fetch(
        "SELECT encode(s.token_hash, 'hex'), s.version + t.version"
        " FROM crossdock.sources AS s JOIN crossdock.tenants AS t ON t.id = s.tenant_id"
        " WHERE s.scheme <> 'api'"
        " UNION ALL SELECT $1 || replace(t.id::text, '-', ''), t.version + t.roles_version"
        " FROM crossdock.tenants AS t"
        " UNION ALL SELECT $2 || replace(e.tenant_id::text || e.id::text, '-', ''), e.version"
        " FROM crossdock.event_types AS e",
        TENANT,
        TYPE,
    )
    return dict(map(tuple, rows))


async def listen(
    connection: Connection, wake: Callable[[], None], ended: Callable[[], None]
) -> None:
    """Call `wake` after each commit that wrote to the outbox, and `ended` with the connection."""
    connection.add_termination_listener(lambda *_: ended())
    await connection.add_listener(CHANNEL, lambda *_: wake())
