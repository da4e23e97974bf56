"""The table of the audit."""

from typing import Final

from sqlalchemy import Column, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from crossdock.db.schema import OWN_RECORD, key, moment, one_of, tenant_table

audit: Final = tenant_table(
    "audit",
    key(),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("address", Text),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    moment("created_at", now=True),
    one_of("actor_kind", "user", "key", "operator", "system", "anonymous"),
    audit=OWN_RECORD,
)
"""No role may change an entry or take one away."""
