"""The table of what retention dropped."""

from typing import Final

from sqlalchemy import BigInteger, Column

from crossdock.db.schema import OWN_RECORD, key, moment, tenant_table

retention_drops: Final = tenant_table(
    "retention_drops",
    key(),
    moment("begins"),
    moment("ends"),
    Column("events", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("kept", BigInteger, nullable=False),
    moment("dropped_at", now=True),
    audit=OWN_RECORD,
)
"""A partition's events of one tenant that went, and how many unfinished ones stayed."""
