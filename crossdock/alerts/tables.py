"""The table of alerts."""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
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
    moment("told_at", nullable=True),
    moment("resolved_told_at", nullable=True),
    UniqueConstraint("tenant_id", "kind", "subject", "level", "period"),
    Index("alerts_untold_idx", "created_at", postgresql_where=text("told_at IS NULL")),
    Index(
        "alerts_passed_idx",
        "resolved_at",
        postgresql_where=text("resolved_at IS NOT NULL AND resolved_told_at IS NULL"),
    ),
    Index("alerts_open_idx", "id", postgresql_where=text("resolved_at IS NULL")),
    audit=OWN_RECORD,
)
"""One row for each thing worth telling once: what, of which subject, how bad, in which period.

`told_at` and `resolved_told_at`: when it was told as an event, or settled that it is not to be;
letters go out in the transaction that raises it.
"""

alert_settings: Final = tenant_table(
    "alert_settings",
    Column("settings", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    moment("updated_at", now=True),
    ForeignKeyConstraint(["tenant_id"], ["crossdock.tenants.id"]),
    audit="full",
)
"""What a tenant wants to be told of, from when on, and whom; without a row, the defaults."""
