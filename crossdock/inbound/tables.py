"""Tables of sources, events, the dedupe ledger and its aliases."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crossdock.db.schema import OWN_RECORD, HeaderPairs, key, moment, one_of, tenant_table

sources: Final = tenant_table(
    "sources",
    key(),
    Column("name", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("recipe", JSONB, nullable=False),
    Column("secrets", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("token_hash", LargeBinary, nullable=False),
    Column("token_sealed", LargeBinary, nullable=False),
    Column("max_body_bytes", Integer, nullable=False),
    Column("webhooks_per_minute", Integer),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("created_at", now=True),
    moment("updated_at", now=True),
    Column("preset", Text),
    Column("content_types", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("indexed_fields", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("encrypts", Boolean, nullable=False, server_default=text("false")),
    Column("buffers", Boolean, nullable=False, server_default=text("false")),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    UniqueConstraint("token_hash"),
    CheckConstraint("webhooks_per_minute > 0", name="webhooks_per_minute"),
    one_of("state", "active", "paused", "disabled", "deleted"),
    Index(
        "sources_tenant_id_name_key",
        "tenant_id",
        "name",
        unique=True,
        postgresql_where=text("state <> 'deleted'"),
    ),
    Index(
        "sources_tenant_id_api_key",
        "tenant_id",
        unique=True,
        postgresql_where=text("scheme = 'api' AND state <> 'deleted'"),
    ),
    audit="full",
    global_unique={
        "sources_token_hash_key": "a hash of 256 random bits: nobody can hit another's by guessing"
    },
)
"""`recipe` holds no secret; `secrets` is `[{"id", "sealed" (base64), "not_after"}]`.

A deleted source stays as a row in state `deleted`, so that its last snapshot has a version. One of
the scheme `api` takes what the tenant publishes itself, and has no door for others. `buffers` says
what a paused source does: take and hold, or refuse.
"""

event_keys: Final = tenant_table(
    "event_keys",
    key("source_id"),
    Column("dedupe_hash", LargeBinary, primary_key=True, nullable=False),
    Column("event_id", Uuid, nullable=False),
    CheckConstraint("octet_length(dedupe_hash) = 16", name="dedupe_hash"),
    audit=OWN_RECORD,
)
"""The ledger: the one place of deduplication. A key lives as long as its event."""

event_aliases: Final = tenant_table(
    "event_aliases",
    key("alias_id"),
    Column("event_id", Uuid, nullable=False),
    audit=OWN_RECORD,
)
"""Ids that were answered with 202 and turned out to be another event's duplicate."""

events: Final = tenant_table(
    "events",
    key(),
    Column("source_id", Uuid, nullable=False),
    Column("stream_seq", BigInteger, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("provider_id", Text),
    Column("content_type", Text, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("headers", HeaderPairs, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False, server_default="accepted"),
    Column("violation", Text),
    Column("schema_version", Integer),
    Column("data_key", Uuid),
    Column("matched", SmallInteger),
    moment("stored_at", nullable=True, now=True),
    moment("released_at", nullable=True),
    one_of(
        "status",
        "accepted",
        "warned",
        "held",
        "quarantined",
        "releasing",
        "released",
        "dropped",
    ),
    Index("events_source_idx", "tenant_id", "source_id", "id"),
    Index("events_type_idx", "tenant_id", "event_type", "id"),
    Index(
        "events_status_idx",
        "tenant_id",
        "status",
        "id",
        postgresql_where=text("status <> 'accepted'"),
    ),
    Index(
        "events_unmatched_idx",
        "tenant_id",
        "id",
        postgresql_where=text("matched = 0"),
    ),
    Index(
        "events_released_idx",
        "tenant_id",
        "id",
        postgresql_where=text("released_at IS NOT NULL"),
    ),
    audit=OWN_RECORD,
    partitioned=True,
)
"""One accepted webhook each; of its row only `status`, `matched` and `released_at` ever change.

`stream_seq` is its place on INGEST. `body` is sealed where `data_key` names a key of
`payload_keys`. `violation` is what its schema said, JSON `[{"pointer", "detail"}]`. `matched`
counts the destinations that wanted it when it was stored, or let go; NULL for one that is kept
back, and for those of releases that did not count.
"""

event_fields: Final = tenant_table(
    "event_fields",
    Column("key", LargeBinary, primary_key=True, nullable=False),
    key(),
    CheckConstraint("octet_length(key) = 16", name="key"),
    audit=OWN_RECORD,
    partitioned=True,
)
"""Where events are found by a value in their payload: `id` is the event's, `key` a hash of pointer
and value (`crossdock.native.field_key`). Equality of bytes is leakproof, so the index serves under
row-level security, which no operator on JSON does.
"""

releases: Final = tenant_table(
    "releases",
    key(),
    Column("source_id", Uuid),
    Column("event_id", Uuid),
    moment("created_at", now=True),
    CheckConstraint("num_nonnulls(source_id, event_id) = 1", name="what"),
    Index("releases_created_at_idx", "created_at"),
    audit="none: a queue; who asked is in the audit of the request",
)
"""What is to be released: all that a source held, or one quarantined event. Workers take it."""

refusals: Final = tenant_table(
    "refusals",
    key("source_id"),
    key(),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("headers", HeaderPairs, nullable=False),
    Column("size", Integer, nullable=False),
    Column("body_sha256", LargeBinary),
    audit=OWN_RECORD,
)
"""The last few webhooks that each source refused, for its owner to see why."""

refusal_counts: Final = tenant_table(
    "refusal_counts",
    key("source_id"),
    Column("day", Date, primary_key=True, nullable=False),
    Column("reason", Text, primary_key=True, nullable=False),
    Column("count", BigInteger, nullable=False),
    moment("hour", nullable=True),
    Column("in_hour", BigInteger, nullable=False, server_default=text("0")),
    Column("hour_before", BigInteger, nullable=False, server_default=text("0")),
    audit=OWN_RECORD,
)
"""How many webhooks each source refused, by day and reason; `in_hour` of them in the last `hour`
that had any, and `hour_before` in the one before that, which is what alerts go by."""

route_changes: Final = tenant_table(
    "route_changes",
    Column("id", BigInteger, Identity(always=True), primary_key=True, nullable=False),
    Column(
        "position",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
    ),
    moment("created_at", now=True),
    Index("route_changes_position_idx", "position"),
    audit="none: a feed of tenants' ids, kept for hours only",
)
"""Whose destinations, or state, changed: triggers write it, so that nobody can forget.

Persisting keeps routes in memory and asks this feed, in the transaction that uses them, which of
them are no longer true. `position` is the id of the transaction that made the change.
"""
