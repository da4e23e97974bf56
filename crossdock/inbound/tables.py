"""Tables of sources, events, the dedupe ledger and its aliases."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

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
    audit="full",
    global_unique={
        "sources_token_hash_key": "a hash of 256 random bits: nobody can hit another's by guessing"
    },
)
"""`recipe` holds no secret; `secrets` is `[{"id", "sealed" (base64), "not_after"}]`.

A deleted source stays as a row in state `deleted`, so that its last snapshot has a version.
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
    audit=OWN_RECORD,
    partitioned=True,
)
"""One accepted webhook each; never updated. `stream_seq` is its place on INGEST."""

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
