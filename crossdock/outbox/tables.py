"""The outbox: what changed, never how."""

from typing import Final

from sqlalchemy import BigInteger, Column, Identity, Index, Text, text

from crossdock.db.schema import moment, tenant_table

outbox: Final = tenant_table(
    "outbox",
    Column("id", BigInteger, Identity(always=True), primary_key=True, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column(
        "position",
        BigInteger,
        nullable=False,
        server_default=text("pg_current_xact_id()::text::bigint"),
    ),
    moment("created_at", now=True),
    moment("published_at", nullable=True),
    Index("outbox_waiting_idx", "id", postgresql_where=text("published_at IS NULL")),
    Index("outbox_position_idx", "position"),
    audit="none: a feed of keys, kept for hours only",
)
"""Rows are (topic, key); the drainer publishes the current snapshot of the key.

Every insert notifies the channel `crossdock_outbox` once the transaction commits. A published row
stays for an hour as a feed: a gateway that has lost the bucket reads what has changed since the
transaction id (`position`) up to which it knows everything.
"""
