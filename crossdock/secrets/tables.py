"""The table of tenants' data keys."""

from typing import Final

from sqlalchemy import Column, ForeignKeyConstraint, Index, LargeBinary, text

from crossdock.db.schema import key, moment, tenant_table

payload_keys: Final = tenant_table(
    "payload_keys",
    key(),
    Column("wrapped", LargeBinary, nullable=False),
    moment("created_at", now=True),
    moment("retired_at", nullable=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    Index(
        "payload_keys_current_key",
        "tenant_id",
        unique=True,
        postgresql_where=text("retired_at IS NULL"),
    ),
    audit="full",
)
"""Keys that seal a tenant's payloads, sealed themselves: to drop one is to shred what it sealed."""
