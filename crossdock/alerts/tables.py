"""The table of alerts."""

from typing import Final

from sqlalchemy import Column, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB

from crossdock.db.schema import OWN_RECORD, key, moment, tenant_table

alerts: Final = tenant_table(
    "alerts",
    key(),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("period", Text, nullable=False, server_default=""),
    Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
    moment("created_at", now=True),
    moment("resolved_at", nullable=True),
    UniqueConstraint("tenant_id", "kind", "subject", "level", "period"),
    audit=OWN_RECORD,
)
"""One row for each thing worth telling once: what, of which subject, how bad, in which period."""
